"""Measures how HU are distributed in the CTs of real heads: the numbers behind ``simulate.draw_hu``."""

from pathlib import Path

import numpy as np

from training.pairs import ct_heads
from training.pairs.head import Head, Tissue, distance_inside
from training.pairs.sources import read_heads

_PERCENTILES = (5, 25, 50, 75, 95)
# mm below the surface of the bone; 3 and more is spongy bone where bone is thick enough to have any.
_DEPTHS_MM = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)


def measure(data: Path) -> dict:
    """HU percentiles per tissue, along the depth below the bone's surface, and the noise within soft tissue."""
    return {head.name: _measure(head) for head in read_heads(data, ct_heads.NAMES)}


def _measure(head: Head) -> dict:
    assert head.hu is not None
    bone = head.tissue == Tissue.BONE
    depth = distance_inside(bone)
    # The brain is not told apart by CT: the whole cranial cavity is one soft tissue.
    cavity = np.isin(head.tissue, (Tissue.CSF, Tissue.GREY, Tissue.WHITE, Tissue.DURA))
    inner = distance_inside(cavity) > 5.0
    soft = head.tissue == Tissue.SOFT
    regions = {
        "cranial_cavity": inner,
        "fat": soft & (head.hu > -200) & (head.hu < -30),
        "muscle": soft & (head.hu > 0) & (head.hu < 150),
    }
    row: dict = {name: _percentiles(head.hu[region]) for name, region in regions.items()}
    for low, high in zip(_DEPTHS_MM, (*_DEPTHS_MM[1:], np.inf), strict=True):
        row[f"bone_{low:g}_to_{high:g}_mm_deep"] = _percentiles(head.hu[bone & (depth >= low) & (depth < high)])
    row["voxel_noise_sd"] = round(_local_deviation(head.hu, inner), 1)
    return row


def _percentiles(values: np.ndarray) -> dict[str, float]:
    numbers = np.percentile(values, _PERCENTILES) if values.size else [float("nan")] * len(_PERCENTILES)
    return {f"p{p}": round(float(n), 1) for p, n in zip(_PERCENTILES, numbers, strict=True)}


def _local_deviation(hu: np.ndarray, region: np.ndarray) -> float:
    """Standard deviation between neighbours 1 mm apart (of their difference, over the square root of 2)."""
    pairs = region[:, :, 1:] & region[:, :, :-1]
    difference = (hu[:, :, 1:].astype(np.float32) - hu[:, :, :-1])[pairs]
    return float(difference.std() / np.sqrt(2.0))
