"""The tags of a synthetic CT's DICOM files: what is copied from the MR, what is new, what stays empty.

docs/dicom.md lists every tag and where it comes from.
"""

import datetime
import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from decnn import NOTICE, __version__
from decnn.errors import Finding, warning
from decnn.hu import WINDOWS
from decnn.io.dicom_mr import Source, valid_uid
from decnn.io.dicom_read import import_pydicom
from decnn.io.provenance import Maker

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

LABEL = "SYNTHETIC CT - RESEARCH ONLY"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_FIRST_SERIES_NUMBER, _LAST_SERIES_NUMBER = 301, 99999
# What a SeriesDescription (LO) holds.
_DESCRIPTION_LENGTH = 64
_POSITIONS = {"HFS", "HFP", "HFDL", "HFDR", "FFS", "FFP", "FFDL", "FFDR"}
_WORDS = {"PatientSex": {"M", "F", "O"}, "PatientPosition": _POSITIONS, "PatientIdentityRemoved": {"YES", "NO"}}


def usable(source: Source) -> tuple[Source, list[Finding]]:
    """The MR's series with those of its tags and UIDs that are valid DICOM, and a finding that names the others."""
    kept, dropped = _usable_tags(source.copied)
    frame = source.frame_of_reference_uid
    if frame and not valid_uid(frame):
        frame = ""
        dropped.append("FrameOfReferenceUID")
    images = [image for image in source.images if all(map(valid_uid, image))]
    if len(images) < len(source.images):
        dropped.append("SOPInstanceUID")
    cleaned = replace(source, copied=kept, frame_of_reference_uid=frame, images=images)
    if not dropped:
        return cleaned, []
    return cleaned, [
        warning(
            "dicom-tags",
            f"The MR series has values that DICOM does not allow in {', '.join(dropped)}: the CT takes over none of "
            "them, so check it against the patient's record.",
        )
    ]


def _usable_tags(copied: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Those that are valid, and the keywords of the others."""
    pydicom = import_pydicom()
    kept, dropped = {}, []
    for keyword, value in copied.items():
        if value is None or value == "" or _is_valid(pydicom, keyword, value):
            kept[keyword] = value
        else:
            dropped.append(keyword)
    methods = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if kept.get("PatientIdentityRemoved") == "YES" and not any(kept.get(keyword) for keyword in methods):
        dropped.append("PatientIdentityRemoved")  # DICOM allows it only with the method
        del kept["PatientIdentityRemoved"]
    return kept, dropped


def _is_valid(pydicom: Any, keyword: str, value: Any) -> bool:
    kind = pydicom.datadict.dictionary_VR(keyword)
    if kind == "SQ":
        wanted = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")
        return all(all(item.get(name) for name in wanted) and len(item) == 3 for item in value)
    if keyword == "SpecificCharacterSet":
        names = [value] if isinstance(value, str) else list(value)
        return all(name in pydicom.charset.python_encoding for name in names)
    values = list(value) if isinstance(value, list | tuple | pydicom.multival.MultiValue) else [value]
    if len(values) > 1 and pydicom.datadict.dictionary_VM(keyword) == "1":
        return False
    try:
        for single in values:
            text = str(single)
            if keyword in _WORDS and text not in _WORDS[keyword]:
                return False
            if any(ord(letter) < 32 or ord(letter) == 127 or letter == "\ufffd" for letter in text):
                return False
            pydicom.valuerep.validate_value(kind, text, pydicom.config.RAISE)
            if kind == "DA":
                datetime.datetime.strptime(text, "%Y%m%d")
            if kind == "DS" and not 0 < float(text) < 1000:
                return False
    except (ValueError, TypeError):
        return False
    return True


def common_tags(
    maker: Maker, source: Source, study_uid: str, series_uid: str, frame_uid: str, patient_id: str
) -> "FileDataset":
    """A file with all that the slices have in common; type 2 tags that nobody knows are there, and empty.

    patient_id: the one of a patient who is not known; "" if the MR says who it is.
    """
    pydicom = import_pydicom()
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT_IMAGE_STORAGE
    meta.TransferSyntaxUID = _EXPLICIT_LITTLE_ENDIAN
    ct = pydicom.dataset.FileDataset("", {}, b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
    for keyword in (
        "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
        "AccessionNumber", "ReferringPhysicianName", "PatientPosition", "PositionReferenceIndicator",
        "AcquisitionNumber", "KVP",
    ):  # fmt: skip
        setattr(ct, keyword, None)
    for keyword, value in source.copied.items():
        setattr(ct, keyword, value)
    if not source.copied.get("SpecificCharacterSet"):
        ct.SpecificCharacterSet = "ISO_IR 192"
    now = datetime.datetime.now()
    if patient_id:
        ct.PatientID, ct.PatientName = patient_id, f"SYNTHETIC^{patient_id}"
        ct.StudyDate, ct.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ct.SeriesDate = ct.ContentDate = ct.InstanceCreationDate = now.strftime("%Y%m%d")
    ct.SeriesTime = ct.ContentTime = ct.InstanceCreationTime = now.strftime("%H%M%S")
    ct.SOPClassUID = CT_IMAGE_STORAGE
    ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study_uid, series_uid, frame_uid
    ct.Modality = "CT"
    number = _FIRST_SERIES_NUMBER - 1 + max(source.series_number, 1)
    ct.SeriesNumber = number if number <= _LAST_SERIES_NUMBER else _FIRST_SERIES_NUMBER
    # The copied texts decide the character set, and it need not have the letters of a model's name.
    name, version, weights = (plain(text) for text in (maker.name, maker.version, maker.weights_sha256))
    ct.SeriesDescription = f"{LABEL}, {name} {weights[:12]}"[:_DESCRIPTION_LENGTH].rstrip()
    ct.DerivationDescription = f"{LABEL}. Model {name[:200]} {version[:64]}".rstrip() + f", weights SHA-256 {weights}"
    ct.ImageComments = NOTICE + (f" Terms of the model: {plain(maker.terms)}" if maker.terms else "")
    ct.Manufacturer, ct.ManufacturerModelName, ct.SoftwareVersions = "MRtoCT", "decnn", __version__
    ct.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ct.BodyPartExamined = "HEAD"  # what decnn is for; it also tells that there is no left or right one
    ct.BurnedInAnnotation = "NO"
    if source.images:
        # Every slice was made with the whole MR before it: each refers to all its images.
        ct.SourceImageSequence = pydicom.Sequence([_reference(*image) for image in source.images])
    ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
    ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 16, 15, 1
    ct.RescaleIntercept, ct.RescaleSlope, ct.RescaleType = 0, 1, "HU"
    windows = [WINDOWS[name] for name in ("soft-tissue", "bone")]
    ct.WindowCenter, ct.WindowWidth = [w.level for w in windows], [w.width for w in windows]
    ct.WindowCenterWidthExplanation = ["SOFT TISSUE", "BONE"]
    return ct


def _reference(sop_class_uid: str, sop_instance_uid: str) -> object:
    item = import_pydicom().Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return item


def fill_slice(file: "FileDataset", ct: sitk.Image, index: int, plane: np.ndarray) -> None:
    """Makes ``file`` that of axial slice ``index``; ``plane`` is its int16 HU, (rows, columns)."""
    pydicom = import_pydicom()
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(prefix=None)
    pydicom.dataset.validate_file_meta(file.file_meta)
    file.file_meta.FileMetaInformationGroupLength = 0  # counted when it is written
    file.InstanceNumber = index + 1
    number = pydicom.valuerep.format_number_as_ds
    columns, rows, slices = (number(spacing) for spacing in ct.GetSpacing())
    position = ct.TransformIndexToPhysicalPoint((0, 0, index))
    file.ImagePositionPatient = [number(x) for x in position]
    file.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    file.SliceLocation = number(position[2])
    file.PixelSpacing = [rows, columns]
    file.SliceThickness = file.SpacingBetweenSlices = slices
    file.Rows, file.Columns = plane.shape
    file.PixelData = plane.astype("<i2").tobytes()
    file["PixelData"].VR = "OW"


def plain(text: str) -> str:
    """A text of printable ASCII letters without the backslash that parts values in DICOM."""
    letters = set(string.ascii_letters + string.digits + string.punctuation + " ") - {"\\"}
    return "".join(letter if letter in letters else "/" if letter == "\\" else "?" for letter in text).strip()
