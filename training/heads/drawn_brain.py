"""A brain drawn by rules into a cranial cavity: for models whose every source may be used by anyone.

It has no anatomy but what T1 contrast needs: CSF around it and in the sulci and ventricles, grey around white matter,
and the falx. The CT stays the measured one.
"""

import numpy as np

from training.heads.head import Tissue, distance_inside
from training.simulation.fields import smooth_field

_SEED = 0
# mm: CSF under the bone, how it varies, the cortex, gyri from sulcus to sulcus.
_CSF_MM, _CSF_VARIES_MM, _CORTEX_MM, _GYRUS_MM = 3.0, 1.0, 3.0, 9.0
_SULCUS_DEPTH_MM = 18.0
# The lateral ventricles, mm from the middle of the cavity (z, y, x) and their half axes; the falx ends above them.
_VENTRICLE_AT, _VENTRICLE_HALF = (10.0, 0.0, 9.0), (9.0, 32.0, 6.0)
_FALX_FROM_MM, _FALX_HALF_MM = 25.0, 1.0


def draw_brain(inside: np.ndarray) -> np.ndarray:
    """Tissues (uint8) in the cavity ``inside`` (bool [z, y, x], LPS, 1 mm): CSF, grey, white, dura; 0 outside of it."""
    rng = np.random.default_rng(_SEED)
    depth = distance_inside(inside)
    surface = _CSF_MM + _CSF_VARIES_MM * smooth_field(inside.shape, 25, rng)
    # Where the field is near zero runs a sulcus, down to its depth.
    fold = np.abs(smooth_field(inside.shape, _GYRUS_MM, rng)) * _GYRUS_MM / 2
    below = depth - surface
    from_csf = np.where(below < _SULCUS_DEPTH_MM, np.minimum(below, fold - 0.7), below)
    tissue = np.select(
        [from_csf < 0.0, from_csf < _CORTEX_MM], [int(Tissue.CSF), int(Tissue.GREY)], int(Tissue.WHITE)
    ).astype(np.uint8)
    at = _from_middle(inside)
    for side in (-1.0, 1.0):
        middle = np.multiply(_VENTRICLE_AT, (1.0, 1.0, side))
        inner = sum(((a - m) / h) ** 2 for a, m, h in zip(at, middle, _VENTRICLE_HALF, strict=True))
        tissue[inner < 1.0] = Tissue.CSF
    falx = (np.abs(at[2]) < _FALX_HALF_MM) & (at[0] > _FALX_FROM_MM)
    tissue[np.broadcast_to(falx, tissue.shape)] = Tissue.DURA
    tissue[~inside] = 0
    return tissue


def _from_middle(inside: np.ndarray) -> list[np.ndarray]:
    """mm from the middle of the cavity along z, y and x, as arrays that broadcast."""
    middle = [float(at.mean()) for at in np.nonzero(inside)]
    return [grid - m for grid, m in zip(np.ogrid[tuple(slice(0, n) for n in inside.shape)], middle, strict=True)]
