"""Reads and writes images: anything SimpleITK reads, a DICOM folder, and files that appear whole or not at all."""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import Finding, InputError, SetupError, warning
from decnn.io.dicom_read import ANY, Choice, Series, is_dicom, read_files, read_folder
from decnn.io.header import Header, read_header
from decnn.io.integrity import check_bytes, check_size
from decnn.io.layout import read_layout
from decnn.io.nifti import readable
from decnn.io.provenance import Origin, origin_of

# Formats that keep the geometry of a volume, in one file (a header apart from its data could not be replaced at once).
WRITTEN_FORMATS = (".nrrd", ".nii", ".nii.gz", ".mha")
MOST_VOXELS = 1_000_000_000
_UNKNOWN_ORIENTATION = warning(
    "orientation-unknown",
    "The file does not say which way the head lies (for NIfTI: qform and sform are 0), so it was taken to lie along "
    "the axes of the image: check in Slicer that left is left, as no check can tell left from right by the anatomy.",
)


@dataclass(frozen=True)
class Reading:
    """An image as it was read, and what there is to say of the reading."""

    image: sitk.Image
    findings: list[Finding] = field(default_factory=list)
    origin: Origin = Origin()
    """What tells that a CT was made from it; the hash is known only for DICOM."""


def read_image(path: str | Path) -> sitk.Image:
    """The image in a file, or the DICOM series in a folder, of whatever dimension and pixel type it is.

    Raises:
        InputError: see ``read``.
    """
    return read(path).image


def read(path: str | Path, inspect: Callable[[Header], None] = lambda header: None, choice: Choice = ANY) -> Reading:
    """Reads an image whose header is judged first, and whose bytes are those that the header claims.

    Args:
        path: NRRD, NIfTI or MetaImage, a DICOM file, or a folder with one DICOM series.
        inspect: is given the header before any voxel is loaded, and may raise InputError.
        choice: which of several DICOM series and echoes.

    Raises:
        InputError: no such path, another format, damaged, too large, not what ``inspect`` allows; DICOM: see
            ``decnn.io.dicom_read``.
    """
    path = Path(path)
    _check_name(path)
    if path.is_dir():
        return _from_series(read_folder(path, inspect, choice))
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path of the input.", code="bad-path")
    if is_dicom(path):
        return _from_series(read_files([str(path)], inspect, choice))
    layout = read_layout(path)
    if layout is None:
        raise _no_image(path)
    check_size(path, layout)
    if (voxels := math.prod(layout.size)) > MOST_VOXELS:
        raise InputError(
            f"The image has {voxels / 1e6:.0f} million voxels, which is no image of a head: crop or resample it.",
            code="too-large",
        )
    try:
        with readable(path, layout) as (name, findings):
            inspect(read_header(name))
            check_bytes(path, layout)
            image = _without_empty_dimensions(sitk.ReadImage(name))
            return Reading(image, findings if layout.oriented else [*findings, _UNKNOWN_ORIENTATION], origin_of(image))
    except RuntimeError as error:
        raise _no_image(path) from error


def _no_image(path: Path) -> InputError:
    return InputError(
        f"{path} cannot be read as an image: give NRRD, NIfTI, MHA, or a folder with one DICOM series; "
        "if it is one of these, the file is damaged.",
        code="unreadable",
    )


def _check_name(path: Path) -> None:
    try:
        os.fsencode(path).decode("utf-8")
    except UnicodeError as error:
        raise InputError(
            f"The name {str(path)!a} is no valid text (UTF-8), so ITK cannot open it: rename the file or folder.",
            code="bad-path",
        ) from error
    if "\0" in str(path):
        raise InputError("The path holds a character that no path can have: check it.", code="bad-path")


def _from_series(series: Series) -> Reading:
    return Reading(series.image, series.findings, Origin(series.uid, series.voxels))


def check_output(output: str | Path, source: str | Path, try_out: bool = True) -> Path:
    """The absolute path of an output that can be written; tries it out with a temporary file, if so wanted.

    Raises:
        InputError: it is a folder, has no folder, is the input itself, is not writable, or has an unknown format.
    """
    path = Path(output).absolute()
    _check_name(path)
    if path.is_dir():
        raise InputError(f"The output {output} is a folder: give the name of a file in it, such as ct.nrrd.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} of the output does not exist: create it first.")
    _format_of(path)
    if same_place(path, Path(source)):
        raise InputError("The output is the input itself: give it another name.")
    try:
        if try_out:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".decnn-"):
                pass
        writable = not path.exists() or os.access(path, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise InputError(f"The output {output} cannot be written: choose a folder and file that you may write to.")
    return path


def same_place(first: Path, second: Path) -> bool:
    """Whether two paths are one file, by other names, links or ``..``, or would become one if they were written."""
    real = [os.path.realpath(path) for path in (first, second)]
    if real[0] == real[1] or (os.path.exists(real[0]) and os.path.exists(real[1]) and os.path.samefile(*real)):
        return True
    # Some file systems do not tell upper from lower case; then a file by either name is the other one, too.
    return real[0].casefold() == real[1].casefold() and os.path.dirname(real[0]) == os.path.dirname(real[1])


def write_image(image: sitk.Image, path: Path, before_publishing: Callable[[], None] = lambda: None) -> None:
    """write_images() for one."""
    write_images([(image, path)], before_publishing)


def write_images(
    images: Sequence[tuple[sitk.Image, Path]], before_publishing: Callable[[], None] = lambda: None
) -> None:
    """Writes each under a temporary name in its folder, reads it back to be sure, and at last renames them all.

    Whatever happens, nothing but a complete file ever has its final name, and the temporary ones go away.
    ``before_publishing`` is called when all is well and nothing but the renaming is left to do.

    Raises:
        SetupError: the disk is full or fails, or the format cannot hold an image's geometry.
    """
    temporaries: list[Path] = []
    try:
        for image, path in images:
            handle, name = tempfile.mkstemp(prefix=".decnn-", suffix=_format_of(path), dir=path.parent)
            temporaries.append(Path(name))
            os.close(handle)
            _write_and_verify(image, name, path)
        before_publishing()
        for temporary, (_, path) in zip(temporaries, images, strict=True):
            _publish(temporary, path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def same_grid(first: sitk.Image, second: sitk.Image, tolerance_mm: float = 1e-3) -> bool:
    """Same size, and every voxel in the same place within ``tolerance_mm``."""
    if first.GetSize() != second.GetSize():
        return False
    size = first.GetSize()
    ends = [[n - 1 if axis == end else 0 for axis, n in enumerate(size)] for end in range(-1, len(size))]
    return all(
        np.allclose(
            first.TransformIndexToPhysicalPoint(index), second.TransformIndexToPhysicalPoint(index), 0, tolerance_mm
        )
        for index in ends
    )


def umask() -> int:
    """The rights that the user withholds from new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_and_verify(image: sitk.Image, name: str, path: Path) -> None:
    """Writes an image as ``name``; errors speak of ``path``."""
    try:
        sitk.WriteImage(image, name, useCompression=True)
        written = sitk.ReadImage(name)
    except RuntimeError as error:
        raise SetupError(_write_failure(path, image)) from error
    # Compressed formats do not tell of a full disk; what comes back does.
    if not np.array_equal(sitk.GetArrayViewFromImage(written), sitk.GetArrayViewFromImage(image)):
        raise SetupError(_write_failure(path, image))
    if not same_grid(written, image):
        raise SetupError(
            f"The format {_format_of(path)} cannot hold this image's geometry (sheared axes): write a .nrrd file."
        )


def _publish(temporary: Path, path: Path) -> None:
    try:
        # mkstemp makes files private; the user's own umask decides what a result is.
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except OSError as error:
        raise SetupError(f"{path} cannot be replaced ({error.strerror}): close what has it open.") from error


def _write_failure(path: Path, image: sitk.Image) -> str:
    needed = image.GetNumberOfPixels() * image.GetSizeOfPixelComponent()
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        return f"The disk is full ({free / 1e6:.0f} MB free at {path.parent}): free some space, or write elsewhere."
    return f"Writing {path} failed, by a full disk, a quota or a file size limit: free some space, or write elsewhere."


def _format_of(path: Path) -> str:
    for suffix in sorted(WRITTEN_FORMATS, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(f"The output {path.name} has no known format: its name must end in {', '.join(WRITTEN_FORMATS)}.")


def _without_empty_dimensions(image: sitk.Image) -> sitk.Image:
    """A 4D file that holds one single volume is that volume."""
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        return image[:, :, :, 0]
    return image
