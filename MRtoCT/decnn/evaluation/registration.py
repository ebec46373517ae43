"""Rigid registration of a CT to an MR of the same head."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.grid import to_canonical
from decnn.hu import AIR_HU, BODY_ABOVE_HU, METAL_HU
from decnn.steps import Report

# Mattes et al., "PET-CT image registration in the chest using free-form deformations", IEEE TMI 22 (2003) 120-128.
_BINS = 50
_SHRINK = (4, 2)
_SIGMAS_MM = (3.0, 1.0)
_SAMPLED = (0.5, 0.1)


class NoBetterPlace(InputError):
    """Nothing makes the images fit better than they lie: they are aligned already, or cannot be.

    Attributes:
        distance_mm: how far from where it lies the best other place was.
    """

    def __init__(self, distance_mm: float) -> None:
        super().__init__(
            "Registration found no better place for the reference CT than where it lies: compare without registration, "
            "or align it first."
        )
        self.distance_mm = distance_mm


@dataclass(frozen=True)
class Registration:
    """Where the CT has to go."""

    transform: sitk.Transform
    """From points of the MR to points of the CT, mm LPS: what sitk.Resample() takes."""
    rotation_deg: float
    """The angle by which it turns."""
    distance_mm: float
    """How far it moves the centre of the head."""
    mutual_information: tuple[float, float]
    """Before, as the images were given, and after."""

    def as_dict(self) -> dict[str, float]:
        before, after = self.mutual_information
        return {
            "rotation_deg": round(self.rotation_deg, 2),
            "distance_mm": round(self.distance_mm, 2),
            "mutual_information_before": round(before, 4),
            "mutual_information": round(after, 4),
        }


def register_rigid(mr: sitk.Image, ct: sitk.Image, report: Report) -> Registration:
    """Finds the rotation and translation that lay a CT onto an MR of the same head, on any grids.

    Mutual information after Mattes, from 4 mm to 2 mm, from the better of two starts: as the images lie, and with the
    heads' centres on each other. Turns of more than some 30 degrees are beyond it. The sampling is seeded.

    Args:
        mr: the image that stays, any scale. ct: HU. report: called with (fraction 0..1, stage).

    Raises:
        InputError: one of the two has nothing in it, or too little of them overlaps.
        NoBetterPlace: an InputError too; nothing makes them fit better than they lie.
    """
    stage = "Registering the reference"
    report(0.0, stage)
    fixed = to_canonical(mr)
    moving = sitk.Clamp(sitk.Cast(ct, sitk.sitkFloat32), lowerBound=AIR_HU, upperBound=METAL_HU)
    centre = _centre(fixed > 0.5 * _otsu(fixed), "MR")
    starts = [_at(centre, np.zeros(3)), _at(centre, _centre(moving > BODY_ABOVE_HU, "reference CT") - centre)]
    report(0.1, stage)

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.02, 1)
    before, centred = (_information(method, start, fixed, moving) for start in starts)
    start = starts[int(centred > before)]

    method.SetMetricSamplingPercentagePerLevel(_SAMPLED, 1)
    # Powell's method takes no gradient, which the sampling makes noisy: on phantoms it ended within 0.3 mm of the
    # truth, in the time in which gradient descent was still 1 to 7 mm away.
    method.SetOptimizerAsPowell(50, 50, 1.0, 1e-3, 1e-4)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(_SHRINK)
    method.SetSmoothingSigmasPerLevel(_SIGMAS_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=True)

    def tell() -> None:
        # Nobody knows how many iterations a level takes; four are common.
        done = method.GetCurrentLevel() + min(method.GetOptimizerIteration() / 4, 1.0)
        report(0.2 + 0.8 * done / len(_SHRINK), stage)

    method.AddCommand(sitk.sitkIterationEvent, tell)
    try:
        found = sitk.Euler3DTransform(method.Execute(fixed, moving))
    except RuntimeError as error:
        raise InputError(
            "The reference CT could not be registered to the MR (too little of them lies on each other): check that "
            "they are of the same head, or align them first."
        ) from error
    method.SetMetricSamplingPercentage(0.02, 1)
    after = _information(method, found, fixed, moving)
    distance_mm = float(np.linalg.norm(np.array(found.TransformPoint(centre.tolist())) - centre))
    if not after > before:
        raise NoBetterPlace(distance_mm)
    turn = np.array(found.GetMatrix()).reshape(3, 3)
    return Registration(
        found,
        float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))),
        distance_mm,
        (before, after),
    )


def _at(centre: np.ndarray, translation: np.ndarray) -> sitk.Euler3DTransform:
    return sitk.Euler3DTransform(centre.tolist(), 0.0, 0.0, 0.0, translation.tolist())


def _information(
    method: sitk.ImageRegistrationMethod, transform: sitk.Transform, fixed: sitk.Image, moving: sitk.Image
) -> float:
    """Mutual information (larger is better) of the two images at full resolution; 0 where they do not overlap."""
    method.SetInitialTransform(transform, inPlace=True)
    try:
        return -float(method.MetricEvaluate(fixed, moving))
    except RuntimeError:
        return 0.0


def _otsu(image: sitk.Image) -> float:
    threshold = sitk.OtsuThresholdImageFilter()
    threshold.Execute(image)
    return float(threshold.GetThreshold())


def _centre(matter: sitk.Image, what: str) -> np.ndarray:
    """The centre of mass of a binary image, mm LPS."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(matter)
    if not shape.HasLabel(1):
        raise InputError(f"The {what} has nothing in it: give a volume of the head.")
    return np.array(shape.GetCentroid(1))
