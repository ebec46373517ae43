"""A synthetic CT as a DICOM CT series: for planning systems and archives, and never to be mistaken for a real CT.

CT Image IOD, DICOM PS3.3 A.3 (SOP class 1.2.840.10008.5.1.4.1.1.2). The CT keeps the study and the frame of reference
of the MR it was made from, and refers to the MR's images; what a scanner would have measured stays empty.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.axes import SAME_PLACE_MM, kind_of_grid
from decnn.errors import Finding, InputError, SetupError, warning
from decnn.grid import SPACING_MM, canonical_grid
from decnn.hu import AIR_HU
from decnn.io.dicom_mr import Source
from decnn.io.dicom_read import import_pydicom
from decnn.io.dicom_tags import common_tags, fill_slice, usable
from decnn.io.folders import publish
from decnn.io.images import read_image, same_grid, umask
from decnn.io.provenance import Maker, check_origin, origin_of
from decnn.steps import Report, silent

_SQUARE_MM = 1e-3


@dataclass(frozen=True)
class ExportResult:
    """A CT series that lies in ``folder``."""

    folder: Path
    files: int
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    findings: list[Finding]


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
    axes = np.array(ct.GetDirection()).reshape(3, 3)
    kind = kind_of_grid(axes, np.array(ct.GetSpacing()), np.array(ct.GetSize()))
    square = abs(aligned.GetSpacing()[0] - aligned.GetSpacing()[1]) <= _SQUARE_MM
    if not kind and (square or not resample):
        return aligned, [] if square else [_not_square(aligned)]
    if not resample:
        word = "oblique to the patient's axes" if kind == "oblique" else kind
        raise InputError(
            f"The grid of the CT is {word}, which planning systems do not accept: "
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
    unverified: bool = False,
    report: Report = silent,
    before_publishing: Callable[[], None] = lambda: None,
    should_cancel: Callable[[], bool] = lambda: False,
) -> ExportResult:
    """Writes the CT as a DICOM series: into a temporary folder, read back to be sure, and renamed to ``output``.

    Args:
        ct: synthetic CT in HU.
        output: see ``decnn.io.folders``.
        maker: the model's name and SHA-256 go into every file.
        source: the MR series; without it study, series and frame of reference are new, and a finding says so.
        resample, allow_moved: see ``prepare_ct``; a CT that was moved gets a new frame of reference.
        unverified: take a CT that does not say which MR it was made from, see ``decnn.io.provenance.check_origin``.
        report: called with (fraction 0..1, stage).
        before_publishing: called when nothing but the move to its place is left to do.
        should_cancel: asked from then on, as long as nothing is in its place.

    Raises:
        InputError: see ``prepare_ct`` and ``check_origin``.
        SetupError: pydicom is missing, or the disk is full or fails.
    """
    from_mr = source or Source()
    pydicom = import_pydicom()
    report(0.0, "Checking the geometry")
    findings = list(from_mr.findings)
    if source is not None:
        findings += check_origin(origin_of(ct), source.origin, unverified)
    moved = _is_moved(ct, from_mr)
    ct, of_geometry = prepare_ct(ct, from_mr, resample, allow_moved)
    from_mr, of_tags = usable(from_mr)
    series_uid = pydicom.uid.generate_uid(prefix=None)
    patient_id = "" if source is not None else f"MRTOCT-{int(series_uid.rpartition('.')[2]) % 16**8:08X}"
    findings += [*of_geometry, *of_tags, *_identity_findings(source and from_mr, moved, patient_id)]
    if moved:
        from_mr = _without_frame_of_reference(from_mr)
    study_uid = from_mr.study_uid or pydicom.uid.generate_uid(prefix=None)
    frame_uid = from_mr.frame_of_reference_uid or pydicom.uid.generate_uid(prefix=None)
    file = common_tags(maker, from_mr, study_uid, series_uid, frame_uid, patient_id)

    temporary = _workplace(output)
    try:
        array = sitk.GetArrayViewFromImage(ct)
        for index, plane in enumerate(array):
            report(0.05 + 0.75 * index / len(array), "Writing the slices")
            fill_slice(file, ct, index, plane)
            file.save_as(temporary / f"CT{index + 1:04d}.dcm")
        report(0.8, "Reading them back")
        written = read_image(temporary)
        if not same_grid(written, ct) or not np.array_equal(sitk.GetArrayViewFromImage(written), array):
            raise SetupError(f"What was written to {output} is not what comes back: check the disk, and try again.")
        before_publishing()
        # mkdtemp makes folders private; the user's own umask decides what a result is.
        temporary.chmod(0o777 & ~umask())
        publish(temporary, output, should_cancel)
    except OSError as error:
        raise SetupError(
            f"The series {output} cannot be written ({error.strerror}): is the disk full?", code="file-system"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ExportResult(output, len(array), study_uid, series_uid, frame_uid, findings)


def _not_square(ct: sitk.Image) -> Finding:
    x, y, _ = ct.GetSpacing()
    return warning(
        "rectangular-pixels",
        f"The pixels are not square ({x:.3g} x {y:.3g} mm), which some planning systems do not accept: --resample "
        "makes slices of 1 mm with square pixels.",
    )


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
    return source.grid is not None and not same_grid(_sorted(ct), _sorted(source.grid), SAME_PLACE_MM)


def _without_frame_of_reference(source: Source) -> Source:
    copied = {keyword: value for keyword, value in source.copied.items() if keyword != "PositionReferenceIndicator"}
    return replace(source, frame_of_reference_uid="", copied=copied)


def _identity_findings(source: Source | None, moved: bool, patient_id: str) -> list[Finding]:
    if source is None:
        return [
            Finding(
                "warning",
                "new-identifiers",
                f"No MR series was given, so the CT has a new patient {patient_id}, study and frame of "
                "reference: other systems cannot lay it over the MR without a registration.",
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
                "The MR series names no valid frame of reference, so the CT has a new one: other systems cannot lay it "
                "over the MR without a registration.",
            )
        ]
    return []


def _sorted(image: sitk.Image) -> sitk.Image:
    """The same voxels with axes that run, as nearly as may be, to the left, to the back and to the head."""
    return sitk.DICOMOrient(image, "LPS")


def _workplace(output: Path) -> Path:
    """A new private folder, beside the output if that can be: then the series appears in one step."""
    try:
        return Path(tempfile.mkdtemp(prefix=".decnn-", dir=output.parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="decnn-"))
