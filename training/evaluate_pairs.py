"""Scores a model on measured pairs: the error in HU on the T1 and the CT of one person, case by case."""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.evaluation import metrics
from decnn.model import Model
from decnn.options import Options
from decnn.synthesis import synthesize
from training.evaluate import COLUMNS, over_defined
from training.pairs.measured import MeasuredPair, each_pair, kind_of

_SHOWN = COLUMNS[:7]
_GIVEN = "mae_hu_given"


def evaluate_pairs(model: Model, spec: str, pictures: Path | None = None, device: str = "cpu") -> dict:
    """Rows of metrics per case, their mean and standard deviation, and what was left out.

    Tight and wide are ``decnn.evaluation.metrics.body_masks`` of the real CT, where that has data; for SynthRAD,
    ``mae_hu_given`` is the MAE in the mask that comes with the case. A line per case goes to stderr.

    Args:
        spec: see ``training.pairs.measured.read_pairs``.
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
        "model": model.name,
        "version": model.version,
        "weights_sha256": model.weights_sha256,
        "pairs": kind,
        "cases": rows,
        "mean": {column: over_defined([row[column] for row in rows]) for column in columns},
        "sd": {column: over_defined([row[column] for row in rows], np.std) for column in columns},
        "left_out": left_out,
    }


def table(result: dict) -> str:
    """The result as a Markdown table, and a list of what was left out."""
    shown = [column for column in (*_SHOWN, _GIVEN) if column in result["mean"]]
    lines = ["| " + " | ".join(("case", *shown)) + " |", "|" + " --- |" * (len(shown) + 1)]
    summary = [{"case": name, **result[name]} for name in ("mean", "sd")]
    for row in (*result["cases"], *summary):
        cells = ("-" if row[column] is None else f"{row[column]:.2f}" for column in shown)
        lines.append(f"| {row['case']} | " + " | ".join(cells) + " |")
    if result["left_out"]:
        lines += ["", "Left out:", "", *(f"- {sentence}" for sentence in result["left_out"])]
    return "\n".join(lines)


def _score(model: Model, pair: MeasuredPair, columns: tuple[str, ...], device: str) -> dict:
    synthetic = synthesize(pair.mr, model, Options(device=device)).image
    hu, truth = (sitk.GetArrayFromImage(image).astype(np.float32) for image in (synthetic, pair.ct))
    data = sitk.GetArrayFromImage(pair.mask) > 0
    bodies = {name: sitk.GetArrayFromImage(mask) > 0 for name, mask in metrics.body_masks(pair.ct).items()}
    regions = {name: body & data for name, body in bodies.items()}
    if not regions["tight"].any():
        raise InputError("the CT has no body where it has data: check that it is a CT of the head.")
    scores = {name: metrics.score(hu, truth, region, pair.ct.GetSpacing()) for name, region in regions.items()}
    values = {
        **scores["tight"],
        "mae_hu_tight": scores["tight"]["mae_hu"],
        "mae_hu_wide": scores["wide"]["mae_hu"],
        _GIVEN: float(np.abs(hu - truth)[data].mean(dtype=np.float64)),
    }
    rounded = {column: None if (value := values[column]) is None else round(value, 4) for column in columns}
    return {"case": pair.name, "placement": pair.placement, **rounded}
