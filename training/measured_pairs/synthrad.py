"""SynthRAD as it comes: 2023 Task 1, brain, <root>/1BA001/{mr,ct,mask}.nii.gz; 2025 Task 1, head and neck,
<root>/1HNA001/{mr,ct,mask}.mha; the three on one grid.

The CT is int16 HU with -1000 outside of the mask, which is the body and some air around it (Thummerer et al.,
"SynthRAD2023 Grand Challenge dataset", Medical Physics 50 (2023) 4664-4674). The cases come registered.
"""

from pathlib import Path

import SimpleITK as sitk

from decnn.errors import InputError
from decnn.grid import to_canonical
from decnn.hu import AIR_HU
from decnn.io.images import read_image, same_grid
from training.measured_pairs.pair import MeasuredPair, as_hu, canonical_mr, check_pair

_FILES = ("mr", "ct", "mask")
_HEADS = ("1B", "1HN")


def find_cases(root: Path) -> tuple[list[Path], list[str]]:
    """The folders of the heads in a folder, sorted by name, and a sentence on what else there is, if so.

    Raises InputError if no head is there.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    cases = [path for path in folders if path.name.startswith(_HEADS)]
    if not cases:
        raise InputError(
            f"{root} holds no brain of SynthRAD2023 (folders 1BA001, 1BB001, ...) and no head and neck of SynthRAD2025 "
            "(1HNA001, ...): give the folder Task1/brain, or Task1/HN, of the unpacked Task1.zip."
        )
    others = sum(path.name.startswith(("1P", "1AB", "1TH")) for path in folders)
    return cases, [
        f"{others} case(s) of other parts of the body were ignored: the model is one of heads."
    ] if others else []


def read_pair(case: Path) -> MeasuredPair:
    """The pair in the folder of a case.

    Raises InputError for a missing or damaged file, different grids, an MR that is none, a CT not in HU, an empty mask.
    """
    suffix = ".mha" if any((case / f"{name}.mha").is_file() for name in _FILES) else ".nii.gz"
    paths = {name: case / f"{name}{suffix}" for name in _FILES}
    if missing := [path.name for path in paths.values() if not path.is_file()]:
        raise InputError(f"{' and '.join(missing)} missing: unpack the case again from Task1.zip.")
    mr, ct, mask = (read_image(path) for path in paths.values())
    check_pair(mr, ct)
    if mask.GetDimension() != 3 or not (same_grid(mr, ct) and same_grid(mr, mask)):
        raise InputError(
            f"mr{suffix}, ct{suffix} and mask{suffix} have different grids: give the files as they come, or cases of "
            "your own as folder:ROOT, where the CT is registered and resampled."
        )
    canonical = canonical_mr(mr)
    inside = sitk.Resample(mask > 0, canonical, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0, sitk.sitkUInt8)
    if not sitk.GetArrayViewFromImage(inside).any():
        raise InputError(f"mask{suffix} is empty: it must be above 0 inside the body.")
    hounsfield = as_hu(to_canonical(ct, AIR_HU))
    for image in (inside, hounsfield):
        image.CopyInformation(canonical)
    return MeasuredPair(case.name, canonical, hounsfield, inside, "registered by SynthRAD")
