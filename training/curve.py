"""Draws the learning curve of a run from its log."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from decnn.errors import InputError

matplotlib.use("Agg")
from matplotlib import pyplot


def draw_curve(logs: Sequence[Path], png: Path) -> None:
    """Writes the training loss over the steps, on a logarithmic scale, as PNG.

    logs: that of a run, after those of the runs whose weights it went on from. InputError if one cannot be read.
    """
    losses: dict[int, float] = {}
    for log in logs:
        first = max(losses, default=0)
        try:
            rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise InputError(f"The log {log} cannot be read ({error}): give the log.jsonl of a run.") from error
        # An interrupted run repeats the steps since its last checkpoint: the later row counts.
        losses |= {first + row["step"]: row["loss"] for row in rows}
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.semilogy(list(losses), list(losses.values()))
    axes.set_xlabel("step")
    axes.set_ylabel("loss: final and tentative CTs")
    axes.grid(which="both", alpha=0.3)
    figure.tight_layout()
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=100)
    pyplot.close(figure)
