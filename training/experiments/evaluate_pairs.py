"""Scores a model on measured pairs: the error in HU on the T1 and the CT of one person, case by case."""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.evaluation.metrics import markdown, score
from decnn.evaluation.score import as_row, score_images
from decnn.model import Model
from decnn.options import Options
from decnn.synthesis import synthesize
from training.experiments.evaluate_heads import COLUMNS, averaged, identity
from training.measured_pairs.readers import MeasuredPair, each_pair, kind_of

_SHOWN = (
    "mae_hu_tight",
    "mae_hu_wide",
    "me_hu",
    "psnr_db_2023",
    "ssim_2023",
    "bone_dice",
    "me_bone_hu",
    "wet_error_mm",
)
_GIVEN = "mae_hu_given"


def evaluate_pairs(model: Model, spec: str, pictures: Path | None = None, device: str = "cpu") -> dict:
    """Rows of metrics per case, their mean and standard deviation, and what was left out.

    Tight and wide are ``decnn.evaluation.metrics.body_masks`` of the real CT, where that has data; for SynthRAD,
    ``mae_hu_given`` is the MAE in the mask that comes with the case. A line per case goes to stderr.

    Args:
        spec: see ``training.measured_pairs.readers.read_pairs``.
        pictures: a folder for a PNG per pair.

    Raises:
        InputError: no such pairs, or none that can be used.
        SetupError: the device fails, or the pictures cannot be written.
    """
    kind = kind_of(spec)
    columns = (*COLUMNS, _GIVEN) if kind == "synthrad" else COLUMNS
    rows: list[dict] = []
    left_out: list[str] = []
    for item in each_pair(spec, pictures):
        if isinstance(item, MeasuredPair):
            try:
                rows.append(_score(model, item, columns, device))
                print(f"{item.name}: MAE {rows[-1]['mae_hu_tight']:.1f} HU", file=sys.stderr, flush=True)
                continue
            except InputError as error:
                item = f"{item.name}: {error}"
        left_out.append(item)
        print(f"left out: {item}", file=sys.stderr, flush=True)
    if not rows:
        raise InputError("None of the cases can be used. " + " ".join(left_out))
    return {
        **identity(model),
        "pairs": kind,
        "cases": rows,
        "mean": averaged(rows),
        "sd": averaged(rows, np.std),
        "left_out": left_out,
    }


def table(result: dict) -> str:
    """The result as a Markdown table, and a list of what was left out."""
    shown = [column for column in (*_SHOWN, _GIVEN) if column in result["mean"]]
    summary = [{"case": name, **result[name]} for name in ("mean", "sd")]
    lines = [markdown([*result["cases"], *summary], ("case", *shown))]
    if result["left_out"]:
        lines += ["", "Left out:", "", *(f"- {sentence}" for sentence in result["left_out"])]
    return "\n".join(lines)


def _score(model: Model, pair: MeasuredPair, columns: tuple[str, ...], device: str) -> dict:
    synthetic = synthesize(pair.mr, model, Options(device=device)).image
    data = sitk.GetArrayFromImage(pair.mask) > 0
    scores = score_images(synthetic, pair.ct, covered=data)
    if _GIVEN in columns:
        hu, truth = (sitk.GetArrayFromImage(image).astype(np.float32) for image in (synthetic, pair.ct))
        scores["given"] = score(hu, truth, data, keys=("mae_hu",))
    values = as_row(scores)
    rounded = {column: None if (value := values[column]) is None else round(value, 4) for column in columns}
    return {"case": pair.name, "placement": pair.placement, **rounded}
