"""Where two CTs are compared: the body in the reference, and how deep below the vertex."""

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.hu import BODY_ABOVE_HU, PADDING_HU

LEVELS_MM = {"vault": (0.0, 80.0), "base": (80.0, 150.0)}
"""Upper and lower end of each part of a head, in mm below the vertex."""
_WIDE_RADIUS = 10


def check_ct(image: sitk.Image, what: str) -> None:
    """Raises InputError unless this is a 3D image of numbers that can be HU, with air in it."""
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"The {what} is not a 3D image with one number a voxel: give a volume.")
    values = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(values).all() or values.min() > -500:
        raise InputError(f"The {what} is not in HU (least value {values.min():.0f}): give a CT with air in it.")


def without_padding(ct: sitk.Image) -> sitk.Image:
    """The CT as float32 in which a scanner's padding, below -1024 HU, counts as -1024."""
    return sitk.Clamp(sitk.Cast(ct, sitk.sitkFloat32), lowerBound=PADDING_HU, upperBound=1e38)


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


def regions(
    reference: sitk.Image, mask: sitk.Image | None = None, covered: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Where to compare with a reference CT: bool arrays by name.

    Args:
        reference: without padding.
        mask: on its grid, > 0 where to compare; if given, it is the one region, "given", else "tight" and "wide".
        covered: bool, where the reference has data; everywhere if not given.

    Raises:
        InputError: a region is empty.
    """
    found = {"given": mask} if mask is not None else body_masks(reference)
    arrays = {name: sitk.GetArrayFromImage(image) > 0 for name, image in found.items()}
    for name, inside in arrays.items():
        if covered is not None:
            inside &= covered
        if not inside.any():
            raise InputError(f"The {name} mask is empty: give a mask that is above 0 inside the body.")
    return arrays


def levels(body: np.ndarray, spacing_mm: float = 1.0) -> dict[str, np.ndarray]:
    """The vault and the base of a head: parts of the mask ``body`` by their depth below the vertex.

    The vault is what lies 0 to 80 mm below the vertex; the base, with the skull base and the face, 80 to 150 mm. A part
    that the volume does not reach to the end of, but for a tenth, is left out.

    Args:
        body: bool, canonical [z, y, x]: the last slice is the highest.
    """
    occupied = np.flatnonzero(body.any(axis=(1, 2)))
    parts = {}
    for name, (upper, lower) in LEVELS_MM.items():
        depth = (occupied.max(initial=0) - np.arange(len(body))) * spacing_mm
        lowest = (occupied.max(initial=0) - occupied.min(initial=len(body)) + 1) * spacing_mm
        if lowest >= lower - 0.1 * (lower - upper):
            parts[name] = body & ((depth >= upper) & (depth < lower))[:, None, None]
    return parts
