"""A measured T1 and CT of one person on one grid, and what every kind of source checks before it is one."""

from dataclasses import dataclass

import SimpleITK as sitk

from decnn.checks.image import check_image
from decnn.errors import raise_errors
from decnn.evaluation.masks import check_ct
from decnn.grid import to_canonical
from decnn.intensity import from_zero

# Below -1024 HU is the scanner's padding; above, metal stays what it is.
_HU_LIMITS = (-1024, 32767)


@dataclass(frozen=True)
class MeasuredPair:
    """A case. All three images lie on the canonical grid of the MR (1 mm, LPS: ``decnn.grid``)."""

    name: str
    """That of the case's folder."""
    mr: sitk.Image
    """float32, any scale; air is 0."""
    ct: sitk.Image
    """int16, HU; -1000 where there are no data."""
    mask: sitk.Image
    """uint8, 1 where the CT has data: SynthRAD's own mask of the body, or the CT's field of view."""
    placement: str = ""
    """How the CT came to lie where it lies, in words."""


def check_pair(mr: sitk.Image, ct: sitk.Image) -> None:
    """Raises InputError if the MR is not one of a head that can be synthesized (a CT, noise), or the CT not in HU."""
    raise_errors(check_image(mr))
    check_ct(ct, "CT")


def canonical_mr(mr: sitk.Image) -> sitk.Image:
    """The MR on its canonical grid, float32, as ``decnn.synthesis`` sees it."""
    return to_canonical(from_zero(mr))


def as_hu(ct: sitk.Image) -> sitk.Image:
    """Rounded to int16; padding below -1024 HU counts as -1024."""
    return sitk.Cast(sitk.Round(sitk.Clamp(ct, sitk.sitkFloat32, *_HU_LIMITS)), sitk.sitkInt16)
