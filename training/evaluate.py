"""Scores a model on heads, through the very engine that users run.

Two kinds of reference, and no figure without its kind:
- a measured CT (cranium, unc, visible_female), with an MR simulated from it;
- a measured T1 (colin27, ernie), with a CT drawn from the head's labels, of typical density and resolution.
Bone is where a CT is above 250 HU, in both. A CT drawn from labels is blurred as a scanner's is, so its bone is not
quite the labels'; ``bone_dice_labels`` is the Dice with these. ``bone_dice_vault`` is that of the uppermost 75 mm.
The error in HU on a measured T1 *and* CT of one person is not among them; it takes data that this project may not ship.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.evaluation import metrics
from decnn.hu import BONE_ABOVE_HU
from decnn.model import Model
from decnn.options import Options
from decnn.synthesis import synthesize
from training.anatomy import TYPICAL_LOOK, VAULT_MM, draw_hu
from training.comparison_picture import draw_comparison
from training.pairs.head import Head, Tissue
from training.pairs.sources import read_heads
from training.simulate import simulate

COLUMNS = (
    "mae_hu_tight", "mae_hu_wide", "me_hu", "psnr_db_2023", "ssim_2023", "bone_dice", "bone_surface95_mm",
    "mae_air_hu", "mae_soft_tissue_hu", "mae_bone_hu", "me_bone_hu",
)  # fmt: skip
BONE_COLUMNS = ("bone_dice_vault", "bone_dice_labels")
SIMULATIONS = 3


def evaluate(
    model: Model, data: Path, names: list[str], simulations: int = SIMULATIONS, pictures: Path | None = None
) -> dict:
    """Rows of metrics per head, and what model and data they belong to.

    Args:
        simulations: how many contrasts of a head without a measured T1 are simulated and averaged.
        pictures: folder for a PNG per head (of its first contrast).
    """
    rows: list[dict] = []
    for head in read_heads(data, names):
        cases = _cases(head, simulations)
        scored = []
        for number, (mr, hu, bone) in enumerate(cases):
            ct = synthesize(sitk.GetImageFromArray(mr), model, Options(device="cpu")).image
            scored.append(score_case(ct, hu, bone))
            if pictures and number == 0:
                draw_comparison(mr, hu, sitk.GetArrayFromImage(ct), pictures / f"{head.name}.png")
        row: dict = {"head": head.name, "reference": "labels" if head.hu is None else "measured CT"}
        row["mr"] = "measured T1" if head.mr is not None else f"mean of {len(cases)} simulated T1"
        for column in (*COLUMNS, *BONE_COLUMNS):
            row[column] = over_defined([score[column] for score in scored])
        rows.append(row)
    return {"model": model.name, "version": model.version, "weights_sha256": model.weights_sha256, "heads": rows}


def table(result: dict) -> str:
    """The result as a Markdown table."""
    shown = ("head", "mr", "reference", *COLUMNS[:7], "bone_dice_vault")
    lines = ["| " + " | ".join(shown) + " |", "|" + " --- |" * len(shown)]
    for row in result["heads"]:
        cells = (f"{row[name]:.2f}" if isinstance(row[name], float) else str(row[name]) for name in shown)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


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


def score_case(ct: sitk.Image, hu: np.ndarray, bone: np.ndarray | None) -> dict:
    """A synthetic CT's scores (see COLUMNS) by the reference's HU, and by the labels' bone where it is known."""
    scores = metrics.evaluate(ct, sitk.GetImageFromArray(hu))
    row = dict(scores["tight"])
    row["mae_hu_tight"], row["mae_hu_wide"] = scores["tight"]["mae_hu"], scores["wide"]["mae_hu"]
    found = sitk.GetArrayFromImage(ct) > BONE_ABOVE_HU
    row["bone_dice_labels"] = None if bone is None else metrics.dice(found, bone)
    truth = hu > BONE_ABOVE_HU
    top = int(np.flatnonzero(truth.any(axis=(1, 2))).max(initial=0)) + 1
    vault = slice(max(0, top - VAULT_MM), top)
    row["bone_dice_vault"] = metrics.dice(found[vault], truth[vault])
    return row
