"""The paper's experiment on real slices: does the embedding help, and how does DECNN compare with a U-Net?

Every row is trained on the real slices of four folds alone, for the same number of steps and patches, and scored on the
patients of the first fold. All of them see one slice, and no depth under the skin.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from decnn.bench.arithmetic import gflop_of
from decnn.errors import InputError
from decnn.evaluation.metrics import markdown
from decnn.model import load_model
from decnn.network import build_network
from training.experiments import unet as _unet  # noqa: F401  # makes the U-Net known by name
from training.experiments.evaluate_slices import choose_patients, evaluate_slices
from training.export import export
from training.fit import fit
from training.settings import Settings

FOLD = 1
_PLAIN = (1, 1, 1, 1, 1)
_PYRAMID = (48, 64, 96, 128)
# Of a head of 200 x 240 x 200 mm: slices and pixels of its three views.
_HEAD_MM = (200, 240, 200)
_TIMED_SLICE = (240, 200)
_FLIPS = 20_000


@dataclass(frozen=True)
class Row:
    """A line of the table. against: the row that it is tested against."""

    name: str
    settings: Settings
    against: str = ""


def rows(steps: int) -> list[Row]:
    """All rows."""
    base = Settings(
        features=64, dilations=_PLAIN, pyramid=(), neighbours=1, depth_channel=False, patch=96, batch=8, steps=steps,
        learning_rate=1e-3, warm_up=min(100, steps // 4 + 1), average=0.99, fold=FOLD, heads=(("slices", 1.0, True),),
    )  # fmt: skip
    paper = "DECNN, N = 3"
    found = [Row(f"DECNN, N = {n}", replace(base, blocks=n), paper if n != 3 else "") for n in range(4)]
    deep = _PLAIN + (1,) * 6  # each block has two convolutions in a row
    found.append(Row("N = 0, as deep as N = 3", replace(base, blocks=0, dilations=deep), paper))
    unet = replace(base, network="UNet", dilations=(), blocks=0)
    found.append(Row("U-Net, of the size of DECNN, N = 3", replace(unet, pyramid=(24, 42, 60, 84)), paper))
    found.append(Row("U-Net, large", replace(unet, pyramid=(32, 64, 128, 256)), paper))
    pyramid = replace(base, features=32, dilations=(), pyramid=_PYRAMID)
    for seed in (1, 2, 3):
        name = f"pyramid DECNN, N = 3, seed {seed}"
        found.append(Row(name, replace(pyramid, blocks=3, seed=seed)))
        found.append(Row(f"pyramid DECNN, N = 0, seed {seed}", replace(pyramid, blocks=0, seed=seed), name))
    return found


def run_paper(
    slices: Path, bank: Path, runs: Path, steps: int, device: str = "cpu", names: Sequence[str] = (), workers: int = 0
) -> dict:
    """Trains, or goes on with, every row in ``runs``, and scores it.

    Args:
        slices: folder of the real slices.
        bank: the bank that holds them.
        names: only these rows; all if empty.

    Returns:
        "rows": name, parameters, tflop_per_head, training_seconds, inference_ms, the means and spreads over patients of
        the scores, and, against another row, the mean difference in MAE and its p.

    Raises:
        InputError: an unknown row, or as ``fit`` and ``evaluate_slices`` do.
    """
    known = rows(steps)
    if unknown := set(names) - {row.name for row in known}:
        raise InputError(f"There is no row {sorted(unknown)[0]}: choose from {', '.join(row.name for row in known)}.")
    patients = choose_patients(slices, FOLD)
    results: dict[str, dict] = {}
    for number, row in enumerate(known):
        if names and row.name not in names:
            continue
        run = runs / str(number)
        scored = run / "scored.json"
        key = json.dumps(asdict(row.settings))
        if not scored.is_file() or json.loads(scored.read_text(encoding="utf-8"))["settings"] != key:
            fit(bank, run, row.settings, device, workers=workers)
            found = evaluate_slices(load_model(export(run, run / "model", "0")), slices, patients)
            scored.write_text(
                json.dumps({"settings": key, **_cost(run, row.settings), **found}) + "\n", encoding="utf-8"
            )
        results[row.name] = json.loads(scored.read_text(encoding="utf-8"))
    return {
        "steps": steps,
        "fold": FOLD,
        "rows": [_line(row, results) for row in known if row.name in results],
    }


def table(result: dict) -> str:
    """The rows as Markdown."""
    shown = (
        "name", "parameters", "tflop_per_head", "mae_hu_mask", "mae_hu_mask_sd", "psnr_db_2023", "bone_dice",
        "bone_dice_sd", "me_bone_hu", "against", "difference_hu", "p",
    )  # fmt: skip
    return markdown(result["rows"], shown)


def paired_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of a difference over patients: how often chance gives a mean as large when signs are flipped."""
    difference = np.asarray(first) - np.asarray(second)
    signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(_FLIPS, len(difference)))
    means = np.abs((signs * difference).mean(axis=1))
    return float((1 + (means >= abs(difference.mean()) - 1e-12).sum()) / (1 + _FLIPS))


def flop(network: nn.Module, channels: int, height: int, width: int) -> int:
    """Floating point operations of the convolutions for one slice; a multiplication and an addition count as two."""
    return round(1e9 * gflop_of(network.eval(), torch.zeros(1, channels, height, width)))


def _cost(run: Path, settings: Settings) -> dict:
    network = build_network(settings.network, settings.architecture()).eval()
    channels = settings.neighbours + settings.depth_channel
    z, y, x = _HEAD_MM
    per_head = sum(n * flop(network, channels, h, w) for n, h, w in ((z, y, x), (y, z, x), (x, z, y)))
    slices = torch.zeros(1, channels, *_TIMED_SLICE)
    times = []
    with torch.inference_mode():
        for _ in range(5):
            start = time.perf_counter()
            network(slices)
            times.append(time.perf_counter() - start)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    per_step = [row["seconds_per_step"] for row in log if "seconds_per_step" in row]
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "tflop_per_head": round(per_head / 1e12, 3),
        "inference_ms": round(1000 * float(np.median(times)), 1),
        "training_seconds": round(float(np.median(per_step)) * settings.steps),
    }


def _line(row: Row, results: dict[str, dict]) -> dict:
    found = results[row.name]
    keys = ("mae_hu_mask", "psnr_db_2023", "bone_dice", "me_bone_hu")
    line = {"name": row.name, **{key: found[key] for key in _COSTS}}
    for key in keys:
        line |= {key: found["mean"][key], f"{key}_sd": found["sd_over_patients"][key]}
    if row.against in results:
        ours, theirs = (_by_patient(results[name]) for name in (row.name, row.against))
        difference = float(np.mean([ours[p] - theirs[p] for p in ours]))
        p = paired_p(list(ours.values()), [theirs[patient] for patient in ours])
        line |= {"against": row.against, "difference_hu": round(difference, 2), "p": round(p, 4)}
    return line


_COSTS = ("parameters", "tflop_per_head", "inference_ms", "training_seconds")


def _by_patient(result: dict) -> dict[str, float]:
    """Mean MAE of each patient."""
    patients = dict.fromkeys(case["patient"] for case in result["cases"])
    return {
        patient: float(np.mean([case["mae_hu_mask"] for case in result["cases"] if case["patient"] == patient]))
        for patient in patients
    }
