"""Leave one head out: a network is trained without a head and scored on it, for every head."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from decnn.model import load_model
from training.evaluate import COLUMNS, evaluate, mean_of_defined
from training.export import export
from training.fit import Settings, fit


def cross_validate(
    data: Path,
    bank: Path,
    runs: Path,
    settings: Settings,
    simulations: int,
    device: str,
    heads: Sequence[str] = (),
) -> dict:
    """Trains, or goes on with, one run a head in ``runs``, and scores each on its head through the engine.

    The brain in the cranial cavity of a CT head comes from a labelled head (pairs/sources.py), so when that one is left
    out its brain, not its skull, has been seen. ``heads``: those to leave out, one after the other; all if empty.

    Returns:
        Rows as those of ``evaluate`` and their mean, with the settings.
    """
    rows = []
    for head in heads or dict.fromkeys(name for name, _, _ in settings.heads):
        run = runs / head
        scored = run / "scored.json"
        if scored.is_file() and (stored := json.loads(scored.read_text(encoding="utf-8")))["settings"] == _key(
            settings, simulations
        ):
            rows.append(stored["row"])
            continue
        fit(bank, run, settings.without(head), device)
        model = load_model(export(run, run / "model", "0"))
        row = evaluate(model, data, [head], simulations)["heads"][0]
        scored.write_text(json.dumps({"settings": _key(settings, simulations), "row": row}) + "\n", encoding="utf-8")
        rows.append(row)
        print(json.dumps(row), flush=True)
    mean: dict = {"head": "mean", "mr": "", "reference": ""}
    mean |= {column: mean_of_defined([row[column] for row in rows]) for column in COLUMNS}
    return {"settings": asdict(settings), "simulations": simulations, "heads": [*rows, mean]}


def _key(settings: Settings, simulations: int) -> str:
    return json.dumps([asdict(settings), simulations])
