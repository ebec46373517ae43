"""Multi-frame files: frames in any order, doubled, moved, of several echoes and stacks, and slopes that vary."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from attack.case import REFUSED, TAKEN, Maker, Rows
from attack.dicom_folders import head
from dicom_phantom import write_enhanced_mr

Change = Callable[[pydicom.FileDataset], None]


def file_with(change: Change) -> Maker:
    """A multi-frame MR that ``change`` has changed."""

    def make(folder: Path) -> Path:
        path = write_enhanced_mr(folder / "mr.dcm", head())
        file = pydicom.dcmread(path)
        change(file)
        file.save_as(path)
        return path

    return make


def _frames(file: pydicom.FileDataset) -> list[Dataset]:
    return list(file.PerFrameFunctionalGroupsSequence)


def _each(function: Callable[[int, Dataset], None]) -> Change:
    def change(file: pydicom.FileDataset) -> None:
        for number, frame in enumerate(_frames(file)):
            function(number, frame)

    return change


def _move(axis: int, by: Callable[[int], float]) -> Change:
    def shift(number: int, frame: Dataset) -> None:
        place = frame.PlanePositionSequence[0]
        position = [float(x) for x in place.ImagePositionPatient]
        position[axis] += by(number)
        place.ImagePositionPatient = [f"{x:.9g}" for x in position]

    return _each(shift)


def _item(keyword: str, name: str, value: Any) -> Callable[[Dataset], None]:
    def add(frame: Dataset) -> None:
        item = Dataset()
        setattr(item, name, value)
        setattr(frame, keyword, [item])

    return add


def _ordered(order: np.ndarray) -> Change:
    def change(file: pydicom.FileDataset) -> None:
        frames = _frames(file)
        file.PerFrameFunctionalGroupsSequence = [frames[i] for i in order]
        file.PixelData = file.pixel_array[order].tobytes()

    return change


def _twice(tell: Callable[[int, Dataset], None]) -> Change:
    """Every frame two times; ``tell`` makes them differ."""

    def change(file: pydicom.FileDataset) -> None:
        import copy

        array, doubled = file.pixel_array, []
        for frame in _frames(file):
            for number in range(2):
                doubled.append(copy.deepcopy(frame))
                tell(number, doubled[-1])
        file.PerFrameFunctionalGroupsSequence = doubled
        file.NumberOfFrames, file.PixelData = len(doubled), np.repeat(array, 2, axis=0).tobytes()

    return change


def rows() -> Rows:
    rng = np.random.default_rng(0)
    yield "a good file", file_with(lambda file: None), TAKEN
    for number in range(6):
        order = np.arange(20)[::-1] if number == 0 else rng.permutation(20)
        yield "frames in another order", file_with(_ordered(order)), TAKEN
    for by in (0.5, 5.0, 20.0, -38.0):
        yield "half of the frames moved in plane", file_with(_move(0, lambda n, b=by: b * (n >= 10))), "dicom-shifted"
        yield "one frame moved in plane", file_with(_move(1, lambda n, b=by: b * (n == 4))), "dicom-shifted"
        yield "a tilted stack", file_with(_move(1, lambda n, b=by: b * n / 20)), "dicom-shifted"
        yield "a gap", file_with(_move(2, lambda n, b=by: (abs(b) + 1) * (n >= 10))), "dicom-gaps"
    for number in (0, 7, 19):
        yield (
            "two frames at one place",
            file_with(_move(2, lambda n, k=number: (8.0 if k < 19 else -8.0) * (n == k))),
            "dicom-doubled",
        )
        for keyword in ("PlanePositionSequence",):
            yield (
                "a frame without a place",
                file_with(lambda f, n=number, k=keyword: delattr(_frames(f)[n], k)),
                "dicom-place",
            )
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        yield (
            f"no {keyword}",
            file_with(lambda f, k=keyword: delattr(f.SharedFunctionalGroupsSequence[0], k)),
            "dicom-place",
        )
    yield "no functional groups", file_with(lambda f: delattr(f, "PerFrameFunctionalGroupsSequence")), "dicom-place"
    yield "no shared groups", file_with(lambda f: delattr(f, "SharedFunctionalGroupsSequence")), "dicom-place"
    for count in (19, 21, 1, 1000):
        yield (
            "another number of frames than it says",
            file_with(lambda f, c=count: setattr(f, "NumberOfFrames", c)),
            REFUSED,
        )
    for times in ((2.3, 6.9), (4.6, 4.9), (10.0, 90.0)):
        yield (
            "two echoes",
            file_with(_twice(lambda n, frame, t=times: _item("MREchoSequence", "EffectiveEchoTime", t[n])(frame))),
            "dicom-echoes",
        )
    yield (
        "two image types",
        file_with(
            _twice(
                lambda n, frame: _item("MRImageFrameTypeSequence", "FrameType", ["ORIGINAL", "PRIMARY", "MP"[n]])(frame)
            )
        ),
        "dicom-doubled",
    )
    yield (
        "two times",
        file_with(_twice(lambda n, frame: _item("FrameContentSequence", "TemporalPositionIndex", n + 1)(frame))),
        "dicom-doubled",
    )
    yield "every frame twice", file_with(_twice(lambda n, frame: None)), "dicom-doubled"
    for shift in (5.0, 200.0):

        def stacks(number: int, frame: Dataset, shift: float = shift) -> None:
            _item("FrameContentSequence", "StackID", str(1 + number // 10))(frame)
            place = frame.PlanePositionSequence[0]
            x, y, z = (float(v) for v in place.ImagePositionPatient)
            place.ImagePositionPatient = [x, y, z + shift * (number >= 10)]

        yield "two stacks behind each other", file_with(_each(stacks)), "dicom-gaps"
    for axes in ([1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1], [0.9962, 0.0872, 0, -0.0872, 0.9962, 0]):
        yield (
            "a frame of another orientation",
            file_with(lambda f, a=axes: _item("PlaneOrientationSequence", "ImageOrientationPatient", a)(_frames(f)[3])),
            "dicom-orientations",
        )
    for spacing in ([4, 5], [5, 5.5], [0, 0]):
        yield (
            "a frame of another spacing",
            file_with(lambda f, s=spacing: _item("PixelMeasuresSequence", "PixelSpacing", s)(_frames(f)[3])),
            "dicom-differs|dicom-place",
        )
    for low, high in ((0.5, 2.0), (0.88, 1.44), (0.001, 0.01), (1.0, 1.0)):

        def scaled(number: int, frame: Dataset, low: float = low, high: float = high) -> None:
            item = Dataset()
            item.RescaleIntercept, item.RescaleSlope = 0, f"{low + (high - low) * number / 19:.6g}"
            item.RescaleType = "US"
            frame.PixelValueTransformationSequence = [item]

        yield "a slope of each frame", file_with(_each(scaled)), TAKEN
    for share in (0.05, 0.2, 0.5, 0.9, 0.999):
        yield "cut off", _cut(share), "damaged|dicom-place|dicom-series|no-dicom|unreadable"
    for axis in range(3):
        yield "positions that are no numbers", file_with(_broken_place(axis)), "dicom-place|damaged"
    for keyword, value in {"SamplesPerPixel": 3, "Rows": None, "Columns": None, "BitsAllocated": 64}.items():
        yield f"an impossible {keyword}", file_with(lambda f, k=keyword, v=value: setattr(f, k, v)), REFUSED


def _cut(share: float) -> Maker:
    def make(folder: Path) -> Path:
        path = write_enhanced_mr(folder / "mr.dcm", head())
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    return make


def _broken_place(axis: int) -> Change:
    def change(file: pydicom.FileDataset) -> None:
        place = _frames(file)[5].PlanePositionSequence[0]
        position = [float(x) for x in place.ImagePositionPatient]
        position[axis] = float("1e9")
        place.ImagePositionPatient = position

    return change
