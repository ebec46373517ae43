"""training/: heads from files, pairs from heads, a network from pairs, and a model from the network."""

import json
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from decnn.errors import InputError, SetupError
from decnn.model import load_model
from decnn.network import DECNN
from decnn.views import view_input
from phantom import LABELS, ct_of, phantom_head
from source_folder import write_sources
from training import ablate as ablation
from training import fit as fitting
from training.acquisition import coil_sensitivity
from training.anatomy import VAULT_MM, draw_hu, vary_skull
from training.bank import Entry, make_bank, open_pairs
from training.cross_validate import cross_validate
from training.curve import draw_curve
from training.evaluate import COLUMNS, evaluate, score_case, table
from training.export import export
from training.fields import sample_labels
from training.fit import Settings, averaged_network, fit
from training.lattice import fused, predict
from training.pairs import ct_heads, labelled_heads
from training.pairs.head import Tissue, distance_inside
from training.pairs.sources import read_heads
from training.patches import PatchForm, batch
from training.preview import draw_preview
from training.simulate import simulate
from training.warp import random_warp

# The phantom's labels as the labels of the NMD atlases: 1 GM, 2 WM, 3 CSF, 4 bone, 5 soft tissue, 6 air.
_TO_NMD = {"background": 6, "skin": 5, "fat": 5, "skull": 4, "csf": 3, "grey_matter": 1, "white_matter": 2, "sinus": 6}
TINY = Settings(
    features=4, blocks=2, pyramid=(6, 8), neighbours=3, patch=32, batch=2, steps=4, warm_up=2, pairs=1,
    heads=(("nmd_19y", 1.0, False),),
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with one labelled head and one CT, a child's size so that the tests are fast."""
    folder = tmp_path_factory.mktemp("data")
    _, labels = phantom_head()
    labels.SetSpacing((2.25, 2.25, 2.25))
    table = np.array([_TO_NMD[name] for name in LABELS], np.uint8)
    nmd = sitk.GetImageFromArray(table[sitk.GetArrayFromImage(labels)])
    nmd.CopyInformation(labels)
    ct = sitk.GetArrayFromImage(ct_of(labels))
    ct[:, 68:70, 10:54] = 200  # the head rests on a table
    ct_image = sitk.GetImageFromArray(ct)
    ct_image.CopyInformation(labels)
    for name, image in (("nmd_19y/labels", nmd), ("nmd_40y/labels", nmd), ("cranium/ct", ct_image)):
        path = folder / f"{name}.nii.gz"
        path.parent.mkdir()
        sitk.WriteImage(image, str(path))
    write_sources(folder)
    return folder


@pytest.fixture(scope="module")
def bank(data, tmp_path_factory):
    """A bank with one pair of one head."""
    folder = tmp_path_factory.mktemp("bank")
    assert make_bank(data, folder, TINY.entries(), pairs=1, seed=7, workers=1) == 1
    return folder


@pytest.fixture(scope="module")
def labelled(data):
    return labelled_heads.read_head(data, "nmd_19y")


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


def test_a_measured_t1_moves_with_its_labels(labelled):
    signal = np.array([0, 0, 1.1, 0.8, 0.05, 0.2, 0.7, 1.0, 0, 0, 0.5], np.float32)[labelled.tissue]
    pair = simulate(replace(labelled, mr=signal), np.random.default_rng(5), measured_mr=True)
    assert np.median(pair.mr[pair.hu > 900]) < 0.5 * np.median(pair.mr[(pair.hu > 20) & (pair.depth > 0.6)])
    with pytest.raises(ValueError, match="no measured T1"):
        simulate(labelled, np.random.default_rng(5), measured_mr=True)


def test_a_coil_fades_or_brightens_far_from_its_centre():
    necks = []
    for seed in range(40):
        factor = coil_sensitivity((200, 60, 60), np.random.default_rng(seed))
        assert 0.5 < np.median(factor[100:140]) < 2.0  # 60 to 100 mm below the vertex lies the brain
        necks.append(float(np.median(factor[:20]) / np.median(factor[100:140])))
    assert 0.3 < min(necks) < 0.7 < 1.2 < max(necks) < 2.0


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


def test_a_bank_goes_on_where_it_stopped_and_is_the_same_every_time(data, bank, tmp_path):
    entry = Entry("nmd_19y", False)
    assert make_bank(data, bank, [entry], pairs=1, seed=7, workers=1) == 0
    assert make_bank(data, tmp_path / "again", [entry], pairs=1, seed=7, workers=1) == 1
    first, again = open_pairs(bank, entry, 1)[0], open_pairs(tmp_path / "again", entry, 1)[0]
    assert np.array_equal(first.mr, again.mr) and np.array_equal(first.hu, again.hu)
    assert sorted(path.name for path in bank.iterdir()) == ["bank.json", entry.folder]
    with pytest.raises(InputError, match="another seed"):
        make_bank(data, bank, [entry], pairs=1, seed=8, workers=1)
    with pytest.raises(InputError, match="has 1 pairs of nmd_19y-simulated and 2 are needed"):
        open_pairs(bank, entry, 2)


def test_a_pair_that_cannot_be_written_ends_the_bank(data, tmp_path):
    bank = tmp_path / "bank"
    bank.mkdir()
    (bank / TINY.entries()[0].folder).write_text("in the way")
    # Tests that reload the module replace decnn.errors, and a worker's error is of the class that is there now.
    with pytest.raises(import_module("decnn.errors").SetupError, match="A pair cannot be written .* make room"):
        make_bank(data, bank, TINY.entries(), pairs=3, seed=1, workers=1)
    assert sorted(path.name for path in bank.iterdir()) == ["bank.json", TINY.entries()[0].folder]


def test_patches_fit_show_one_place_and_are_the_same_every_time(bank):
    groups = [open_pairs(bank, Entry("nmd_19y", False), 1)]
    form = PatchForm(48, 3, depth_channel=True)
    batches = [batch(groups, [1.0], form, 6, np.random.default_rng(0)) for _ in range(2)]
    mr, hu, weight = batches[0]
    assert mr.shape == (6, 4, 48, 48) and hu.shape == weight.shape == (6, 1, 48, 48)
    assert all(torch.equal(first, second) for first, second in zip(*batches, strict=True))
    assert mr[:, 1][hu[:, 0] > 900].median() < 0.5 * mr[:, 1][(hu[:, 0] > 20) & (hu[:, 0] < 50)].median()
    assert set(weight.unique().tolist()) <= {0.0, np.float32(0.1).item(), 1.0}


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(data, bank, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 2)
    fit(bank, tmp_path / "whole", TINY)
    calls = iter(range(3))

    def interrupted(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return loss(*arguments)

    loss = fitting._loss
    monkeypatch.setattr(fitting, "_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(bank, tmp_path / "parts", TINY)
    monkeypatch.setattr(fitting, "_loss", loss)
    fit(bank, tmp_path / "parts", TINY)
    whole, parts = (
        torch.load(tmp_path / name / fitting.CHECKPOINT, weights_only=True)["average"] for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    last = json.loads((tmp_path / "parts" / fitting.LOG).read_text().splitlines()[-1])
    assert last["step"] == 4 and np.isfinite(last["loss"])

    with pytest.raises(InputError, match="other settings"):
        fit(bank, tmp_path / "parts", replace(TINY, features=8))

    model = load_model(export(tmp_path / "whole", tmp_path / "model", "1.0"))
    assert model.spec["training"]["heads"] == ["nmd_19y"] and model.spec["training"]["steps"] == 4
    result = evaluate(model, data, ["cranium"], simulations=1)
    assert set(COLUMNS) <= set(result["heads"][0]) and result["heads"][0]["reference"] == "measured CT"
    assert "cranium" in table(result)

    log = tmp_path / "whole" / fitting.LOG
    draw_curve([log], tmp_path / "curve.png")
    draw_curve([log, log], tmp_path / "longer.png")
    one, two = ((tmp_path / name).read_bytes() for name in ("curve.png", "longer.png"))
    assert one.startswith(b"\x89PNG") and two.startswith(b"\x89PNG") and one != two
    with pytest.raises(InputError, match="cannot be read"):
        draw_curve([log, tmp_path / "nothing"], tmp_path / "curve.png")


def test_the_bone_of_a_drawn_ct_is_scored_by_its_hu_and_by_its_labels(labelled):
    hu = draw_hu(labelled, np.random.default_rng(0))
    row = score_case(sitk.GetImageFromArray(hu), hu, labelled.tissue == Tissue.BONE)
    assert row["bone_dice"] == row["bone_dice_vault"] == 1.0
    assert 0.7 < row["bone_dice_labels"] < 1.0  # blurred as a scanner's, it is wider
    low = hu.copy()
    low[hu.shape[0] - VAULT_MM - 20 :] = -1000.0
    row = score_case(sitk.GetImageFromArray(low), hu, None)
    assert row["bone_dice_labels"] is None and row["bone_dice_vault"] < row["bone_dice"] < 0.9


def test_a_run_can_start_from_a_model(bank, tmp_path):
    fit(bank, tmp_path / "first", TINY)
    model = load_model(export(tmp_path / "first", tmp_path / "model", "1.0"))
    settings = replace(TINY, init=model.weights_sha256, steps=1, warm_up=0, learning_rate=0.0, average=0.0)
    fit(bank, tmp_path / "second", settings, init=model)
    network, _, _ = averaged_network(tmp_path / "second")
    # The learning rate is 0: only the running statistics of the batch norm may have moved.
    for (name, first), second in zip(model.network.named_parameters(), network.parameters(), strict=True):
        assert torch.equal(first, second), name


def test_each_head_is_scored_by_a_network_that_has_not_seen_it(data, tmp_path):
    settings = replace(TINY, heads=(("cranium", 0.5, False), ("nmd_19y", 0.5, False)), steps=2)
    make_bank(data, tmp_path / "bank", settings.entries(), pairs=1, seed=1, workers=1)
    result = cross_validate(data, tmp_path / "bank", tmp_path / "runs", settings, simulations=1, device="cpu")
    assert [row["head"] for row in result["heads"]] == ["cranium", "nmd_19y", "mean"]
    for head, other in (("cranium", "nmd_19y"), ("nmd_19y", "cranium")):
        assert json.loads((tmp_path / f"runs/{head}/model/model.json").read_text())["training"]["heads"] == [other]
    maes = [row["mae_hu_tight"] for row in result["heads"]]
    assert maes[2] == pytest.approx((maes[0] + maes[1]) / 2, abs=1e-3)
    again = cross_validate(data, tmp_path / "bank", tmp_path / "runs", settings, simulations=1, device="cpu")
    assert again == result
    anew = cross_validate(data, tmp_path / "bank", tmp_path / "anew", settings, simulations=1, device="cpu")
    assert anew == result  # one seed, one machine: the same figures
    assert (tmp_path / "runs/pictures/nmd_19y.png").stat().st_size > 10_000


def test_folds_share_a_trunk_that_has_not_seen_their_head(data, tmp_path):
    heads = (("cranium", 0.4, False), ("nmd_19y", 0.3, False), ("nmd_40y", 0.3, False))
    settings = replace(TINY, heads=heads, steps=1)
    make_bank(data, tmp_path / "bank", settings.entries(), pairs=1, seed=1, workers=1)
    runs = tmp_path / "runs"
    result = cross_validate(data, tmp_path / "bank", runs, settings, 1, "cpu", trunk_steps=2)
    assert result["trunk_steps"] == 2
    trunks = [load_model(str(runs / f"trunk-{number}/model")) for number in (1, 2)]
    assert [trunk.spec["training"]["heads"] for trunk in trunks] == [["cranium", "nmd_40y"], ["nmd_19y"]]
    for head, trunk in (("cranium", 1), ("nmd_19y", 0), ("nmd_40y", 1)):
        _, fold, steps = averaged_network(runs / head)
        assert (fold.init, steps) == (trunks[trunk].weights_sha256, 1)


def test_pairs_are_drawn_to_be_looked_at(bank, tmp_path):
    draw_preview(bank, TINY.entries(), 1, tmp_path / "sheets/preview.png")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sheets/preview.png")))
    assert picture.std() > 20
    with pytest.raises(InputError, match="pairs of nmd_19y"):
        draw_preview(bank, TINY.entries(), 99, tmp_path / "no.png")
    assert not (tmp_path / "no.png").exists()


def test_the_ablation_changes_one_thing_at_a_time_at_equal_size(bank, tmp_path, monkeypatch):
    base = ablation.base_settings(steps=2)
    budget = ablation.parameters(base)
    rows = ablation.table_rows(base, seeds=3)
    assert len({row.name for row in rows}) == len(rows)
    for row in rows[1:5]:
        assert ablation.parameters(replace(base, **row.change)) == pytest.approx(budget, rel=0.05), row.name
    assert not {"unc", "ernie"} & {name for name, _, _ in base.heads}

    held_out = (Entry("nmd_19y", False),)
    monkeypatch.setattr(ablation, "HELD_OUT", held_out)
    monkeypatch.setattr(ablation, "PAIRS_SCORED", 1)
    monkeypatch.setattr(ablation, "base_settings", lambda steps: replace(TINY, steps=steps))
    monkeypatch.setattr(
        ablation, "table_rows", lambda base, seeds: [ablation.Row("base", {}, 2), ablation.Row("axial", {}, 2, "0")]
    )
    result = ablation.ablate(bank, tmp_path, steps=2, seeds=2, device="cpu", tell=lambda line: None)
    mean, axial = result["rows"]
    assert mean["nmd_19y_mae_hu"] != axial["nmd_19y_mae_hu"] and mean["nmd_19y_mae_hu_sd"] > 0
    assert "| base | " in ablation.table(result) and "±" in ablation.table(result)
    assert ablation.ablate(bank, tmp_path, steps=2, seeds=2, device="cpu", tell=lambda line: None) == result


def test_a_lattice_has_the_values_of_whole_slices(bank):
    network = DECNN(4, 4, 1, (), True, (6,)).eval()
    pair = open_pairs(bank, Entry("nmd_19y", False), 1)[0]
    found = predict(network, pair, 3, True, 1000.0, step=40)
    index = 20
    slices = view_input(pair.mr, pair.depth, 0, [index], 3)
    with torch.inference_mode():
        whole = network(torch.from_numpy(slices))[0][0, 0].numpy() * 1000
    assert np.allclose(found.views[0, 0], whole[20::40, 20::40], atol=0.5)
    assert np.array_equal(found.reference, pair.hu[20::40, 20::40, 20::40])
    assert np.array_equal(fused(found.views, "1"), found.views[1])


def test_what_training_refuses(data, tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_heads(data, ["ernie"])
    with pytest.raises(InputError, match="Unknown heads"):
        read_heads(data, ["nobody"])
    if not torch.cuda.is_available():
        with pytest.raises(SetupError, match="no cuda"):
            fit(bank, tmp_path / "run", TINY, device="cuda")
