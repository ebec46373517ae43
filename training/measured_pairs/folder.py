"""Cases of one's own: <root>/<case>/{t1|mr}.* and ct.*, each a file (NRRD, NIfTI, MHA) or a folder with a DICOM series.

The CT may lie on any grid and elsewhere in space: it is registered rigidly to the MR and interpolated once.
"""

from pathlib import Path

import SimpleITK as sitk

from decnn.errors import InputError
from decnn.evaluation.masks import body_masks
from decnn.evaluation.overlap import dice
from decnn.evaluation.registration import NoBetterPlace, register_rigid
from decnn.grid import low_pass
from decnn.hu import AIR_HU
from decnn.intensity import head_mask
from decnn.io.images import read_image
from decnn.steps import silent
from training.measured_pairs.pair import MeasuredPair, as_hu, canonical_mr, check_pair

_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".hdr")
# Overlap (Dice) of the heads in MR and CT, where the CT has data; the limit of decnn.evaluation.compare.
LEAST_OVERLAP = 0.9


def find_cases(root: Path) -> tuple[list[Path], list[str]]:
    """The folders of the cases, sorted by name, and no further sentences; InputError if there are none."""
    cases = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not cases:
        raise InputError(f"{root} holds no cases: make a folder for each, with t1.nrrd and ct.nrrd, say, in it.")
    return cases, []


def read_pair(case: Path) -> MeasuredPair:
    """The pair in the folder of a case; its mask is the CT's field of view.

    Raises InputError for images that are missing, ambiguous or damaged, an MR that is none, a CT not in HU, and a CT
    that cannot be laid onto the MR.
    """
    return registered_pair(case.name, _only(case, "t1", "mr"), _only(case, "ct"))


def registered_pair(name: str, mr_path: Path, ct_path: Path) -> MeasuredPair:
    """The pair of an MR and a CT that is registered to it; raises InputError as read_pair()."""
    mr, ct = read_image(mr_path), read_image(ct_path)
    check_pair(mr, ct)
    fixed = canonical_mr(mr)
    try:
        found = register_rigid(fixed, ct, silent)
        transform = found.transform
        placement = f"registered: turned by {found.rotation_deg:.1f} degrees, moved by {found.distance_mm:.1f} mm"
    except NoBetterPlace:
        # Fused by the user already. Whether that is so, the overlap of the heads tells.
        transform, placement = sitk.Transform(), "as it lay: registration found no better place"
    everywhere = sitk.Image(ct.GetSize(), sitk.sitkUInt8) + 1
    everywhere.CopyInformation(ct)
    covered = sitk.Resample(everywhere, fixed, transform, sitk.sitkNearestNeighbor, 0.0)
    # Filtered as to_canonical() does, for the MR went through the same.
    smooth = low_pass(sitk.Cast(ct, sitk.sitkFloat32))
    placed = as_hu(sitk.Resample(smooth, fixed, transform, sitk.sitkLinear, AIR_HU))
    pair = MeasuredPair(name, fixed, placed, covered, placement)
    _check_overlap(pair)
    return pair


def _only(case: Path, *names: str) -> Path:
    """The one image with one of these names (without suffix) in a folder; InputError if there is none, or several."""
    what = " or ".join(names)
    images = (path for path in sorted(case.iterdir()) if path.is_dir() or path.name.lower().endswith(_SUFFIXES))
    found = [path for path in images if path.name.lower().split(".")[0] in names]
    if not found:
        raise InputError(f"there is no {what} in it: add the image as {names[0]}.nrrd, or a DICOM folder {names[0]}.")
    if len(found) > 1:
        raise InputError(f"it holds several images {what} ({', '.join(p.name for p in found)}): leave one.")
    return found[0]


def _check_overlap(pair: MeasuredPair) -> None:
    """Raises InputError unless the heads in MR and CT lie on each other."""
    covered = sitk.GetArrayViewFromImage(pair.mask) > 0
    heads = (head_mask(pair.mr), body_masks(pair.ct)["tight"])
    in_mr, in_ct = ((sitk.GetArrayFromImage(head) > 0) & covered for head in heads)
    overlap = dice(in_mr, in_ct) or 0.0
    if overlap < LEAST_OVERLAP:
        raise InputError(
            f"the heads in MR and CT do not lie on each other after registration (overlap {overlap:.2f}, at least "
            f"{LEAST_OVERLAP} is needed): check that they are of the same person, or align them first."
        )
