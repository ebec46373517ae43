"""What lies around the head in an MR: air, padding that is no measurement, or noise that has been scaled up."""

import itertools

import numpy as np
import SimpleITK as sitk

# A value that fills a share of the border so large, and lies apart from all others by a part of their range, is none
# that a scanner measured.
_LEAST_BORDER = 0.02
_LEAST_GAP_BELOW, _LEAST_GAP_ABOVE = 0.02, 0.5
# Interpolation leaves some voxels between the padding and the image.
_MOST_BETWEEN = 0.005
# Share of an image that a head has at least; where less is brighter than the background, that is no air.
_LEAST_OBJECTS = 0.05


def padding_of(array: np.ndarray) -> float | None:
    """The one exact value beyond a gap that pads an image along its border; None if there is none.

    Padding below the image must be negative, as 0 is what air has. array: [z, y, x], finite.
    """
    low, high = float(array.min()), float(array.max())
    if low >= 0 and high < np.iinfo(np.int16).max:
        return None
    border = np.concatenate([np.take(array, (0, -1), axis).ravel() for axis in range(array.ndim)])
    sample = array.reshape(-1)[:: max(1, array.size // 500_000)]
    for value, least, others in (
        (low, _LEAST_GAP_BELOW, sample[sample > low]),
        (high, _LEAST_GAP_ABOVE, sample[sample < high]),
    ):
        if np.mean(border == value) < _LEAST_BORDER or others.size < 100:
            continue
        if value == low and value >= 0:
            continue
        near, far = np.percentile(others, [100 * _MOST_BETWEEN, 99] if value == low else [99.5, 1])
        if abs(float(near) - value) > least * max(abs(float(far - near)), 1e-6):
            return value
    return None


def without_padding(image: sitk.Image) -> sitk.Image:
    """The image with its padding, if it has any, at the level of the least of the other values."""
    array = sitk.GetArrayViewFromImage(image)
    value = padding_of(array)
    if value is None:
        return image
    filled = np.array(array)
    padding = filled == value
    filled[padding] = np.percentile(filled[~padding][::7], 0.5)
    result = sitk.GetImageFromArray(filled)
    result.CopyInformation(image)
    return result


def corner_noise(array: np.ndarray) -> float:
    """Spread (standard deviation) of the values in the corners of an image, over its 99th percentile.

    The median of the eight corners, each a twelfth of the image's edges: some may be empty, or hold the neck.
    """
    edges = [max(3, n // 12) for n in array.shape]
    ends = [(slice(0, n), slice(-n, None)) for n in edges]
    spreads = [float(array[corner].astype(np.float64).std()) for corner in itertools.product(*ends)]
    low, high = np.percentile(array.reshape(-1)[::11], [1, 99])
    return float(np.median(spreads)) / max(float(high - low), 1e-9)


def flat_share(array: np.ndarray) -> float:
    """Share of the voxels of objects whose six neighbours have exactly their value: much in label maps and masks."""
    core = array[1:-1, 1:-1, 1:-1]
    equal = np.ones(core.shape, bool)
    for axis in range(3):
        for step in (0, 2):
            part = [slice(1, -1)] * 3
            part[axis] = slice(step, array.shape[axis] - 2 + step)
            equal &= array[tuple(part)] == core
    values, counts = np.unique(core.reshape(-1)[:: max(1, core.size // 200_000)], return_counts=True)
    background = values[counts.argmax()]
    # What is darker than the air is no object, but a part that was filled with zeros: a removed face.
    brighter = core > background
    objects = brighter if brighter.mean() > _LEAST_OBJECTS else core != background
    return float(equal[objects].mean()) if objects.any() else 1.0
