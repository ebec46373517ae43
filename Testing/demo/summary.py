"""The demo's figures: what made the CT, on what, how long, and what its HU look like."""

from typing import Any

import numpy as np
import SimpleITK as sitk

from decnn.grid import to_canonical
from decnn.hu import AIR_BELOW_HU, BONE_ABOVE_HU
from decnn.intensity import head_mask

PERCENTILES = (5, 50, 95)
_WIDTHS = (9, 10, 9, 9, 9)


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


def as_text(summary: dict[str, Any]) -> str:
    """The summary for people: a few lines and a table."""
    size = " x ".join(str(n) for n in summary["input"]["size"])
    spacing = " x ".join(f"{mm:g}" for mm in summary["input"]["spacing_mm"])
    lines = [
        f"input    {summary['input']['name']}, {size} voxels of {spacing} mm",
        f"model    {summary['model']} {summary['model_version']}, weights SHA-256 {summary['weights_sha256']}",
        f"engine   {summary['version']} on {summary['device']}: {summary['seconds']} s, "
        f"{summary['peak_memory_mb']} MB of memory at most",
        "",
        f"{'inside the head':16}{'ml':>9}{'mean HU':>10}" + "".join(f"{f'{p} %':>9}" for p in PERCENTILES),
    ]
    for tissue, figures in summary["inside_head"].items():
        values = [figures["volume_ml"], figures["mean_hu"], *(figures[f"p{p}_hu"] for p in PERCENTILES)]
        cells = ["-" if value is None else f"{value:.0f}" for value in values]
        cells = [f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)]
        lines.append(f"{tissue.replace('_', ' '):16}" + "".join(cells))
    return "\n".join([*lines, "", summary["notice"]])
