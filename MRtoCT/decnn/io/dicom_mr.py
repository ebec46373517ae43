"""The MR series that a synthetic CT was made from: what its DICOM files say of patient, study and place."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import SimpleITK as sitk

from decnn.errors import Finding, InputError
from decnn.io.dicom_frames import value_of
from decnn.io.dicom_read import ANY, Choice, read_files, read_folder
from decnn.io.header import Header
from decnn.io.provenance import Origin

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
    findings: list[Finding] = field(default_factory=list)
    origin: Origin = Origin()
    study_uid: str = ""
    frame_of_reference_uid: str = ""
    series_number: int = 0
    copied: "dict[str, object]" = field(default_factory=dict)
    """Values of those COPIED_TAGS that the series has."""
    images: list[tuple[str, str]] = field(default_factory=list)
    """SOP class and SOP instance UID of each file."""


_UID = re.compile(r"(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


def valid_uid(text: str) -> bool:
    """Whether a text is a DICOM UID (PS3.5 section 9)."""
    return _UID.fullmatch(text) is not None


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


def read_source(series: str | Path | Sequence[str], choice: Choice = ANY) -> Source:
    """Reads an MR series: the one in a folder, or the one that these files are, in any order.

    Raises:
        InputError: not one MR series (``decnn.io.dicom_read``), or its files are of different studies, patients or
            frames of reference.
        SetupError: pydicom is missing.
    """
    choice = replace(choice, modality="MR")
    if isinstance(series, str | Path):
        where = f"the folder {series}"
        if not os.path.isdir(series):
            raise InputError(f"There is no folder {series}: give the folder with the files of the MR series.")
        read = read_folder(Path(series), _accept, choice)
    else:
        where = f"the files in {os.path.dirname(series[0])}"
        read = read_files(series, _accept, choice)
    headers = read.headers
    first = headers[0]
    if (modality := str(value_of(first, "Modality") or "")) != "MR":
        raise InputError(
            f"The series in {where} has the modality {modality or '(none)'}: give the MR series the CT was made from.",
            code="dicom-modality",
        )
    if not valid_uid(str(value_of(first, "StudyInstanceUID") or "")) or not all(
        value_of(header, "SOPInstanceUID") for header in headers
    ):
        raise InputError(
            f"Files in {where} lack the UID of their study or of themselves, so no CT can refer to them: export the "
            "series again, or leave --reference out.",
            code="dicom-identifiers",
        )
    return Source(
        grid=read.image,
        findings=read.findings,
        origin=Origin(read.uid, read.voxels),
        study_uid=str(first.StudyInstanceUID),
        frame_of_reference_uid=str(value_of(first, "FrameOfReferenceUID") or ""),
        series_number=_number(value_of(first, "SeriesNumber")),
        copied={keyword: value_of(first, keyword) for keyword in COPIED_TAGS if keyword in first},
        images=[
            (str(value_of(header, "SOPClassUID") or ""), str(value_of(header, "SOPInstanceUID"))) for header in headers
        ],
    )


def _accept(header: Header) -> None:
    """Any grid will do: the CT has been made."""


def _number(value: object) -> int:
    try:
        return int(str(value or 0))
    except ValueError:
        return 0
