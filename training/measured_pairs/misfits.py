"""Real slices whose MR and CT do not lie on each other: found by measures, left out of training, never of a score."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.evaluation.overlap import dice
from decnn.hu import BODY_ABOVE_HU
from training.measured_pairs.slices import RealSlice, as_pair

LEAST_OVERLAP = 0.9
LARGEST_SHIFT_MM = 3.0
_SEARCH_MM = 5
_BINS = 24
_MR_RANGE, _HU_RANGE = (0.0, 2.5), (-300.0, 1500.0)


def find_misfits(slices: Iterable[RealSlice]) -> dict[str, Any]:
    """Measures every slice; the ones that do not fit are named with the reason.

    A slice does not fit where the heads in MR and CT overlap (Dice, inside the mask) by less than LEAST_OVERLAP, where
    the mutual information of MR and CT is best when the CT is moved by LARGEST_SHIFT_MM or more in the plane, or where
    no head is found.

    Returns:
        {"limits", "slices": {name: {"overlap", "shift_mm"}}, "misfits": {name: reason}}.
    """
    measured: dict[str, dict] = {}
    misfits: dict[str, str] = {}
    for item in slices:
        try:
            pair = as_pair(item)
        except InputError as error:
            misfits[item.name] = str(error)
            continue
        mr, head, hu, mask = (np.take(a, 0, item.axis) for a in (pair.mr, pair.mask, item.hu, item.mask))
        overlap = dice(head & mask, _body(hu, mask)) or 0.0
        shift = _best_shift(mr.astype(np.float32), np.where(mask, hu, -1000.0), head & mask)
        measured[item.name] = {"overlap": round(overlap, 3), "shift_mm": round(shift, 1)}
        if overlap < LEAST_OVERLAP:
            misfits[item.name] = f"the heads overlap by {overlap:.2f}"
        elif shift >= LARGEST_SHIFT_MM:
            misfits[item.name] = f"the CT fits better {shift:.1f} mm further"
    limits = {"least_overlap": LEAST_OVERLAP, "largest_shift_mm": LARGEST_SHIFT_MM}
    return {"limits": limits, "slices": measured, "misfits": misfits}


def read_misfits(path: Path) -> frozenset[str]:
    """The names of the slices to leave out, from the JSON of find_misfits(); InputError if it is not such a file."""
    try:
        return frozenset(json.loads(path.read_text(encoding="utf-8"))["misfits"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no list of misfits: make it with `python -m training find-misfits`.") from error


def _body(hu: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The body in a slice (a plane): its largest object, closed by 5 mm and filled."""
    matter = sitk.GetImageFromArray(((hu > BODY_ABOVE_HU) & mask).astype(np.uint8))
    matter = sitk.BinaryMorphologicalOpening(matter, [1, 1])
    body = sitk.RelabelComponent(sitk.ConnectedComponent(matter), sortByObjectSize=True) == 1
    closed = sitk.BinaryMorphologicalClosing(sitk.ConstantPad(body, [5, 5], [5, 5]), [5, 5])
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.Crop(closed, [5, 5], [5, 5]))) > 0


def _best_shift(mr: np.ndarray, hu: np.ndarray, inside: np.ndarray) -> float:
    """By how many mm the CT must be moved in the plane for the most mutual information with the MR."""
    binned = [
        np.clip((a - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)
        for a, (low, high) in ((mr, _MR_RANGE), (hu, _HU_RANGE))
    ]
    reach = range(-_SEARCH_MM, _SEARCH_MM + 1)
    shifts = [(float(np.hypot(dy, dx)), dy, dx) for dy in reach for dx in reach]
    # The border would take part with other pixels at every shift.
    inside = inside.copy()
    for axis in (0, 1):
        np.moveaxis(inside, axis, 0)[:_SEARCH_MM] = False
        np.moveaxis(inside, axis, 0)[-_SEARCH_MM:] = False
    if not inside.any():
        return 0.0
    rows, columns = np.nonzero(inside)
    values = binned[0][rows, columns] * _BINS
    return (
        max(
            (_mutual_information(values + binned[1][rows + dy, columns + dx]), -distance) for distance, dy, dx in shifts
        )[1]
        * -1.0
    )


def _mutual_information(joint: np.ndarray) -> float:
    """Of two images in bins, ``joint`` being first * _BINS + second."""
    share = np.bincount(joint, minlength=_BINS**2).reshape(_BINS, _BINS) / len(joint)
    independent = share.sum(axis=1, keepdims=True) @ share.sum(axis=0, keepdims=True)
    there = share > 0
    return float((share[there] * np.log(share[there] / independent[there])).sum())
