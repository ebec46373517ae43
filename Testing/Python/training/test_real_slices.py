"""Real slices, as they come in a folder of phantoms: read, put into a bank, learned from, validated and scored on."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from decnn.errors import InputError
from decnn.evaluation.overlap import dice
from decnn.model import load_model
from decnn.views import AXES
from phantom import ct_of, phantom_head
from training.__main__ import main
from training.augment import vary_slice
from training.bank import Entry, add_slices, open_pairs, patients_of
from training.experiments import evaluate_slices as scorer
from training.experiments.evaluate_slices import COLUMNS, choose_patients, evaluate_slices, score_slice, table
from training.experiments.paper import flop, paired_p, run_paper
from training.experiments.paper import table as table_of_paper
from training.experiments.slice_findings import measure_people
from training.experiments.slice_findings import table as table_of_people
from training.export import export
from training.fit import BEST, averaged_network, fit
from training.measured_pairs.misfits import find_misfits, read_misfits
from training.measured_pairs.slices import as_pair, depth_in_plane, find_patients, fold_of, read_slice, read_slices
from training.orientation import NOT_LEARNED, unseen_pictures
from training.patches import PatchForm, batch
from training.pictures import draw_curve
from training.run_log import LOG, TENSORBOARD
from training.settings import Settings

PATIENTS = tuple(f"1B{centre}00{number}" for centre in "AB" for number in range(1, 6))
ISSUE_KEYS = {
    "mae_hu_mask", "mae_hu_tight", "me_hu", "psnr_db_2023", "ssim_2d_2023", "bone_dice", "bone_precision",
    "bone_recall", "mae_bone_hu", "me_bone_hu", "mae_soft_tissue_hu", "mae_air_hu", "wet_error_mm",
}  # fmt: skip
TINY = Settings(
    features=4, blocks=1, pyramid=(6,), neighbours=3, patch=48, batch=2, steps=4, warm_up=1, repeated=0.5,
    heads=(("slices", 1.0, True),),
)  # fmt: skip


def write_slice(folder, plane, mr, ct, mask):
    """The middle slice of a plane of three volumes on one grid."""
    folder.mkdir(parents=True, exist_ok=True)
    axis = AXES[plane]
    for kind, image in (("mr", mr), ("ct", ct), ("mask", mask)):
        array = sitk.GetArrayViewFromImage(image)
        middle = sitk.GetImageFromArray(np.take(array, [array.shape[axis] // 2], axis))
        sitk.WriteImage(sitk.Cast(middle, image.GetPixelID()), str(folder / f"{plane}_{kind}.nii.gz"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Ten patients of two centres: one phantom, in all planes."""
    folder = tmp_path_factory.mktemp("slices")
    mr, labels = phantom_head(size=(170, 224, 200), spacing=(1.0, 1.0, 1.0))
    images = mr, ct_of(labels), sitk.BinaryDilate(labels > 0, [5, 5, 5])
    for plane in AXES:
        write_slice(folder / PATIENTS[0], plane, *images)
        for patient in PATIENTS[1:]:
            (folder / patient).mkdir(exist_ok=True)
            for kind in ("mr", "ct", "mask"):
                (folder / patient / f"{plane}_{kind}.nii.gz").hardlink_to(
                    folder / PATIENTS[0] / f"{plane}_{kind}.nii.gz"
                )
    return folder


@pytest.fixture(scope="module")
def bank(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    added, left_out = add_slices(folder, root, frozenset({"1BA001_axial"}), seed=1)
    assert added == 29 and left_out == ["1BA001_axial: MR and CT do not fit"]
    return folder


def test_folds_hold_every_patient_once_and_as_many_of_each_centre():
    folds = fold_of(PATIENTS)
    assert set(folds) == set(PATIENTS) and folds == fold_of(PATIENTS[::-1])
    for fold in range(1, 6):
        assert sorted(name[:3] for name in folds if folds[name] == fold) == ["1BA", "1BB"]


@pytest.mark.parametrize("plane", list(AXES))
def test_a_slice_becomes_a_pair_with_the_depth_in_its_plane(root, plane):
    item = read_slice(root, "1BA001", plane)
    pair = as_pair(item)
    assert pair.mr.shape[item.axis] == 1 and {array.shape for array in vars(pair).values()} == {pair.mr.shape}
    head, hu = (np.take(array, 0, item.axis) for array in (pair.mask, pair.hu))
    assert dice(head, hu > -300) > 0.95
    np.testing.assert_allclose(np.take(pair.depth, 0, item.axis), depth_in_plane(head), atol=1e-3)
    assert pair.depth.max() == 2.0, "the brain is deeper than 60 mm: its mask has no holes"
    assert 0.8 < np.median(pair.mr[pair.mask & (pair.mr > 0.3)]) < 1.2


def test_what_cannot_be_read_says_why(root, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        find_patients(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no slices"):
        find_patients(tmp_path)
    mr, labels = phantom_head((32, 36, 32), (6.0, 6.0, 6.0))
    write_slice(tmp_path / "1BA001", "axial", mr, ct_of(labels), labels > 0)
    with pytest.raises(InputError, match="axial_mr.nii.gz must be .* 1 mm|coronal_mr.nii.gz is missing"):
        list(read_slices(tmp_path, ["1BA001"]))
    (tmp_path / "1BA001/axial_ct.nii.gz").write_bytes(b"no image")
    with pytest.raises(InputError, match="axial_ct.nii.gz cannot be read"):
        read_slice(tmp_path, "1BA001", "axial")
    with pytest.raises(InputError, match="no slices of 1BX001"):
        choose_patients(root, patients=["1BX001"])
    with pytest.raises(InputError, match="no fold 9"):
        choose_patients(root, fold=9)


def test_a_slice_whose_ct_lies_elsewhere_is_found(root, tmp_path):
    right = read_slice(root, "1BA001", "axial")
    moved = replace(right, patient="1BA002", hu=np.roll(right.hu, 4, axis=2))
    far = replace(right, patient="1BA003", hu=np.roll(right.hu, 40, axis=2))
    found = find_misfits([right, moved, far])
    assert found["slices"]["1BA001_axial"]["shift_mm"] <= 1.0
    assert found["misfits"]["1BA002_axial"] == "the CT fits better 4.0 mm further"
    assert "overlap" in found["misfits"]["1BA003_axial"]
    (tmp_path / "misfits.json").write_text(json.dumps(found))
    assert read_misfits(tmp_path / "misfits.json") == {"1BA002_axial", "1BA003_axial"}
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(InputError, match="no list of misfits"):
        read_misfits(tmp_path / "other.json")


def test_a_bank_takes_the_rest_later_and_leaves_a_fold_out(root, bank):
    assert add_slices(bank, root, frozenset({"1BA001_axial"}), seed=1)[0] == 0
    assert patients_of(bank, "slices") == list(PATIENTS)
    entry = Entry("slices", True)
    without = {fold: open_pairs(bank, entry, 0, fold) for fold in range(6)}
    only = {fold: open_pairs(bank, entry, 0, fold, only=True) for fold in range(1, 6)}
    assert len(without[0]) == 29 and sum(len(pairs) for pairs in only.values()) == 29
    for fold in range(1, 6):
        assert len(without[fold]) + len(only[fold]) == 29 and 5 <= len(only[fold]) <= 6


def test_a_ct_is_laid_onto_what_its_mr_shows(root, tmp_path):
    shown = np.take(read_slice(root, "1BA001", "axial").hu, 0, 0)

    def synthesize(item):
        return np.roll(np.take(item.hu, 0, item.axis), 1, axis=1)

    add_slices(tmp_path, root, frozenset(), seed=1, synthesize=synthesize)
    plane = next(pair for pair in open_pairs(tmp_path, Entry("slices", True), 0) if pair.hu.shape[0] == 1).hu[0]
    moved = np.roll(shown, 1, axis=1)
    assert np.abs(plane - moved).mean() < 0.6 * np.abs(plane - shown).mean()


def test_a_varied_slice_is_still_a_pair():
    mr = np.zeros((120, 100), np.float32)
    mr[30:90, 25:75] = 1.0
    depth = depth_in_plane(mr > 0)
    hu = np.where(mr > 0, 40.0, -1000.0).astype(np.float32)
    same = vary_slice(mr, depth, hu, 0.0, np.random.default_rng(0))
    assert all(np.array_equal(before, after) for before, after in zip((mr, depth, hu), same, strict=True))
    for seed in range(5):
        new_mr, new_depth, new_hu = vary_slice(mr, depth, hu, 1.0, np.random.default_rng(seed))
        assert not np.array_equal(new_mr, mr) and {a.dtype for a in (new_mr, new_depth, new_hu)} == {np.dtype("f4")}
        assert dice(new_mr > 0.4, new_hu > -480) > 0.97 and dice(new_depth > 0.0, new_hu > -480) > 0.9
        assert new_hu.min() >= -1000.5 and new_hu.max() <= 40.5


def test_simulated_patches_take_the_form_of_a_real_slice(bank):
    """A volume whose slices all differ: repeated, its neighbours are its centre."""
    pair = open_pairs(bank, Entry("slices", True), 0)[0]
    assert 1 in pair.mask.shape
    volume = type(pair)(*(np.repeat(np.asarray(array), 64, pair.mask.shape.index(1)) for array in vars(pair).values()))
    volume.mr += np.random.default_rng(0).uniform(0, 1, volume.mr.shape).astype(np.float16)
    for repeated, alike in ((0.0, 0), (1.0, 12)):
        form = PatchForm(48, 3, depth_channel=True, repeated=repeated)
        mr, _, _ = batch([[volume]], [1.0], form, [np.random.default_rng([1, n]) for n in range(12)])
        # Noise, where a patch gets some, differs from slice to slice.
        equal = [float((patch[0] - patch[1]).abs().mean()) < 0.05 for patch in mr]
        assert sum(equal) == alike or repeated
        assert sum(equal) >= alike * 0.6
    mr, hu, weight = batch([[pair]], [1.0], form, [np.random.default_rng([1, n]) for n in range(4)])
    assert mr.shape == (4, 4, 48, 48) and hu.shape == weight.shape == (4, 1, 48, 48)


def test_the_scorer_gives_the_known_error_of_every_slice(root, monkeypatch):
    model = load_model_like()
    monkeypatch.setattr(scorer, "slice_predictor", lambda model: lambda item: np.take(item.hu, 0, item.axis) + 10)
    result = evaluate_slices(model, root, ["1BA001", "1BB001"])
    assert set(result["mean"]) == set(COLUMNS) and ISSUE_KEYS <= set(COLUMNS)
    assert result["patients"] == 2 and result["slices"] == len(result["cases"]) == 6
    assert result["mean"]["mae_hu_mask"] == result["mean"]["mae_hu_tight"] == result["mean"]["me_hu"] == 10
    assert list(result["by_plane"]) == ["axial", "coronal", "sagittal"] and list(result["by_centre"]) == ["1BA", "1BB"]
    assert result["by_half"]["coronal"]["lower"]["mae_hu_mask"] == 10 and set(result["by_half"]) == {
        "coronal",
        "sagittal",
    }
    assert result["sd_over_patients"]["mae_hu_mask"] == 0
    assert result["mean"]["bone_dice"] == result["mean"]["bone_recall"] == 1
    assert (
        0.5 < result["mean"]["wet_error_mm"] < 2.0 and result["mean"]["wet_error_mm"] == result["mean"]["wet_bias_mm"]
    )
    assert "| coronal, upper half | 10.0 |" in table(result)


def load_model_like():
    class Named:
        name, version, weights_sha256 = "m", "1", "0"

    return Named()


def test_padding_counts_as_air(root):
    item = read_slice(root, "1BA001", "axial")
    padded = replace(item, hu=np.where(item.hu < -900, -3024, item.hu))
    assert score_slice(padded, np.take(item.hu, 0, 0))["mae_hu_mask"] < 24.1


def test_a_network_learns_from_slices_and_its_best_is_kept(bank, root, tmp_path, monkeypatch, capsys):
    settings = replace(TINY, fold=1, validate_every=2)
    fit(bank, tmp_path / "run", settings, tensorboard=True)
    drawn = EventAccumulator(str(tmp_path / "run" / TENSORBOARD)).Reload()
    assert [event.step for event in drawn.Scalars("validation/mae_hu")] == [2, 4]
    rows = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    found = {row["step"]: row["validation"]["mae_hu"] for row in rows if "validation" in row}
    assert list(found) == [2, 4]
    assert averaged_network(tmp_path / "run", best=True)[2] == min(found, key=found.__getitem__)
    assert (tmp_path / "run" / BEST).is_file()
    model = export(tmp_path / "run", tmp_path / "model", "1.0", {"terms": "nobody's"}, best=True)
    spec = json.loads((model / "model.json").read_text())
    assert spec["terms"] == "nobody's" and spec["training"]["fold"] == 1 and spec["training"]["heads"] == ["slices"]
    assert load_model(model).version == "1.0"
    # The rate is 0, so no validation is better than the first one.
    patient = replace(
        settings, validate_every=1, patience=2, learning_rate=0.0, steps=50, average=0.0, batch_norm=False
    )
    fit(bank, tmp_path / "patient", patient)
    assert averaged_network(tmp_path / "patient")[2] == 3
    fit(bank, tmp_path / "patient", patient)  # it has ended
    assert averaged_network(tmp_path / "patient")[2] == 3
    draw_curve([tmp_path / "run" / LOG], tmp_path / "curve.png")
    with pytest.raises(InputError, match="patients that are left out"):
        fit(bank, tmp_path / "none", replace(settings, fold=0))

    stored = tmp_path / "scores.json"
    verb = ["training", "evaluate-slices", "--model", str(model), "--slices", str(root), "--fold", "1", "--json"]
    monkeypatch.setattr(sys, "argv", [*verb, str(stored)])
    assert main() == 0
    result = json.loads(stored.read_text())
    assert {case["patient"] for case in result["cases"]} == {p for p, fold in fold_of(PATIENTS).items() if fold == 1}
    assert set(result["made"]) == {"command", "commit", "date", "data"}
    assert str(tmp_path) not in stored.read_text() and str(root) not in stored.read_text()
    assert capsys.readouterr().out.strip().endswith(table(result))


def test_the_experiment_of_the_paper_compares_rows_of_one_fold(bank, root, tmp_path):
    names = ["DECNN, N = 3", "U-Net, of the size of DECNN, N = 3"]
    result = run_paper(root, bank, tmp_path, steps=2, names=names)
    lines = {line["name"]: line for line in result["rows"]}
    assert set(lines) == set(names) and "against" not in lines["DECNN, N = 3"]
    assert all(0 < lines[name]["p"] <= 1 and lines[name]["against"] == "DECNN, N = 3" for name in names[1:])
    sizes = [lines[name]["parameters"] for name in names]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
    assert "| DECNN, N = 3 |" in table_of_paper(result)
    assert run_paper(root, bank, tmp_path, steps=2, names=names) == result
    with pytest.raises(InputError, match="no row nobody"):
        run_paper(root, bank, tmp_path, steps=2, names=["nobody"])


def test_operations_and_the_paired_test_by_hand():
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1)
    assert flop(convolution, 3, 10, 20) == 2 * 10 * 20 * 5 * 3 * 9
    assert paired_p([1, 2, 3], [1, 2, 3]) == 1.0
    better = np.random.default_rng(0).normal(100, 10, 27)
    assert paired_p(better, better + 3) < 0.001


def test_two_processes_learn_as_one_does(bank, tmp_path):
    """Three steps of a network without batch norm, on the CPU, with torchrun."""
    (tmp_path / "recipe.toml").write_text(
        "[network]\nfeatures = 4\nblocks = 1\npyramid = [6]\nbatch_norm = false\nneighbours = 3\n"
        "[training]\npatch = 48\nbatch = 4\nsteps = 3\nwarm_up = 1\n[measured]\nslices = 1.0\n"
    )
    command = ["training", "fit", "--recipe", str(tmp_path / "recipe.toml"), "--bank", str(bank), "--run"]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    for start, name in (([sys.executable, "-m"], "one"), (together, "two")):
        subprocess.run([*start, *command, str(tmp_path / name)], check=True, env=environment, timeout=300)
    losses = [json.loads((tmp_path / name / LOG).read_text().splitlines()[-1])["loss"] for name in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    one, two = (averaged_network(tmp_path / name)[0].state_dict() for name in ("one", "two"))
    assert all(torch.allclose(one[key], two[key], atol=1e-4) for key in one)


@pytest.fixture
def few(root, tmp_path):
    """Two of the patients."""
    folder = tmp_path / "few"
    folder.mkdir()
    for patient in PATIENTS[:2]:
        (folder / patient).symlink_to(root / patient)
    return folder


def test_what_the_gate_measures_of_people(few):
    result = measure_people(few)
    ring = result["measures"]["ring"]
    assert result["patients"] == ring["patients"] == 2 and ring["beyond"] == 0
    assert ring["least_5_50_95_most"][0] > ring["limit"]
    assert result["measures"]["likeness"]["least_5_50_95_most"][2] > 0.6, "the phantom looks like a head"
    assert "| ring | skull-stripped, no-skull | below" in table_of_people(result)


def test_people_show_how_their_heads_lie(few, tmp_path):
    mr = phantom_head()[0]
    for name in NOT_LEARNED:
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        sitk.WriteImage(mr, str(path))
    found = list(unseen_pictures(tmp_path, few))
    assert [picture.source for picture in found] == ["measured T1"] * 2 + ["real slice"] * 2
    for picture in found:
        heights = np.flatnonzero(picture.head.any(axis=1))
        assert 30 < len(heights) < 60, "pixels of 4 mm"
        middle = picture.values[heights[0] : heights[-1]][:, picture.values.shape[1] // 2]
        assert middle[-3:].mean() != pytest.approx(0.0), "the vertex is in it"


def test_the_air_that_belongs_to_a_mask_adds_no_beams(root):
    """Beams that meet air alone have no error, and would make the mean look better."""
    item = read_slice(root, "1BA001", "axial")
    ct = np.take(item.hu, 0, 0) + 20
    wide = replace(item, mask=np.ones_like(item.mask))
    narrow, rows = score_slice(item, ct), score_slice(wide, ct)
    for key in ("wet_error_mm", "wet_bias_mm", "wet_error95_mm"):
        assert rows[key] == pytest.approx(narrow[key], rel=0.02) and narrow[key] > 0
