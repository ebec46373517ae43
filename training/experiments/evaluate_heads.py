"""Scores a model on whole heads, through the very engine that users run.

Two kinds of reference, and no figure without its kind:
- a measured CT, with an MR simulated from it;
- a measured T1 (colin27, ernie), or labels alone, with a CT drawn from the labels, of typical density and resolution.
Every head has the rows of two parts: the vault, 0 to 80 mm below the vertex, and the base, 80 to 150 mm.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.evaluation.masks import body_masks, levels
from decnn.evaluation.metrics import markdown, metrics_of, score
from decnn.evaluation.overlap import dice
from decnn.evaluation.score import as_row, score_images
from decnn.hu import BONE_ABOVE_HU
from decnn.model import Model
from decnn.options import Options
from decnn.synthesis import synthesize
from training.experiments.repeated import synthesize_repeated
from training.heads.catalog import read_heads
from training.heads.head import Head, Tissue
from training.pictures import draw_comparison
from training.simulation.anatomy import TYPICAL_LOOK, draw_hu
from training.simulation.simulate import simulate

COLUMNS = ("mae_hu_tight", "mae_hu_wide", *(metric.key for metric in metrics_of(3)))
"""Of every whole volume."""
PARTS = ("vault", "base")
PART_METRICS = ("bone_dice", "air_dice", "me_bone_hu")
PART_COLUMNS = tuple(f"{key}_{part}" for part in PARTS for key in PART_METRICS)
SHOWN = ("mae_hu_tight", "me_hu", "psnr_db_2023", "ssim_2023", "bone_dice", "wet_error_mm", *PART_COLUMNS)
SIMULATIONS = 3
MEASURED_CT, LABELS = "measured CT", "labels"
MEASURED_T1 = "measured T1"


def evaluate(
    model: Model,
    data: Path,
    names: Sequence[str],
    simulations: int = SIMULATIONS,
    pictures: Path | None = None,
    repeated: bool = False,
) -> dict:
    """Rows of metrics per head, and what model and data they belong to; a sentence on each MR that the engine refuses.

    Args:
        simulations: how many contrasts of a head without a measured T1 are simulated and averaged.
        pictures: folder for a PNG per head (of its first contrast).
        repeated: give each slice as its own neighbours, with the depth in its plane: ``experiments.repeated``.
    """
    rows: list[dict] = []
    left_out: list[str] = []
    for head in read_heads(data, names):
        cases = _cases(head, simulations)
        scored = []
        for number, (mr, hu, bone) in enumerate(cases):
            try:
                if repeated:
                    ct = synthesize_repeated(mr, model)
                else:
                    ct = synthesize(sitk.GetImageFromArray(mr), model, Options(device="cpu")).image
            except InputError as error:
                left_out.append(f"{head.name}: {error}")
                print(f"left out: {left_out[-1]}", file=sys.stderr, flush=True)
                continue
            scored.append(score_case(ct, hu, bone, head.has_vault))
            if pictures and number == 0:
                draw_comparison(mr, hu, sitk.GetArrayFromImage(ct), pictures / f"{head.name}.png")
        if not scored:
            continue
        row: dict = {"head": head.name, "reference": LABELS if head.hu is None else MEASURED_CT}
        row["mr"] = MEASURED_T1 if head.mr is not None else f"{len(scored)} simulated T1"
        row["seen"] = "yes" if head.name in model.spec.get("training", {}).get("heads", ()) else "no"
        rows.append(row | averaged(scored))
        print(f"{head.name}: MAE {rows[-1]['mae_hu_tight']:.1f} HU", file=sys.stderr, flush=True)
    return {**identity(model), "simulations": simulations, "repeated": repeated, "heads": rows, "left_out": left_out}


def identity(model: Model) -> dict[str, str]:
    """What a table of figures says of the model that it belongs to."""
    return {"model": model.name, "version": model.version, "weights_sha256": model.weights_sha256}


def table(result: dict) -> str:
    """The result as Markdown: a table of the heads with a measured CT, and one of those drawn from labels.

    seen: whether the model was trained on pairs made from the head. Heads that were and heads that were not have means
    of their own.
    """
    parts = []
    for kind in (MEASURED_CT, LABELS):
        rows = [row for row in result["heads"] if row["reference"] == kind]
        if rows:
            means = [
                {"head": "mean", "mr": "", "seen": seen} | averaged(alike)
                for seen in dict.fromkeys(row.get("seen", "") for row in rows)
                if len(alike := [row for row in rows if row.get("seen", "") == seen]) > 1
            ]
            parts += [f"Reference: {kind}", "", markdown([*rows, *means], ("head", "mr", "seen", *SHOWN)), ""]
    return "\n".join(parts).rstrip()


def averaged(rows: Sequence[dict], statistic: Callable[[list[float]], np.floating] = np.mean) -> dict:
    """The mean of every figure of the rows, or another statistic of them, over those where it is defined."""
    keys = dict.fromkeys(key for row in rows for key, value in row.items() if value is None or isinstance(value, float))
    return {key: over_defined([row.get(key) for row in rows], statistic) for key in keys}


def over_defined(values: list[float | None], statistic: Callable[[list[float]], np.floating] = np.mean) -> float | None:
    """Mean, or another statistic, of what is defined (a CT without bone has no surface of bone); None if nothing is."""
    defined = [value for value in values if value is not None]
    return round(float(statistic(defined)), 4) if defined else None


def _cases(head: Head, simulations: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """(MR, reference HU, bone by the labels or None) of a head."""
    if head.mr is not None:
        return [(head.mr, draw_hu(head, np.random.default_rng(0), TYPICAL_LOOK), head.tissue == Tissue.BONE)]
    pairs = [simulate(head, np.random.default_rng([0, number]), vary_anatomy=False) for number in range(simulations)]
    return [(pair.mr.astype(np.float32), pair.hu.astype(np.float32), None) for pair in pairs]


def score_case(ct: sitk.Image, hu: np.ndarray, bone: np.ndarray | None, has_vertex: bool = True) -> dict:
    """A synthetic CT's scores on the canonical grid, its parts', and the Dice with the labels' bone where it is known.

    The parts are counted from the vertex: without it, they have no scores.

    A CT drawn from labels is blurred as a scanner's is, so its bone is not quite the labels'.
    """
    reference = sitk.GetImageFromArray(hu)
    row = as_row(score_images(ct, reference))
    synthetic = sitk.GetArrayFromImage(ct).astype(np.float32)
    parts = levels(sitk.GetArrayFromImage(body_masks(reference)["tight"]) > 0) if has_vertex else {}
    for part in PARTS:
        inside = parts.get(part)
        found = score(synthetic, hu, inside, keys=PART_METRICS) if inside is not None else dict.fromkeys(PART_METRICS)
        row |= {f"{key}_{part}": value for key, value in found.items()}
    row["bone_dice_labels"] = None if bone is None else dice(synthetic > BONE_ABOVE_HU, bone)
    return row
