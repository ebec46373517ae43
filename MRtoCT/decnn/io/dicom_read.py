"""Reads an MR or CT series from DICOM files: which images belong together, their grid, and their values.

Every file and frame says where it lies. None of it is taken on trust: ``decnn.io.dicom_grid`` compares each place with
the grid, and refuses what differs. Values are stored value * slope + intercept of that very slice (DICOM PS3.3 C.11.1).
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk

from decnn.errors import Finding, InputError, SetupError
from decnn.io.dicom_frames import Frame, frames_of, value_of
from decnn.io.dicom_grid import Grid, check_alike, fit_grid
from decnn.io.dicom_pixels import stored_values
from decnn.io.header import Header
from decnn.io.provenance import hash_of

if TYPE_CHECKING:
    from pydicom import Dataset

# Objects that lie beside images in a folder; a file of another ending may be anything.
_NEVER_IMAGES = {"dicomdir", "version", "lockfile", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Choice:
    """Which of several series and echoes to read; "" if there is but one."""

    series: str = ""
    """SeriesInstanceUID or SeriesNumber."""
    echo: str = ""
    """EchoNumbers, or EchoTime in ms."""
    modality: str = ""
    """If given, another modality is refused."""
    option: str = "--series"
    """The argument by which the user chooses a series; "" for none."""


ANY = Choice()


@dataclass(frozen=True)
class Series:
    """A DICOM series as one volume."""

    image: sitk.Image
    findings: list[Finding]
    uid: str
    voxels: str
    """``decnn.io.provenance.hash_of`` the values as they are stored, padding included."""
    headers: "list[Dataset]"
    """One a file, without the voxels, in the order of the slices."""


def import_pydicom() -> ModuleType:
    """The pydicom module (2.4 or later); SetupError with the way to get it if it is missing."""
    try:
        import pydicom
    except Exception as error:  # a broken installation may raise anything
        raise SetupError(
            f"pydicom cannot be loaded ({error}): 3D Slicer brings it along, elsewhere run 'pip install pydicom'."
        ) from error
    # What a malformed file says is judged here; pydicom's own warnings would only repeat it, with the values.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom


def is_dicom(path: Path) -> bool:
    """Whether a file is a DICOM file: by its preamble, or by its name if it has none."""
    with path.open("rb") as file:
        head = file.read(132)
    return head[128:] == b"DICM" or path.suffix.lower() in (".dcm", ".ima", ".dicom")


def read_folder(path: Path, inspect: Callable[[Header], None], choice: Choice = ANY) -> Series:
    """The one series, or the chosen one, of the files in a folder (not of its subfolders).

    Raises:
        InputError: see ``read_files``; also no DICOM image, or several series and none chosen.
    """
    names = sorted(str(entry) for entry in path.iterdir() if entry.is_file() and _may_be_image(entry))
    return _read(names, f"the folder {path}", inspect, choice)


def read_files(names: Sequence[str], inspect: Callable[[Header], None], choice: Choice = ANY) -> Series:
    """The series that these files are, in any order.

    Raises:
        InputError: damaged files; several series; several images at one place; a place that is missing, or off the
            grid; sizes, spacings, directions, studies, patients or frames of reference that differ; a modality other
            than the chosen one.
        SetupError: pydicom is missing.
    """
    return _read(list(names), f"the list of files in {os.path.dirname(names[0])}", inspect, choice)


def _read(names: list[str], where: str, inspect: Callable[[Header], None], choice: Choice) -> Series:
    headers = _chosen_series(_headers(names), where, choice)
    if choice.modality and (modality := str(value_of(headers[0][1], "Modality") or "")) not in ("", choice.modality):
        raise InputError(
            f"The series in {where} has the modality {modality}, not {choice.modality}: give the T1-weighted "
            f"{choice.modality} series.",
            code="dicom-modality",
        )
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        if len({str(value_of(header, keyword) or "") for _, header in headers}) > 1:
            raise InputError(
                f"The files in {where} differ in their {keyword}, so they are not one series: export it again.",
                code="dicom-differs",
            )
    frames = _chosen_echo([frame for name, header in headers for frame in frames_of(name, header)], choice)
    check_alike(frames)
    grid = fit_grid(frames)
    first = grid.frames[0]
    whole = all(frame.slope == 1.0 and frame.intercept == 0.0 for frame in frames)
    inspect(Header((first.columns, first.rows, len(frames)), grid.spacing, grid.origin, grid.direction, 1, "integer"))
    image, padding = _image(grid, whole)
    voxels = hash_of(image)
    if padding is not None:
        image = _filled(image, padding)
    uid = str(value_of(headers[0][1], "SeriesInstanceUID") or "")
    return Series(image, grid.findings, uid, voxels, _in_order(grid, headers))


def _in_order(grid: Grid, headers: "list[tuple[str, Dataset]]") -> "list[Dataset]":
    by_name = dict(headers)
    return [by_name[name] for name in dict.fromkeys(frame.name for frame in grid.frames)]


def _may_be_image(entry: Path) -> bool:
    return entry.name.lower() not in _NEVER_IMAGES and not entry.name.startswith(".")


def _headers(names: Iterable[str]) -> "list[tuple[str, Dataset]]":
    """The headers of those files that are DICOM images.

    A file that is no DICOM file is left out, if it is called otherwise than those that are: it may be a note. If it
    is called like them it is damaged, and a slice would be missing.
    """
    pydicom = import_pydicom()
    found: list[tuple[str, Dataset]] = []
    others: list[str] = []
    endings: set[str] = set()
    for name in names:
        try:
            header = pydicom.dcmread(name, stop_before_pixels=True, force=_without_preamble(name))
        except OSError:
            raise
        except Exception:  # pydicom raises what its parser stumbles upon
            others.append(name)
            continue
        if not value_of(header, "SOPClassUID") and "Rows" not in header:
            others.append(name)
            continue
        endings.add(Path(name).suffix.lower() if not Path(name).suffix[1:].isdigit() else "")
        if "Rows" in header and "Columns" in header:
            found.append((name, header))
        elif "Image Storage" in pydicom.uid.UID(str(value_of(header, "SOPClassUID") or "")).name:
            others.append(name)  # an image whose header ends before its size
    for name in others:
        ending = Path(name).suffix.lower() if not Path(name).suffix[1:].isdigit() else ""
        if ending in endings or ending in (".dcm", ".ima", ".dicom"):
            raise InputError(
                f"The file {Path(name).name} among the DICOM files is damaged, so a slice may be missing: export the "
                "series again, or take the file away if it is none of it.",
                code="damaged",
            )
    return found


def _without_preamble(name: str) -> bool:
    """Whether a file begins with a data element of group 2 or 8, as DICOM files without a preamble do."""
    with open(name, "rb") as file:
        head = file.read(132)
    return head[128:] != b"DICM" and len(head) > 8 and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0


def _chosen_series(headers: "list[tuple[str, Dataset]]", where: str, choice: Choice) -> "list[tuple[str, Dataset]]":
    if not headers:
        raise InputError(
            f"There is no DICOM image in {where}: give the folder with the files of the T1 series.", code="no-dicom"
        )
    series: dict[str, list[tuple[str, Dataset]]] = {}
    for name, header in headers:
        series.setdefault(str(value_of(header, "SeriesInstanceUID") or ""), []).append((name, header))
    if choice.series:
        chosen = [
            group
            for uid, group in series.items()
            if choice.series in (uid, str(value_of(group[0][1], "SeriesNumber")).strip())
        ]
    else:
        chosen = list(series.values())
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(_series_in_words(group) for group in list(series.values())[:12])
    if not chosen:
        raise InputError(f"No series {choice.series} is in {where}: choose one of {listed}.", code="dicom-series")
    choose = f"choose one with {choice.option} NUMBER (or its UID), or " if choice.option else ""
    raise InputError(
        f"{where[0].upper()}{where[1:]} holds {len(chosen)} DICOM series ({listed}): {choose}put the files of one into "
        "a folder of its own.",
        code="dicom-series",
    )


def _series_in_words(group: "list[tuple[str, Dataset]]") -> str:
    header = group[0][1]
    images = sum(_count_frames(header) for _, header in group)
    name = value_of(header, "SeriesNumber")
    name = value_of(header, "SeriesInstanceUID") or "without a UID" if name in (None, "") else name
    return f"series {name} with {images} image{'s' if images > 1 else ''}"


def _count_frames(header: "Dataset") -> int:
    try:
        return int(value_of(header, "NumberOfFrames") or 1)
    except (ValueError, TypeError):
        return 1


def _chosen_echo(frames: list[Frame], choice: Choice) -> list[Frame]:
    """The frames of one echo. Raises InputError if there are several and none is chosen."""
    times = sorted({frame.echo_time for frame in frames if frame.echo_time is not None})
    distinct = [t for n, t in enumerate(times) if n == 0 or t - times[n - 1] > 0.05]
    if not choice.echo:
        if len(distinct) > 1:
            each = len(frames) / len(distinct)
            raise InputError(
                f"The series holds {len(distinct)} images at each place (echo {_and(distinct)} ms, {each:.0f} slices "
                "each): choose one with --echo TIME.",
                code="dicom-echoes",
            )
        return frames
    try:
        wanted = float(choice.echo)
    except ValueError:
        raise InputError(
            f"{choice.echo!r} is no echo: give its time in ms, such as 2.3.", code="dicom-echoes"
        ) from None
    chosen = [frame for frame in frames if frame.echo_time is not None and abs(frame.echo_time - wanted) <= 0.05]
    if not chosen:
        chosen = [frame for frame in frames if frame.echo_number == wanted]
    if not chosen:
        raise InputError(
            f"No echo {choice.echo} is in the series: it has {_and(distinct) or 'no echo times'} ms.",
            code="dicom-echoes",
        )
    return chosen


def _and(numbers: Sequence[float]) -> str:
    words = [f"{number:g}" for number in numbers]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _image(grid: Grid, whole: bool) -> tuple[sitk.Image, np.ndarray | None]:
    """The volume, integers if no slice is rescaled, else float32; and where the files say that it is padding."""
    values: dict[str, Any] = {}
    planes = []
    padding = []
    for frame in grid.frames:
        if frame.name not in values:
            values = {frame.name: stored_values(frame.name)}  # one file at a time
        stored = values[frame.name][frame.index]
        if stored.shape != (frame.rows, frame.columns):
            raise InputError(f"The slices of {os.path.basename(frame.name)} have another size than it says.")
        padding.append(frame.padding_mask(stored))
        planes.append(stored if whole else (stored * np.float64(frame.slope) + frame.intercept).astype(np.float32))
    array = np.stack(planes)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    if all(mask is None or not mask.any() for mask in padding):
        return image, None
    return image, np.stack([np.zeros(array.shape[1:], bool) if mask is None else mask for mask in padding])


def _filled(image: sitk.Image, padding: np.ndarray) -> sitk.Image:
    """The image with the least of the other values in its padding."""
    if padding.all():
        return image
    array = sitk.GetArrayFromImage(image)
    array[padding] = array[~padding].min()
    filled = sitk.GetImageFromArray(array)
    filled.CopyInformation(image)
    return filled
