"""How two objects lie on each other: Dice, and the distance of their surfaces. Boolean arrays [z, y, x] or [h, w]."""

import numpy as np
import SimpleITK as sitk


def dice(first: np.ndarray, second: np.ndarray) -> float | None:
    """Overlap of two boolean arrays, 0..1; None if both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else None


def share_of(part: np.ndarray, whole: np.ndarray) -> float | None:
    """The share of ``whole`` that ``part`` covers, 0..1; None if ``whole`` is empty."""
    total = int(whole.sum())
    return int((part & whole).sum()) / total if total else None


def surface95(first: np.ndarray, second: np.ndarray, spacing: tuple[float, ...]) -> float | None:
    """95 % surface distance in mm: the larger of the two directed 95th percentiles; None if one is empty.

    A surface voxel is one of the object with a face to the outside; the end of the array is no outside.
    """
    if not (first.any() and second.any()):
        return None
    surfaces = [_surface(array) for array in (first, second)]
    percentiles = []
    for here, there in (surfaces, surfaces[::-1]):
        image = sitk.GetImageFromArray(there.astype(np.uint8))
        image.SetSpacing([float(s) for s in spacing])
        distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
        # Signed: inside the (one voxel thick) surface it is 0 or below, which is on it.
        percentiles.append(float(np.percentile(np.maximum(sitk.GetArrayViewFromImage(distance)[here], 0.0), 95)))
    return max(percentiles)


def _surface(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1, mode="edge")
    core = padded[1:-1, 1:-1, 1:-1]
    faces = [np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for shift in (1, -1)]
    return core & ~np.logical_and.reduce(faces)
