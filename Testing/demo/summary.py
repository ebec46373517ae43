"""The demo's figures: what made the CT, on what, how long, and what its HU look like."""

import numpy as np
import SimpleITK as sitk

from decnn.grid import to_canonical
from decnn.intensity import head_mask

# As in every table of this project: air below -200 HU, bone above 250 HU, soft tissue between them.
AIR_BELOW_HU, BONE_ABOVE_HU = -200, 250
PERCENTILES = (5, 50, 95)


def head_of(mr: sitk.Image) -> np.ndarray:
    """Which voxels of the MR belong to the head, its inner air included: bool [k, j, i] on the MR's own grid."""
    mask = head_mask(to_canonical(mr))
    return sitk.GetArrayFromImage(sitk.Resample(mask, mr, sitk.Transform(), sitk.sitkNearestNeighbor, 0)) > 0


def tissue_figures(ct: np.ndarray, head: np.ndarray, voxel_mm3: float) -> dict[str, dict[str, float | None]]:
    """Volume and HU of air, soft tissue and bone inside the head.

    ct: HU [k, j, i]. head: bool, same shape. voxel_mm3: volume of a voxel.
    Returns for each tissue volume_ml, and mean_hu, p5_hu, p50_hu, p95_hu (None where there is no such voxel).
    """
    inside = ct[head]
    air, bone = inside < AIR_BELOW_HU, inside > BONE_ABOVE_HU
    tissues = {"air": inside[air], "soft_tissue": inside[~air & ~bone], "bone": inside[bone]}
    return {name: _distribution(values, voxel_mm3) for name, values in tissues.items()}


def _distribution(hu: np.ndarray, voxel_mm3: float) -> dict[str, float | None]:
    figures: dict[str, float | None] = {"volume_ml": round(hu.size * voxel_mm3 / 1000, 1)}
    figures["mean_hu"] = round(float(hu.mean()), 1) if hu.size else None
    for percentile in PERCENTILES:
        figures[f"p{percentile}_hu"] = round(float(np.percentile(hu, percentile)), 1) if hu.size else None
    return figures
