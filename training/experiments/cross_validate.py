"""Five folds: a network is trained without a fifth of the patients and two or three heads, and scored on them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from decnn.errors import InputError
from decnn.model import Model, load_model
from training.experiments.evaluate_heads import evaluate
from training.experiments.evaluate_slices import choose_patients, evaluate_slices, grouped, summary
from training.export import export
from training.fit import fit
from training.settings import HEAD_FOLDS, Settings


def cross_validate(
    data: Path,
    bank: Path,
    runs: Path,
    settings: Settings,
    simulations: int,
    device: str,
    slices: Path | None = None,
    folds: Sequence[int] = (),
    workers: int = 0,
    init: Model | None = None,
) -> dict:
    """Trains, or goes on with, one run a fold in ``runs``, and scores each on what it has not seen.

    A picture of each head is left in ``runs/pictures``. The brain in the cranial cavity of a CT head comes from a
    labelled head (heads/catalog.py), so when that one is left out its brain, not its skull, has been seen.

    Args:
        data: the folder of the heads.
        slices: the folder of the real slices; if not given, only heads are scored.
        folds: those to do (1 to 5); all if empty.
        workers, init: see ``training.fit.fit``. What ``init`` was trained on, every fold has seen: "by its start".

    Returns:
        The settings; "init", name and version of the start, if there is one; "heads", rows as those of ``evaluate``;
        "slices", a result as that of ``evaluate_slices`` over all patients of the folds, with "by_fold"; both with the
        fold in every row.

    Raises:
        InputError: a fold that is not one, or as ``fit`` and the scorers do.
    """
    if unknown := set(folds) - set(HEAD_FOLDS):
        raise InputError(f"There is no fold {min(unknown)}: give numbers from 1 to {len(HEAD_FOLDS)}.")
    key = json.dumps([asdict(settings), simulations, slices is not None])
    heads: list[dict] = []
    rows: list[dict] = []
    halves: list[dict] = []
    for fold in folds or HEAD_FOLDS:
        run = runs / f"fold{fold}"
        scored = run / "scored.json"
        if not scored.is_file() or json.loads(scored.read_text(encoding="utf-8"))["settings"] != key:
            fit(bank, run, settings.without_fold(fold), device, init, workers)
            model = load_model(export(run, run / "model", "0"))
            named = [name for name in dict.fromkeys(name for name, _, _ in settings.heads) if name in HEAD_FOLDS[fold]]
            found: dict = {"settings": key, "heads": [], "cases": [], "halves": []}
            if named:
                found["heads"] = evaluate(model, data, named, simulations, runs / "pictures")["heads"]
            if slices is not None:
                result = evaluate_slices(model, slices, choose_patients(slices, fold))
                found |= {"cases": result["cases"], "halves": result["halves"]}
            scored.write_text(json.dumps(found) + "\n", encoding="utf-8")
        stored = json.loads(scored.read_text(encoding="utf-8"))
        for rows_of, part in ((heads, "heads"), (rows, "cases"), (halves, "halves")):
            rows_of += [{"fold": fold, **row} for row in stored[part]]
    if init is not None:
        seen = init.spec.get("training", {}).get("heads", ())
        heads = [row | {"seen": "by its start"} if row["head"] in seen else row for row in heads]
    start = {} if init is None else {"name": init.name, "version": init.version}
    result = {"settings": asdict(settings), "init": start, "simulations": simulations, "heads": heads}
    return result | ({"slices": summary(rows, halves) | {"by_fold": grouped(rows, "fold")}} if rows else {})
