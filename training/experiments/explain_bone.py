"""Why bone comes out too low on people: the same scores with one possible cause at a time taken away.

Blurring the CT takes away its sharpness. Deforming it smoothly onto the synthetic CT takes away what is left of MR and
CT not lying on each other (and a part of the network's own errors: a bound, not a figure of a model). Patients that the
network has learned from show what it cannot fit, apart from what it has not seen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.evaluation.metrics import markdown, score
from decnn.hu import AIR_HU, CT_RANGE_HU, PADDING_HU
from decnn.model import Model
from training.experiments.evaluate_heads import averaged, identity
from training.experiments.evaluate_slices import slice_predictor
from training.measured_pairs.slices import read_slices

COLUMNS = ("mae_hu", "me_hu", "bone_dice", "bone_precision", "bone_recall", "mae_bone_hu", "me_bone_hu")
_BLURS_MM = (0.5, 1.0, 1.5)
# Smooth over 6 mm: a deformation that a registration may have left, not one that draws bone.
_DEMONS_STEPS, _DEMONS_SMOOTH_MM = 60, 6.0


def explain_bone(model: Model, root: Path, groups: Mapping[str, Sequence[str]]) -> dict:
    """Scores the synthetic CT of each group of patients in SynthRAD's mask, against the CT and its changed copies.

    Returns:
        {"rows": [{"patients", "against", *COLUMNS}], "moved_mm": {group: mean displacement of the deformed CT}}.
    """
    predict = slice_predictor(model)
    rows, moved = [], {}
    for group, patients in groups.items():
        found: dict[str, list[dict]] = {}
        shifts = []
        for item in read_slices(root, patients):
            ct = predict(item)
            truth = np.clip(np.take(item.hu, 0, item.axis), PADDING_HU, CT_RANGE_HU[1]).astype(np.float32)
            mask = np.take(item.mask, 0, item.axis)
            deformed, shift = _deformed(truth, ct.astype(np.float32))
            shifts.append(float(shift[mask].mean()))
            for name, reference in {**_references(truth), "CT deformed onto it": deformed}.items():
                found.setdefault(name, []).append(score(ct, reference, mask, keys=COLUMNS))
        rows += [{"patients": group, "against": name, **averaged(scores)} for name, scores in found.items()]
        moved[group] = round(float(np.mean(shifts)), 2)
    return {**identity(model), "rows": rows, "moved_mm": moved}


def table(result: dict) -> str:
    """The rows as a Markdown table."""
    moved = ", ".join(f"{mm} mm ({group})" for group, mm in result["moved_mm"].items())
    return markdown(result["rows"], ("patients", "against", *COLUMNS)) + f"\n\nThe deformation moves by {moved}."


def _references(truth: np.ndarray) -> dict[str, np.ndarray]:
    image = sitk.GetImageFromArray(truth)
    blurred = [sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, mm**2)) for mm in _BLURS_MM]
    return {"CT": truth, **{f"CT blurred by {mm:g} mm": array for mm, array in zip(_BLURS_MM, blurred, strict=True)}}


def _deformed(truth: np.ndarray, ct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The measured CT, smoothly deformed onto the synthetic one, and by how many mm each pixel moved."""
    fixed, moving = sitk.GetImageFromArray(ct), sitk.GetImageFromArray(truth)
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(_DEMONS_STEPS)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(_DEMONS_SMOOTH_MM)
    field = sitk.Cast(demons.Execute(fixed, moving), sitk.sitkVectorFloat64)
    shift = np.linalg.norm(sitk.GetArrayFromImage(field), axis=-1)
    transform = sitk.DisplacementFieldTransform(field)
    return sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, float(AIR_HU))), shift
