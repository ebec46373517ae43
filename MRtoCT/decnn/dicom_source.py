"""The MR series that a synthetic CT was made from: what its DICOM files say of patient, study and place."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import SimpleITK as sitk

from decnn.errors import InputError, SetupError
from decnn.images import read_image

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


def read_source(folder: str | Path) -> Source:
    """Reads the one MR series in a folder.

    Raises:
        InputError: not a folder with one MR series, or its files are of different studies or frames of reference.
        SetupError: pydicom is missing.
    """
    pydicom = import_pydicom()
    if not os.path.isdir(folder):
        raise InputError(f"There is no folder {folder}: give the folder with the files of the MR series.")
    grid = read_image(folder)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    headers: list[Dataset] = [pydicom.dcmread(name, stop_before_pixels=True) for name in names]
    first = headers[0]
    if (modality := str(first.get("Modality", ""))) != "MR":
        raise InputError(
            f"The series in {folder} has the modality {modality or '(none)'}: give the MR series the CT was made from."
        )
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        if len({str(header.get(keyword, "")) for header in headers}) > 1:
            raise InputError(
                f"The files in {folder} differ in their {keyword}, so they are not one series: export it again."
            )
    if not first.get("StudyInstanceUID") or not all(header.get("SOPInstanceUID") for header in headers):
        raise InputError(
            f"Files in {folder} lack the UID of their study or of themselves, so no CT can refer to them: export the "
            "series again, or leave --reference out."
        )
    return Source(
        grid=grid,
        study_uid=str(first.StudyInstanceUID),
        frame_of_reference_uid=str(first.get("FrameOfReferenceUID") or ""),
        series_number=int(first.get("SeriesNumber") or 0),
        copied={keyword: first.get(keyword) for keyword in COPIED_TAGS if keyword in first},
        images=[(str(header.SOPClassUID), str(header.SOPInstanceUID)) for header in headers],
    )
