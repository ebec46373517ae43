"""The head mask where a head is hard to find: thin scalp over a thick skull, faint scalp, ghosts."""

import numpy as np
import pytest
import SimpleITK as sitk

from decnn.evaluation.overlap import dice
from decnn.intensity import from_zero, head_mask

_SCALP_MM, _SKULL_MM = 3.0, 12.0
_NOISE = 0.03


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    """An egg of 150 x 180 x 170 mm, as a map of the depth under its skin in mm."""
    z, y, x = np.indices((190, 204, 174), np.float32)
    egg = ((x - 87) / 75) ** 2 + ((y - 102) / 90) ** 2 + ((z - 95) / 85) ** 2 <= 1
    image = sitk.GetImageFromArray(egg.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False))


def t1(depth: np.ndarray, scalp: float) -> np.ndarray:
    """A brain of 1 in a skull of 0.05 under a thin scalp, with noise."""
    signal = np.select([depth < 0, depth < _SCALP_MM, depth < _SCALP_MM + _SKULL_MM], [0.0, scalp, 0.05], 1.0)
    rng = np.random.default_rng(0)
    noise = _NOISE * rng.standard_normal((2, *depth.shape), np.float32)
    return np.hypot(signal + noise[0], noise[1]).astype(np.float32)


def found(mr: np.ndarray) -> np.ndarray:
    return sitk.GetArrayFromImage(head_mask(sitk.GetImageFromArray(mr))) > 0


@pytest.mark.parametrize("scalp", [1.3, 0.6, 0.25])
def test_a_thin_scalp_belongs_to_the_head_be_it_bright_or_faint(head, scalp):
    mask = found(t1(head, scalp))
    assert mask[head > 1].all()  # nothing of the skull is lost
    assert not mask[head < -3].any()


def test_a_faint_ghost_does_not_belong_to_it(head):
    mr = t1(head, 0.6)
    ghost = mr + 0.06 * np.roll(mr, 70, axis=1)
    assert dice(found(ghost), found(mr)) > 0.99


@pytest.mark.parametrize("added", [0.2, 0.35, -0.5])
def test_air_that_is_not_0_becomes_0(head, added):
    """Such as of an image that was resampled by sinc, and stored without sign by subtracting its least value."""
    mr = t1(head, 0.6)
    shifted = sitk.GetArrayFromImage(from_zero(sitk.GetImageFromArray(mr + np.float32(added))))
    assert np.abs(np.median(shifted[head < -5]) - np.median(mr[head < -5])) < 0.03
    assert np.median(shifted[head > 20]) == pytest.approx(1.0, abs=0.03)


def test_noise_about_0_is_no_level_of_the_air(head):
    signed = t1(head, 0.6) + 0.08 * np.random.default_rng(1).standard_normal(head.shape, np.float32)
    signed[head < 0] -= np.median(signed[head < 0])
    shifted = sitk.GetArrayFromImage(from_zero(sitk.GetImageFromArray(signed)))
    assert np.median(shifted[head > 20]) == pytest.approx(1.0, abs=0.03)
    assert shifted.min() == 0
