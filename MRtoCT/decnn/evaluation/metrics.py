"""How good is a synthetic CT? The metrics of SynthRAD2023 and SynthRAD2025, errors per tissue, and bone.

Source of the definitions: the challenges' own evaluation code (github.com/SynthRAD2023/metrics and
github.com/SynthRAD2025/evaluation). The editions differ in range and in the structural metric, so every figure that
depends on the edition carries it in its name.
All arrays are [z, y, x] in HU; masks are boolean arrays of the same shape.
"""

from typing import Any

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.hu import AIR_BELOW_HU, BODY_ABOVE_HU, BONE_ABOVE_HU, RANGE_2023_HU, RANGE_2025_HU
from decnn.io.images import same_grid

_WIDE_RADIUS = 10
_WINDOW = 7
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MS_SMALLEST = 97

Scores = dict[str, float | None]


def evaluate(ct: sitk.Image, reference: sitk.Image, mask: sitk.Image | None = None) -> dict[str, Scores]:
    """All metrics of a synthetic CT against the real one, per mask.

    Args:
        ct, reference: 3D images in HU on one grid.
        mask: where to compare (> 0). If not given, the body in the reference, "tight" and "wide" (body_masks()).

    Returns:
        {"given": scores} or {"tight": scores, "wide": scores}; a score is None where it is not defined (no bone, ...).

    Raises:
        InputError: different grids, an image that is not in HU, an empty mask.
    """
    for image, what in ((ct, "synthetic CT"), (reference, "reference CT")):
        check_ct(image, what)
    for image, what in ((ct, "synthetic CT"), (mask, "mask")):
        if image is not None and not same_grid(image, reference):
            raise InputError(f"The {what} and the reference CT have different grids: resample one to the other first.")
    arrays = [sitk.GetArrayFromImage(image).astype(np.float32) for image in (ct, reference)]
    if mask is not None:
        masks = {"given": sitk.GetArrayFromImage(mask) > 0}
    else:
        masks = {name: sitk.GetArrayFromImage(image) > 0 for name, image in body_masks(reference).items()}
    for name, inside in masks.items():
        if not inside.any():
            raise InputError(f"The {name} mask is empty: give a mask that is above 0 inside the body.")
    return {name: score(arrays[0], arrays[1], inside, reference.GetSpacing()) for name, inside in masks.items()}


def check_ct(image: sitk.Image, what: str) -> None:
    """Raises InputError unless this is a 3D image of numbers that can be HU, with air in it."""
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"The {what} is not a 3D image with one number a voxel: give a volume.")
    values = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(values).all() or values.min() > -500:
        raise InputError(f"The {what} is not in HU (least value {values.min():.0f}): give a CT with air in it.")


def score(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, spacing: tuple[float, ...]) -> Scores:
    """All metrics within one mask; ``spacing`` in mm along x, y, z. Differences are ct - reference."""
    difference = ct[mask].astype(np.float64) - reference[mask]
    truth = reference[mask]
    air, bone = truth < AIR_BELOW_HU, truth > BONE_ABOVE_HU
    return {
        "mae_hu": float(np.abs(difference).mean()),
        "me_hu": float(difference.mean()),
        "psnr_db_2023": psnr(ct, reference, mask, RANGE_2023_HU),
        "ssim_2023": ssim(ct, reference, mask, RANGE_2023_HU),
        "psnr_db_2025": psnr(ct, reference, mask, RANGE_2025_HU),
        "ms_ssim_2025": ms_ssim(ct, reference, mask, RANGE_2025_HU),
        "mae_air_hu": _mean(np.abs(difference[air])),
        "mae_soft_tissue_hu": _mean(np.abs(difference[~air & ~bone])),
        "mae_bone_hu": _mean(np.abs(difference[bone])),
        "me_bone_hu": _mean(difference[bone]),
        "bone_dice": dice((ct > BONE_ABOVE_HU) & mask, (reference > BONE_ABOVE_HU) & mask),
        "bone_surface95_mm": surface95((ct > BONE_ABOVE_HU) & mask, (reference > BONE_ABOVE_HU) & mask, spacing),
    }


def body_masks(ct: sitk.Image) -> dict[str, sitk.Image]:
    """The body in a CT, air cavities included: "tight" to the skin, and "wide" as SynthRAD's masks are.

    tight: the largest object above -300 HU after opening by 1 voxel (table, head holder and tubes fall off), closed by
    5 voxels and filled in each axial slice. wide: tight, dilated by 10 voxels. A wide mask holds much air, which is
    easy to get right, so its MAE is smaller.
    """
    matter = sitk.BinaryMorphologicalOpening(ct > BODY_ABOVE_HU, [1, 1, 1], sitk.sitkBall)
    body = sitk.Cast(sitk.RelabelComponent(sitk.ConnectedComponent(matter), sortByObjectSize=True) == 1, sitk.sitkUInt8)
    margin = [_WIDE_RADIUS] * 3
    # Padded, or the border of the field of view would count as air and eat into the body.
    padded = sitk.ConstantPad(body, margin, margin, 0)
    closed = sitk.BinaryMorphologicalClosing(padded, [5, 5, 5], sitk.sitkBall)
    tight = sitk.Image(sitk.Crop(closed, margin, margin))
    for index in range(tight.GetDepth()):
        tight[:, :, index] = sitk.BinaryFillhole(tight[:, :, index])
    tight.CopyInformation(ct)
    return {"tight": tight, "wide": sitk.BinaryDilate(tight, margin, sitk.sitkBall)}


def psnr(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> float | None:
    """Peak signal-to-noise ratio in dB within the mask, both clipped to ``limits``; None for equal images."""
    error = np.clip(ct[mask], *limits).astype(np.float64) - np.clip(reference[mask], *limits)
    square = float(np.mean(error**2))
    return 10.0 * float(np.log10((limits[1] - limits[0]) ** 2 / square)) if square > 0 else None


def ssim(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> float | None:
    """SynthRAD2023's structural similarity: 3D, uniform window of 7^3, mean of the map inside the mask.

    Clipped to ``limits``, the lower limit outside the mask, shifted to start at 0; the outer 3 voxels do not count.
    None if no voxel of the mask is left.
    """
    inner = _crop(mask)
    if not inner.any():
        return None
    first, second = (_prepare(image, mask, limits) for image in (ct, reference))
    luminance, contrast_structure = _ssim_parts(first, second, limits[1] - limits[0])
    return float((luminance * contrast_structure)[inner].mean())


def ms_ssim(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> float | None:
    """SynthRAD2025's multi-scale structural similarity within the mask: 5 scales, each with the window of ssim().

    As in the challenge's code, luminance, contrast and structure enter at every scale with the weight of the scale,
    negative ones as 0; images under 97 voxels are padded by their edge; between scales the images are averaged over 2^3
    voxels, and the mask takes every other voxel. None if a scale has no voxel of the mask left.
    """
    first, second = (_prepare(image, mask, limits) for image in (ct, reference))
    padding = [((missing := max(_MS_SMALLEST - n, 0)) // 2, missing - missing // 2) for n in mask.shape]
    first, second, mask = (np.pad(array, padding, mode="edge") for array in (first, second, mask))
    product = 1.0
    for level, weight in enumerate(_MS_WEIGHTS):
        if level:
            first, second, mask = _halve(first), _halve(second), mask[::2, ::2, ::2]
        inner = _crop(mask)
        if not inner.any():
            return None
        luminance, contrast_structure = _ssim_parts(first, second, limits[1] - limits[0], clip=True)
        product *= float(np.mean((luminance[inner] * contrast_structure[inner]) ** weight))
    return product


def dice(first: np.ndarray, second: np.ndarray) -> float | None:
    """Overlap of two boolean arrays, 0..1; None if both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2.0 * int((first & second).sum()) / total if total else None


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


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _prepare(image: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.where(mask, np.clip(image, *limits) - limits[0], 0.0).astype(np.float64)


def _crop(array: np.ndarray) -> np.ndarray:
    half = _WINDOW // 2
    return array[half:-half, half:-half, half:-half]


def _ssim_parts(
    first: np.ndarray, second: np.ndarray, data_range: float, clip: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Maps of luminance and of contrast times structure, for all windows that lie in the image (3 voxels less a side).

    clip: negative structure counts as 0, as SynthRAD2025 does before it takes a power of it.
    """
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    sample = _WINDOW**3 / (_WINDOW**3 - 1)
    mean1, mean2 = _window_mean(first), _window_mean(second)
    variance1 = sample * (_window_mean(first * first) - mean1 * mean1)
    variance2 = sample * (_window_mean(second * second) - mean2 * mean2)
    covariance = sample * (_window_mean(first * second) - mean1 * mean2)
    luminance = (2 * mean1 * mean2 + c1) / (mean1 * mean1 + mean2 * mean2 + c1)
    if not clip:
        return luminance, (2 * covariance + c2) / (variance1 + variance2 + c2)
    deviations = np.sqrt(np.maximum(variance1, 0)) * np.sqrt(np.maximum(variance2, 0))
    contrast = (2 * deviations + c2) / (variance1 + variance2 + c2)
    structure = (covariance + c2 / 2) / (deviations + c2 / 2)
    return luminance, np.maximum(contrast, 0) * np.maximum(structure, 0)


def _window_mean(array: np.ndarray) -> np.ndarray:
    """Mean over each 7^3 window within the array; the result is 6 voxels smaller along each axis."""
    for axis in range(3):
        sums = np.moveaxis(np.cumsum(array, axis=axis), axis, 0)
        means = sums[_WINDOW - 1 :].copy()
        means[1:] -= sums[:-_WINDOW]
        means /= _WINDOW
        array = np.moveaxis(means, 0, axis)
    return array


def _halve(array: np.ndarray) -> np.ndarray:
    """Mean over 2^3 voxels (each with the one before it; nothing, 0, lies before the first), every other one kept."""
    padded = np.pad(array, ((1, 0),) * 3)
    shifts: list[Any] = [slice(None, -1), slice(1, None)]
    total = sum(padded[z, y, x] for z in shifts for y in shifts for x in shifts)
    return np.asarray(total)[::2, ::2, ::2] / 8


def _surface(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1, mode="edge")
    core = padded[1:-1, 1:-1, 1:-1]
    faces = [np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1] for axis in range(3) for shift in (1, -1)]
    return core & ~np.logical_and.reduce(faces)
