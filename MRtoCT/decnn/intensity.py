"""Head mask and intensity normalization on the canonical grid; the same code in training and in use."""

import numpy as np
import SimpleITK as sitk

from decnn.background import without_padding
from decnn.errors import InputError
from decnn.morphology import dilate_by_two, erode, opening

# A head with skin and skull has 3 to 6 litres; a cut field of view or a child less. Below this nothing is a head.
_SMALLEST_HEAD_ML = 500.0
_CLOSING_RADIUS_MM = 10
_SMALLEST_PIECE = 125  # voxels of 2 mm: 1 ml
_DEPTH_RANGE_MM = (-10.0, 60.0)
DEPTH_UNIT_MM = 30.0
SKIN_MARGIN_MM = 8.0
_BRIGHTEST = 5.0


def from_zero(image: sitk.Image) -> sitk.Image:
    """Shifts images whose air is not 0 (z-scores, a constant added) so that it is; small negatives are clipped.

    Padding (``decnn.background``) counts as air.
    """
    image = without_padding(image)
    array = sitk.GetArrayViewFromImage(image)
    low, quarter, high = (float(value) for value in np.percentile(array.reshape(-1)[::7], [0.5, 25, 99.5]))
    # Noise about 0 (real images), ringing and inverted fluid are negative too, but are no level of the air.
    if quarter < -0.05 * high or low > 0.05 * high:
        image = sitk.Cast(image, sitk.sitkFloat32) - low
    return sitk.Clamp(image, sitk.sitkFloat32, lowerBound=0.0, upperBound=float("inf"))


def head_mask(image: sitk.Image) -> sitk.Image:
    """The head with everything inside the skin, air cavities included.

    What is brighter than noise, in pieces of 1 ml and more, closed by 10 mm, the largest component, filled in every
    axial, coronal and sagittal slice (the airways are open to the outside in 3D, but hardly ever in a slice). The skin
    is where the smoothed image passes half of Otsu's threshold.

    Args:
        image: MR on the canonical grid (1 mm, LPS), any scalar type and scale.

    Returns:
        uint8 image on the same grid, 1 inside the head.

    Raises:
        InputError: nothing in the image is large enough to be a head.
    """
    smooth = sitk.SmoothingRecursiveGaussian(_float(image), 1.0)
    values = sitk.GetArrayViewFromImage(smooth)
    threshold = _tissue_threshold(values)
    # On half the grid, where it costs an eighth.
    halved = sitk.BinShrink(sitk.Cast(smooth > _faint_threshold(values, threshold), sitk.sitkFloat32), [2, 2, 2]) > 0.49
    # Specks of noise go by their size: an opening would take a thin scalp along, and with it the skull.
    pieces = sitk.ConnectedComponent(halved)
    pieces = sitk.RelabelComponent(pieces, sortByObjectSize=True, minimumObjectSize=_SMALLEST_PIECE) > 0
    # Closed before the largest component is taken: above the skull base, brain and scalp are two objects.
    radius = _CLOSING_RADIUS_MM // 2
    padded = sitk.ConstantPad(pieces, [radius] * 3, [radius] * 3, 0)
    closed = sitk.BinaryMorphologicalClosing(padded, [radius] * 3, sitk.sitkBall)
    closed = _largest_component(sitk.Crop(closed, [radius] * 3, [radius] * 3))
    # Now that the head is solid, an opening only cuts the bridges that noise or ghosts build to it.
    coarse_mask = _largest_component(_like(closed, opening(_fill_slices(_array(closed)))))
    inside = _array(sitk.Resample(coarse_mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8))
    # The coarse mask knows the inside, the full grid the exact skin.
    skin = (values >= threshold) & dilate_by_two(inside)
    mask = _largest_component(_like(image, opening(skin | erode(inside))))
    volume_ml = float(sitk.GetArrayViewFromImage(mask).sum()) * float(np.prod(image.GetSpacing())) / 1000.0
    if volume_ml < _SMALLEST_HEAD_ML:
        raise InputError(
            f"No head was found in the MR (the largest object has {volume_ml:.0f} ml): "
            "give a T1-weighted volume of the whole head, with skull and skin."
        )
    return mask


def normalize(mr: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Scales an MR so that the median of its foreground (the tissue in the head that gives signal) is 1.

    Args:
        mr: canonical array [z, y, x], any scale.
        mask: head mask of the same shape.

    Returns:
        float32 array, clipped to [0, 5].

    Raises:
        InputError: the head has no contrast.
    """
    head = mr[mask > 0].astype(np.float32, copy=False)
    foreground = head[head > _tissue_threshold(head)] if head.size else head
    scale = float(np.median(foreground)) if foreground.size else 0.0
    if not scale > 0:
        raise InputError("The head in this MR has no contrast: give a T1-weighted volume.")
    scaled = mr.astype(np.float32)
    scaled /= np.float32(scale)
    return np.clip(scaled, 0.0, _BRIGHTEST, out=scaled)


def depth_channel(mask: sitk.Image) -> np.ndarray:
    """How deep each voxel lies under the skin: an input channel that tells the vault from the ventricles.

    The border of the field of view does not count as skin.

    Returns:
        float32 array [z, y, x]: distance to the mask's surface, positive inside, clipped to -10..60 mm, in units of
        30 mm.
    """
    distance = sitk.SignedMaurerDistanceMap(mask, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    depth = sitk.GetArrayFromImage(distance)
    np.clip(depth, *_DEPTH_RANGE_MM, out=depth)
    depth /= np.float32(DEPTH_UNIT_MM)
    return depth


def near_head(depth: np.ndarray) -> np.ndarray:
    """Where a synthetic CT is written, bool: the head and SKIN_MARGIN_MM around it, by ``depth_channel()``.

    Ears, skin without fat signal and what a defacing has cut off lie there, and a network has learned what is there.
    """
    return depth >= -SKIN_MARGIN_MM / DEPTH_UNIT_MM


def _tissue_threshold(values: np.ndarray) -> float:
    """Half of Otsu's threshold, which parts bright from dark tissue; half of it lies below most skin and muscle."""
    return 0.5 * _threshold(values, sitk.OtsuThresholdImageFilter())


def _faint_threshold(values: np.ndarray, tissue_threshold: float) -> float:
    """Midway from the foot of the noise to the tissue's threshold: scalp with suppressed fat, or far from the coil.

    The foot is the triangle threshold (Zack et al., J Histochem Cytochem 25 (1977) 741). At the foot itself, faint
    ghosts would be taken for the head; at the tissue's threshold, a faint scalp is lost where the brain is bright.
    """
    return 0.5 * (_threshold(values, sitk.TriangleThresholdImageFilter()) + tissue_threshold)


def _threshold(values: np.ndarray, method: sitk.OtsuThresholdImageFilter | sitk.TriangleThresholdImageFilter) -> float:
    """By the histogram of the values, with the brightest percent (vessels, fat near the coil) held back."""
    sample = values.ravel()[:: max(1, values.size // 500_000)]
    clipped = np.clip(sample, 0.0, np.percentile(sample, 99)).astype(np.float32)
    if clipped.min() == clipped.max():
        raise InputError("The MR has no contrast: give a T1-weighted volume of the head.")
    method.Execute(sitk.GetImageFromArray(clipped[None, :]))
    return float(method.GetThreshold())


def _largest_component(binary: sitk.Image) -> sitk.Image:
    components = sitk.RelabelComponent(sitk.ConnectedComponent(binary), sortByObjectSize=True)
    return sitk.Cast(components == 1, sitk.sitkUInt8)


def _fill_slices(mask: np.ndarray) -> np.ndarray:
    """Fills what is enclosed in a slice of any of the three directions."""
    for axis in range(3):
        # All slices in one picture, below each other, with an empty row between them: one call fills them all.
        slices = np.pad(np.moveaxis(mask, axis, 0), ((0, 0), (0, 1), (0, 0))).astype(np.uint8)
        picture = sitk.GetImageFromArray(slices.reshape(-1, slices.shape[2]))
        filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(picture)).reshape(slices.shape)
        mask = np.moveaxis(filled[:, :-1] > 0, 0, axis)
    return mask


def _float(image: sitk.Image) -> sitk.Image:
    return image if image.GetPixelID() == sitk.sitkFloat32 else sitk.Cast(image, sitk.sitkFloat32)


def _array(binary: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(binary).astype(bool)


def _like(image: sitk.Image, mask: np.ndarray) -> sitk.Image:
    """A bool array as a uint8 image on the grid of ``image``."""
    binary = sitk.GetImageFromArray(mask.astype(np.uint8))
    binary.CopyInformation(image)
    return binary
