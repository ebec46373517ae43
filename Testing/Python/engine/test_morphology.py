"""Our faster morphology is SimpleITK's, voxel for voxel: the head mask of training and of use must not change."""

from collections.abc import Callable

import numpy as np
import pytest
import SimpleITK as sitk

from decnn import intensity, morphology


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (morphology.erode, lambda image: sitk.BinaryErode(image, [1] * 3, sitk.sitkBall)),
        (morphology.dilate, lambda image: sitk.BinaryDilate(image, [1] * 3, sitk.sitkBall)),
        (morphology.dilate_by_two, lambda image: sitk.BinaryDilate(image, [2] * 3, sitk.sitkBall)),
        (morphology.opening, lambda image: sitk.BinaryMorphologicalOpening(image, [1] * 3, sitk.sitkBall)),
    ],
    ids=["erode", "dilate", "dilate by two", "opening"],
)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.98])
def test_every_voxel_is_that_of_simpleitk(
    ours: Callable[[np.ndarray], np.ndarray], theirs: Callable[[sitk.Image], sitk.Image], share: float
) -> None:
    # Small arrays are nearly all border, where such things go wrong.
    for shape in ((1, 1, 1), (2, 3, 4), (9, 7, 8), (20, 31, 16)):
        mask = np.random.default_rng(shape[0]).random(shape) < share
        before = mask.copy()
        expected = sitk.GetArrayFromImage(theirs(sitk.GetImageFromArray(mask.astype(np.uint8)))) > 0
        assert (ours(mask) == expected).all()
        assert (mask == before).all()


def test_slices_are_filled_one_by_one_in_each_direction_after_the_other() -> None:
    mask = np.random.default_rng(0).random((12, 15, 17)) < 0.55
    mask[4:9, 4:11, 4:11] = True
    mask[5:8, 5:10, 5:10] = False
    expected = mask.copy()
    for axis in range(3):
        for plane in np.moveaxis(expected, axis, 0):
            plane |= sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(plane.astype(np.uint8)))) > 0
    assert (expected > mask).sum() > 50
    assert (intensity._fill_slices(mask) == expected).all()
