"""How the axes of a volume's grid stand to the patient's. numpy alone: the panel asks, too."""

import numpy as np

SAME_PLACE_MM = 0.02
"""Grids that agree so closely are the same, however their numbers were rounded on the way through a file format."""
_RIGHT_ANGLE = 1e-3


def kind_of_grid(axes: np.ndarray, spacing: np.ndarray, size: np.ndarray) -> str:
    """What keeps a grid from being a stack of axial, sagittal or coronal slices.

    Args:
        axes: directions of the grid's axes, the columns of a 3 x 3 array, in RAS or LPS.
        spacing: mm along each of them.
        size: voxels along each of them.

    Returns:
        "" for such a stack (no voxel is off it by SAME_PLACE_MM); else "oblique", or "sheared" where the axes are not
        at right angles.
    """
    nearest = np.zeros((3, 3))
    for axis, main in enumerate(np.abs(axes).argmax(axis=0)):
        nearest[main, axis] = np.sign(axes[main, axis])
    if np.linalg.matrix_rank(nearest) == 3:
        last = np.asarray(size) - 1
        if np.abs((axes - nearest) * np.asarray(spacing) * last).sum(axis=1).max() < SAME_PLACE_MM:
            return ""
    return "oblique" if np.allclose(axes.T @ axes, np.eye(3), atol=_RIGHT_ANGLE) else "sheared"
