"""Is the head in an MR one on which the model can be trusted? Findings that show only once the head is found.

Each limit lies outside of what the measured T1s and the simulated ones of training have; how often each finding is
given where it should be, and where it should not: python -m training check-findings, training/results/findings.json.
Not looked for, as no check on the data at hand was reliable enough to be shown to people: contrast agent, and nodding.
"""

import SimpleITK as sitk

from decnn.checks.image import check_head, check_image
from decnn.checks.measures import HeadMeasures, measure_head
from decnn.errors import Finding, InputError, blocks, error, warning
from decnn.grid import to_canonical
from decnn.intensity import from_zero, head_mask
from decnn.steps import Report, silent

# Area of the head on a face of the field of view, in cm^2; the face below is where the neck leaves it.
CUT_CM2 = 4.0
# A brain alone: no dark layer under the skin, hardly more than two litres, and exact zeros all around.
BRAIN_LITRES, BRAIN_RING, BRAIN_BLACK = 2.3, 1.2, 0.9
LEAST_DEPTH_CONTRAST, MOST_BRIGHT_TAIL = 0.98, 1.75
LEAST_SCALP = 0.6
MOST_BIAS = 2.3
VOID_MM = 5.0
LEAST_FACE_MM = -5.0
TILT_DEGREES, LEAST_SYMMETRY = 26.0, 0.5


def examine(image: sitk.Image, report: Report = silent) -> list[Finding]:
    """All that there is to say against an MR before its synthetic CT is made; ``report``: (fraction 0..1, stage)."""
    report(0.1, "Checking the MR")
    findings = check_image(image)
    return findings if blocks(findings) else findings + check_anatomy(image, report)


def check_anatomy(image: sitk.Image, report: Report) -> list[Finding]:
    """What speaks against the head in an MR that ``check_image`` has passed; ``report`` as in ``examine``."""
    report(0.2, "Resampling to 1 mm")
    canonical = to_canonical(from_zero(image))
    report(0.3, "Finding the head")
    try:
        return find_head(image, canonical)[1]
    except InputError as failure:
        return [error("no-head", str(failure))]


def find_head(image: sitk.Image, canonical: sitk.Image) -> tuple[sitk.Image, list[Finding]]:
    """The head mask of an MR, and what speaks against the head in it; InputError if there is no head at all.

    image: the MR on its own grid. canonical: the same on the canonical grid.
    """
    mask = head_mask(canonical)
    errors = check_head(sitk.GetArrayViewFromImage(canonical), sitk.GetArrayViewFromImage(mask))
    return mask, errors or judge(measure_head(image, canonical, mask))


def judge(measures: HeadMeasures) -> list[Finding]:
    """What the measures of a head mean."""
    if _is_brain_only(measures):
        return [
            error(
                "skull-stripped",
                f"The object in the image has {measures.litres:.1f} litres, no skull under its surface and nothing "
                "around it, so it is a brain without its head: give the T1-weighted MR as it was before skull "
                "stripping, as the model needs skull and skin.",
            )
        ]
    findings = []
    sides = [name for name, area in measures.cut_cm2.items() if area > CUT_CM2 and name != "bottom"]
    if sides:
        findings.append(
            warning(
                "cut",
                f"The head reaches the edge of the image ({_sides(sides)}), so a part of it is cut off: the CT lacks "
                "that part, and is less certain near the cut.",
            )
        )
    if measures.depth_contrast is not None and measures.bright_tail is not None:
        if measures.depth_contrast < LEAST_DEPTH_CONTRAST or measures.bright_tail > MOST_BRIGHT_TAIL:
            findings.append(
                warning(
                    "contrast",
                    "The brain does not have the contrast of a T1 (white matter brighter than grey, fluid dark), so "
                    "this may be a T2, FLAIR or proton density image: the model knows T1 only, and its CT of anything "
                    "else looks right and is not.",
                )
            )
    if measures.scalp is not None and measures.scalp < LEAST_SCALP:
        findings.append(
            warning(
                "fat-suppressed",
                "The layer under the skin is dark, so fat is probably suppressed: marrow then looks like compact bone, "
                "and the HU of bone are less certain.",
            )
        )
    if measures.bias is not None and measures.bias > MOST_BIAS:
        findings.append(
            warning(
                "bias-field",
                f"The same tissue is {measures.bias:.1f} times as bright in one part of the brain as in another, so "
                "the coil's sensitivity was not corrected: correct it first (module N4ITK MRI Bias correction), or "
                "the CT has wrong HU where the MR is dark or bright.",
            )
        )
    if measures.void_mm is not None and measures.void_mm > VOID_MM:
        findings.append(
            warning(
                "void",
                f"There is a hole of {2 * measures.void_mm:.0f} mm without signal inside the skull, as metal makes "
                "it: what is there cannot be seen in the MR, and the CT shows neither metal nor its surroundings "
                "rightly.",
            )
        )
    if measures.face_mm is not None and measures.face_mm < LEAST_FACE_MM and "front" not in sides:
        findings.append(
            warning(
                "defaced",
                f"The face lies {-measures.face_mm:.0f} mm behind the forehead, so it was probably removed to make the "
                "MR anonymous: the CT has no face either, and is less certain near the cut; give the MR as it was.",
            )
        )
    if measures.tilt_degrees > TILT_DEGREES and measures.symmetry > LEAST_SYMMETRY:
        findings.append(
            warning(
                "tilted",
                f"The head is turned or leans by about {measures.tilt_degrees:.0f} degrees, more than the heads that "
                "the model has learned from: check the orientation in the file, and expect a less certain CT.",
            )
        )
    return findings


def _is_brain_only(measures: HeadMeasures) -> bool:
    return (
        measures.ring is not None
        and measures.ring < BRAIN_RING
        and measures.litres < BRAIN_LITRES
        and measures.black_outside > BRAIN_BLACK
    )


def _sides(names: list[str]) -> str:
    places = {"left": "on the left", "right": "on the right", "front": "in front", "back": "at the back"}
    return ", ".join(places.get(name, f"at the {name}") for name in names)
