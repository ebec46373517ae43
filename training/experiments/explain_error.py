"""What limits the scores on people: the same scores with one possible cause at a time taken away.

The masks reach beyond what the MR shows: a removed face, the end of the field of view. Blurring the CT takes away its
sharpness. Deforming it smoothly onto the synthetic CT takes away what is left of MR and CT not lying on each other (and
a part of the network's own errors: a bound, not a figure of a model). Patients that the network has learned from show
what it cannot fit, apart from what it has not seen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.evaluation.metrics import markdown, score
from decnn.hu import BONE_ABOVE_HU, CT_RANGE_HU, PADDING_HU
from decnn.model import Model
from training.experiments.evaluate_heads import averaged, identity
from training.experiments.evaluate_slices import slice_predictor
from training.measured_pairs.align import deform_onto
from training.measured_pairs.slices import RealSlice, prepare, read_slices

SHOWN_MM = 3  # as far from the head in the MR, a mask still shows it: its skin, and the air beside it
COLUMNS = ("mae_hu", "me_hu", "bone_dice", "bone_precision", "bone_recall", "mae_bone_hu", "me_bone_hu")
_BLURS_MM = (0.5, 1.0, 1.5)


def explain_error(model: Model, root: Path, groups: Mapping[str, Sequence[str]]) -> dict:
    """Scores the synthetic CT of each group of patients in the masks, against the CT and copies of it.

    ``me_bone_hu`` is the mean error where the CT has bone, ``me_synthetic_bone_hu`` where the synthetic CT has. Edges
    that lie elsewhere make the first negative and the second positive, bone that is too soft makes both negative.

    Returns:
        {"rows": [{"patients", "against", *COLUMNS, "me_synthetic_bone_hu"}], "moved_mm": {group: mean displacement of
        the deformed CT}, "not_shown": {group: share of the masks' pixels further than SHOWN_MM from the MR's head}}.
    """
    predict = slice_predictor(model)
    rows, moved, not_shown = [], {}, {}
    for group, patients in groups.items():
        found: dict[str, list[dict]] = {}
        shifts, unseen = [], []
        for item in read_slices(root, patients):
            ct = predict(item)
            truth = np.clip(np.take(item.hu, 0, item.axis), PADDING_HU, CT_RANGE_HU[1]).astype(np.float32)
            mask = np.take(item.mask, 0, item.axis)
            deformed, shift = deform_onto(truth, ct)
            shifts.append(float(shift[mask].mean()))
            shown = mask & _shown(item)
            unseen.append(1.0 - shown.sum() / mask.sum())
            for name, (reference, where) in {
                "CT": (truth, mask),
                "CT, where the MR shows the head": (truth, shown),
                **{f"CT blurred by {mm:g} mm": (_blurred(truth, mm), mask) for mm in _BLURS_MM},
                "CT deformed onto it": (deformed, mask),
            }.items():
                scores = dict(score(ct, reference, where, keys=COLUMNS))
                synthetic = where & (ct > BONE_ABOVE_HU)
                error = float((ct - reference)[synthetic].mean()) if synthetic.any() else None
                found.setdefault(name, []).append({**scores, "me_synthetic_bone_hu": error})
        rows += [{"patients": group, "against": name, **averaged(scores)} for name, scores in found.items()]
        moved[group] = round(float(np.mean(shifts)), 2)
        not_shown[group] = round(float(np.mean(unseen)), 3)
    return {**identity(model), "rows": rows, "moved_mm": moved, "not_shown": not_shown}


def table(result: dict) -> str:
    """The rows as a Markdown table."""
    moved = ", ".join(f"{mm} mm ({group})" for group, mm in result["moved_mm"].items())
    unseen = ", ".join(f"{100 * share:.1f} % ({group})" for group, share in result["not_shown"].items())
    columns = ("patients", "against", *COLUMNS, "me_synthetic_bone_hu")
    return (
        f"{markdown(result['rows'], columns)}\n\nThe deformation moves by {moved}. Of the masks' pixels, "
        f"{unseen} lie further than {SHOWN_MM} mm from the head in the MR."
    )


def _shown(item: RealSlice) -> np.ndarray:
    """Where the MR shows the head (a plane, bool): its own head, and SHOWN_MM around it."""
    inside = sitk.GetImageFromArray(np.take(prepare(item.mr, item.axis)[2], 0, item.axis).astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryDilate(inside, [SHOWN_MM] * 2, sitk.sitkBall)) > 0


def _blurred(truth: np.ndarray, sigma_mm: float) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.DiscreteGaussian(sitk.GetImageFromArray(truth), sigma_mm**2))
