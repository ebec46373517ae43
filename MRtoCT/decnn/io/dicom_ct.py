"""A synthetic CT as a DICOM CT series: for planning systems and archives, and never to be mistaken for a real CT.

CT Image IOD, DICOM PS3.3 A.3 (SOP class 1.2.840.10008.5.1.4.1.1.2). The CT keeps the study and the frame of reference
of the MR it was made from, and refers to the MR's images; what a scanner would have measured stays empty.
"""

import datetime
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from decnn import NOTICE, __version__
from decnn.errors import Finding, InputError, SetupError
from decnn.grid import SPACING_MM, canonical_grid
from decnn.hu import AIR_HU, WINDOWS
from decnn.io.dicom_mr import Source
from decnn.io.dicom_read import import_pydicom
from decnn.io.images import read_image, same_grid, umask
from decnn.io.provenance import Maker
from decnn.steps import Report, silent

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

LABEL = "SYNTHETIC CT - RESEARCH ONLY"
_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_FIRST_SERIES_NUMBER = 301
# Grids that agree so closely are the same, however their numbers were rounded on the way through a file format.
_SAME_PLACE_MM = 0.02
# 64 characters is what a SeriesDescription holds.
_DESCRIPTION_LENGTH = 64


@dataclass(frozen=True)
class ExportResult:
    """A CT series that lies in ``folder``."""

    folder: Path
    files: int
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    findings: list[Finding]


def check_output_folder(output: str | Path) -> Path:
    """The absolute path of a folder that can be made, or that is empty; InputError if it is neither."""
    path = Path(output).absolute()
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise InputError(f"The output {output} exists already and is no empty folder: give the name of a new folder.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} of the output does not exist: create it first.")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".decnn-"):
            pass
    except OSError as error:
        raise InputError(f"The output {output} cannot be written: choose a folder that you may write to.") from error
    return path


def prepare_ct(
    ct: sitk.Image, source: Source, resample: bool = False, allow_moved: bool = False
) -> tuple[sitk.Image, list[Finding]]:
    """The CT as axial slices along the patient's axes: int16 HU, x to the left, y to the back, z to the head.

    Slices of a sagittal or coronal grid are re-sorted, which changes no voxel. An oblique or sheared grid is resampled
    (linearly, 1 mm isotropic, air outside), and only if ``resample`` says so.

    Raises:
        InputError: not a 3D CT in HU, not on the grid of the MR series without ``allow_moved``, or oblique or sheared
            without ``resample``.
    """
    _check_hounsfield(ct)
    if not allow_moved and _is_moved(ct, source):
        raise InputError(
            "The CT does not lie on the grid of the MR series, so it was made from another series, or moved or cropped "
            "since: give the series it was made from, or allow it to be moved (--allow-moved), which gives it a new "
            "frame of reference."
        )
    ct = sitk.Cast(sitk.Round(sitk.Cast(ct, sitk.sitkFloat32)), sitk.sitkInt16)
    ordered = _sorted(ct)
    aligned = sitk.Image(ordered)
    aligned.SetDirection(np.eye(3).ravel().tolist())
    if same_grid(ordered, aligned, _SAME_PLACE_MM):
        return aligned, []
    if not resample:
        axes = np.array(ct.GetDirection()).reshape(3, 3)
        kind = "oblique to the patient's axes" if np.allclose(axes.T @ axes, np.eye(3), atol=1e-3) else "sheared"
        raise InputError(
            f"The grid of the CT is {kind}, which planning systems do not accept: "
            "allow --resample to bring it to axial slices of 1 mm."
        )
    size, origin = canonical_grid(ct)
    resampled = sitk.Resample(
        sitk.Cast(ct, sitk.sitkFloat32),
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        origin,
        [SPACING_MM] * 3,
        np.eye(3).ravel().tolist(),
        AIR_HU,
    )
    finding = Finding(
        "warning",
        "resampled",
        "The CT was resampled to axial slices of 1 mm as asked for: its HU are interpolated, edges a little softer.",
    )
    return sitk.Cast(sitk.Round(resampled), sitk.sitkInt16), [finding]


def export_series(
    ct: sitk.Image,
    output: Path,
    maker: Maker,
    source: Source | None = None,
    resample: bool = False,
    allow_moved: bool = False,
    report: Report = silent,
    before_publishing: Callable[[], None] = lambda: None,
) -> ExportResult:
    """Writes the CT as a DICOM series: into a temporary folder, read back to be sure, and renamed to ``output``.

    Args:
        ct: synthetic CT in HU.
        output: see ``check_output_folder``.
        maker: the model's name and SHA-256 go into every file.
        source: the MR series; without it study, series and frame of reference are new, and a finding says so.
        resample, allow_moved: see ``prepare_ct``; a CT that was moved gets a new frame of reference.
        report: called with (fraction 0..1, stage).
        before_publishing: called when nothing but the renaming is left to do.

    Raises:
        InputError: see ``prepare_ct``.
        SetupError: pydicom is missing, or the disk is full or fails.
    """
    from_mr = source or Source()
    pydicom = import_pydicom()
    report(0.0, "Checking the geometry")
    moved = _is_moved(ct, from_mr)
    ct, findings = prepare_ct(ct, from_mr, resample, allow_moved)
    findings += _identity_findings(source, moved)
    if moved:
        from_mr = _without_frame_of_reference(from_mr)
    study_uid = from_mr.study_uid or pydicom.uid.generate_uid(prefix=None)
    frame_uid = from_mr.frame_of_reference_uid or pydicom.uid.generate_uid(prefix=None)
    series_uid = pydicom.uid.generate_uid(prefix=None)
    file = _common_tags(maker, from_mr, study_uid, series_uid, frame_uid)

    temporary = Path(tempfile.mkdtemp(prefix=".decnn-", dir=output.parent))
    try:
        array = sitk.GetArrayViewFromImage(ct)
        for index, plane in enumerate(array):
            report(0.05 + 0.75 * index / len(array), "Writing the slices")
            _fill_slice(file, ct, index, plane)
            file.save_as(temporary / f"CT{index + 1:04d}.dcm")
        report(0.8, "Reading them back")
        written = read_image(temporary)
        if not same_grid(written, ct) or not np.array_equal(sitk.GetArrayViewFromImage(written), array):
            raise SetupError(f"What was written to {output} is not what comes back: check the disk, and try again.")
        before_publishing()
        _publish(temporary, output)
    except OSError as error:
        raise SetupError(f"The series {output} cannot be written ({error.strerror}): is the disk full?") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ExportResult(output, len(array), study_uid, series_uid, frame_uid, findings)


def _check_hounsfield(ct: sitk.Image) -> None:
    if ct.GetDimension() != 3 or ct.GetNumberOfComponentsPerPixel() != 1:
        raise InputError("The CT is not one volume with one number a voxel: give the CT that synthesize wrote.")
    array = sitk.GetArrayViewFromImage(ct)
    low, high = float(array.min()), float(array.max())
    if not (-1100 <= low <= -500 and high <= np.iinfo(np.int16).max):
        raise InputError(
            f"The values of the CT ({low:.0f} to {high:.0f}) are not HU, which start at the -1000 of air: "
            "give the CT that synthesize wrote."
        )


def _is_moved(ct: sitk.Image, source: Source) -> bool:
    """Whether the CT lies anywhere else than its MR, if there is one."""
    return source.grid is not None and not same_grid(_sorted(ct), _sorted(source.grid), _SAME_PLACE_MM)


def _without_frame_of_reference(source: Source) -> Source:
    copied = {keyword: value for keyword, value in source.copied.items() if keyword != "PositionReferenceIndicator"}
    return replace(source, frame_of_reference_uid="", copied=copied)


def _identity_findings(source: Source | None, moved: bool) -> list[Finding]:
    if source is None:
        return [
            Finding(
                "warning",
                "new-identifiers",
                "No MR series was given, so the CT has no patient, and a new study and frame of reference: "
                "other systems cannot lay it over the MR without a registration.",
            )
        ]
    if moved:
        return [
            Finding(
                "warning",
                "new-frame-of-reference",
                "The CT does not lie where its MR series lies, so it has a new frame of reference: other systems "
                "cannot lay it over the MR without a registration.",
            )
        ]
    if not source.frame_of_reference_uid:
        return [
            Finding(
                "warning",
                "new-frame-of-reference",
                "The MR series names no frame of reference, so the CT has a new one: other systems cannot lay it over "
                "the MR without a registration.",
            )
        ]
    return []


def _sorted(image: sitk.Image) -> sitk.Image:
    """The same voxels with axes that run, as nearly as may be, to the left, to the back and to the head."""
    return sitk.DICOMOrient(image, "LPS")


def _common_tags(maker: Maker, source: Source, study_uid: str, series_uid: str, frame_uid: str) -> "FileDataset":
    """A file with all that the slices have in common; type 2 tags that nobody knows are there, and empty."""
    pydicom = import_pydicom()
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = _CT_IMAGE_STORAGE
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
    now = datetime.datetime.now()
    ct.SeriesDate = ct.ContentDate = ct.InstanceCreationDate = now.strftime("%Y%m%d")
    ct.SeriesTime = ct.ContentTime = ct.InstanceCreationTime = now.strftime("%H%M%S")
    ct.SOPClassUID = _CT_IMAGE_STORAGE
    ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study_uid, series_uid, frame_uid
    ct.Modality = "CT"
    ct.SeriesNumber = max(_FIRST_SERIES_NUMBER, _FIRST_SERIES_NUMBER - 1 + source.series_number)
    # The copied texts decide the character set, and it need not have the letters of a model's name.
    name, version, weights = (_plain(text) for text in (maker.name, maker.version, maker.weights_sha256))
    ct.SeriesDescription = f"{LABEL}, {name} {weights[:12]}"[:_DESCRIPTION_LENGTH].rstrip()
    ct.DerivationDescription = f"{LABEL}. Model {name} {version}".rstrip() + f", weights SHA-256 {weights}"
    ct.ImageComments = NOTICE
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


def _fill_slice(file: "FileDataset", ct: sitk.Image, index: int, plane: np.ndarray) -> None:
    """Makes ``file`` that of axial slice ``index``; ``plane`` is its int16 HU, (rows, columns)."""
    pydicom = import_pydicom()
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(prefix=None)
    pydicom.dataset.validate_file_meta(file.file_meta)
    file.file_meta.FileMetaInformationGroupLength = 0  # counted when it is written
    file.InstanceNumber = index + 1
    number = pydicom.valuerep.format_number_as_ds
    columns, rows, slices = (number(spacing) for spacing in ct.GetSpacing())
    file.ImagePositionPatient = [number(x) for x in ct.TransformIndexToPhysicalPoint((0, 0, index))]
    file.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    file.PixelSpacing = [rows, columns]
    file.SliceThickness = slices
    file.Rows, file.Columns = plane.shape
    file.PixelData = plane.astype("<i2").tobytes()
    file["PixelData"].VR = "OW"


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("\\", "/")


def _publish(temporary: Path, output: Path) -> None:
    temporary.chmod(0o777 & ~umask())  # mkdtemp makes folders private; the user's own umask decides what a result is
    if output.exists():
        output.rmdir()
    temporary.rename(output)
