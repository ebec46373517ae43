"""The way from an MR image's own grid to the network's canonical grid, and back onto exactly the first one.

Canonical: 1 mm isotropic, axes of the patient (LPS: ITK's identity direction), so its array [z, y, x] runs to superior,
posterior and left. An oblique, anisotropic, sagittal or flipped acquisition is resampled through physical space only;
no axis is ever swapped or flipped by hand, so none can be swapped wrongly.
"""

import itertools
import math

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.hu import AIR_HU

SPACING_MM = 1.0
MAX_CANONICAL_VOXELS = 200_000_000
_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


def to_canonical(image: sitk.Image, background: float = 0.0) -> sitk.Image:
    """The image on the smallest canonical grid that covers its whole field of view; float32.

    Directions finer than 1 mm are low-pass filtered first: a Gaussian whose width makes up the difference between the
    two voxel sizes (point spread functions matched by their full width at half maximum, Cardoso et al., "Scale factor
    point spread function matching", MICCAI 2015). Interpolation is linear. Voxels outside the field of view get
    ``background``.

    Raises:
        InputError: the canonical grid would have more than MAX_CANONICAL_VOXELS voxels.
    """
    size, origin = canonical_grid(image)
    # Image.GetSpacing() is in mm because check_header() has looked at it.
    image = low_pass(sitk.Cast(image, sitk.sitkFloat32))
    return sitk.Resample(
        image,
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        origin,
        [SPACING_MM] * 3,
        list(np.eye(3).ravel()),
        background,
        sitk.sitkFloat32,
    )


def from_canonical(ct: sitk.Image, reference: sitk.Image, background: float = AIR_HU) -> sitk.Image:
    """A CT in HU from the canonical grid on exactly the grid of ``reference`` (size, spacing, origin, direction).

    Linear interpolation; outside the canonical grid the result is ``background``, air. Pixel type of ``ct``.
    """
    back = sitk.Resample(ct, reference, sitk.Transform(), sitk.sitkLinear, background, ct.GetPixelID())
    # The filter has taken these over already; copying them makes "the same numbers" a fact and not a property of ITK.
    back.CopyInformation(reference)
    return back


def canonical_grid(image: sitk.Image) -> tuple[list[int], list[float]]:
    """Size (voxels) and origin (mm, LPS) of the canonical grid around the field of view of ``image``.

    An image that has canonical axes and spacing already keeps its very grid, and so loses nothing by interpolation.
    """
    corners = np.array(
        [
            image.TransformContinuousIndexToPhysicalPoint(index)
            for index in itertools.product(*((-0.5, n - 0.5) for n in image.GetSize()))
        ]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    # A thousandth of a voxel of round-off must not add a layer of voxels.
    size = np.ceil((high - low) / SPACING_MM - 1e-3).astype(int)
    if math.prod(size.tolist()) > MAX_CANONICAL_VOXELS:
        raise InputError(
            f"The field of view ({' x '.join(str(n) for n in size)} mm along the patient's axes) is too large to be a "
            "head: crop the image to the head, or check its spacing."
        )
    origin = (low + high) / 2 - (size - 1) / 2 * SPACING_MM
    return size.tolist(), origin.tolist()


def low_pass(image: sitk.Image) -> sitk.Image:
    """Blurs each direction that is finer than 1 mm to the resolution of a 1 mm voxel."""
    variance = [max(SPACING_MM**2 - s**2, 0.0) / _FWHM_PER_SIGMA**2 for s in image.GetSpacing()]
    # Under a hundredth of mm^2 the kernel is one voxel wide anyway.
    variance = [v if v > 0.01 else 0.0 for v in variance]
    if not any(variance):
        return image
    return sitk.DiscreteGaussian(image, variance, maximumKernelWidth=65, maximumError=0.01, useImageSpacing=True)
