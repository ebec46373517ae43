"""What helps? The same data and the same budget, one change at a time, several seeds.

The base is the paper's network: five plain convolutions, N = 3 embedding blocks, every tentative CT supervised, with
batch norm and five neighbouring slices. It is trained without two heads and scored on them, on the lattice of
``training.experiments.lattice``: unc (measured CT, simulated T1s) and ernie (measured T1, CT drawn from its labels).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from decnn.errors import InputError
from decnn.network import build_network
from training.bank import Entry, open_pairs
from training.experiments.lattice import predict, scores
from training.fit import HU_SCALE, averaged_network, fit
from training.settings import Settings

HELD_OUT = (Entry("unc", False), Entry("ernie", True))
PAIRS_SCORED = 2
LATTICE_MM = 8
_PLAIN, _DILATED = (1, 1, 1, 1, 1), (1, 2, 4, 8, 16)
_SCORES = ("mae_hu", "mae_bone_hu", "bone_dice")


@dataclass(frozen=True)
class Row:
    """A line of the table. change: settings that differ from the base."""

    name: str
    change: dict
    fusion: str = "mean"


def base_settings(steps: int) -> Settings:
    """The settings that every row starts from."""
    return replace(
        Settings(),
        dilations=_PLAIN, pyramid=(), loss="l2", bone_weight=0.0,
        patch=64, batch=16, steps=steps, warm_up=30, average=0.98, pairs=4,
    ).without("unc").without("ernie")  # fmt: skip


def table_rows(base: Settings) -> list[Row]:
    """All rows."""
    budget = parameters(base)
    rows = [Row(f"N = {base.blocks} (base)", {})]
    for blocks in (0, 1, 2, 4):
        same_size = {"blocks": blocks, "features": features_for(budget, replace(base, blocks=blocks))}
        name = "N = 0 (plain CNN)" if blocks == 0 else f"N = {blocks}"
        rows.append(Row(f"{name}, F = {same_size['features']}", same_size))
    # Each block adds two convolutions in a row, and sees 4 mm more: is it that, or the embedding, what helps?
    deep: dict = {"blocks": 0, "dilations": _PLAIN + (1,) * (2 * base.blocks)}
    deep["features"] = features_for(budget, replace(base, **deep))
    pyramid: dict = {"dilations": (), "pyramid": Settings().pyramid}
    pyramid_alone = pyramid | {"blocks": 0}
    pyramid_budget = parameters(replace(base, **pyramid))
    pyramid_alone["features"] = features_for(pyramid_budget, replace(base, **pyramid_alone))
    rows += [
        Row(f"N = 0, as deep as N = {base.blocks}, F = {deep['features']}", deep),
        Row("tentative CTs not supervised", {"tentative_weight": 0.0}),
        Row("dilated head (1, 2, 4, 8, 16)", {"dilations": _DILATED}),
        Row("pyramid head", pyramid),
        Row("pyramid head, no batch norm", pyramid | {"batch_norm": False}),
        Row("pyramid head, bone counts twice", pyramid | {"bone_weight": 1.0}),
        Row("pyramid head, bone counts twice, L1", pyramid | {"bone_weight": 1.0, "loss": "l1"}),
        Row(f"pyramid head, N = 0, F = {pyramid_alone['features']}", pyramid_alone),
        Row("1 slice", {"neighbours": 1}),
        Row("3 slices", {"neighbours": 3}),
        Row("no depth channel", {"depth_channel": False}),
        Row("no batch norm", {"batch_norm": False}),
        Row("L1", {"loss": "l1"}),
        Row("base, axial view only", {}, "0"),
        Row("base, coronal view only", {}, "1"),
        Row("base, sagittal view only", {}, "2"),
        Row("base, median of the views", {}, "median"),
        Row("trained on and used in the axial view only", {"views": (0,)}, "0"),
    ]
    return rows


def parameters(settings: Settings) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in build_network(settings.network, settings.architecture()).parameters())


def features_for(budget: int, settings: Settings) -> int:
    """The F that brings the network nearest to ``budget`` parameters."""
    return min(range(4, 129), key=lambda features: abs(parameters(replace(settings, features=features)) - budget))


def ablate(
    bank: Path,
    runs: Path,
    steps: int,
    seeds: int,
    device: str,
    names: Sequence[str] = (),
    tell: Callable[[str], None] = print,
) -> dict:
    """Trains and scores the rows that are named, or all (runs that are there already are only scored).

    Returns the table; InputError if there is no row of a name.
    """
    base = base_settings(steps)
    chosen = table_rows(base)
    if names:
        known = {row.name: row for row in chosen}
        if unknown := [name for name in names if name not in known]:
            raise InputError(f"There is no row '{unknown[0]}' in the ablation: choose from {'; '.join(known)}.")
        chosen = [known[name] for name in names]
    result: dict = {
        "steps": steps, "patch": base.patch, "batch": base.batch, "lattice_mm": LATTICE_MM,
        "heads": sorted({name for name, _, _ in base.heads}), "held_out": [asdict(entry) for entry in HELD_OUT],
        "rows": [],
    }  # fmt: skip
    for row in chosen:
        settings = replace(base, **row.change)
        per_seed = [
            _score(bank, runs, replace(settings, seed=seed), row.fusion, device) for seed in range(1, seeds + 1)
        ]
        line: dict = {"row": row.name, "seeds": seeds, "parameters": parameters(settings)}
        for entry in HELD_OUT:
            for name in _SCORES:
                values = [found[entry.head][name] for found in per_seed]
                line[f"{entry.head}_{name}"] = round(float(np.mean(values)), 4)
                line[f"{entry.head}_{name}_sd"] = round(float(np.std(values, ddof=1)), 4) if seeds > 1 else None
        result["rows"].append(line)
        tell(json.dumps(line))
    return result


def table(result: dict) -> str:
    """The result as a Markdown table: mean, and standard deviation over the seeds if there are several."""
    columns = [f"{entry['head']}_{name}" for entry in result["held_out"] for name in _SCORES]
    lines = ["| " + " | ".join(["row", "parameters", "seeds", *columns]) + " |", "|" + " --- |" * (len(columns) + 3)]
    for row in result["rows"]:
        cells = [_cell(row[column], row[f"{column}_sd"], 2 if "dice" in column else 0) for column in columns]
        lines.append("| " + " | ".join([row["row"], f"{row['parameters']:,}", str(row["seeds"]), *cells]) + " |")
    return "\n".join(lines)


def _cell(mean: float, deviation: float | None, digits: int) -> str:
    return f"{mean:.{digits}f}" if deviation is None else f"{mean:.{digits}f} ± {deviation:.{digits + 1}f}"


def _score(bank: Path, runs: Path, settings: Settings, fusion: str, device: str) -> dict[str, dict[str, float]]:
    """Mean scores per held-out head of one run, which is trained first if it is not there."""
    changed = {k: v for k, v in asdict(settings).items() if v != asdict(base_settings(settings.steps))[k]}
    run = runs / ("-".join(f"{k}={v}" for k, v in changed.items()).replace(" ", "") or "base")
    stored = run / "scores.json"
    if not stored.is_file():
        fit(bank, run, settings, device)
        network, _, _ = averaged_network(run)
        found: dict = {}
        for entry in HELD_OUT:
            predictions = [
                predict(network, pair, settings.neighbours, settings.depth_channel, HU_SCALE, LATTICE_MM)
                for pair in open_pairs(bank, entry, PAIRS_SCORED)
            ]
            for kind in ("mean", "median", "0", "1", "2"):
                rows = [scores(prediction, kind) for prediction in predictions]
                found.setdefault(kind, {})[entry.head] = {
                    name: float(np.nanmean([row[name] for row in rows])) for name in _SCORES
                }
        stored.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return json.loads(stored.read_text(encoding="utf-8"))[fusion]
