"""The log of a run: a line of JSON for every row, and the same for TensorBoard if wanted."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from decnn.errors import SetupError

LOG = "log.jsonl"
TENSORBOARD = "tensorboard"


class RunLog:
    """Writes and reads back the log of the folder ``run``; raises SetupError if TensorBoard is wanted and not there."""

    def __init__(self, run: Path, tensorboard: bool = False) -> None:
        self._path = run / LOG
        self._writer = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise SetupError("TensorBoard is not installed: pip install tensorboard, or leave it out.") from error
            self._writer = SummaryWriter(run / TENSORBOARD)

    def add_training(self, step: int, losses: Sequence[float], rate: float, seconds: float, waited: float) -> None:
        """What the steps since the last row cost and brought; seconds of all of them, and those spent on waiting."""
        row = {
            "step": step,
            "loss": round(float(np.mean(losses)), 6),
            "learning_rate": rate,
            "seconds_per_step": round(seconds / len(losses), 3),
            "waited_for_data": round(waited / seconds, 3),
        }
        self._append(row)
        self._draw(step, {name: row[name] for name in ("loss", "learning_rate", "seconds_per_step")})

    def add_validation(self, step: int, found: dict[str, float]) -> None:
        """The scores of the patients left out."""
        self._append({"step": step, "validation": found})
        self._draw(step, {f"validation/{name}": value for name, value in found.items()})

    def is_best(self, step: int) -> bool:
        """Whether no validation so far has a smaller error than that of this step."""
        found = self._validations()
        return found[step] <= min(found.values())

    def since_best(self) -> int:
        """How many validations have passed since the best one; 0 if there was none."""
        errors = list(self._validations().values())
        if not errors:
            return 0
        return len(errors) - 1 - errors.index(min(errors))

    @staticmethod
    def show_progress(step: int, steps: int, seconds_per_step: float) -> None:
        """A line that renews itself, for a person who watches; a file gets the rows of the log only."""
        if sys.stderr.isatty():
            minutes = (steps - step) * seconds_per_step / 60.0
            print(f"\rstep {step} of {steps}, about {minutes:.0f} min left ", end="", file=sys.stderr, flush=True)

    def _validations(self) -> dict[int, float]:
        """The mean error of every validation so far, by step."""
        if not self._path.is_file():
            return {}
        rows = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        return {row["step"]: row["validation"]["mae_hu"] for row in rows if "validation" in row}

    def _append(self, row: dict) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    def _draw(self, step: int, values: dict) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()
