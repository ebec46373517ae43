"""A small synthetic CT, and the DICOM series of the MR it was made from."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage

STUDY, SERIES, FRAME = "1.2.826.0.1.3680043.8.1.1", "1.2.826.0.1.3680043.8.1.2", "1.2.826.0.1.3680043.8.1.3"
SAGITTAL = (0, 0, 1, 1, 0, 0, 0, -1, 0)


def make_ct(direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)) -> sitk.Image:
    """A head of bone and brain with a mark on one side, in air."""
    z, y, x = np.mgrid[-1:1:9j, -1:1:14j, -1:1:12j]
    radius = x**2 + y**2 + z**2
    array = np.where(radius < 0.3, 40, np.where(radius < 0.6, 1234, -1000))
    array[5, 7, 8] = 3071
    ct = sitk.GetImageFromArray(array.astype(np.int16))
    ct.SetSpacing((0.9375, 1.0 / 3, 2.5))
    ct.SetOrigin((-80.123456789, 33.3, -1234.5))
    ct.SetDirection(direction)
    return ct


def write_mr(folder: Path, image: sitk.Image, **tags: Any) -> Path:
    """An image as an MR series, a file a slice in no order; a tag that is None is left out, a function is called."""
    folder.mkdir()
    array = sitk.GetArrayFromImage(image).astype("<i2")
    axes = np.array(image.GetDirection()).reshape(3, 3)
    for index in range(image.GetDepth()):
        uid = f"{SERIES}.{index + 1}"
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, uid
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset("", {}, b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
        values = {
            "SpecificCharacterSet": "ISO_IR 100", "SOPClassUID": MRImageStorage, "SOPInstanceUID": uid,
            "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "FrameOfReferenceUID": FRAME, "Modality": "MR",
            "PatientName": "Müller^Zoë", "PatientID": "P 1", "PatientBirthDate": "19700101", "PatientSex": "F",
            "PatientComments": "likes cats", "OtherPatientIDs": "P 2", "InstitutionName": "Hospital",
            "StudyDate": "20200101", "StudyTime": "120000", "StudyID": "S1", "AccessionNumber": "A1",
            "ReferringPhysicianName": "Doctor^A", "StudyDescription": "Kopf für Planung",
            "PatientPosition": "HFS", "PositionReferenceIndicator": "NA", "SeriesNumber": 7,
            "InstanceNumber": index + 1, "MagneticFieldStrength": 3, "RepetitionTime": 2000, "ProtocolName": "MPRAGE",
            "ImagePositionPatient": [f"{x:.9g}" for x in image.TransformIndexToPhysicalPoint((0, 0, index))],
            "ImageOrientationPatient": [f"{x:.12g}" for x in (*axes[:, 0], *axes[:, 1])],
            "PixelSpacing": [f"{image.GetSpacing()[1]:.12g}", f"{image.GetSpacing()[0]:.12g}"],
            "SliceThickness": image.GetSpacing()[2], "Rows": image.GetHeight(), "Columns": image.GetWidth(),
            "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
            "HighBit": 15, "PixelRepresentation": 1, "PixelData": array[index].tobytes(),
            **tags,
        }  # fmt: skip
        for keyword, value in values.items():
            if value is not None:
                setattr(file, keyword, value(index) if callable(value) else value)
        pydicom.dataset.validate_file_meta(meta)
        file.file_meta.FileMetaInformationGroupLength = 0
        file.save_as(folder / f"{(index * 5) % 97}.dcm")
    return folder


def write_enhanced_mr(path: Path, image: sitk.Image) -> Path:
    """An image as one multi-frame file (Enhanced MR Image Storage), its frames in order."""
    array = sitk.GetArrayFromImage(image).astype("<u2")
    axes = np.array(image.GetDirection()).reshape(3, 3)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = f"{SERIES}.1", ExplicitVRLittleEndian
    file = FileDataset("", {}, b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
    for keyword, value in {
        "SOPClassUID": EnhancedMRImageStorage, "SOPInstanceUID": f"{SERIES}.1", "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES, "FrameOfReferenceUID": FRAME, "Modality": "MR", "PatientName": "Doe^Jane",
        "PatientID": "P 1", "SeriesNumber": 7, "InstanceNumber": 1, "Rows": image.GetHeight(),
        "Columns": image.GetWidth(), "NumberOfFrames": image.GetDepth(), "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": 0,
    }.items():  # fmt: skip
        setattr(file, keyword, value)
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [f"{image.GetSpacing()[1]:.12g}", f"{image.GetSpacing()[0]:.12g}"]
    measures.SliceThickness = measures.SpacingBetweenSlices = image.GetSpacing()[2]
    orientation.ImageOrientationPatient = [f"{x:.12g}" for x in (*axes[:, 0], *axes[:, 1])]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    file.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in range(image.GetDepth()):
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = [f"{x:.9g}" for x in image.TransformIndexToPhysicalPoint((0, 0, index))]
        frame.PlanePositionSequence = [position]
        frames.append(frame)
    file.PerFrameFunctionalGroupsSequence = frames
    file.PixelData = array.tobytes()
    pydicom.dataset.validate_file_meta(meta)
    file.file_meta.FileMetaInformationGroupLength = 0
    file.save_as(path)
    return path
