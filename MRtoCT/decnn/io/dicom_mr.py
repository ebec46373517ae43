"""The MR series that a synthetic CT was made from: what its DICOM files say of patient, study and place."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import SimpleITK as sitk

from decnn.errors import InputError, SetupError
from decnn.io.images import read_image, read_series, sorted_series

if TYPE_CHECKING:
    from pydicom import Dataset

# All that a CT series takes over from its MR series, if it is there; apart from these, the identifiers of the study,
# the frame of reference and the source images. Nothing of how the MR was acquired is among them.
COPIED_TAGS = (
    "SpecificCharacterSet",  # the copied texts are written in it
    # who
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # which study
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    # how the patient lay in the frame of reference
    "PatientPosition",
    "PositionReferenceIndicator",
)

# A frame may be off its place in the image by as much.
_SAME_PLACE_MM = 0.1


@dataclass(frozen=True)
class Source:
    """A DICOM MR series. The default is none at all: a CT that has no DICOM source."""

    grid: sitk.Image | None = None
    study_uid: str = ""
    frame_of_reference_uid: str = ""
    series_number: int = 0
    copied: "dict[str, object]" = field(default_factory=dict)
    """Values of those COPIED_TAGS that the series has."""
    images: list[tuple[str, str]] = field(default_factory=list)
    """SOP class and SOP instance UID of each file."""


def import_pydicom() -> ModuleType:
    """The pydicom module (2.4 or later); SetupError with the way to get it if it is missing."""
    try:
        import pydicom
    except ImportError as error:
        raise SetupError(
            f"pydicom cannot be loaded ({error}): 3D Slicer brings it along, elsewhere run 'pip install pydicom'."
        ) from error
    return pydicom


def listed_files(path: str | Path) -> list[str]:
    """The paths in a text file, one a line; InputError if there are none, or one of them is no file."""
    try:
        names = [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {path} cannot be read: give a text file with one path a line.") from error
    missing = [name for name in names if not os.path.isfile(name)]
    if missing or not names:
        raise InputError(
            f"Of the {len(names)} files that {path} names, {len(missing)} are not there: import the series again."
        )
    return names


def read_source(series: str | Path | Sequence[str]) -> Source:
    """Reads an MR series: the one in a folder, or the one that these files are, in any order.

    Raises:
        InputError: not one MR series, or its files are of different studies or frames of reference.
        SetupError: pydicom is missing.
    """
    pydicom = import_pydicom()
    if isinstance(series, str | Path):
        folder = str(series)
        if not os.path.isdir(folder):
            raise InputError(f"There is no folder {folder}: give the folder with the files of the MR series.")
        grid = read_image(folder)
        names = list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder))
    else:
        folder = os.path.dirname(series[0])
        names = sorted_series(series)
        grid = read_series(names)
    headers: list[Dataset] = [pydicom.dcmread(name, stop_before_pixels=True) for name in names]
    first = headers[0]
    if (modality := str(first.get("Modality", ""))) != "MR":
        raise InputError(
            f"The series in {folder} has the modality {modality or '(none)'}: give the MR series the CT was made from."
        )
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        if len({str(header.get(keyword, "")) for header in headers}) > 1:
            raise InputError(
                f"The files in {folder} differ in their {keyword}, so they are not one series: export it again."
            )
    if not first.get("StudyInstanceUID") or not all(header.get("SOPInstanceUID") for header in headers):
        raise InputError(
            f"Files in {folder} lack the UID of their study or of themselves, so no CT can refer to them: export the "
            "series again, or leave --reference out."
        )
    _check_frames(first, grid)
    return Source(
        grid=grid,
        study_uid=str(first.StudyInstanceUID),
        frame_of_reference_uid=str(first.get("FrameOfReferenceUID") or ""),
        series_number=int(first.get("SeriesNumber") or 0),
        copied={keyword: first.get(keyword) for keyword in COPIED_TAGS if keyword in first},
        images=[(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in headers],
    )


def _check_frames(header: "Dataset", grid: sitk.Image) -> None:
    """Raises InputError if the frames of a multi-frame file do not lie where the image that was read of it has them."""
    for index, frame in enumerate(header.get("PerFrameFunctionalGroupsSequence") or []):
        plane = frame.get("PlanePositionSequence")
        written = [float(x) for x in plane[0].ImagePositionPatient] if plane else []
        expected = grid.TransformIndexToPhysicalPoint((0, 0, index)) if index < grid.GetDepth() else ()
        if len(written) != 3 or any(abs(a - b) > _SAME_PLACE_MM for a, b in zip(written, expected, strict=False)):
            raise InputError(
                "The frames of the multi-frame MR are unevenly spaced or in no order, so their place cannot be relied "
                "on: convert the series to one file a slice, or leave --reference out."
            )
