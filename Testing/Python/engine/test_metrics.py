"""The metrics against cases computed by hand, and against scikit-image and scipy."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from decnn.errors import InputError
from decnn.evaluation import metrics
from phantom import ct_of, phantom_head

SHAPE = (30, 34, 32)


def ct_pair(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random but smooth synthetic CT, reference and mask."""
    rng = np.random.default_rng(seed)
    reference = uniform_filter(rng.normal(0, 4000, shape), 3) + 100
    ct = reference + uniform_filter(rng.normal(0, 500, shape), 3)
    return ct, reference, uniform_filter(rng.random(shape), 9) > 0.5


def by_hand() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """20 x 20 x 20 voxels: a slab each of air, soft tissue and bone, with errors of +100, -20 and -200 HU."""
    reference = np.zeros((20, 20, 20))
    reference[:5], reference[5:15], reference[15:] = -1000, 40, 1000
    ct = reference.copy()
    ct[:5] += 100
    ct[5:15] -= 20
    ct[15:] -= 200
    return ct, reference, np.ones(reference.shape, bool)


def test_errors_per_tissue_by_hand() -> None:
    scores = metrics.score(*by_hand(), spacing=(1, 1, 1))
    assert scores["mae_hu"] == pytest.approx((5 * 100 + 10 * 20 + 5 * 200) / 20)
    assert scores["me_hu"] == pytest.approx((5 * 100 - 10 * 20 - 5 * 200) / 20)
    assert scores["mae_air_hu"] == pytest.approx(100)
    assert scores["mae_soft_tissue_hu"] == pytest.approx(20)
    assert scores["mae_bone_hu"] == pytest.approx(200)
    assert scores["me_bone_hu"] == pytest.approx(-200)
    assert scores["bone_dice"] == 1.0
    assert scores["bone_surface95_mm"] == 0.0
    mean_square = (5 * 100**2 + 10 * 20**2 + 5 * 200**2) / 20
    assert scores["psnr_db_2023"] == pytest.approx(10 * np.log10(4024**2 / mean_square))
    assert scores["psnr_db_2025"] == pytest.approx(10 * np.log10(4095**2 / mean_square))


def test_only_what_is_in_the_mask_counts() -> None:
    ct, reference, mask = by_hand()
    mask[15:] = False
    scores = metrics.score(ct, reference, mask, spacing=(1, 1, 1))
    assert scores["mae_hu"] == pytest.approx((5 * 100 + 10 * 20) / 15)
    assert [scores[name] for name in ("mae_bone_hu", "bone_dice", "bone_surface95_mm")] == [None, None, None]
    spoiled = ct.copy()
    spoiled[15:] = 3000
    assert metrics.score(spoiled, reference, mask, spacing=(1, 1, 1)) == scores


def test_psnr_clips_to_the_range_of_its_edition() -> None:
    reference, ct = np.full((10, 10, 10), 3050.0), np.full((10, 10, 10), 4000.0)
    mask = np.ones(reference.shape, bool)
    assert metrics.psnr(ct, reference, mask, metrics.RANGE_2023_HU) is None
    assert metrics.psnr(ct, reference, mask, metrics.RANGE_2025_HU) == pytest.approx(20 * np.log10(4095 / 21))


def test_psnr_is_that_of_scikit_image() -> None:
    ct, reference, mask = ct_pair()
    clipped = [np.clip(array, -1024, 3000)[mask] for array in (reference, ct)]
    assert metrics.psnr(ct, reference, mask, metrics.RANGE_2023_HU) == pytest.approx(
        peak_signal_noise_ratio(*clipped, data_range=4024)
    )


def test_ssim_is_that_of_scikit_image() -> None:
    ct, reference, mask = ct_pair()
    prepared = [np.where(mask, np.clip(array, -1024, 3000), -1024) + 1024 for array in (reference, ct)]
    full = structural_similarity(*prepared, data_range=4024, full=True)[1]
    inner = (slice(3, -3),) * 3
    assert metrics.ssim(ct, reference, mask, metrics.RANGE_2023_HU) == pytest.approx(full[inner][mask[inner]].mean())


def ms_ssim_with_scipy(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray) -> float:
    """The definition once more, step by step, with scipy's filters over the whole (padded) array."""
    images = [np.where(mask, np.clip(image, -1024, 3071), -1024) + 1024 for image in (reference, ct)]
    missing = [max(97 - n, 0) for n in mask.shape]
    padding = [(m // 2, m - m // 2) for m in missing]
    x, y, inside = (np.pad(array, padding, mode="edge") for array in (*images, mask))
    c1, c2 = (0.01 * 4095) ** 2, (0.03 * 4095) ** 2
    result = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        ux, uy = uniform_filter(x, 7), uniform_filter(y, 7)
        vx, vy, vxy = (
            343 / 342 * (uniform_filter(product, 7) - means)
            for product, means in ((x * x, ux * ux), (y * y, uy * uy), (x * y, ux * uy))
        )
        sx, sy = np.sqrt(np.maximum(vx, 0)), np.sqrt(np.maximum(vy, 0))
        luminance = (2 * ux * uy + c1) / (ux**2 + uy**2 + c1)
        contrast = np.maximum((2 * sx * sy + c2) / (vx + vy + c2), 0)
        structure = np.maximum((vxy + c2 / 2) / (sx * sy + c2 / 2), 0)
        scale = (luminance**weight * contrast**weight * structure**weight)[3:-3, 3:-3, 3:-3]
        result *= scale[inside[3:-3, 3:-3, 3:-3]].mean()
        x, y = (fftconvolve(image, np.ones((2, 2, 2)) / 8, mode="same")[::2, ::2, ::2] for image in (x, y))
        inside = inside[::2, ::2, ::2]
    return float(result)


def test_ms_ssim_follows_its_definition() -> None:
    shape = (40, 50, 99)  # some axes are padded to 97, one is not
    ct, reference, _ = ct_pair(1, shape)
    mask = np.zeros(shape, bool)
    mask[5:-5, 8:-4, 6:-9] = True
    found = metrics.ms_ssim(ct, reference, mask, metrics.RANGE_2025_HU)
    assert found == pytest.approx(ms_ssim_with_scipy(ct, reference, mask), rel=1e-6)
    assert found is not None and 0 < found < 1


def test_equal_images_are_perfect() -> None:
    _, reference, mask = ct_pair()
    assert metrics.ssim(reference, reference, mask, metrics.RANGE_2023_HU) == pytest.approx(1)
    assert metrics.ms_ssim(reference, reference, mask, metrics.RANGE_2025_HU) == pytest.approx(1)


def test_dice_by_hand() -> None:
    first, second = np.zeros((2, 10), bool)
    first[:6] = True
    second[3:7] = True
    assert metrics.dice(first, second) == pytest.approx(2 * 3 / (6 + 4))
    assert metrics.dice(np.zeros(3, bool), np.zeros(3, bool)) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_surface_distance_of_shifted_plates_is_the_shift_in_mm(axis: int) -> None:
    spacing_xyz = (0.5, 2.0, 3.0)
    plates = []
    for shift in (0, 4):
        plate = np.zeros((20, 20, 20), bool)
        np.moveaxis(plate, axis, 0)[5 + shift] = True
        plates.append(plate)
    assert metrics.surface95(*plates, spacing=spacing_xyz) == pytest.approx(4 * spacing_xyz[2 - axis])


def test_surface_distance_is_the_larger_of_both_directions() -> None:
    small, large = np.zeros((2, 30, 30, 30), bool)
    small[5:8, 5:8, 5:8] = True
    large[5:8, 5:8, 5:8] = True
    large[20:23, 5:8, 5:8] = True
    far = metrics.surface95(small, large, (1, 1, 1))
    assert far == metrics.surface95(large, small, (1, 1, 1)) == 15


def test_body_masks_of_a_head_on_a_table() -> None:
    labels = phantom_head()[1]
    ct = ct_of(labels)
    array = sitk.GetArrayFromImage(ct)
    array[:, 70, 10:50] = 200
    with_table = sitk.GetImageFromArray(array)
    with_table.CopyInformation(ct)
    masks = {name: sitk.GetArrayFromImage(mask) > 0 for name, mask in metrics.body_masks(with_table).items()}
    head = sitk.GetArrayFromImage(labels) > 0
    assert metrics.dice(masks["tight"], head) > 0.97
    assert masks["tight"][sitk.GetArrayFromImage(labels) == 7].all(), "the sinus is inside of the body"
    assert not masks["tight"][:, 70, 10:50].any(), "the table is not part of the body"
    assert (masks["wide"] | ~masks["tight"]).all() and masks["wide"].sum() > 1.3 * masks["tight"].sum()


def test_evaluate_finds_a_known_error() -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    scores = metrics.evaluate(sitk.Cast(reference, sitk.sitkInt16) + 50, reference)
    assert list(scores) == ["tight", "wide"]
    for values in scores.values():
        assert values["mae_hu"] == values["me_hu"] == pytest.approx(50)
        assert values["bone_dice"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ct: ct[:-1, :, :], "different grids"),
        (lambda ct: sitk.Cast(ct, sitk.sitkInt32) + 1024, "not in HU"),
        (lambda ct: ct[:, :, 0], "not a 3D image"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, reason: str) -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    with pytest.raises(InputError, match=reason):
        metrics.evaluate(change(reference), reference)


def test_an_empty_mask_is_refused() -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    with pytest.raises(InputError, match="mask is empty"):
        metrics.evaluate(reference, reference, reference > 5000)
