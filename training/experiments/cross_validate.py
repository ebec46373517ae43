"""Leave one head out: a network is trained without a head and scored on it, for every head."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from decnn.model import load_model
from training.experiments.evaluate_heads import evaluate
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
    workers: int = 0,
) -> dict:
    """Trains, or goes on with, one run a head in ``runs``, and scores each on its head through the engine.

    A picture of each head is left in ``runs/pictures``.

    The brain in the cranial cavity of a CT head comes from a labelled head (heads/catalog.py), so when that one is left
    out its brain, not its skull, has been seen.

    Args:
        heads: those to leave out, one after the other; all if empty.
        workers: see ``training.fit.fit``.

    Returns:
        Rows as those of ``evaluate``, with the settings.
    """
    key = json.dumps([asdict(settings), simulations])
    rows = []
    for head in heads or _names(settings):
        run = runs / head
        scored = run / "scored.json"
        if scored.is_file() and (stored := json.loads(scored.read_text(encoding="utf-8")))["settings"] == key:
            rows.append(stored["row"])
            continue
        fit(bank, run, settings.without(head), device, workers=workers)
        model = load_model(export(run, run / "model", "0"))
        row = evaluate(model, data, [head], simulations, runs / "pictures")["heads"][0]
        scored.write_text(json.dumps({"settings": key, "row": row}) + "\n", encoding="utf-8")
        rows.append(row)
        print(json.dumps(row), flush=True)
    return {"settings": asdict(settings), "simulations": simulations, "heads": rows}


def _names(settings: Settings) -> list[str]:
    return list(dict.fromkeys(name for name, _, _ in settings.heads))
