"""Each input that no CT can be made of is found out, by its own code; a good head passes without a word."""

from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk

from decnn.checks.image import check_head, check_image
from decnn.errors import Finding, InputError, raise_errors
from phantom import ct_of, phantom_head

RNG = np.random.default_rng(0)


def volume(array: np.ndarray, spacing: tuple[float, float, float] = (3, 3, 3)) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(spacing)
    return image


def spoiled_head(value: float) -> sitk.Image:
    mr = phantom_head()[0]
    mr[30, 30, 30] = value
    return mr


def background_with_specks() -> sitk.Image:
    array = np.zeros((64, 64, 64), np.float32)
    array.reshape(-1)[RNG.integers(0, array.size, 40)] = 500
    return volume(array)


def with_spacing(*spacing: float) -> sitk.Image:
    mr = phantom_head()[0]
    mr.SetSpacing(spacing)
    return mr


BLOCKED: dict[str, tuple[str, Callable[[], sitk.Image]]] = {
    "2D": ("not-3d", lambda: sitk.Image([256, 256], sitk.sitkFloat32)),
    "4D": ("not-3d", lambda: sitk.Image([32, 32, 32, 3], sitk.sitkFloat32)),
    "vector": ("not-scalar", lambda: sitk.Image([64, 64, 64], sitk.sitkVectorFloat32, 3)),
    "complex": ("not-scalar", lambda: sitk.Image([64, 64, 64], sitk.sitkComplexFloat32)),
    "15 slices": ("few-slices", lambda: phantom_head(size=(64, 72, 15), spacing=(3, 3, 10))[0]),
    "one slice": ("few-slices", lambda: phantom_head()[0][:, :, 30:31]),
    "metres": ("spacing", lambda: with_spacing(0.003, 0.003, 0.003)),
    "thickness 0.001": ("spacing", lambda: with_spacing(3, 3, 0.001)),
    "a finger": ("extent", lambda: with_spacing(0.5, 0.5, 0.5)),
    "a whole body": ("extent", lambda: with_spacing(9.9, 9.9, 9.9)),
    "NaN": ("not-finite", lambda: spoiled_head(float("nan"))),
    "beyond float32": ("not-finite", lambda: sitk.Cast(spoiled_head(1), sitk.sitkFloat64) * 1e200),
    "infinite": ("not-finite", lambda: spoiled_head(float("inf"))),
    "zeros": ("constant", lambda: volume(np.zeros((64, 64, 64), np.int16))),
    "ones": ("constant", lambda: volume(np.ones((64, 64, 64), np.float32))),
    "specks on background": ("noise", background_with_specks),
    "uniform noise": ("noise", lambda: volume(RNG.random((64, 64, 64)))),
    "noise of air": ("noise", lambda: volume(RNG.rayleigh(5, (64, 64, 64)).astype(np.int16))),
    "CT": ("looks-like-ct", lambda: ct_of(phantom_head()[1])),
    "CT plus 1000": ("looks-like-ct", lambda: ct_of(phantom_head()[1]) + 1000),
    "CT plus 1024": ("looks-like-ct", lambda: ct_of(phantom_head()[1]) + 1024),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_an_unusable_image_is_an_error_with_its_own_code(name: str) -> None:
    code, make = BLOCKED[name]
    findings = check_image(make())
    assert [(finding.severity, finding.code) for finding in findings] == [("error", code)]
    with pytest.raises(InputError, match=": "):
        raise_errors(findings)


@pytest.mark.parametrize("pixel_type", [sitk.sitkUInt8, sitk.sitkInt16, sitk.sitkUInt16, sitk.sitkFloat64])
def test_a_head_passes_in_every_pixel_type(pixel_type: int) -> None:
    mr = sitk.Cast(phantom_head()[0] * 0.4, pixel_type)
    assert check_image(mr) == []


def test_a_removed_face_is_no_drawing() -> None:
    """Its zeros are a flat piece, below an air that has a value of its own: as in MNI152, defaced."""
    mr, labels = phantom_head()
    array = np.where(sitk.GetArrayFromImage(labels) == 0, 30.0, sitk.GetArrayFromImage(mr) + 60.0)
    array[:40, :30] = 0.0
    assert check_image(volume(array)) == []
    drawing = volume(np.where(sitk.GetArrayFromImage(labels) == 0, 2, sitk.GetArrayFromImage(labels) % 2))
    assert [finding.code for finding in check_image(drawing)] == ["labels"], "objects darker than what is around them"


@pytest.mark.parametrize("white_matter", [100, 600, 1000, 1064, 1500])
def test_no_scale_makes_a_t1_look_like_a_ct(white_matter: float) -> None:
    assert check_image(phantom_head()[0] * (white_matter / 400)) == []
    assert check_image(phantom_head()[0] * (white_matter / 400) - 1000) == []


@pytest.mark.parametrize(
    ("size", "spacing", "code"), [((64, 72, 40), (3, 3, 5), "thick-slices"), ((64, 72, 30), (3, 3, 3), "field-of-view")]
)
def test_what_makes_a_ct_worse_is_a_warning_and_does_not_block(
    size: tuple[int, int, int], spacing: tuple[float, float, float], code: str
) -> None:
    findings = check_image(phantom_head(size=size, spacing=spacing)[0])
    assert [(finding.severity, finding.code) for finding in findings] == [("warning", code)]
    raise_errors(findings)


def test_sixteen_slices_are_enough() -> None:
    findings = check_image(phantom_head(size=(64, 72, 16), spacing=(3, 3, 6))[0])
    assert {finding.severity for finding in findings} == {"warning"}


def ball(radius: float, size: int = 180) -> np.ndarray:
    return (((np.indices((size, size, size)) - size / 2) ** 2).sum(axis=0) < radius**2).astype(np.uint8)


def test_a_head_has_the_volume_and_the_contrast_of_a_head() -> None:
    head = ball(80)
    assert check_head(head * 400.0 + 5, head) == []
    assert [finding.code for finding in check_head(ball(40) * 400.0, ball(40))] == ["no-head"]
    assert [finding.code for finding in check_head(head * 40.0 + 100, head)] == ["no-head"]
    everywhere = np.ones_like(head)
    assert [finding.code for finding in check_head(everywhere * 400.0, everywhere)] == ["no-head"]


def test_the_first_error_is_the_one_that_is_raised() -> None:
    findings = [Finding("warning", "a", "Careful."), Finding("error", "b", "Stop: do b."), Finding("error", "c", "No.")]
    with pytest.raises(InputError, match="Stop: do b."):
        raise_errors(findings)
