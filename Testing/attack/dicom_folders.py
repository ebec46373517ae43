"""DICOM folders of one file a slice: mixed, incomplete, misplaced, malformed, or odd and right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk

from attack.case import REFUSED, TAKEN, Maker, Rows
from dicom_phantom import SERIES, write_mr
from phantom import phantom_head

SIZE, SPACING = (38, 44, 20), (5.0, 5.0, 8.0)
Change = Callable[[list[pydicom.FileDataset]], None]


def head(direction: tuple[float, ...] | None = None) -> sitk.Image:
    """A slab of a head in 20 slices."""
    return sitk.Cast(phantom_head(size=SIZE, spacing=SPACING, direction=direction)[0], sitk.sitkInt16)


def folder_with(change: Change | None = None, **tags: Any) -> Maker:
    """A series whose files ``change`` has changed, in the order of the slices; tags as for ``write_mr``."""

    def make(folder: Path) -> Path:
        series = write_mr(folder / "mr", head(), **tags)
        if change is not None:
            paths = sorted(series.iterdir())
            files = sorted((pydicom.dcmread(path) for path in paths), key=lambda file: file.InstanceNumber)
            change(files)
            for path in paths:
                path.unlink()
            for number, file in enumerate(files):
                file.save_as(series / f"{number:03d}.dcm")
        return series

    return make


def raw_edit(edit: Callable[[bytes], bytes], number: int = 7) -> Maker:
    """A series one of whose files has other bytes."""

    def make(folder: Path) -> Path:
        series = write_mr(folder / "mr", head())
        path = sorted(series.iterdir())[number]
        path.write_bytes(edit(path.read_bytes()))
        return series

    return make


def each(function: Callable[[int, pydicom.FileDataset], None]) -> Change:
    return lambda files: [function(number, file) for number, file in enumerate(files)] and None


def one(function: Callable[[pydicom.FileDataset], None], number: int = 7) -> Change:
    return lambda files: function(files[number])


def set_tag(keyword: str, value: Any) -> Callable[[pydicom.FileDataset], None]:
    return lambda file: setattr(file, keyword, value)


def drop_tag(keyword: str) -> Callable[[pydicom.FileDataset], None]:
    return lambda file: delattr(file, keyword)


def move(axis: int, by: Callable[[int], float]) -> Change:
    def shift(number: int, file: pydicom.FileDataset) -> None:
        position = [float(x) for x in file.ImagePositionPatient]
        position[axis] += by(number)
        file.ImagePositionPatient = [f"{x:.9g}" for x in position]

    return each(shift)


def rows() -> Rows:
    yield from _places()
    yield from _mixed()
    yield from _values()
    yield from _damaged()
    yield from _right()


def _places() -> Rows:
    for by in (0.5, 5.0, 20.0, -20.0):
        yield "half of the stack moved in plane", folder_with(move(0, lambda n, b=by: b * (n >= 10))), "dicom-shifted"
        yield "a tilted gantry", folder_with(move(1, lambda n, b=by: b * n / 20)), "dicom-shifted"
        yield "one slice moved in plane", folder_with(move(1, lambda n, b=by: b * (n == 9))), "dicom-shifted"
    for by in (1.0, 3.0, 20.0):
        yield "half of the stack moved along", folder_with(move(2, lambda n, b=by: b * (n >= 10))), "dicom-gaps"
        yield "growing gaps", folder_with(move(2, lambda n, b=by: b * n * n / 20)), "dicom-gaps"
    for number in (1, 7, 18):
        yield "a missing slice", folder_with(lambda files, n=number: files.pop(n) and None), "dicom-gaps"
        yield "a doubled slice", folder_with(_double(number)), "dicom-doubled"
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        yield f"{keyword} missing everywhere", folder_with(each(lambda _, f, k=keyword: delattr(f, k))), "dicom-place"
        yield f"{keyword} missing in one file", folder_with(one(drop_tag(keyword))), "dicom-place"
        yield f"{keyword} empty in one file", folder_with(one(set_tag(keyword, None))), "dicom-place"
    for text in (b"nan", b"inf", b"1e9", b"tal", b"5,5"):
        yield (
            "a position that is no number",
            raw_edit(_replace(b"ImagePosition", text)),
            "dicom-place|dicom-gaps|damaged",
        )
    for axes in ([0] * 6, [1, 0, 0, 1, 0, 0], [1, 0, 0, 0.5, 0.866, 0], [2, 0, 0, 0, 1, 0], [1, 0, 0, 0.05, 1, 0]):
        yield "axes that span no plane", folder_with(ImageOrientationPatient=axes), "dicom-place"
        yield (
            "axes that span no plane, in one file",
            folder_with(one(set_tag("ImageOrientationPatient", axes))),
            REFUSED,
        )
    for spacing in ([0, 0], [-5, 5], [5, 6]):
        yield "a spacing of one file", folder_with(one(set_tag("PixelSpacing", spacing))), "dicom-place|dicom-differs"
    for keyword, value in {
        "FrameOfReferenceUID": "1.2.3.99",
        "PatientID": "P 9",
        "StudyInstanceUID": "1.2.3.98",
    }.items():
        yield f"another {keyword} in one file", folder_with(one(set_tag(keyword, value))), "dicom-differs"
    turned = [0.9962, 0.0872, 0, -0.0872, 0.9962, 0]
    yield (
        "one slice turned by 5 degrees",
        folder_with(one(set_tag("ImageOrientationPatient", turned))),
        "dicom-orientations",
    )


def _double(number: int) -> Change:
    def change(files: list[pydicom.FileDataset]) -> None:
        import copy

        files.append(copy.deepcopy(files[number]))

    return change


def _replace(_: bytes, text: bytes) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        place = content.index(b"\x20\x00\x32\x00DS") + 8
        return content[:place] + text + content[place + len(text) :]

    return edit


def _mixed() -> Rows:
    other = {"SeriesInstanceUID": f"{SERIES}.9", "SeriesNumber": 9}
    yield (
        "two series",
        folder_with(each(lambda n, f: [setattr(f, k, v) for k, v in other.items()] if n % 2 else None)),
        "dicom-series",
    )
    yield (
        "a series and one file of another",
        folder_with(one(lambda f: [setattr(f, k, v) for k, v in other.items()] and None)),
        "dicom-series",
    )
    for times in ((2.3, 6.9), (4.0, 4.2)):
        yield "two echoes", folder_with(_echoes(times)), "dicom-echoes"
    yield (
        "echoes slice by slice",
        folder_with(each(lambda n, f: setattr(f, "EchoTime", 2.3 if n % 2 else 6.9))),
        "dicom-echoes",
    )
    for axes in ([1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]):
        for count in (1, 3):
            yield (
                "a localizer in the series",
                folder_with(
                    lambda files, a=axes, c=count: (
                        [setattr(f, "ImageOrientationPatient", a) for f in files[:c]] and None
                    )
                ),
                "dicom-orientations",
            )
    for keyword, values in {
        "ImageType": (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
        "TemporalPositionIdentifier": (1, 2),
        "InversionTime": (700, 2500),
        "AcquisitionNumber": (1, 2),
    }.items():
        yield f"two images a place, by {keyword}", folder_with(_twice(keyword, values)), "dicom-doubled"
    for modality in ("CT", "PT", "OT", "SEG"):
        yield f"modality {modality}", folder_with(Modality=modality), "dicom-modality"
    for rows, columns in ((43, 38), (44, 37)):
        yield "one slice of another size", folder_with(_smaller(rows, columns)), "dicom-differs"


def _echoes(times: tuple[float, float]) -> Change:
    return _twice("EchoTime", times)


def _twice(keyword: str, values: tuple[Any, Any]) -> Change:
    def change(files: list[pydicom.FileDataset]) -> None:
        import copy

        for file in list(files):
            setattr(file, keyword, values[0])
            second = copy.deepcopy(file)
            setattr(second, keyword, values[1])
            second.SOPInstanceUID += ".2"
            files.append(second)

    return change


def _smaller(rows: int, columns: int) -> Change:
    def change(files: list[pydicom.FileDataset]) -> None:
        array = files[5].pixel_array[:rows, :columns]
        files[5].Rows, files[5].Columns, files[5].PixelData = rows, columns, array.tobytes()

    return change


def _values() -> Rows:
    yield "colour", folder_with(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "not-scalar"
    yield "inverted grey values", folder_with(PhotometricInterpretation="MONOCHROME1"), "not-scalar"
    yield "a slope of 0", folder_with(RescaleSlope=0, RescaleIntercept=0), "dicom-place"
    for value in (-100, -2000, 32767):

        def pad(_: int, file: pydicom.FileDataset, value: int = value) -> None:
            array = file.pixel_array.copy()
            array[:6], array[:, :5] = value, value
            file.PixelData = array.astype("<i2").tobytes()
            file.add_new("PixelPaddingValue", "SS", value)

        yield f"padding of {value}", folder_with(each(pad)), TAKEN
    for bits in (8, 32):
        yield f"{bits} bits", folder_with(each(_bits(bits))), TAKEN if bits == 32 else f"{TAKEN}|noise|labels|constant"
    yield "bits that cannot be", folder_with(BitsAllocated=12), "damaged"


def _bits(bits: int) -> Callable[[int, pydicom.FileDataset], None]:
    def change(_: int, file: pydicom.FileDataset) -> None:
        array = np.clip(file.pixel_array / (3 if bits == 8 else 1), 0, 255 if bits == 8 else 1 << 30)
        file.BitsAllocated = file.BitsStored = bits
        file.HighBit, file.PixelRepresentation = bits - 1, 0
        file.PixelData = array.astype(f"<u{bits // 8}").tobytes()
        if bits == 8:
            file["PixelData"].VR = "OB"

    return change


def _damaged() -> Rows:
    for share in (0.02, 0.2, 0.5, 0.8, 0.95, 0.999):
        for number in (0, 7, 19):
            yield (
                "a slice cut off",
                raw_edit(lambda c, s=share: c[: int(len(c) * s)], number),
                "damaged|dicom-place|dicom-gaps",
            )
    yield "an empty slice", raw_edit(lambda c: b""), "damaged"
    yield "a slice of junk", raw_edit(lambda c: np.random.default_rng(0).bytes(len(c))), "damaged"
    yield "a slice without voxels", folder_with(one(drop_tag("PixelData"))), "damaged"
    for text in ("", "0", "70000"):
        yield (
            "rows that cannot be",
            folder_with(one(lambda f, t=text: setattr(f, "Rows", int(t) if t and int(t) < 65536 else None))),
            REFUSED,
        )


def _right() -> Rows:
    def named(name: str, content: bytes = b"nothing") -> Maker:
        def make(folder: Path) -> Path:
            series = write_mr(folder / "mr", head())
            (series / name).write_bytes(content)
            return series

        return make

    for name in ("notes.txt", "DICOMDIR", ".DS_Store", "VERSION", "Thumbs.db", "mr.json"):
        yield "something else in the folder", named(name), TAKEN
    yield "an unknown file called like a slice", named("note.dcm"), "damaged"
    for digits in (1, 2, 3):

        def rounded(_: int, file: pydicom.FileDataset, digits: int = digits) -> None:
            file.ImagePositionPatient = [f"{float(x):.{digits}f}" for x in file.ImagePositionPatient]

        yield (
            f"positions rounded to {digits} digits",
            folder_with(lambda files, r=rounded: _rounded(files, r)),
            f"{TAKEN}|dicom-rounded",
        )
    yield (
        "cosines rounded to 3 digits",
        folder_with(ImageOrientationPatient=[1, 0.001, 0, -0.001, 1, 0]),
        f"{TAKEN}|dicom-shifted",
    )
    yield "no modality", folder_with(Modality=None), TAKEN
    for keyword, value in {
        "SeriesNumber": None,
        "PatientName": None,
        "SliceThickness": 99,
        "InstanceNumber": 1,
    }.items():
        yield f"an odd {keyword}", folder_with(each(lambda _, f, k=keyword, v=value: setattr(f, k, v))), TAKEN
    yield "no preamble", _without_preamble, TAKEN


def _rounded(files: list[pydicom.FileDataset], change: Callable[[int, pydicom.FileDataset], None]) -> None:
    for number, file in enumerate(files):
        file.ImagePositionPatient = [
            f"{float(x) + d:.6f}" for x, d in zip(file.ImagePositionPatient, (0.033, 0.071, 0.0), strict=True)
        ]
        change(number, file)


def _without_preamble(folder: Path) -> Path:
    series = write_mr(folder / "mr", head())
    for path in series.iterdir():
        file = pydicom.dcmread(path)
        bare = pydicom.Dataset()
        bare.update(file)
        pydicom.dcmwrite(path, bare, implicit_vr=True, little_endian=True, enforce_file_format=False)
    return series
