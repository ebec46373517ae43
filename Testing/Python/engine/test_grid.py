"""The way to the canonical grid and back loses no geometry, whatever the grid."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decnn.errors import InputError
from decnn.grid import canonical_grid, from_canonical, to_canonical
from decnn.hu import AIR_HU

AXIS_ORDERS = [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)]


@st.composite
def grids(draw: st.DrawFn) -> sitk.Image:
    """An empty image on a random grid: oblique, anisotropic, axes in any order and flipped, any origin."""
    spacing = [draw(st.floats(0.4, 4.0)) for _ in range(3)]
    extent = [draw(st.floats(24.0, 40.0)) for _ in range(3)]
    image = sitk.Image([max(8, round(e / s)) for e, s in zip(extent, spacing, strict=True)], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin([draw(st.floats(-500, 500)) for _ in range(3)])
    axes = np.eye(3)[list(draw(st.sampled_from(AXIS_ORDERS)))] * [draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)]
    rotation = sitk.Euler3DTransform()
    if draw(st.booleans()):
        # Whole microradians: ITK's singular value decomposition fails on subnormal numbers, which no scanner writes.
        rotation.SetRotation(*(draw(st.integers(-800_000, 800_000)) * 1e-6 for _ in range(3)))
    image.SetDirection((np.array(rotation.GetMatrix()).reshape(3, 3) @ axes).ravel().tolist())
    return image


def with_marker(grid: sitk.Image, share: list[float]) -> tuple[sitk.Image, np.ndarray]:
    """The grid with a bright blob at a place (shares of the size, 0.3 to 0.7), and that place in mm."""
    index = np.array([share[axis] * (n - 1) for axis, n in enumerate(grid.GetSize())])
    point = np.array(grid.TransformContinuousIndexToPhysicalPoint(index.tolist()))
    offset = np.indices(grid.GetSize()[::-1])[::-1].reshape(3, -1) - index[:, None]
    squared_mm = ((np.array(grid.GetSpacing())[:, None] * offset) ** 2).sum(axis=0)
    sigma = max(1.0, 0.7 * max(grid.GetSpacing()))
    blob = 1000 * np.exp(-squared_mm / (2 * sigma**2)).astype(np.float32)
    image = sitk.GetImageFromArray(blob.reshape(grid.GetSize()[::-1]))
    image.CopyInformation(grid)
    return image, point


def place_of_marker(image: sitk.Image) -> np.ndarray:
    """Centre of mass in mm of what is brighter than a tenth."""
    array = sitk.GetArrayFromImage(image).astype(np.float64)
    weight = np.where(array > 100, array, 0)
    k, j, i = (np.average(axis, weights=weight) for axis in np.indices(array.shape))
    return np.array(image.TransformContinuousIndexToPhysicalPoint((i, j, k)))


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(grids(), st.lists(st.floats(0.3, 0.7), min_size=3, max_size=3))
def test_every_grid_comes_back_exactly_and_a_marker_stays_within_half_a_voxel(
    grid: sitk.Image, share: list[float]
) -> None:
    image, point = with_marker(grid, share)
    canonical = to_canonical(image)
    assert canonical.GetSpacing() == (1, 1, 1)
    assert canonical.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert np.abs(place_of_marker(canonical) - point).max() < 0.5

    back = from_canonical(canonical + float(AIR_HU), image)
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(back, what)() == getattr(image, what)()
    found, wanted = (
        np.array(image.TransformPhysicalPointToContinuousIndex(place.tolist()))
        for place in (place_of_marker(back - float(AIR_HU)), point)
    )
    assert np.abs(found - wanted).max() < 0.5


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(grids())
def test_the_canonical_grid_covers_the_whole_field_of_view(grid: sitk.Image) -> None:
    canonical = to_canonical(grid + 7.0, background=7.0)
    assert sitk.GetArrayFromImage(from_canonical(canonical, grid)) == pytest.approx(7.0, abs=1e-3)


def test_an_image_on_canonical_axes_keeps_its_grid_and_values() -> None:
    image = sitk.GetImageFromArray(np.random.default_rng(0).random((20, 30, 25), np.float32))
    image.SetOrigin((-3.25, 117.5, 1e3 / 3))
    canonical = to_canonical(image)
    assert canonical.GetSize() == image.GetSize()
    assert canonical.GetOrigin() == pytest.approx(image.GetOrigin(), abs=1e-9)
    assert np.allclose(sitk.GetArrayFromImage(canonical), sitk.GetArrayFromImage(image), atol=1e-6)


def test_detail_finer_than_the_canonical_grid_does_not_alias() -> None:
    checkerboard = (np.indices((80, 80, 80)).sum(axis=0) % 2).astype(np.float32)
    image = sitk.GetImageFromArray(checkerboard)
    image.SetSpacing((0.5, 0.5, 0.5))
    inner = sitk.GetArrayFromImage(to_canonical(image))[5:-5, 5:-5, 5:-5]
    assert inner == pytest.approx(0.5, abs=0.05)


def test_outside_the_canonical_grid_there_is_air() -> None:
    small = sitk.Image([20, 20, 20], sitk.sitkFloat32)
    large = sitk.Image([40, 20, 20], sitk.sitkFloat32)
    back = sitk.GetArrayFromImage(from_canonical(small, large))
    assert (back[:, :, :20] == 0).all()
    assert (back[:, :, 21:] == AIR_HU).all()


def test_an_absurd_field_of_view_is_refused_before_memory_is_taken() -> None:
    image = sitk.Image([20, 20, 20], sitk.sitkUInt8)
    image.SetSpacing((40, 40, 40))
    with pytest.raises(InputError, match="too large"):
        canonical_grid(image)
