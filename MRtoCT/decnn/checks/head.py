"""Is the head in an MR one on which the model can be trusted? Findings that show only once the head is found.

Each limit that blocks lies outside of what real people and simulated heads measure. In training/results/gate:
findings.json, how often each finding is given where it should be, and where it should not (check-findings of
python -m training); people.json, what 135 people measure (measure-people); orientation.json (fit-orientation).
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
# The same, where it means that the background was taken for the head.
FAILED_CM2 = 40.0
# No dark layer under the surface: 1.04 at most in brains alone, 1.2 at least in 135 people.
LEAST_RING, BRAIN_LITRES = 1.12, 2.3
# Layers 6 to 14 mm deep over the brain: 0.81 at most in 135 people, 0.98 at least in five CTs in any window.
LEAST_BRIGHT_SKULL = 0.9
# Quartiles of the brain over its median: 0.24 at least in six T1s, 0.06 at most in CTs but for a window of the brain.
LEAST_BRAIN_SPREAD = 0.12
SECOND_LITRES = 0.5
# Correlations: about the right plane of symmetry 0.16 more than about another, in six T1s.
LEAST_SIDEWAYS = 0.05
# Logarithms of odds: few files in a thousand are turned. How often heads exceed them: orientation.json.
CLEARLY_TURNED, PROBABLY_TURNED = 7.0, 5.5
NECK_CM2 = 100.0
# 0.58 at least in 135 people, 0.52 in 26 simulated heads, 0.40 for two heads that touch.
LEAST_LIKENESS = 0.47
# 0.71 for two heads upon each other, 0.44 for a neck that is as long as a head.
MOST_LIKENESS_BELOW = 0.58
# The neck and the face leave the image below: over 141 cm^2 in six T1s, 67 at most in brains with 15 mm around them.
LEAST_BELOW_CM2, STRIPPED_LITRES, STRIPPED_FACE_MM = 90.0, 3.6, 9.5
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


def check_anatomy(image: sitk.Image, report: Report = silent) -> list[Finding]:
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
    return mask, errors or findings_of(measure_head(image, canonical, mask))


def findings_of(measures: HeadMeasures) -> list[Finding]:
    """What the measures of a head mean."""
    if blocking := _no_head(measures):
        return [blocking]
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
                    "else looks right and is not. A large lesion with contrast agent, or the shading of a coil, looks "
                    "alike.",
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
    if measures.lies and measures.lies_by > PROBABLY_TURNED:
        findings.append(
            warning(
                "head-orientation",
                f"The head may lie {measures.lies}, other than the file says: look at the MR in Slicer, and correct "
                "the orientation if that is so.",
            )
        )
    if (
        measures.cut_cm2["bottom"] < LEAST_BELOW_CM2
        and measures.litres < STRIPPED_LITRES
        and (measures.face_mm is None or measures.face_mm < STRIPPED_FACE_MM)
    ):
        findings.append(
            warning(
                "partly-stripped",
                "The head ends above the lower edge of the image and shows no face, so skin, face or neck were "
                "probably removed: give the MR as it was, as the model needs the whole head.",
            )
        )
    neck = max(measures.cut_cm2, key=lambda side: measures.cut_cm2[side])
    if neck != "bottom" and measures.cut_cm2[neck] > max(NECK_CM2, 2 * measures.cut_cm2["bottom"]):
        findings.append(
            warning(
                "head-orientation",
                f"The head leaves the image {_sides([neck])} and not at the bottom, where the neck is: look at the MR "
                "in Slicer, and correct the orientation if the head does not stand upright.",
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


def _no_head(measures: HeadMeasures) -> Finding | None:
    """What blocks: an object that is no head in an MR, or a head that does not lie as the file says."""
    if measures.skull is not None and measures.skull > LEAST_BRIGHT_SKULL:
        if measures.brain_spread is not None and measures.brain_spread < LEAST_BRAIN_SPREAD:
            return error(
                "looks-like-ct",
                "The brain has hardly any contrast and the skull is bright, so this is a CT, stored in other units: "
                "give the T1-weighted MR.",
            )
    if (
        measures.lies
        and measures.lies_by > CLEARLY_TURNED
        and measures.likeness >= LEAST_LIKENESS
        and not _neck_is_below(measures)
    ):
        return error(
            "head-orientation",
            f"The head lies {measures.lies}, other than the file says: correct the orientation in the file (module "
            "Transforms), or export the MR again. Left and right may be wrong as well; no check can tell that.",
        )
    if measures.ring is not None and measures.ring < LEAST_RING:
        if measures.litres < BRAIN_LITRES:
            return error(
                "skull-stripped",
                f"The object in the image has {measures.litres:.1f} litres and no skull under its surface, so it is a "
                "brain without its head: give the T1-weighted MR as it was before skull stripping, as the model needs "
                "skull and skin.",
            )
        return error(
            "no-skull",
            "The object in the image has no dark layer under its surface, as the skull is in any MR: give a "
            "T1-weighted MR of the head.",
        )
    if measures.skull is not None and measures.skull > LEAST_BRIGHT_SKULL:
        return error(
            "no-skull",
            "What lies under the skin is as bright as the brain, and the skull is dark in any MR: give a T1-weighted "
            "MR of the head.",
        )
    touched = [name for name, area in measures.cut_cm2.items() if area > FAILED_CM2]
    if len(touched) >= 5:
        return error(
            "mask-failed",
            f"What was taken for the head touches {len(touched)} sides of the image, so it was not told from the "
            "background: give an image with air around the head, or remove what lies around it.",
        )
    if measures.second_litres > SECOND_LITRES:
        return error(
            "two-heads",
            f"A second object of {measures.second_litres:.1f} litres lies beside the head: crop the image to one head.",
        )
    if measures.likeness_below > MOST_LIKENESS_BELOW:
        return error("two-heads", "A second head lies below the first one: crop the image to one head.")
    if measures.likeness < LEAST_LIKENESS:
        return error(
            "unlike-a-head",
            "The middle sagittal slice does not look like that of a head: give a T1-weighted MR of one head, upright "
            "and in the middle of the image.",
        )
    if measures.other_symmetry > measures.symmetry + LEAST_SIDEWAYS:
        return error(
            "head-orientation",
            "The head is not alike on the left and right of the image, but along another axis, so it lies sideways: "
            "correct the orientation in the file (module Transforms), or export the MR again.",
        )
    return None


def _neck_is_below(measures: HeadMeasures) -> bool:
    """Whether the neck speaks against a head that is said to lie upside down."""
    return "upside down" in measures.lies and measures.cut_cm2["bottom"] > max(CUT_CM2, measures.cut_cm2["top"])


def _sides(names: list[str]) -> str:
    places = {"left": "on the left", "right": "on the right", "front": "in front", "back": "at the back"}
    return ", ".join(places.get(name, f"at the {name}") for name in names)
