"""What a DICOM file says of each of its images: place, spacing, rescaling, padding, echo.

One image a file says it in its own tags; a multi-frame file (Enhanced MR, PS3.3 A.36) in the functional groups of each
frame, or in those that all frames share.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from decnn.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Frame:
    """One image of a series; lengths in mm, axes in LPS."""

    name: str
    """Path of its file."""
    index: int
    """Its number in the file, from 0."""
    rows: int
    columns: int
    position: np.ndarray
    """Centre of the first voxel, (3,)."""
    axes: np.ndarray
    """Directions of a row and of a column, (2, 3), each of length 1, at right angles."""
    spacing: tuple[float, float]
    """Between columns (x) and between rows (y)."""
    slope: float = 1.0
    intercept: float = 0.0
    thickness: float | None = None
    echo_time: float | None = None
    """ms."""
    echo_number: float | None = None
    padding: tuple[float, float] | None = None
    """Stored values between these are padding."""
    kind: dict[str, str] = field(default_factory=dict)
    """What else tells images at one place apart, by its name: image type, stack, time, ..."""

    def padding_mask(self, stored: np.ndarray) -> np.ndarray | None:
        """Where stored values are padding; None if the file names none."""
        if self.padding is None:
            return None
        return (stored >= self.padding[0]) & (stored <= self.padding[1])


# Names of what may differ between images at one place, and where it is written.
_KINDS = {
    "image type": ("ImageType", "FrameType"),
    "stack": ("StackID",),
    "time": ("TemporalPositionIdentifier", "TemporalPositionIndex"),
    "acquisition": ("AcquisitionNumber",),
    "inversion time": ("InversionTime",),
    "diffusion": ("DiffusionBValue",),
    "trigger time": ("TriggerTime",),
    "content": ("ComplexImageComponent",),
}
_OFF_RIGHT_ANGLE = 2e-3
"""Cosines rounded to three digits are off by so much."""


def value_of(dataset: "Dataset", keyword: str) -> Any:
    """The value of a tag, or the text that is written there where it has another type; None if it is not there."""
    try:
        return dataset.get(keyword)
    except Exception:  # pydicom raises what its parser stumbles upon
        raw = getattr(dataset.get_item(keyword), "value", b"")
        return raw.decode("latin-1").strip() if isinstance(raw, bytes) else str(raw)


def frames_of(name: str, header: "Dataset") -> Iterator[Frame]:
    """The images of a file.

    Raises:
        InputError: no grey values, or a place, direction, spacing or scale that is missing or no number.
    """
    rows, columns = (_whole(value_of(header, keyword), keyword, name) for keyword in ("Rows", "Columns"))
    if _whole(value_of(header, "SamplesPerPixel") or 1, "SamplesPerPixel", name) != 1:
        raise InputError(
            f"{_short(name)} holds a colour image: give the magnitude image of a T1-weighted MR.", code="not-scalar"
        )
    if (kind := str(value_of(header, "PhotometricInterpretation") or "MONOCHROME2")) != "MONOCHROME2":
        raise InputError(
            f"{_short(name)} holds an image of the kind {kind}, where a large value is not bright: export the "
            "series as MONOCHROME2.",
            code="not-scalar",
        )
    count = _whole(value_of(header, "NumberOfFrames") or 1, "NumberOfFrames", name)
    per_frame = list(value_of(header, "PerFrameFunctionalGroupsSequence") or [])
    shared = (list(value_of(header, "SharedFunctionalGroupsSequence") or []) or [None])[0]
    if count > 1 and len(per_frame) != count:
        raise InputError(
            f"{_short(name)} holds {count} images and says of {len(per_frame)} where they lie: convert the series to "
            "one file a slice.",
            code="dicom-place",
        )
    for index in range(count):
        groups = [group for group in (per_frame[index] if per_frame else None, shared) if group is not None]
        yield _frame(name, index, rows, columns, header, groups)


def _frame(name: str, index: int, rows: int, columns: int, header: "Dataset", groups: "list[Dataset]") -> Frame:
    def get(keyword: str) -> Any:
        """A tag from the functional groups of the frame, of all frames, or of the file itself."""
        for group in groups:
            for element in group:
                if element.VR == "SQ" and element.value and keyword in element.value[0]:
                    return value_of(element.value[0], keyword)
        return value_of(header, keyword)

    def numbers(keyword: str, count: int, needed: bool = True) -> list[float]:
        return _numbers(get(keyword), count, keyword, name, needed)

    position = numbers("ImagePositionPatient", 3)
    axes = np.array(numbers("ImageOrientationPatient", 6)).reshape(2, 3)
    spacing = numbers("PixelSpacing", 2)
    if min(spacing) <= 0:
        raise _wrong("PixelSpacing", name, f"is {spacing[0]:g} x {spacing[1]:g}")
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 5 * _OFF_RIGHT_ANGLE:
        raise _wrong("ImageOrientationPatient", name, f"has axes of the lengths {lengths[0]:.3g} and {lengths[1]:.3g}")
    axes = axes / lengths[:, None]
    if abs(float(axes[0] @ axes[1])) > _OFF_RIGHT_ANGLE:
        angle = math.degrees(math.acos(float(np.clip(axes[0] @ axes[1], -1, 1))))
        raise _wrong("ImageOrientationPatient", name, f"has axes at {angle:.1f} degrees to each other")
    slope = numbers("RescaleSlope", 1, needed=False)
    intercept = numbers("RescaleIntercept", 1, needed=False)
    if slope and slope[0] == 0:
        raise _wrong("RescaleSlope", name, "is 0")
    thickness = numbers("SliceThickness", 1, needed=False)
    echo = numbers("EffectiveEchoTime", 1, needed=False) or numbers("EchoTime", 1, needed=False)
    number = numbers("EchoNumbers", 1, needed=False)
    padding = numbers("PixelPaddingValue", 1, needed=False)
    limit = numbers("PixelPaddingRangeLimit", 1, needed=False) or padding
    kind = {}
    for title, keywords in _KINDS.items():
        for keyword in keywords:
            if (value := get(keyword)) not in (None, ""):
                kind[title] = (
                    "\\".join(map(str, value)) if title == "image type" and not isinstance(value, str) else str(value)
                )
                break
    return Frame(
        name=name,
        index=index,
        rows=rows,
        columns=columns,
        position=np.array(position),
        axes=_square(axes),
        spacing=(spacing[1], spacing[0]),
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        thickness=thickness[0] if thickness else None,
        echo_time=echo[0] if echo else None,
        echo_number=number[0] if number else None,
        padding=(min(padding[0], limit[0]), max(padding[0], limit[0])) if padding else None,
        kind=kind,
    )


def _square(axes: np.ndarray) -> np.ndarray:
    """The nearest two directions at right angles (polar decomposition)."""
    left, _, right = np.linalg.svd(axes, full_matrices=False)
    return left @ right


def _numbers(value: object, count: int, keyword: str, name: str, needed: bool = True) -> list[float]:
    """``count`` finite numbers. An empty list if they are not there and not needed."""
    if value is None or value == "" or (hasattr(value, "__len__") and not isinstance(value, str) and not len(value)):
        if needed:
            raise _wrong(keyword, name, "is missing")
        return []
    parts = value.split("\\") if isinstance(value, str) else value if hasattr(value, "__iter__") else [value]
    try:
        result = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise _wrong(keyword, name, "is no number") from None
    if not needed and count == 1 and len(result) > 1 and len(set(result)) == 1:
        result = result[:1]
    if len(result) != count:
        raise _wrong(keyword, name, f"has {len(result)} numbers instead of {count}")
    if not all(abs(number) < 1e6 for number in result):
        raise _wrong(keyword, name, "is no number that can be")
    return result


def _whole(value: object, keyword: str, name: str) -> int:
    number = _numbers(value, 1, keyword, name)[0]
    if number != int(number) or number < 1:
        raise _wrong(keyword, name, f"is {number:g}")
    return int(number)


def _wrong(keyword: str, name: str, how: str) -> InputError:
    return InputError(
        f"{keyword} of {_short(name)} {how}, so nobody can tell where its image lies: export the series again.",
        code="dicom-place",
    )


def _short(name: str) -> str:
    return os.path.basename(name)
