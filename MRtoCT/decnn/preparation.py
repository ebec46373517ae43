"""What is done to an MR before a network sees it: the canonical grid, the head, its intensity. No torch here."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from decnn.checks.head import find_head
from decnn.checks.image import check_image
from decnn.errors import Finding, raise_errors
from decnn.grid import to_canonical
from decnn.intensity import SKIN_MARGIN_MM, from_zero, normalize
from decnn.steps import Report, Steps, silent

# As far as the CT is written; the network sees air there, as in training. Voxels of 1 mm.
_CROP_MARGIN = math.ceil(SKIN_MARGIN_MM)


@dataclass(frozen=True)
class Prepared:
    """A head, ready for a network."""

    mr: np.ndarray
    """Normalized, float32, canonical [z, y, x], cropped to the head."""
    mask: sitk.Image
    """uint8, 1 inside the head, on the grid of ``mr``."""
    grid: sitk.Image
    """An image without content on the grid of the MR."""
    findings: list[Finding]


def prepare(
    image: sitk.Image,
    checked: list[Finding] | None = None,
    report: Report = silent,
    should_cancel: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Finds the head in an MR and normalizes it.

    Args:
        image: 3D scalar MR on any grid, oblique and anisotropic ones included.
        checked: what ``check_image(image)`` found, if the caller has done it already.
        report: called with (fraction 0..1, stage) at each step; the last fraction is what is done of a synthesis then.
        should_cancel: asked before each step.

    Raises:
        InputError: the image cannot be used.
        Cancelled: should_cancel said so.
    """
    steps = Steps(report, should_cancel)
    if checked is None:
        steps.enter(0.0, "Checking the MR")
        checked = check_image(image)
    findings = list(checked)
    raise_errors(findings)
    steps.enter(0.02, "Resampling to 1 mm")
    canonical = to_canonical(from_zero(image))
    steps.enter(0.05, "Finding the head")
    mask, head_findings = find_head(image, canonical)
    raise_errors(head_findings)
    steps.enter(0.13, "Normalizing the intensity")
    box = _bounding_box(mask)
    canonical, mask = canonical[box], mask[box]
    mr = normalize(sitk.GetArrayViewFromImage(canonical), sitk.GetArrayViewFromImage(mask))
    grid = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    grid.CopyInformation(image)
    return Prepared(mr, mask, grid, findings + head_findings)


def _bounding_box(mask: sitk.Image) -> tuple[slice, ...]:
    """Slices of a SimpleITK image (i, j, k) around the head with a margin."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    box = statistics.GetBoundingBox(1)
    return tuple(
        slice(max(low - _CROP_MARGIN, 0), min(low + size + _CROP_MARGIN, n))
        for low, size, n in zip(box[:3], box[3:], mask.GetSize(), strict=True)
    )
