"""Is this an input on which the model can be trusted? Findings with a reason and a consequence; errors block.

The checks of the header and of the voxels need nothing but numpy and SimpleITK, so they come before any long work.
Whether there is a head at all shows only on the canonical grid: see check_head().
"""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk

from decnn.background import corner_noise, flat_share, padding_of, without_padding
from decnn.errors import Finding, blocks, error, warning
from decnn.io.header import Header, header_of

FEWEST_SLICES = 16
SPACING_LIMITS_MM = (0.1, 10.0)
EXTENT_LIMITS_MM = (64.0, 600.0)
THICK_SLICE_MM = 3.0
SMALL_EXTENT_MM = 120.0
MOST_VOXELS = 400_000_000
# Above it float32 is near its end.
LARGEST_VALUE = 1e30
# Share of an object's voxels that are equal to all their neighbours: 0.17 at most in six T1s, two of them with 32 grey
# levels; 0.44 and more in five label maps.
MOST_FLAT = 0.3
# Spread of the corners over the image's range: 0.03 at most in six T1s, 0.2 to 0.3 for noise as bright as the head.
MOST_CORNER_NOISE = 0.1
# Axes at right angles have 1.
LEAST_DETERMINANT = 0.5

# Share of the variance that is left after a mean over 3 x 3 x 3 voxels: white noise keeps 1/27, a head nearly all.
LEAST_COHERENCE = 0.3
# Share of what is not air that lies between -10 and 90 HU: 0.44 to 0.53 in three CTs of heads; in four T1, scaled to
# peak at that very place, 0.18 at most.
CT_PEAK = 0.35
# A head's volume with skin and skull; the smaller bound is for cut fields of view and infants.
HEAD_LITRES = (0.5, 14.0)
# The head's median signal over the median outside of it. Air gives a tenth of the signal of tissue, or less.
LEAST_CONTRAST = 2.0
MOST_BORDER_INSIDE = 0.6


def check_image(image: sitk.Image) -> list[Finding]:
    """Everything that the header and the voxel values of an MR, on its own grid, say against it.

    If the header has errors the voxels are not looked at: their meaning is unknown.
    """
    findings = check_header(header_of(image))
    if not blocks(findings):
        findings += check_voxels(image)
    return findings


def check_header(header: Header) -> list[Finding]:
    """Dimension, pixel type, number of voxels, slices, spacing, extent and direction."""
    if header.dimension != 3:
        return [
            error(
                "not-3d",
                f"The image has {header.dimension} dimensions and a head needs three: "
                + (
                    "give the whole volume, not one slice."
                    if header.dimension < 3
                    else "give one volume of the series, saved as a file of its own."
                ),
            )
        ]
    if header.channels != 1 or "complex" in header.pixel_type or "vector" in header.pixel_type:
        return [
            error(
                "not-scalar",
                f"Each voxel holds {header.pixel_type} and not one number: give the magnitude image of a "
                "T1-weighted MR (no colour, vector or complex image).",
            )
        ]
    axes = np.array(header.direction).reshape(3, 3)
    if not np.isfinite(axes).all() or abs(np.linalg.det(axes)) < LEAST_DETERMINANT:
        return [
            error(
                "direction",
                "The axes in the header do not span space, so the head has no shape: correct the direction in the "
                "file, or export it again.",
            )
        ]
    size, spacing = header.size, header.spacing
    findings = []
    if min(size) < FEWEST_SLICES:
        findings.append(
            error(
                "few-slices",
                f"The image has only {min(size)} slice{'s' if min(size) > 1 else ''} ({_times(size)} voxels) and at "
                f"least {FEWEST_SLICES} are needed: give a volume of the whole head (for DICOM, the folder).",
            )
        )
        return findings
    extent = [n * s for n, s in zip(size, spacing, strict=True)]
    if not SPACING_LIMITS_MM[0] <= min(spacing) <= max(spacing) <= SPACING_LIMITS_MM[1]:
        findings.append(
            error(
                "spacing",
                f"The voxels are said to measure {_times(spacing)} mm, which no MR of a head has: "
                "correct the spacing in the file (it must be in mm).",
            )
        )
    elif not EXTENT_LIMITS_MM[0] <= min(extent) <= max(extent) <= EXTENT_LIMITS_MM[1]:
        findings.append(
            error(
                "extent",
                f"The field of view is {_times(extent)} mm, which is no head: give a volume of the whole head, "
                "and check that its spacing is in mm.",
            )
        )
    elif header.voxels > MOST_VOXELS:
        findings.append(
            error(
                "too-large",
                f"The image has {header.voxels / 1e6:.0f} million voxels, more than any MR of a head: crop or resample "
                "it.",
            )
        )
    else:
        if max(spacing) > THICK_SLICE_MM:
            findings.append(
                warning(
                    "thick-slices",
                    f"The slices are {max(spacing):.1f} mm thick, so thin bone is blurred and its HU come out too "
                    f"low: prefer slices of {THICK_SLICE_MM:.0f} mm or less.",
                )
            )
        if min(extent) < SMALL_EXTENT_MM:
            findings.append(
                warning(
                    "field-of-view",
                    f"The field of view is only {min(extent):.0f} mm in one direction: the head is cut, and the CT is "
                    "less certain near the cut, where the network does not see the neighbourhood.",
                )
            )
    return findings


def check_voxels(image: sitk.Image) -> list[Finding]:
    """Values that no MR has: NaN, one single value, noise, Hounsfield units. ``image`` is 3D and scalar."""
    array = sitk.GetArrayViewFromImage(image)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return [
            error(
                "not-finite",
                "The image holds NaN or infinite values, which cannot be interpolated: replace them (usually by 0).",
            )
        ]
    if max(abs(float(array.min())), abs(float(array.max()))) > LARGEST_VALUE:
        return [
            error(
                "not-finite",
                f"The image holds values beyond {LARGEST_VALUE:g}, which no scanner measures: replace them (usually by "
                "0).",
            )
        ]
    if array.min() == array.max():
        return [error("constant", f"Every voxel of the image is {array.max():g}: give an MR with a head in it.")]
    findings = []
    if (padding := padding_of(array)) is not None:
        findings.append(
            warning(
                "padding",
                f"The value {padding:g} fills a part of the image's border and lies apart from all others, so it is "
                "padding and no measurement: it was taken for air.",
            )
        )
        array = sitk.GetArrayViewFromImage(image := without_padding(image))
    if _looks_like_ct(array):
        return [
            error(
                "looks-like-ct",
                "The image has the histogram of a CT (much air near -1000 HU, soft tissue within a narrow peak): "
                "give the T1-weighted MR.",
            )
        ]
    if flat_share(array) > MOST_FLAT:
        return [
            error(
                "labels",
                "The image is made of pieces of one value each, as a label map, a mask or a drawing is: give the "
                "T1-weighted MR.",
            )
        ]
    if _coherence(array) < LEAST_COHERENCE:
        return [
            error(
                "noise",
                "Neighbouring voxels have nothing to do with each other, so the image is noise, or the noise around "
                "the head is as bright as the head (the uniform image of an MP2RAGE): give a T1-weighted MR of the "
                "head whose background is dark.",
            )
        ]
    if corner_noise(array) > MOST_CORNER_NOISE:
        return [
            error(
                "background-noise",
                "The noise around the head is as bright as the head, as in the uniform (UNI) image of an MP2RAGE: give "
                "the denoised image, or one whose background was masked.",
            )
        ]
    return findings


def check_head(mr: np.ndarray, mask: np.ndarray) -> list[Finding]:
    """Is what was found really a head? Volume, contrast against the outside, and air around it.

    mr, mask: arrays [z, y, x] on the canonical grid (1 mm); the mask is 1 inside the head.
    """
    inside = mask > 0
    litres = float(inside.sum()) / 1e6
    if not HEAD_LITRES[0] <= litres <= HEAD_LITRES[1]:
        return [
            error(
                "no-head",
                f"The object found has {litres:.1f} litres, which is no head: "
                + (
                    "give a T1-weighted MR of the head."
                    if litres < HEAD_LITRES[0]
                    else "crop the image to the head, without shoulders and chest, or take noise and cushions away."
                ),
            )
        ]
    border = [inside[[0, -1]].mean(), inside[:, [0, -1]].mean(), inside[:, :, [0, -1]].mean()]
    outside = mr[~inside]
    tissue = float(np.median(mr[inside]))
    # Outside the field of view the canonical grid is filled with zeros, which are no measurement of air.
    measured = outside[outside > 0]
    air = float(np.median(measured)) if measured.size else 0.0
    if min(border) > MOST_BORDER_INSIDE or tissue < LEAST_CONTRAST * air:
        return [
            error(
                "no-head",
                "Nothing in the image stands out against the air like a head does: give a T1-weighted MR of the head.",
            )
        ]
    return []


def _looks_like_ct(array: np.ndarray) -> bool:
    """Air at -1000 HU and soft tissue in a narrow peak, also when stored with 1000 or 1024 added."""
    sample = _sample(array)
    for offset in (0, 1000, 1024):
        hounsfield = sample - offset
        matter = hounsfield[hounsfield > -850]
        air_share = np.mean((hounsfield > -1100) & (hounsfield < -850)) + np.mean(hounsfield < -1500)
        if air_share > 0.05 and matter.size > 0.05 * sample.size:
            # Muscle, brain and fluids lie within 100 HU; T1 makes the same tissues differ by factors.
            if np.mean((matter > -10) & (matter < 90)) > CT_PEAK:
                return True
    return False


def _coherence(array: np.ndarray) -> float:
    """Share of the variance that survives a mean over 3 x 3 x 3 voxels (1/27 for white noise)."""
    block = array[tuple(slice(0, min(n, 192)) for n in array.shape)] if array.size > 192**3 else array
    values: np.ndarray = block.astype(np.float32)
    # Few very bright voxels (vessels, spikes) must not decide.
    np.clip(values, *np.percentile(_sample(values), [0.5, 99.5]), out=values)
    variance = _variance(values)
    if variance == 0:
        return 0.0
    for axis in range(3):
        moved = np.moveaxis(values, axis, 0)
        values = np.moveaxis((moved[:-2] + moved[1:-1] + moved[2:]) / 3, 0, axis)
    return _variance(values) / variance


def _variance(values: np.ndarray) -> float:
    """Without a copy in float64."""
    around = values - values.mean(dtype=np.float64).astype(np.float32)
    return float(np.einsum("ijk,ijk->", around, around, dtype=np.float64)) / values.size


def _sample(array: np.ndarray) -> np.ndarray:
    """At most about half a million values, spread evenly, as float64."""
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // 500_000)].astype(np.float64)


def _times(numbers: Iterable[float]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
