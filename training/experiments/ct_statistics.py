"""Measures how HU are distributed in the CTs of real heads, and in those that ``anatomy.draw_hu`` draws after them."""

from pathlib import Path

import numpy as np

from decnn.hu import BONE_ABOVE_HU
from training.heads.catalog import NAMES, read_heads
from training.heads.head import Head, Tissue, distance_inside
from training.simulation.anatomy import TYPICAL_LOOK, draw_hu

_PERCENTILES = (5, 25, 50, 75, 95)
# mm below the surface of what is above 250 HU; 3 and more is spongy bone where bone is thick enough to have any.
_DEPTHS_MM = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0)


def measure(data: Path) -> dict:
    """HU percentiles per tissue, along the depth below the bone's surface, and the noise within soft tissue.

    Of a head without a measured CT, those of the one that is drawn with the typical look.
    """
    return {"heads": {head.name: _measure(head) for head in read_heads(data, NAMES)}}


def _measure(head: Head) -> dict:
    hu = draw_hu(head, np.random.default_rng(0), TYPICAL_LOOK) if head.hu is None else head.hu
    bone = hu > BONE_ABOVE_HU
    depth = distance_inside(bone)
    # The brain is not told apart by CT: the whole cranial cavity is one soft tissue.
    cavity = np.isin(head.tissue, (Tissue.CSF, Tissue.GREY, Tissue.WHITE, Tissue.DURA))
    inner = distance_inside(cavity) > 5.0
    soft = head.tissue == Tissue.SOFT
    regions = {
        "cranial_cavity": inner,
        "fat": soft & (hu > -200) & (hu < -30),
        "muscle": soft & (hu > 0) & (hu < 150),
    }
    row: dict = {"ct": "drawn" if head.hu is None else "measured"}
    row |= {name: _percentiles(hu[region]) for name, region in regions.items()}
    row["mean_bone"] = round(float(hu[bone].mean()), 1)
    for low, high in zip(_DEPTHS_MM, (*_DEPTHS_MM[1:], np.inf), strict=True):
        row[f"bone_{low:g}_to_{high:g}_mm_deep"] = _percentiles(hu[bone & (depth >= low) & (depth < high)])
    row["voxel_noise_sd"] = round(_local_deviation(hu, inner), 1)
    return row


def _percentiles(values: np.ndarray) -> dict[str, float] | None:
    """None where there are none: a head may have no bone that thick."""
    if not values.size:
        return None
    numbers = np.percentile(values, _PERCENTILES)
    return {f"p{p}": round(float(n), 1) for p, n in zip(_PERCENTILES, numbers, strict=True)}


def _local_deviation(hu: np.ndarray, region: np.ndarray) -> float:
    """Standard deviation between neighbours 1 mm apart (of their difference, over the square root of 2)."""
    pairs = region[:, :, 1:] & region[:, :, :-1]
    difference = (hu[:, :, 1:].astype(np.float32) - hu[:, :, :-1])[pairs]
    return float(difference.std() / np.sqrt(2.0))
