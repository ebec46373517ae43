"""Scores a model on real slices: the error in HU on the T1 and the CT of people, plane by plane.

A slice has no neighbours, so it stands in for them, and its depth under the skin is that in the plane; the view of its
plane alone makes the CT. What that costs against a volume is a row of ``evaluate`` (--repeated).
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from decnn.errors import InputError
from decnn.evaluation.masks import body_masks
from decnn.evaluation.metrics import markdown, metrics_of, score
from decnn.hu import AIR_HU, CT_RANGE_HU, PADDING_HU
from decnn.inference import for_inference
from decnn.intensity import near_head
from decnn.model import Model
from decnn.views import AXES, view_input
from training.experiments.evaluate_heads import averaged, identity
from training.measured_pairs.slices import (
    RealSlice,
    centre_of,
    find_patients,
    fold_of,
    prepare,
    read_slices,
)

COLUMNS = ("mae_hu_mask", "mae_hu_tight", *(metric.key for metric in metrics_of(2) if metric.key != "mae_hu"))
"""Of every slice, in the mask that comes with it; mae_hu_tight and the wet_* in the part of it that is body."""
HALF_COLUMNS = tuple(key for key in COLUMNS if not key.startswith(("wet_", "ssim_", "psnr_", "mae_hu_tight")))
SHOWN = (
    "mae_hu_mask", "mae_hu_tight", "me_hu", "psnr_db_2023", "ssim_2d_2023", "bone_dice", "bone_precision",
    "bone_recall", "mae_bone_hu", "me_bone_hu", "mae_soft_tissue_hu", "mae_air_hu", "wet_bias_mm", "wet_error_mm",
    "wet_error95_mm",
)  # fmt: skip


def choose_patients(root: Path, fold: int = 0, patients: Sequence[str] = ()) -> list[str]:
    """The patients of a folder that are named, or those of a fold (1 to 5), or all; InputError if one is not there."""
    there = find_patients(root)
    if patients:
        if missing := sorted(set(patients) - set(there)):
            raise InputError(f"There are no slices of {', '.join(missing)} in {root}.")
        return sorted(set(patients))
    folds = fold_of(there)
    if fold and fold not in folds.values():
        raise InputError(f"There is no fold {fold}: give a number from 1 to {max(folds.values())}.")
    return [patient for patient in there if not fold or folds[patient] == fold]


def evaluate_slices(model: Model, root: Path, patients: Sequence[str]) -> dict:
    """The scores of every slice of these patients, and their means over all, planes, centres and halves.

    The spread is the standard deviation over patients of each patient's mean. The halves of coronal and sagittal slices
    meet in the middle of the mask: the lower one has skull base and face, the upper one the vault.
    """
    predict = slice_predictor(model)
    rows: list[dict] = []
    halves: list[dict] = []
    for item in read_slices(root, patients):
        ct = predict(item)
        rows.append(score_slice(item, ct))
        halves += score_halves(item, ct)
        if item.plane == "sagittal":
            print(f"{item.patient}: MAE {rows[-1]['mae_hu_mask']:.1f} HU (sagittal)", file=sys.stderr, flush=True)
    return {**identity(model), **summary(rows, halves)}


def summary(rows: list[dict], halves: list[dict]) -> dict:
    """Means over rows as those of score_slice() and score_halves(), and the rows themselves."""
    return {
        "patients": len({row["patient"] for row in rows}),
        "slices": len(rows),
        "mean": averaged(rows),
        "sd_over_patients": spread(rows),
        "by_plane": grouped(rows, "plane"),
        "by_centre": grouped(rows, "centre"),
        "by_half": {
            plane: grouped([h for h in halves if h["plane"] == plane], "half") for plane in ("coronal", "sagittal")
        },
        "cases": [{key: _rounded(value) for key, value in row.items()} for row in rows],
        "halves": [{key: _rounded(value) for key, value in row.items()} for row in halves],
    }


def slice_predictor(model: Model) -> Callable[[RealSlice], np.ndarray]:
    """A function that makes the CT of a real slice (a plane [h, w], HU, float32) by the view of its plane."""
    network = for_inference(model.network)
    feeding = model.spec["input"]

    def predict(item: RealSlice) -> np.ndarray:
        mr, depth, _ = prepare(item.mr, item.axis)
        channels = view_input(mr, depth if feeding["depth_channel"] else None, item.axis, [0], feeding["neighbours"])
        with torch.inference_mode():
            final = network(torch.from_numpy(channels).contiguous(memory_format=torch.channels_last))[0][0, 0].numpy()
        hounsfield = np.clip(np.rint(final * model.spec["output"]["scale_hu"]), *CT_RANGE_HU)
        return np.where(near_head(np.take(depth, 0, item.axis)), hounsfield, AIR_HU)

    return predict


def score_slice(item: RealSlice, ct: np.ndarray) -> dict:
    """The row of one slice: patient, plane, centre and COLUMNS."""
    truth, mask = _plane(item)
    found = dict(score(ct, truth, mask))
    # A body mask is one of volumes; in a few equal slices it is that of the slice.
    volume = sitk.GetImageFromArray(np.repeat(np.where(mask, truth, AIR_HU)[None], 3, 0).astype(np.float32))
    tight = sitk.GetArrayFromImage(body_masks(volume)["tight"])[1] > 0
    found |= {"mae_hu_mask": found.pop("mae_hu")}
    # Beams are counted through the body: in the air that belongs to the mask there is nothing to get wrong.
    of_body = ("mae_hu", *(key for key in COLUMNS if key.startswith("wet_")))
    in_body = score(ct, truth, tight & mask, keys=of_body) if (tight & mask).any() else dict.fromkeys(of_body)
    found |= in_body | {"mae_hu_tight": in_body["mae_hu"]}
    row = {"patient": item.patient, "plane": item.plane, "centre": centre_of(item.patient)}
    return row | {key: found[key] for key in COLUMNS}


def score_halves(item: RealSlice, ct: np.ndarray) -> list[dict]:
    """Two rows of a coronal or sagittal slice, none of an axial one: plane, half and HALF_COLUMNS."""
    if item.plane == "axial":
        return []
    truth, mask = _plane(item)
    heights = np.flatnonzero(mask.any(axis=1))
    middle = (int(heights[0]) + int(heights[-1]) + 1) // 2
    rows = []
    for half, part in (("lower", slice(0, middle)), ("upper", slice(middle, None))):
        inside = np.zeros_like(mask)
        inside[part] = mask[part]
        keys = ["mae_hu" if key == "mae_hu_mask" else key for key in HALF_COLUMNS]
        found = score(ct, truth, inside, keys=keys)
        rows.append(
            {"patient": item.patient, "plane": item.plane, "half": half, "mae_hu_mask": found.pop("mae_hu"), **found}
        )
    return rows


def spread(rows: Iterable[dict]) -> dict:
    """The standard deviation over patients of the mean of each patient's rows."""
    return averaged(
        list(grouped(list(rows), "patient").values()), lambda values: np.std(values, ddof=min(1, len(values) - 1))
    )


def table(result: dict) -> str:
    """The means as a Markdown table."""
    rows = [{"": f"all ({result['slices']} slices of {result['patients']} patients)", **result["mean"]}]
    rows.append({"": "spread over patients", **result["sd_over_patients"]})
    rows += [{"": name, **means} for group in ("by_plane", "by_centre") for name, means in result[group].items()]
    rows += [{"": f"fold {fold}", **means} for fold, means in result.get("by_fold", {}).items()]
    for plane, groups in result["by_half"].items():
        rows += [{"": f"{plane}, {half} half", **means} for half, means in groups.items()]
    return markdown(rows, ("", *SHOWN))


def grouped(rows: list[dict], key: str) -> dict[str, dict]:
    """The means of the rows for each value of a key."""
    order = list(AXES) if key == "plane" else sorted({row[key] for row in rows})
    return {name: averaged(group) for name in order if (group := [row for row in rows if row[key] == name])}


def _plane(item: RealSlice) -> tuple[np.ndarray, np.ndarray]:
    """HU without padding, and the mask, as planes [h, w]."""
    return np.maximum(np.take(item.hu, 0, item.axis), PADDING_HU), np.take(item.mask, 0, item.axis)


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
