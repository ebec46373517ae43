"""How alike two images look: PSNR, SSIM and MS-SSIM as the SynthRAD challenges define them.

Source of the definitions: the challenges' own evaluation code (github.com/SynthRAD2023/metrics and
github.com/SynthRAD2025/evaluation). Arrays are [z, y, x] or, for psnr() and ssim(), a slice [h, w], in HU; masks are
boolean arrays of the same shape.
"""

from typing import Any

import numpy as np

_WINDOW = 7
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_MS_SMALLEST = 97


def psnr(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> float | None:
    """Peak signal-to-noise ratio in dB within the mask, both clipped to ``limits``; None for equal images."""
    error = np.clip(ct[mask], *limits).astype(np.float64) - np.clip(reference[mask], *limits)
    square = float(np.mean(error**2))
    return 10.0 * float(np.log10((limits[1] - limits[0]) ** 2 / square)) if square > 0 else None


def ssim(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> float | None:
    """SynthRAD2023's structural similarity: uniform window of 7^3, mean of the map inside the mask; of a slice 7^2.

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


def _prepare(image: np.ndarray, mask: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.where(mask, np.clip(image, *limits) - limits[0], 0.0).astype(np.float64)


def _crop(array: np.ndarray) -> np.ndarray:
    half = _WINDOW // 2
    return array[(slice(half, -half),) * array.ndim]


def _ssim_parts(
    first: np.ndarray, second: np.ndarray, data_range: float, clip: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Maps of luminance and of contrast times structure, for all windows that lie in the image (3 voxels less a side).

    clip: negative structure counts as 0, as SynthRAD2025 does before it takes a power of it.
    """
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    window = _WINDOW**first.ndim
    sample = window / (window - 1)
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
    """Mean over each 7^3 (7^2) window within the array; the result is 6 voxels smaller along each axis."""
    for axis in range(array.ndim):
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
