"""Cuts a canonical volume into the network's 2D inputs; the same code in training and in use."""

from collections.abc import Sequence

import numpy as np

AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""Array axis along which a view's slices are stacked; canonical arrays are [z, y, x] = [superior, posterior, left]."""


def view_input(
    mr: np.ndarray, depth: np.ndarray | None, axis: int, indices: Sequence[int] | np.ndarray, neighbours: int
) -> np.ndarray:
    """Input channels of the slices ``indices`` along ``axis``.

    Args:
        mr: normalized MR, canonical array [z, y, x].
        depth: depth channel on the same grid, or None for a model without one.
        axis: 0, 1 or 2, see ``AXES``.
        indices: n slice indices.
        neighbours: odd number of neighbouring MR slices, 1 mm apart and centred on the slice; at the ends of the volume
            the outermost slice stands in for those that are missing.

    Returns:
        float32 array [n, neighbours (+ 1 with depth), H, W].
    """
    half = neighbours // 2
    centre = np.asarray(indices)
    stacked = centre[:, None] + np.arange(-half, half + 1)[None, :]
    slices = np.moveaxis(mr, axis, 0)[np.clip(stacked, 0, mr.shape[axis] - 1)]
    if depth is not None:
        slices = np.concatenate([slices, np.moveaxis(depth, axis, 0)[centre][:, None]], axis=1)
    return np.ascontiguousarray(slices, dtype=np.float32)
