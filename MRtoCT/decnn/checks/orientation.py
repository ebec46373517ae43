"""Is it a head, and does it lie as the file says: upright, face to the front? Told by its middle sagittal slice.

Left and right look alike, so nobody can tell them apart by the anatomy: a mirrored head passes.
"""

import base64
import itertools
import zlib
from functools import cache

import numpy as np
import SimpleITK as sitk

from decnn.checks.sagittal_template import PICTURE, SHAPE
from decnn.checks.turn_network import HEAD_ROWS, framed, scores

STEP_MM = 4
# The slab around the middle that is averaged, in voxels on each side: what lies off the middle is blurred.
_HALF_SLAB = 2
# Above it, in units of tissue, all is alike: fat would else hide the rest. For likeness fat is tissue like any other.
_BRIGHTEST, _TISSUE = 1.5, 1.0
_MOST_SHIFT = 12
# A second head below the first one is no lower, in pixels.
_SECOND_ROWS = 34
_LEAST_PIXELS = 900
_LEAST_EXTENT_MM = 100
TURNS = {
    "": (1, 1),
    "back to front": (1, -1),
    "upside down": (-1, 1),
    "upside down and back to front": (-1, -1),
}
"""How a head may lie along the axes: the steps through the rows (up) and the columns (back) of the picture."""


def turned(mr: np.ndarray, head: np.ndarray) -> tuple[str, float]:
    """How a head lies, and how clearly.

    Args:
        mr: canonical MR, (z, y, x), in voxels of 2 mm. head: bool, the same shape.

    Returns:
        A key of TURNS; the logarithm of the odds that it lies so and not as the file has it ("": and not in any other
        way). ("", 0) for a slab in which too little of a head is seen.
    """
    if not _is_seen(head):
        return "", 0.0
    as_it_lies, *others = scores(views(*middle(mr, head)))
    best = int(np.argmax(others))
    name = list(TURNS)[1 + best] if others[best] > as_it_lies else ""
    return name, abs(float(others[best] - as_it_lies))


def likeness(mr: np.ndarray, head: np.ndarray) -> tuple[float, float]:
    """How much it is like a head, however it lies, and how much what lies below that head is like a second one.

    Args:
        mr, head: as in ``turned``.

    Returns:
        Two correlations with the template; (1, 0) for a slab in which too little of a head is seen. The head is looked
        for below the vertex: a long neck does not count.
    """
    if not _is_seen(head):
        return 1.0, 0.0
    picture = middle_slice(mr, head, _TISSUE)
    rows = np.flatnonzero(head.any(axis=(1, 2))) // 2
    bottom, end = int(rows[0]), min(int(rows[-1]) + 1, len(picture))
    like, below = -1.0, 0.0
    for up, back in TURNS.values():
        low, high = (bottom, end) if up > 0 else (len(picture) - end, len(picture) - bottom)
        neck = max(low, high - HEAD_ROWS)
        like = max(like, _correlation(picture[::up, ::back][neck:high], _TISSUE))
        if (up, back) == TURNS[""] and neck - low >= _SECOND_ROWS:
            below = _correlation(picture[low:neck], _TISSUE)
    return like, below


def _is_seen(head: np.ndarray) -> bool:
    heights, _, columns = np.nonzero(head)
    return bool(heights.size and min(np.ptp(heights), np.ptp(columns)) * 2 >= _LEAST_EXTENT_MM)


def middle(mr: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of the sagittal slices around the middle, and the head in it (bool): (z, y), in pixels of STEP_MM."""
    slab, inside = _slab(mr, head)
    return slab.mean(axis=2), inside.mean(axis=2) > 0.5


def views(picture: np.ndarray, head: np.ndarray) -> np.ndarray:
    """What the network sees of ``middle()``, turned in each way of TURNS: (4, SIZE, SIZE)."""
    return np.stack([framed(picture[::up, ::back], head[::up, ::back]) for up, back in TURNS.values()])


def middle_slice(mr: np.ndarray, head: np.ndarray, brightest: float = _BRIGHTEST) -> np.ndarray:
    """The same picture in units of tissue, of which nothing is brighter than ``brightest``; zeros without a head."""
    slab, inside = _slab(mr, head)
    if not inside.any():
        return np.zeros(slab.shape[:2], np.float32)
    return np.clip(slab, 0.0, brightest).mean(axis=2)


def _slab(mr: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sagittal slices around the head's middle, in units of tissue, and the head in them."""
    coarse, share = (
        sitk.GetArrayFromImage(sitk.BinShrink(sitk.GetImageFromArray(part.astype(np.float32)), [2, 2, 2]))
        for part in (mr, head)
    )
    inside = share > 0.5
    if not inside.any():
        return coarse, inside
    columns = np.flatnonzero(inside.any(axis=(0, 1)))
    middle = round((int(columns[0]) + int(columns[-1])) / 2)
    slab = slice(max(0, middle - _HALF_SLAB), middle + _HALF_SLAB + 1)
    tissue = max(float(np.percentile(coarse[inside], 75)), 1e-6)
    return coarse[:, :, slab] / tissue, inside[:, :, slab]


@cache
def template() -> np.ndarray:
    """The mean picture of measured heads, (z, y); NaN where too few of them show anything."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(PICTURE)), np.uint8).reshape(SHAPE).astype(np.float32)
    return np.where(levels == 255, np.nan, levels / 160.0)


def correlation(picture: np.ndarray, other: np.ndarray, step: int = 1) -> tuple[float, tuple[int, int]]:
    """The best correlation of two pictures over shifts, where both are known (not NaN), and the shift of the first."""
    rows, columns = (max(a, b) for a, b in zip(picture.shape, other.shape, strict=True))
    first, second = (_centred(image, (rows, columns)) for image in (picture, other))
    best = (-1.0, (0, 0))
    for up, back in itertools.product(range(-_MOST_SHIFT, _MOST_SHIFT + 1, step), repeat=2):
        a, b = first[_part(up, rows), _part(back, columns)], second[_part(-up, rows), _part(-back, columns)]
        known = np.isfinite(a) & np.isfinite(b)
        if known.sum() < _LEAST_PIXELS:
            continue
        x, y = a[known], b[known]
        spread = float(x.std() * y.std())
        value = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 0 else -1.0
        if value > best[0]:
            best = (value, (up, back))
    return best


def _correlation(picture: np.ndarray, brightest: float = _BRIGHTEST) -> float:
    return correlation(picture, np.minimum(template(), np.float32(brightest)), step=2)[0]


def _centred(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    canvas = np.full(shape, np.nan, np.float32)
    top, left = ((n - m) // 2 for n, m in zip(shape, picture.shape, strict=True))
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def _part(shift: int, length: int) -> slice:
    return slice(max(0, shift), length + min(0, shift))
