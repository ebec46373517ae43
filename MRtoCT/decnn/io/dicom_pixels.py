"""The stored values of a DICOM file: by pydicom where they are plain, by ITK (GDCM) where they are compressed."""

import math
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MULTI_FRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"


def stored_values(name: str) -> np.ndarray:
    """Stored values, integers (frames, rows, columns); bits beyond BitsStored are left out.

    Raises:
        InputError: damaged: fewer bytes than the header claims, or compressed voxels that cannot be unpacked.
    """
    import pydicom

    try:
        file = pydicom.dcmread(name, force=True)
        syntax = file.file_meta.TransferSyntaxUID if "TransferSyntaxUID" in file.get("file_meta", {}) else None
        frames = int(file.get("NumberOfFrames") or 1)
        shape = (frames, int(file.Rows), int(file.Columns))
        bits, stored = int(file.BitsAllocated), int(file.get("BitsStored") or file.BitsAllocated)
        signed = int(file.get("PixelRepresentation") or 0) == 1
        if bits not in (8, 16, 32) or not 1 <= stored <= bits or "PixelData" not in file:
            raise _damaged(name, f"it has {bits} bits a voxel" if "PixelData" in file else "it has no voxels")
        if syntax is not None and syntax.is_compressed and not syntax.is_deflated:
            values = _by_itk(file).reshape(shape)
        else:
            order = "<" if file.original_encoding[1] is not False else ">"
            needed = math.prod(shape) * bits // 8
            data = file.PixelData
            if len(data) < needed:
                raise _damaged(name, f"{needed - len(data)} of the {needed} bytes of its voxels are missing")
            kind = np.dtype(f"{order}{'i' if signed else 'u'}{bits // 8}")
            values = np.frombuffer(data[:needed], kind).reshape(shape)
    except InputError:
        raise
    except OSError:
        raise
    except Exception as failure:  # pydicom and GDCM raise what their parsers stumble upon
        raise _damaged(name, "its voxels cannot be read") from failure
    values = values.astype(np.dtype(f"{'i' if signed else 'u'}{max(bits // 8, 1)}"), copy=True)
    if stored < bits:
        # The unused bits may hold an overlay: shifted out at the top, and back with the sign.
        values <<= bits - stored
        values >>= bits - stored
    return values


def _by_itk(file: "Dataset") -> np.ndarray:
    """Unpacked stored values. GDCM must not rescale, nor look at the frames' places, so it sees a copy without them."""
    from pydicom.dataset import Dataset, FileDataset

    frames = int(file.get("NumberOfFrames") or 1)
    kept = Dataset()
    for keyword in (
        "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SamplesPerPixel", "PhotometricInterpretation",
        "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
        "PixelData",
    ):  # fmt: skip
        if keyword in file:
            kept[keyword] = file[keyword]
    kept.Modality = "OT"
    kept.SOPClassUID = _MULTI_FRAME_CAPTURE if frames > 1 else _SECONDARY_CAPTURE
    file.file_meta.MediaStorageSOPClassUID = kept.SOPClassUID
    copy = FileDataset("", kept, b"\0" * 128, file.file_meta, is_implicit_VR=False, is_little_endian=True)
    with tempfile.TemporaryDirectory(prefix="decnn-") as folder:
        path = os.path.join(folder, "image.dcm")
        copy.save_as(path)
        return sitk.GetArrayFromImage(sitk.ReadImage(path))


def _damaged(name: str, how: str) -> InputError:
    return InputError(
        f"The DICOM file {os.path.basename(name)} is damaged: {how}. Export the series again.", code="damaged"
    )
