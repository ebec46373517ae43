"""Reads and writes images: anything SimpleITK reads, a DICOM folder, and files that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError, SetupError

# Formats that keep the geometry of a volume, in one file (a header apart from its data could not be replaced at once).
WRITTEN_FORMATS = (".nrrd", ".nii", ".nii.gz", ".mha")
# Slices may be off their even spacing by this share of it before they count as uneven.
_UNEVEN = 0.05
_POSITION, _ORIENTATION = "0020|0032", "0020|0037"


def read_image(path: str | Path) -> sitk.Image:
    """The image in a file, or the DICOM series in a folder, of whatever dimension and pixel type it is.

    Raises:
        InputError: no such path, not an image, no or several series in the folder, uneven or missing slices.
    """
    path = Path(path)
    if path.is_dir():
        return _read_dicom_folder(path)
    if not path.is_file():
        raise InputError(f"There is no file {path}: check the path of the input.")
    try:
        return _without_empty_dimensions(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(
            f"{path} cannot be read as an image: give NRRD, NIfTI, MHA, or a folder with one DICOM series; "
            "if it is one of these, the file is damaged."
        ) from error


def check_output(output: str | Path, source: str | Path) -> Path:
    """The absolute path of an output that can be written; tries it out with a temporary file.

    Raises:
        InputError: it is a folder, has no folder, is the input itself, is not writable, or has an unknown format.
    """
    path = Path(output).absolute()
    if path.is_dir():
        raise InputError(f"The output {output} is a folder: give the name of a file in it, such as ct.nrrd.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} of the output does not exist: create it first.")
    _format_of(path)
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise InputError("The output is the input itself: give it another name.")
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".decnn-"):
            pass
        writable = not path.exists() or os.access(path, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise InputError(f"The output {output} cannot be written: choose a folder and file that you may write to.")
    return path


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
            os.close(handle)
            temporaries.append(Path(name))
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


def _read_dicom_folder(folder: Path) -> sitk.Image:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise InputError(f"The folder {folder} holds no DICOM image: give the folder with the files of the T1 series.")
    if len(series) > 1:
        raise InputError(
            f"The folder {folder} holds {len(series)} DICOM series: put the files of the T1 series into a folder "
            "of its own, and give that."
        )
    return read_series(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))


def read_series(files: Sequence[str]) -> sitk.Image:
    """The image in the files of one DICOM series, in the order along the slices' normal.

    Raises:
        InputError: damaged files, slices of different size, uneven or missing slices.
    """
    try:
        _check_even_slices(files)
        if len(files) == 1:
            return _without_empty_dimensions(sitk.ReadImage(files[0]))
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(files)
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(
            f"The DICOM series in {Path(files[0]).parent} cannot be read: files are damaged, or differ in size."
        ) from error


def sorted_series(files: Sequence[str]) -> list[str]:
    """The files of one DICOM series in the order along the slices' normal; InputError if one is no DICOM image."""
    try:
        return sorted(files, key=lambda name: _along_normal(name) or 0.0) if len(files) > 1 else list(files)
    except RuntimeError as error:
        raise InputError("A file of the DICOM series is damaged: export or import the series again.") from error


def _along_normal(name: str) -> float | None:
    """Where the slice in a DICOM file lies along its normal, in mm; None if the file does not say."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(name)
    reader.ReadImageInformation()
    if not (reader.HasMetaDataKey(_POSITION) and reader.HasMetaDataKey(_ORIENTATION)):
        return None
    position = np.array([float(number) for number in reader.GetMetaData(_POSITION).split("\\")])
    row, column = np.array([float(n) for n in reader.GetMetaData(_ORIENTATION).split("\\")]).reshape(2, 3)
    return float(position @ np.cross(row, column))


def _check_even_slices(files: Sequence[str]) -> None:
    """Raises InputError if the slices, in their order along the normal, are not evenly spaced."""
    positions = [place for place in map(_along_normal, files) if place is not None]
    steps = np.abs(np.diff(positions))
    if steps.size and np.ptp(steps) > _UNEVEN * max(float(np.median(steps)), 1e-6):
        raise InputError(
            f"The {len(files)} slices of the series are unevenly spaced ({steps.min():.2f} to {steps.max():.2f} mm "
            "apart), so some are missing or doubled: export the whole series again."
        )
