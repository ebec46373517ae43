"""What is in an image that can be read: no head, no MR, two heads, padding, noise, a failed mask."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from attack.case import REFUSED, TAKEN, Case
from phantom import LABELS, ct_of, phantom_head

_SIZE, _SPACING = (64, 76, 62), (3.0, 3.0, 3.0)


@cache
def _phantom() -> tuple[sitk.Image, np.ndarray, np.ndarray]:
    mr, labels = phantom_head(size=_SIZE, spacing=_SPACING)
    return mr, sitk.GetArrayFromImage(mr), sitk.GetArrayFromImage(labels)


def _image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(_SPACING)
    return image


def _noisy(array: np.ndarray, sigma: float = 12.0) -> np.ndarray:
    return np.abs(array + np.random.default_rng(0).normal(0, sigma, array.shape)).astype(np.float32)


def rows() -> Iterator[tuple[str, sitk.Image, str]]:
    """(kind, image, expected)."""
    mr, array, labels = _phantom()
    outside = labels == 0
    z, y, x = (3.0 * (axis - (n - 1) / 2) for axis, n in zip(np.indices(array.shape), array.shape, strict=True))
    yield "a good head", mr, TAKEN
    for factor in (0.1, 10.0, 100.0):
        yield "a good head in another unit", _image(array * factor), TAKEN
    yield "z-scores", _image((array - array.mean()) / array.std()), TAKEN
    rng = np.random.default_rng(0)
    for top in (400, 1000, 4095):
        yield (
            "noise around the head, as of MP2RAGE",
            _image(np.where(outside, rng.uniform(0, top, array.shape), array + top / 4)),
            ("background-noise|noise"),
        )
    for value in (-100, -1024, -2000, 32767):
        padded = sitk.ConstantPad(sitk.Cast(mr, sitk.sitkInt16), [6] * 3, [6] * 3, value)
        yield f"padding of {value} on all sides", padded, "padding"
        yield (
            f"padding of {value} on one side",
            sitk.ConstantPad(sitk.Cast(mr, sitk.sitkInt16), [0] * 3, [9, 0, 0], value),
            "padding",
        )
    yield "a head cut on six sides", _image(array[12:-12, 15:-15, 12:-12]), REFUSED
    for radius in (60.0, 80.0, 88.0):
        ball = x**2 + y**2 + z**2 < radius**2
        yield "a sphere", _image(ball * np.float32(400)), "labels"
        yield "a noisy sphere", _image(_noisy(ball * 400.0)), REFUSED
    box = (abs(x) < 70) & (abs(y) < 85) & (abs(z) < 70)
    yield "a box", _image(box * np.float32(400)), "labels"
    yield "a noisy box", _image(_noisy(box * 400.0)), REFUSED
    yield "a mask", _image((~outside).astype(np.uint8)), "labels"
    yield "a label map", _image(labels.astype(np.uint8)), "labels"
    yield "a label map in large numbers", _image(labels.astype(np.int16) * 100), "labels"
    ct = sitk.GetArrayFromImage(ct_of(phantom_head(size=_SIZE, spacing=_SPACING)[1])).astype(np.float32)
    ct += rng.normal(0, 8, ct.shape).astype(np.float32)
    for name, values in {
        "in HU": ct,
        "plus 1024": ct + 1024,
        "times 0.37": ct * 0.37,
        "times 0.37 plus 380": ct * 0.37 + 380,
        "windowed -160 to 240": np.clip((ct + 160) / 400, 0, 1) * 255,
        "windowed -500 to 1500": np.clip((ct + 500) / 2000, 0, 1) * 255,
        "windowed -1024 to 1500": np.clip((ct + 1024) / 2524, 0, 1) * 255,
        "windowed -200 to 1300": np.clip((ct + 200) / 1500, 0, 1) * 255,
    }.items():
        yield f"a CT {name}", _image(np.rint(values).astype(np.int16)), "looks-like-ct|no-skull|labels"
    yield "two heads apart", _image(np.concatenate([array, array * 0, array], axis=2)), REFUSED
    yield "two heads that touch", _image(np.concatenate([array[:, :, 6:-6]] * 2, axis=2)), REFUSED
    yield "two heads upon each other", _image(np.concatenate([array, array])), REFUSED
    brain = np.isin(labels, [LABELS["csf"], LABELS["grey_matter"], LABELS["white_matter"]])
    for millimetres in (0, 3, 9, 12):
        kept = _grown(brain, millimetres)
        expected = REFUSED if millimetres < 9 else "partly-stripped|skull-stripped|no-skull"
        yield f"a brain with {millimetres} mm around", _image(array * kept), expected
        if millimetres > 3:
            continue
        yield f"a brain with {millimetres} mm around, on noise", _image(_noisy(array * kept, 4.0)), REFUSED
    yield "NaN", _image(np.where(brain, np.nan, array).astype(np.float32)), "not-finite"
    yield "one value", _image(np.full_like(array, 7)), "constant"
    yield "white noise", _image(rng.random(array.shape).astype(np.float32)), "noise"
    yield "noise of air", _image(rng.rayleigh(5, array.shape).astype(np.float32)), "noise"


def _grown(mask: np.ndarray, millimetres: float) -> np.ndarray:
    if not millimetres:
        return mask
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryDilate(image, [round(millimetres / 3)] * 3)) > 0


def cases() -> Iterator[Case]:
    for kind, image, expected in rows():

        def attempt(_: Path, image: sitk.Image = image) -> list[str]:
            from decnn.checks.head import examine
            from decnn.errors import raise_errors

            findings = examine(image)
            raise_errors(findings)
            return [finding.code for finding in findings]

        yield Case("contents", kind, attempt, expected)
