"""The metrics against cases computed by hand, and against scikit-image and scipy."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from decnn.errors import InputError
from decnn.evaluation import masks, metrics, overlap, structure
from decnn.evaluation.compare import compare
from decnn.evaluation.score import as_row, score_images
from decnn.evaluation.water import stopping_power, thickness_errors
from decnn.hu import RANGE_2023_HU, RANGE_2025_HU
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
    assert structure.psnr(ct, reference, mask, RANGE_2023_HU) is None
    assert structure.psnr(ct, reference, mask, RANGE_2025_HU) == pytest.approx(20 * np.log10(4095 / 21))


def test_psnr_is_that_of_scikit_image() -> None:
    ct, reference, mask = ct_pair()
    clipped = [np.clip(array, -1024, 3000)[mask] for array in (reference, ct)]
    assert structure.psnr(ct, reference, mask, RANGE_2023_HU) == pytest.approx(
        peak_signal_noise_ratio(*clipped, data_range=4024)
    )


def test_ssim_is_that_of_scikit_image() -> None:
    ct, reference, mask = ct_pair()
    prepared = [np.where(mask, np.clip(array, -1024, 3000), -1024) + 1024 for array in (reference, ct)]
    full = structural_similarity(*prepared, data_range=4024, full=True)[1]
    inner = (slice(3, -3),) * 3
    assert structure.ssim(ct, reference, mask, RANGE_2023_HU) == pytest.approx(full[inner][mask[inner]].mean())


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
    found = structure.ms_ssim(ct, reference, mask, RANGE_2025_HU)
    assert found == pytest.approx(ms_ssim_with_scipy(ct, reference, mask), rel=1e-6)
    assert found is not None and 0 < found < 1


def test_equal_images_are_perfect() -> None:
    _, reference, mask = ct_pair()
    assert structure.ssim(reference, reference, mask, RANGE_2023_HU) == pytest.approx(1)
    assert structure.ms_ssim(reference, reference, mask, RANGE_2025_HU) == pytest.approx(1)


def test_dice_by_hand() -> None:
    first, second = np.zeros((2, 10), bool)
    first[:6] = True
    second[3:7] = True
    assert overlap.dice(first, second) == pytest.approx(2 * 3 / (6 + 4))
    assert overlap.dice(np.zeros(3, bool), np.zeros(3, bool)) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_surface_distance_of_shifted_plates_is_the_shift_in_mm(axis: int) -> None:
    spacing_xyz = (0.5, 2.0, 3.0)
    plates = []
    for shift in (0, 4):
        plate = np.zeros((20, 20, 20), bool)
        np.moveaxis(plate, axis, 0)[5 + shift] = True
        plates.append(plate)
    assert overlap.surface95(*plates, spacing=spacing_xyz) == pytest.approx(4 * spacing_xyz[2 - axis])


def test_surface_distance_is_the_larger_of_both_directions() -> None:
    small, large = np.zeros((2, 30, 30, 30), bool)
    small[5:8, 5:8, 5:8] = True
    large[5:8, 5:8, 5:8] = True
    large[20:23, 5:8, 5:8] = True
    far = overlap.surface95(small, large, (1, 1, 1))
    assert far == overlap.surface95(large, small, (1, 1, 1)) == 15


def test_body_masks_of_a_head_on_a_table() -> None:
    labels = phantom_head()[1]
    ct = ct_of(labels)
    array = sitk.GetArrayFromImage(ct)
    array[:, 70, 10:50] = 200
    with_table = sitk.GetImageFromArray(array)
    with_table.CopyInformation(ct)
    bodies = {name: sitk.GetArrayFromImage(mask) > 0 for name, mask in masks.body_masks(with_table).items()}
    head = sitk.GetArrayFromImage(labels) > 0
    assert overlap.dice(bodies["tight"], head) > 0.97
    assert bodies["tight"][sitk.GetArrayFromImage(labels) == 7].all(), "the sinus is inside of the body"
    assert not bodies["tight"][:, 70, 10:50].any(), "the table is not part of the body"
    assert (bodies["wide"] | ~bodies["tight"]).all() and bodies["wide"].sum() > 1.3 * bodies["tight"].sum()


def test_evaluate_finds_a_known_error() -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    scores = score_images(sitk.Cast(reference, sitk.sitkInt16) + 50, reference)
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
        score_images(change(reference), reference)


def test_an_empty_mask_is_refused() -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    with pytest.raises(InputError, match="mask is empty"):
        score_images(reference, reference, reference > 5000)


def test_padding_of_the_reference_is_air_for_every_caller() -> None:
    """An offset of 20 HU, and a border of -3024 HU such as scanners write."""
    ct = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    padded = sitk.GetArrayFromImage(ct) + 20
    padded[:, :4, :] = -3024
    reference = sitk.GetImageFromArray(padded)
    reference.CopyInformation(ct)
    scores = score_images(ct, reference)
    assert scores["wide"]["mae_hu"] < 25
    assert scores == compare(ct, reference).scores
    row = as_row(scores)
    assert row["mae_hu"] == row["mae_hu_tight"] and row["mae_hu_wide"] == scores["wide"]["mae_hu"]


def test_every_metric_has_a_key_of_its_own_and_tables_use_its_digits() -> None:
    assert len({metric.key for metric in metrics.METRICS}) == len(metrics.METRICS)
    assert set(metrics.score(*by_hand())) == {metric.key for metric in metrics.metrics_of(3)}
    rows = [{"case": "a", "mae_hu_tight": 12.345, "bone_dice": 0.98765, "wet_error_mm": None}]
    table = metrics.markdown(rows, ("case", "mae_hu_tight", "bone_dice", "wet_error_mm"))
    assert table.splitlines()[-1] == "| a | 12.3 | 0.988 | - |"


def test_a_slice_has_the_metrics_of_two_dimensions() -> None:
    ct, reference, mask = (array[15] for array in ct_pair())
    scores = metrics.score(ct, reference, mask)
    prepared = [np.where(mask, np.clip(array, -1024, 3000), -1024) + 1024 for array in (reference, ct)]
    full = structural_similarity(*prepared, data_range=4024, full=True)[1]
    inner = (slice(3, -3),) * 2
    assert scores["ssim_2d_2023"] == pytest.approx(full[inner][mask[inner]].mean())
    assert "ssim_2023" not in scores and "bone_surface95_mm" not in scores
    whole = metrics.score(np.repeat(ct[None], 9, 0), np.repeat(reference[None], 9, 0), np.repeat(mask[None], 9, 0))
    same = ("mae_hu", "me_hu", "psnr_db_2023", "bone_dice", "bone_precision", "bone_recall", "wet_error_mm")
    assert [scores[key] for key in same] == pytest.approx([whole[key] for key in same], rel=1e-4)


def test_bone_precision_and_recall_by_hand() -> None:
    reference, ct = np.zeros((2, 10, 10, 10))
    reference[:4], ct[2:8] = 1000, 1000
    scores = metrics.score(ct, reference, np.ones(ct.shape, bool), keys=("bone_precision", "bone_recall"))
    assert scores == {"bone_precision": pytest.approx(2 / 6), "bone_recall": pytest.approx(2 / 4)}


def test_stopping_power_is_the_curve_of_schneider_1996() -> None:
    hu = np.array([-1024, -1000, -500, 0, 41.46, 1000, 2000])
    expected = [0.00106, 0.00106, 0.50053, 1, 1.04867, 1.529, 2.0301]
    np.testing.assert_allclose(stopping_power(hu), expected, atol=2e-5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.2, 3.0)])
def test_water_equivalent_thickness_of_a_slab_by_hand(spacing: tuple[float, ...]) -> None:
    """A disc of water, 100 mm wide, with 10 HU too much: every beam is wrong by its way times 0.01174 / 100."""
    shape = (7, round(120 / spacing[1]), round(120 / spacing[0]))
    y, x = ((np.arange(n) - (n - 1) / 2) * s for n, s in ((shape[1], spacing[1]), (shape[2], spacing[0])))
    disc = np.broadcast_to(np.hypot(*np.meshgrid(y, x, indexing="ij")) < 50, shape)
    reference = np.where(disc, 0.0, -1000.0)
    errors = thickness_errors(reference + 10 * disc, reference, disc, spacing)
    ways = errors / (10 * 0.001174)
    # The mean way through a disc of diameter d is pi d / 4, the longest is d; ways under 20 mm do not count.
    assert ways.max() == pytest.approx(100, rel=0.03) and ways.min() >= 19.9
    assert ways.mean() == pytest.approx(np.pi * 100 / 4, rel=0.04)
    assert thickness_errors(reference, reference, np.zeros(shape, bool), spacing).size == 0


def test_vault_and_base_are_counted_from_the_vertex() -> None:
    body = np.zeros((200, 4, 4), bool)
    body[10:190, 1:3, 1:3] = True  # the vertex is slice 189
    parts = masks.levels(body)
    assert np.flatnonzero(parts["vault"].any(axis=(1, 2))).tolist() == list(range(110, 190))
    assert np.flatnonzero(parts["base"].any(axis=(1, 2))).tolist() == list(range(40, 110))
    assert list(masks.levels(body[60:])) == ["vault"], "a head that is cut at the skull base has no base"
