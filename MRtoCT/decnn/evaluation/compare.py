"""A synthetic CT beside a real one that need not lie on its grid: placed there, scored, subtracted."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk

from decnn.errors import Finding, InputError, warning
from decnn.evaluation.masks import check_ct, regions, without_padding
from decnn.evaluation.metrics import Scores, score
from decnn.evaluation.overlap import dice
from decnn.evaluation.registration import NoBetterPlace, Registration, register_rigid
from decnn.grid import low_pass
from decnn.hu import BODY_ABOVE_HU, BONE_ABOVE_HU, PADDING_HU
from decnn.io.images import same_grid
from decnn.steps import Report, silent

_COVERED_ENOUGH = 0.99
# What 10 to 12 mm of displacement leave of the overlap of a head of the tests' size.
_ALIGNED_ENOUGH = 0.9
HISTOGRAM_RANGE_HU = (-1024.0, 2176.0)
_BIN_HU = 25.0


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison."""

    scores: dict[str, Scores]
    """Per mask, see ``decnn.evaluation.metrics.evaluate``; where the reference has no data, no mask reaches."""
    difference: sitk.Image
    """int16, synthetic - reference in HU, on the grid of the synthetic CT; 0 where the reference has no data."""
    resampled: bool
    registration: Registration | None
    covered: float
    """The share of the synthetic CT's body for which the reference has data, 0..1."""
    histogram: dict[str, Any]
    """edges_hu (n + 1), and the counts of voxels synthetic (n) and reference (n) in the first of the masks; what lies
    beyond the edges counts to the bin at the end."""
    findings: list[Finding] = field(default_factory=list)

    def placement(self) -> str:
        """How the reference came to the grid of the synthetic CT, as a sentence."""
        if self.registration is not None:
            degrees, distance = self.registration.rotation_deg, self.registration.distance_mm
            return (
                f"The reference CT was registered rigidly to the MR (turned by {degrees:.1f} degrees, moved by "
                f"{distance:.1f} mm) and resampled to the grid of the synthetic CT."
            )
        if self.resampled:
            return "The reference CT was resampled to the grid of the synthetic CT, and not moved."
        return "The reference CT was used as it is: it lies on the grid of the synthetic CT."

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.scores,
            "reference": {
                "resampled": self.resampled,
                "registration": self.registration.as_dict() if self.registration is not None else None,
                "covered": round(self.covered, 4),
                "placement": self.placement(),
            },
            "histogram": self.histogram,
            "findings": [finding.as_dict() for finding in self.findings],
        }


def compare(
    ct: sitk.Image,
    reference: sitk.Image,
    mask: sitk.Image | None = None,
    resample: bool = False,
    mr: sitk.Image | None = None,
    report: Report = silent,
) -> Comparison:
    """Compares a synthetic CT with a real one of the same head.

    On the way to another grid the reference is treated as the synthetic CT was: directions finer than 1 mm are
    low-pass filtered to 1 mm, then it is interpolated linearly at the voxels' centres. Values below -1024 HU are the
    scanner's padding and count as -1024.

    Args:
        ct, reference: 3D, HU.
        mask: where to compare (> 0), on the grid of either; if not given, the masks of ``body_masks``.
        resample: bring a reference on another grid to that of ``ct``.
        mr: if given, the reference is first registered to this MR, which lies where ``ct`` lies. Not to the synthetic
            CT: that would hide a synthetic CT that is displaced.
        report: called with (fraction 0..1, stage).

    Raises:
        InputError: another grid and neither resample nor mr; no overlap; an image that is no CT in HU; empty mask.
    """
    report(0.0, "Checking the CTs")
    for image, what in ((ct, "synthetic CT"), (reference, "reference CT")):
        check_ct(image, what)
    findings = _reservations(reference)
    resampled = mr is not None or not same_grid(ct, reference)
    if resampled and mr is None and not resample:
        raise InputError(
            "The reference CT and the synthetic CT have different grids: add --resample to bring the reference to the "
            "other's grid, or --register MR to align it with the MR as well."
        )
    if mask is not None and not (same_grid(mask, ct) or same_grid(mask, reference)):
        raise InputError("The mask lies on the grid of neither of the CTs (different grids): resample it to one.")
    registration, in_place = None, None
    if mr is not None:
        try:
            registration = register_rigid(mr, reference, lambda done, stage: report(0.05 + 0.5 * done, stage))
        except NoBetterPlace as error:  # as a rule because they lie on each other already; the overlap tells
            in_place = error
    reference = without_padding(reference)
    covered = np.ones(ct.GetSize()[::-1], bool)
    if resampled:
        report(0.55, "Resampling the reference")
        transform = registration.transform if registration is not None else sitk.Transform()
        if mask is not None and not same_grid(mask, ct):
            mask = sitk.Resample(mask, ct, transform, sitk.sitkNearestNeighbor, 0.0)
        everywhere = sitk.Image(reference.GetSize(), sitk.sitkUInt8) + 1
        everywhere.CopyInformation(reference)
        there = sitk.Resample(everywhere, ct, transform, sitk.sitkNearestNeighbor, 0.0)
        covered = sitk.GetArrayFromImage(there) > 0
        reference = sitk.Resample(low_pass(reference), ct, transform, sitk.sitkLinear, PADDING_HU)
        reference.CopyInformation(ct)

    report(0.65, "Finding the body")
    values = sitk.GetArrayFromImage(ct).astype(np.float32)
    truth = sitk.GetArrayFromImage(reference)
    share = _share_covered(values, covered)
    if share < _COVERED_ENOUGH:
        findings.append(
            Finding(
                "warning",
                "reference-field-of-view",
                f"The reference CT covers {share:.0%} of the head in the synthetic CT: only that part was compared.",
            )
        )
    inside = regions(reference, mask, covered)
    overlap = dice((values > BODY_ABOVE_HU) & covered, truth > BODY_ABOVE_HU) if mask is None else None
    if in_place is not None:
        if overlap is not None and overlap < _ALIGNED_ENOUGH:
            raise in_place
        findings.append(
            warning(
                "already-aligned",
                "The reference CT and the MR lie on each other already (registration would have moved it by "
                f"{in_place.distance_mm:.1f} mm and made nothing better), so it was compared where it lies.",
            )
        )
    if overlap is not None and overlap < _ALIGNED_ENOUGH:
        findings.append(
            Finding(
                "warning",
                "not-aligned",
                f"The heads in the two CTs lie badly on each other (overlap {overlap:.2f}): the errors are at least "
                "partly those of their places. Register the reference, or check that it is of the same head.",
            )
        )
    scores = {}
    for number, (name, region) in enumerate(inside.items()):
        report(0.7 + 0.28 * number / len(inside), f"Comparing in the {name} mask")
        scores[name] = score(values, truth, region, ct.GetSpacing())
    errors = np.where(covered, np.rint(values - truth), 0).clip(-32768, 32767)
    difference = sitk.GetImageFromArray(errors.astype(np.int16))
    difference.CopyInformation(ct)
    region = next(iter(inside.values()))
    report(1.0, "Compared")
    return Comparison(
        scores, difference, resampled, registration, share, _histogram(values[region], truth[region]), findings
    )


def _reservations(reference: sitk.Image) -> list[Finding]:
    highest = float(sitk.GetArrayViewFromImage(reference).max())
    if highest > BONE_ABOVE_HU:
        return []
    message = f"The reference CT holds no bone (highest value {highest:.0f} HU): check that it is a CT of the head."
    return [Finding("warning", "no-bone", message)]


def _share_covered(ct: np.ndarray, covered: np.ndarray) -> float:
    """Which share of the body in ``ct`` is covered. Raises InputError for none."""
    body = ct > BODY_ABOVE_HU
    share = float((body & covered).sum() / max(int(body.sum()), 1))
    if share == 0.0:
        raise InputError(
            "The reference CT and the synthetic CT do not overlap: check that they are of the same patient and under "
            "the right transforms, or register the reference to the MR."
        )
    return share


def _histogram(ct: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    low, high = HISTOGRAM_RANGE_HU
    edges = np.arange(low, high + _BIN_HU, _BIN_HU)
    counts = {
        name: np.histogram(np.clip(values, low, high - 1), edges)[0].tolist()
        for name, values in (("synthetic", ct), ("reference", reference))
    }
    return {"edges_hu": edges.tolist(), **counts}
