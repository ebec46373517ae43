"""Real slices: <root>/<patient>/{axial,coronal,sagittal}_{mr,ct,mask}.nii.gz, the MR and the CT of one person.

Each file is a volume with one singleton axis, 1 mm, axes in LPS order; the mask says where MR and CT can be compared. A
slice has no neighbours: it is given to the network as a volume that repeats it (``stacked``), in which the depth
under the skin is that in the plane.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.hu import AIR_HU, CT_RANGE_HU
from decnn.intensity import depth_channel, head_mask, normalize
from decnn.views import AXES
from training.simulation.simulate import Pair

FOLDS = 5
_FILES = ("mr", "ct", "mask")
# Thick enough for the search of the head, which wants a volume, and for its closing by 10 mm.
_STACK = 41


@dataclass(frozen=True)
class RealSlice:
    """One plane of one patient. Arrays canonical [z, y, x] with one slice along the plane's axis."""

    patient: str
    plane: str
    mr: np.ndarray
    """float32, any scale."""
    hu: np.ndarray
    """float32, HU."""
    mask: np.ndarray
    """bool, where MR and CT are to be compared."""

    @property
    def axis(self) -> int:
        """The array axis with one slice."""
        return AXES[self.plane]

    @property
    def name(self) -> str:
        return f"{self.patient}_{self.plane}"


def find_patients(root: Path) -> list[str]:
    """The patients in a folder, sorted; InputError if there is no folder, or none of them in it."""
    if not root.is_dir():
        raise InputError(f"There is no folder {root}: check the path of the slices.")
    patients = sorted(path.parent.name for path in root.glob("*/axial_mr.nii.gz"))
    if not patients:
        raise InputError(
            f"{root} holds no slices: make a folder for each patient, with axial_mr.nii.gz, axial_ct.nii.gz and "
            "axial_mask.nii.gz in it, and the same for coronal and sagittal."
        )
    return patients


def read_slices(root: Path, patients: Iterable[str]) -> Iterator[RealSlice]:
    """All planes of these patients; InputError for a missing or damaged file, or files that do not fit together."""
    for patient in patients:
        for plane in AXES:
            yield read_slice(root, patient, plane)


def read_slice(root: Path, patient: str, plane: str) -> RealSlice:
    """One plane of a patient; raises InputError as read_slices()."""
    images = [_read(root / patient / f"{plane}_{kind}.nii.gz") for kind in _FILES]
    mr, hu, mask = (sitk.GetArrayFromImage(image) for image in images)
    if not mr.shape == hu.shape == mask.shape or mr.shape[AXES[plane]] != 1:
        raise InputError(f"{patient}: the {plane} MR, CT and mask must be one {plane} slice each, of one size.")
    if not (mask > 0).any():
        raise InputError(f"{patient}: the {plane} mask is empty: it must be above 0 inside the body.")
    return RealSlice(patient, plane, np.maximum(mr, 0).astype(np.float32), hu.astype(np.float32), mask > 0)


def stacked(array: np.ndarray, axis: int) -> np.ndarray:
    """A volume that repeats a slice along its axis."""
    return np.repeat(array, _STACK, axis)


def prepare(mr: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network sees of a slice: normalized MR, depth in the plane, and the head (bool), shaped as ``mr``.

    Raises InputError if no head is found in it.
    """
    head = head_mask(sitk.GetImageFromArray(stacked(mr, axis)))
    inside = np.take(sitk.GetArrayFromImage(head) > 0, _STACK // 2, axis)
    depth = np.expand_dims(depth_in_plane(inside), axis)
    inside = np.expand_dims(inside, axis)
    return normalize(mr, inside), depth, inside


def as_pair(item: RealSlice) -> Pair:
    """A slice as it goes into the bank; what the mask leaves out is air in MR and CT.

    Raises InputError if no head is found in it.
    """
    mr, depth, inside = prepare(np.where(item.mask, item.mr, 0.0).astype(np.float32), item.axis)
    hu = np.where(item.mask, np.clip(np.rint(item.hu), *CT_RANGE_HU), AIR_HU)
    return Pair(mr.astype(np.float16), depth.astype(np.float16), hu.astype(np.int16), inside)


def depth_in_plane(mask: np.ndarray) -> np.ndarray:
    """The depth channel of one slice [h, w] of a head's mask, as if its neighbours were like it."""
    return depth_channel(sitk.GetImageFromArray(np.ascontiguousarray(mask, dtype=np.uint8)))


def centre_of(patient: str) -> str:
    """The hospital, as the data set names its patients: the part before the number (1BA, 1BB, 1BC)."""
    return patient.rstrip("0123456789")


def fold_of(patients: Sequence[str]) -> dict[str, int]:
    """The fold (1 to FOLDS) of each patient: as many of each centre in each, in an order that only the names decide."""
    by_centre: dict[str, list[str]] = defaultdict(list)
    for patient in patients:
        by_centre[centre_of(patient)].append(patient)
    folds: dict[str, int] = {}
    for members in by_centre.values():
        for number, patient in enumerate(sorted(members, key=_digest)):
            folds[patient] = number % FOLDS + 1
    return folds


def _digest(patient: str) -> str:
    return hashlib.sha256(patient.encode()).hexdigest()


def _read(path: Path) -> sitk.Image:
    if not path.is_file():
        raise InputError(f"{path.parent.name}: {path.name} is missing.")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path.parent.name}: {path.name} cannot be read: copy it again.") from error
    if image.GetDimension() != 3 or not np.allclose(image.GetSpacing(), 1.0, atol=1e-3):
        raise InputError(f"{path.parent.name}: {path.name} must be a volume of one slice with pixels of 1 mm.")
    return image
