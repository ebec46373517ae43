"""training/: heads from files, and pairs from heads."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from training.experiments import check_rates as findings
from training.heads import ct_heads, labelled_heads
from training.heads.head import Tissue, distance_inside
from training.simulation.acquisition import coil_sensitivity, echo, random_echo, thick_slices
from training.simulation.anatomy import draw_hu, vary_skull
from training.simulation.contrast import TYPICAL_CONTRAST, tissue_signal
from training.simulation.fields import sample_labels
from training.simulation.simulate import place_head, simulate
from training.simulation.warp import random_warp


def test_labels_become_tissues_and_enclosed_air_a_cavity(labelled):
    counts = np.bincount(labelled.tissue.ravel(), minlength=len(Tissue))
    for tissue in (Tissue.AIR, Tissue.CAVITY, Tissue.SOFT, Tissue.BONE, Tissue.CSF, Tissue.GREY, Tissue.WHITE):
        assert counts[tissue] > 0, tissue.name
    assert (labelled.bone_depth[labelled.tissue == Tissue.BONE] >= 0).all()


def test_a_ct_loses_its_table_and_gets_a_brain(data, labelled):
    head = ct_heads.read_head(data, "cranium", labelled)
    assert (head.tissue[:, 154:157] == Tissue.AIR).all() and (head.hu[:, 154:157] == -1000).all()
    truth = labelled.tissue == Tissue.BONE
    found = head.tissue == Tissue.BONE
    # Interpolation from 2.25 mm widens what is above the threshold by part of a voxel.
    assert (found & truth).sum() > 0.95 * truth.sum() and found.sum() < 1.3 * truth.sum()
    brain = np.isin(labelled.tissue, (Tissue.GREY, Tissue.WHITE))
    assert np.isin(head.tissue[brain], (Tissue.CSF, Tissue.DURA, Tissue.GREY, Tissue.WHITE)).mean() > 0.95
    assert (head.tissue == Tissue.WHITE).sum() > 0.5 * (labelled.tissue == Tissue.WHITE).sum()


def test_fat_lies_in_the_ct_where_the_labels_have_it(labelled):
    fat = np.zeros(labelled.tissue.shape, np.float32)
    fat[..., : fat.shape[2] // 2] = 1.0
    hu = draw_hu(replace(labelled, fat=fat), np.random.default_rng(0))
    deep = (distance_inside(labelled.tissue == Tissue.SOFT) > 1) & (labelled.skin_depth > 4)
    assert np.median(hu[deep & (fat == 1)]) == pytest.approx(-95, abs=15)
    assert np.median(hu[deep & (fat == 0)]) == pytest.approx(55, abs=15)


def test_colin27_is_read_from_two_segmentations_above_the_face(tmp_path):
    mcx = np.zeros((90, 80, 80), np.uint8)
    mcx[:, 5:75, 5:75] = 1
    mcx[:, 12:68, 12:68] = 2
    mcx[:, 20:60, 20:60] = 5
    mcx[50:60, 14:19, 30:50] = 6  # a sinus
    mcx[50:60, 40, 62:68] = 6  # a dark line in the bone
    brainweb = np.select([mcx == 1, mcx == 2, mcx == 5, mcx == 6], [9, 7, 3, 0]).astype(np.uint8)
    brainweb[:, 5:75, 5:9] = 4
    for name, array in (("mcx_labels", mcx), ("brainweb_labels", brainweb), ("t1", mcx)):
        (tmp_path / "colin27").mkdir(exist_ok=True)
        image = sitk.GetImageFromArray(array)
        sitk.WriteImage(image, str(tmp_path / f"colin27/{name}.nii.gz"))
    head = labelled_heads.read_head(tmp_path, "colin27")
    assert head.tissue.shape == head.fat.shape == head.mr.shape == (45, 80, 80)
    assert np.array_equal(head.mr, mcx[45:])
    assert (head.tissue[5:15, 15:18, 32:48] == Tissue.CAVITY).all()
    assert (head.tissue[5:15, 40, 63:67] == Tissue.BONE).all()
    assert (head.fat[:, 5:75, 5:9] == 1).all() and (head.fat[:, 20:60, 9:12] == 0.5).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_simulated_pair_shows_one_head(labelled, seed):
    pair = simulate(labelled, np.random.default_rng(seed))
    assert pair.mr.shape == pair.hu.shape == pair.mask.shape == pair.depth.shape
    body = pair.hu > -300
    assert 2 * (body & pair.mask).sum() / (body.sum() + pair.mask.sum()) > 0.9
    brain = (pair.hu > 20) & (pair.hu < 50) & (pair.depth > 0.6)
    cortical = pair.hu > 900
    assert np.median(pair.mr[cortical]) < 0.5 * np.median(pair.mr[brain])
    again = simulate(labelled, np.random.default_rng(seed))
    assert np.array_equal(pair.mr, again.mr) and np.array_equal(pair.hu, again.hu)


def test_other_contrasts_are_simulated_as_t1_is(labelled):
    brightness = {}
    for kind in ("T1 fat-suppressed", "T2"):
        mr = findings._simulated(labelled, kind, np.random.default_rng(1))
        tissue, hu = place_head(labelled, np.random.default_rng(1), vary_anatomy=False)
        kinds = {"csf": tissue == Tissue.CSF, "white": tissue == Tissue.WHITE, "cortical": hu > 1100}
        brightness[kind] = {name: float(np.median(mr[where])) for name, where in kinds.items()}
    t1, t2 = brightness["T1 fat-suppressed"], brightness["T2"]
    assert t1["csf"] < 0.7 * t1["white"] and t2["csf"] > 1.3 * t2["white"]
    assert max(t1["cortical"] / t1["white"], t2["cortical"] / t2["white"]) < 0.5


def test_a_measured_t1_moves_with_its_labels(labelled):
    signal = np.array([0, 0, 1.1, 0.8, 0.05, 0.2, 0.7, 1.0, 0, 0, 0.5], np.float32)[labelled.tissue]
    pair = simulate(replace(labelled, mr=signal), np.random.default_rng(5), measured_mr=True)
    assert np.median(pair.mr[pair.hu > 900]) < 0.5 * np.median(pair.mr[(pair.hu > 20) & (pair.depth > 0.6)])
    with pytest.raises(ValueError, match="no measured T1"):
        simulate(labelled, np.random.default_rng(5), measured_mr=True)


def _wall(beside, hu_of_bone):
    """Signal (water and fat) along a line through grey matter, a flat bone of these HU, and ``beside``."""
    tissue = np.full((30, 12, 12), Tissue.GREY, np.uint8)
    end = 10 + len(hu_of_bone)
    tissue[10:end], tissue[end:] = Tissue.BONE, beside
    hu = np.full(tissue.shape, -1000.0 if beside == Tissue.CAVITY else 40.0, np.float32)
    hu[10:end] = np.array(hu_of_bone, np.float32)[:, None, None]
    hu[:10] = 38.0
    return np.sum(tissue_signal(tissue, hu, TYPICAL_CONTRAST, np.random.default_rng(0)), axis=0).mean(axis=(1, 2))


def test_the_edge_of_bone_is_partly_its_neighbour_and_not_marrow():
    table = [480, 1200, 1200]
    inside_out = _wall(Tissue.SOFT, [*table, 500, 450, 500, *reversed(table)])
    grey, outer, inner, marrow, soft = inside_out[8], inside_out[10], inside_out[11:13], inside_out[14], inside_out[21]
    assert max(inner) < 0.15 < outer < 0.8 * grey and outer < soft
    assert inside_out[18] < 0.8 * soft
    assert marrow > 0.9  # low HU inside of bone
    # Beside air there is nothing to be seen, and a wall of one voxel is as faint as its HU are low.
    assert _wall(Tissue.CAVITY, [1200, 1200, 480])[12] < 0.1
    thin, thinner = (_wall(Tissue.SOFT, [hu])[10] for hu in (700, 350))
    assert 0.1 < thin < thinner < 0.7


def test_a_coil_fades_or_brightens_far_from_its_centre():
    necks = []
    for seed in range(40):
        factor = coil_sensitivity((200, 60, 60), np.random.default_rng(seed))
        assert 0.5 < np.median(factor[100:140]) < 2.0  # 60 to 100 mm below the vertex lies the brain
        necks.append(float(np.median(factor[:20]) / np.median(factor[100:140])))
    assert 0.3 < min(necks) < 0.7 < 1.2 < max(necks) < 2.0


@pytest.mark.parametrize("axis", range(3))
def test_chemical_shift_moves_the_fat_along_one_axis_and_nothing_else(axis):
    water, fat = np.random.default_rng(0).random((20, 24, 28)).astype(np.float32), np.zeros((20, 24, 28), np.float32)
    fat[8:12, 8:16, 10:16] = 1
    moved = echo(water, fat, axis, 2.0, 0.0) - water
    assert moved == pytest.approx(np.roll(fat, 2, axis), abs=1e-6)
    halfway = echo(water, fat, axis, -0.5, 0.0) - water
    assert halfway == pytest.approx((fat + np.roll(fat, -1, axis)) / 2, abs=1e-6)


def test_out_of_phase_fat_and_water_cancel_where_both_are():
    water, fat = np.zeros((2, 20, 20, 20), np.float32)
    water[:12], fat[8:] = 0.5, 0.75  # water below, both in the middle, fat above
    opposed = echo(water, fat, 0, 0.0, np.pi)[:, 10, 10]
    assert opposed[[2, 10, 17]] == pytest.approx([0.5, 0.25, 0.75], abs=0.01)
    assert echo(water, fat, 0, 0.0, np.pi / 2)[10, 10, 10] == pytest.approx(np.hypot(0.5, 0.75), abs=0.01)
    assert opposed.dtype == np.float32


def test_in_two_of_three_fat_is_shifted_either_way_along_any_axis():
    fat = np.zeros((20, 20, 20), np.float32)
    fat[8:12, 8:12, 8:12] = 1
    moves = []
    for seed in range(60):
        moved = random_echo(np.zeros_like(fat), fat, np.random.default_rng(seed))
        # Of what is there: a blur loses a little at the borders.
        moves.append([float((moved * axis).sum() / moved.sum()) - 9.5 for axis in np.indices(fat.shape)])
    sizes = np.abs(moves) > 1e-3
    assert 30 < sizes.any(axis=1).sum() < 50 and sizes.sum(axis=1).max() == 1
    assert (np.min(moves, axis=0) < -1).all() and (np.max(moves, axis=0) > 1).all() and np.abs(moves).max() <= 2.5


def test_in_every_other_one_fat_is_out_of_phase_by_any_angle():
    marrow = np.full((8, 8, 8), 0.5, np.float32)
    signals = [float(random_echo(marrow, marrow, np.random.default_rng(seed))[4, 4, 4]) for seed in range(60)]
    assert 20 < sum(signal > 0.999 for signal in signals) < 40
    assert min(signals) < 0.15 and any(0.5 < signal < 0.9 for signal in signals)


@pytest.mark.parametrize("axis", range(3))
def test_thick_slices_blur_along_one_axis_and_shift_nothing(axis):
    shape = np.roll((60, 3, 4), axis)
    along = np.indices(shape, np.float32)[axis]
    ramp = thick_slices(along, axis, 6.0, 4.5)
    inner = (along > 3) & (along < 56)
    assert np.abs(ramp - along)[inner].max() < 1e-3
    sheet = thick_slices((along == 33).astype(np.float32), axis, 6.0, 6.0)  # beside the centre of the sixth slice
    assert sheet.max() == pytest.approx((1 - 0.5 / 6) / 6)
    assert sheet[along == 32] == pytest.approx(sheet[along == 33])
    gap = thick_slices((along == 30).astype(np.float32), axis, 6.0, 4.0)  # between two slices
    assert gap.max() == 0
    assert thick_slices(np.ones((2, 5, 5), np.float32), 0, 7.0, 5.0) == pytest.approx(np.ones((2, 5, 5)))


def test_without_variation_a_ct_is_that_of_the_person(data, labelled):
    head = ct_heads.read_head(data, "cranium", labelled)
    bone = [np.percentile(head.hu[head.hu > 250], 90)]
    for vary_anatomy in (False, True):
        pairs = [simulate(head, np.random.default_rng(seed), vary_anatomy=vary_anatomy) for seed in range(3)]
        bone.append(np.std([np.percentile(pair.hu[pair.hu > 250], 90) for pair in pairs]))
    # The phantom's bone has one HU; only variation changes it from pair to pair.
    assert bone[1] < 10 < bone[2]


@pytest.mark.parametrize("seed", range(4))
def test_a_head_that_is_not_in_the_middle_stays_in_the_field_of_view(labelled, seed):
    off_centre = np.pad(labelled.tissue, ((0, 0), (0, 0), (0, 100)))
    grid = random_warp(off_centre != Tissue.AIR, np.random.default_rng(seed), vary_anatomy=True)
    brain = np.isin(sample_labels(off_centre, grid), (Tissue.GREY, Tissue.WHITE))
    # Scaled by 0.85 to 1.16 along each axis, and not cut: it touches no side of the volume but the lower one.
    assert 0.6 < brain.sum() / np.isin(off_centre, (Tissue.GREY, Tissue.WHITE)).sum() < 1.7
    for face in (brain[-1], brain[:, 0], brain[:, -1], brain[:, :, 0], brain[:, :, -1]):
        assert not face.any()


def test_a_skull_is_stretched_away_from_the_brain(data, labelled):
    head = ct_heads.read_head(data, "cranium", labelled)
    skulls, brains = [], []
    for seed in range(4):
        for distance in (None, head.brain_distance):
            grid = random_warp(head.tissue != Tissue.AIR, np.random.default_rng(seed), False, distance)
            tissue = sample_labels(head.tissue, grid)
            skulls.append((tissue == Tissue.BONE).sum())
            brains.append(np.isin(tissue, (Tissue.GREY, Tissue.WHITE)).sum())
    change = np.divide(skulls[1::2], skulls[::2])
    assert 0.6 < change.min() < 0.95 < 1.05 < change.max() < 1.7
    assert np.allclose(brains[1::2], brains[::2], rtol=0.01)


def test_what_the_labels_leave_out_is_not_shown(tmp_path):
    labels = np.zeros((40, 40, 40), np.uint8)
    labels[15:30, 5:35, 5:35], labels[18:27, 10:30, 10:30] = 48, 1  # skin around white matter
    signal = np.where(labels > 0, 100, 2).astype(np.float32)
    signal[:15, 5:35, 5:35] = 100  # the T1 goes on below the labels
    (tmp_path / "ernie").mkdir()
    for name, array in (("charm_labels", labels), ("t1", signal)):
        image = sitk.GetImageFromArray(array)
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        sitk.WriteImage(image, str(tmp_path / f"ernie/{name}.nii.gz"))
    mr = labelled_heads.read_head(tmp_path, "ernie").mr
    assert (mr[15:30, 5:35, 5:35] == 100).all() and (mr[13, 5:35, 5:35] == 100).all()
    assert (mr[:11] == 0).all()


def test_a_skull_varies_and_stays_around_the_brain(labelled):
    thicknesses = []
    for seed in range(4):
        varied = vary_skull(labelled, np.random.default_rng(seed))
        thicknesses.append(int((varied.tissue == Tissue.BONE).sum()))
        changed = varied.tissue != labelled.tissue
        assert changed.any()
        untouched = (Tissue.AIR, Tissue.SKIN, Tissue.GREY, Tissue.WHITE)
        assert not np.isin(labelled.tissue[changed], untouched).any()
    assert max(thicknesses) > 1.1 * min(thicknesses)


def test_dura_lines_the_skull(labelled):
    dura = labelled.tissue == Tissue.DURA
    assert dura.any() and (distance_inside(labelled.tissue == Tissue.BONE)[dura] >= -1.5).all()
