"""training/: a bank of pairs, a network from it, and a model from the network."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from decnn.devices import computes_in_bfloat16
from decnn.errors import InputError, SetupError
from decnn.model import load_model
from decnn.network import DECNN
from decnn.views import view_input
from training import fit as fitting
from training.bank import Entry, entries_of, make_bank, open_pairs
from training.distributed import Group
from training.experiments import ablate as ablation
from training.experiments import sensitivity
from training.experiments.cross_validate import cross_validate
from training.experiments.evaluate_heads import COLUMNS, evaluate, score_case, table
from training.experiments.lattice import fused, predict
from training.export import describe, export
from training.fit import averaged_network, entries, fit
from training.heads.catalog import read_heads
from training.heads.head import Tissue
from training.patches import PatchForm, batch
from training.pictures import draw_curve, draw_preview
from training.run_log import LOG
from training.settings import Settings
from training.simulation.anatomy import draw_hu

TINY = Settings(
    features=4, blocks=2, pyramid=(6, 8), neighbours=3, patch=32, batch=2, steps=4, warm_up=2, pairs=1,
    heads=(("nmd_19y", 1.0, False),),
)  # fmt: skip


@pytest.fixture(scope="module")
def bank(data, tmp_path_factory):
    """A bank with one pair of one head."""
    folder = tmp_path_factory.mktemp("bank")
    assert make_bank(data, folder, entries(TINY), pairs=1, seed=7, workers=1) == 1
    return folder


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
    (bank / entries(TINY)[0].folder).write_text("in the way")
    # Tests that reload the module replace decnn.errors, and a worker's error is of the class that is there now.
    with pytest.raises(import_module("decnn.errors").SetupError, match="A pair cannot be written .* make room"):
        make_bank(data, bank, entries(TINY), pairs=3, seed=1, workers=1)
    assert sorted(path.name for path in bank.iterdir()) == ["bank.json", entries(TINY)[0].folder]


def test_a_kill_ends_the_workers_of_a_bank_at_once(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(
        "import os, runpy, sys, time\n"
        "from pathlib import Path\n"
        "from training import bank\n"
        "def read_heads(data, names, drawn_brains):\n"
        "    Path(sys.argv[-1], str(os.getpid())).touch()\n"
        "    time.sleep(100)\n"
        "bank.read_heads, bank.check_heads = read_heads, lambda data, names, drawn_brains: None\n"
        "if __name__ == '__main__':\n"
        "    runpy.run_module('training', run_name='__main__')\n"
    )
    bank, verb = tmp_path / "bank", ["simulate", "--workers", "2", "--data", tmp_path, "--bank"]
    with subprocess.Popen([sys.executable, script, *verb, bank], stderr=subprocess.PIPE, text=True) as child:
        while len(workers := [path.name for path in bank.glob("[0-9]*")]) < 2:
            assert child.poll() is None
            time.sleep(0.1)
        child.terminate()
        assert "same command" in child.communicate(timeout=50)[1]
        assert child.returncode == 130
    assert not any(_runs(worker) for worker in workers)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_patches_fit_show_one_place_and_are_the_same_every_time(bank):
    groups = [open_pairs(bank, Entry("nmd_19y", False), 1)]
    form = PatchForm(48, 3, depth_channel=True)
    batches = [batch(groups, [1.0], form, [np.random.default_rng([0, n]) for n in range(6)]) for _ in range(2)]
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
    last = json.loads((tmp_path / "parts" / LOG).read_text().splitlines()[-1])
    assert last["step"] == 4 and np.isfinite(last["loss"])

    with pytest.raises(InputError, match="other settings"):
        fit(bank, tmp_path / "parts", replace(TINY, features=8))

    model = load_model(export(tmp_path / "whole", tmp_path / "model", "1.0"))
    assert model.spec["training"]["heads"] == ["nmd_19y"] and model.spec["training"]["steps"] == 4
    result = evaluate(model, data, ["cranium"], simulations=1)
    assert set(COLUMNS) <= set(result["heads"][0]) and result["heads"][0]["reference"] == "measured CT"
    assert "cranium" in table(result)
    repeated = evaluate(model, data, ["cranium"], simulations=1, repeated=True)
    assert repeated["repeated"] and set(repeated["heads"][0]) == set(result["heads"][0])
    assert repeated["heads"][0]["mae_hu_tight"] != result["heads"][0]["mae_hu_tight"]

    log = tmp_path / "whole" / LOG
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
    without_vault = hu.copy()
    without_vault[-60:] = -1000.0
    row = score_case(sitk.GetImageFromArray(without_vault), hu, None)
    assert row["bone_dice_labels"] is None and row["bone_dice_vault"] < row["bone_dice"] < 1.0
    assert score_case(sitk.GetImageFromArray(hu), hu, None, has_vertex=False)["bone_dice_vault"] is None


def test_batches_made_ahead_are_the_same(bank, tmp_path):
    for workers in (0, 2):
        fit(bank, tmp_path / str(workers), TINY, workers=workers)
    first, second = (averaged_network(tmp_path / str(workers))[0].state_dict() for workers in (0, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_can_start_from_a_model(bank, tmp_path):
    fit(bank, tmp_path / "first", TINY)
    model = load_model(export(tmp_path / "first", tmp_path / "model", "1.0"))
    settings = replace(TINY, init=model.weights_sha256, steps=1, warm_up=0, learning_rate=0.0, average=0.0)
    fit(bank, tmp_path / "second", settings, init=model)
    with pytest.raises(InputError, match="of another architecture"):
        fit(bank, tmp_path / "other", replace(settings, features=5), init=model)
    network, _, _ = averaged_network(tmp_path / "second")
    # The learning rate is 0: only the running statistics of the batch norm may have moved.
    for (name, first), second in zip(model.network.named_parameters(), network.parameters(), strict=True):
        assert torch.equal(first, second), name


def test_mixed_precision_is_for_devices_that_have_it(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", "amx_bf16": True})
    assert computes_in_bfloat16("cpu")
    # Emulated, it would take several times as long: a run that asks for it is then one in float32.
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", "avx2": True})
    weights = []
    for asked in (True, False):
        run = tmp_path / str(asked)
        fit(bank, run, replace(TINY, bfloat16=asked, steps=2))
        weights.append(averaged_network(run)[0].state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_each_head_is_scored_by_a_network_that_has_not_seen_it(data, tmp_path):
    settings = replace(TINY, heads=(("cranium", 0.5, False), ("nmd_19y", 0.5, False)), steps=2)
    make_bank(data, tmp_path / "bank", entries(settings), pairs=1, seed=1, workers=1)
    validated = partial(cross_validate, data, tmp_path / "bank", settings=settings, simulations=1, device="cpu")
    result = validated(runs=tmp_path / "runs", folds=(2, 3))
    assert [(row["fold"], row["head"]) for row in result["heads"]] == [(2, "nmd_19y"), (3, "cranium")]
    for fold, other in ((2, "cranium"), (3, "nmd_19y")):
        assert json.loads((tmp_path / f"runs/fold{fold}/model/model.json").read_text())["training"]["heads"] == [other]
    assert validated(runs=tmp_path / "runs", folds=(2, 3)) == result
    assert (tmp_path / "runs/pictures/nmd_19y.png").stat().st_size > 10_000
    assert {row["seen"] for row in result["heads"]} == {"no"} and result["init"] == {}
    start = load_model(export(tmp_path / "runs/fold2", tmp_path / "start", "0.1"))  # it has learned from cranium
    later = validated(
        runs=tmp_path / "later", folds=(3,), init=start, settings=replace(settings, init=start.weights_sha256)
    )
    assert [row["seen"] for row in later["heads"]] == ["by its start"]
    assert later["init"] == {"name": "start", "version": "0.1"}
    text = table(result)
    assert "Reference: measured CT" in text and "Reference: labels" in text
    with pytest.raises(InputError, match="no fold 6"):
        validated(runs=tmp_path / "runs", folds=(6,))


def test_pairs_are_drawn_to_be_looked_at(bank, tmp_path):
    pairs = open_pairs(bank, entries(TINY)[0], 1)
    slice_of = type(pairs[0])(*(np.asarray(array)[:, 90:91] for array in vars(pairs[0]).values()))
    draw_preview([("volume", pairs[0]), ("slice", slice_of)], tmp_path / "sheets/preview.png")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "sheets/preview.png")))
    assert picture.std() > 20
    assert entries_of(bank) == entries(TINY)
    with pytest.raises(InputError, match="no pairs in"):
        entries_of(tmp_path)


def test_the_ablation_changes_one_thing_at_a_time_at_equal_size(bank, tmp_path, monkeypatch):
    base = ablation.base_settings(steps=2)
    budget = ablation.parameters(base)
    rows = ablation.table_rows(base)
    assert len({row.name for row in rows}) == len(rows)
    for row in rows[1:5]:
        assert ablation.parameters(replace(base, **row.change)) == pytest.approx(budget, rel=0.05), row.name
    assert not {"unc", "ernie"} & {name for name, _, _ in base.heads}

    held_out = (Entry("nmd_19y", False),)
    monkeypatch.setattr(ablation, "HELD_OUT", held_out)
    monkeypatch.setattr(ablation, "PAIRS_SCORED", 1)
    monkeypatch.setattr(ablation, "base_settings", lambda steps: replace(TINY, steps=steps))
    monkeypatch.setattr(ablation, "table_rows", lambda base: [ablation.Row("base", {}), ablation.Row("axial", {}, "0")])
    run = partial(ablation.ablate, bank, tmp_path, steps=2, seeds=2, device="cpu", tell=lambda line: None)
    result = run()
    mean, axial = result["rows"]
    assert mean["nmd_19y_mae_hu"] != axial["nmd_19y_mae_hu"] and mean["nmd_19y_mae_hu_sd"] > 0
    assert "| base | " in ablation.table(result) and "±" in ablation.table(result)
    assert run() == result
    assert run(names=["axial"])["rows"] == [axial]
    with pytest.raises(InputError, match="no row 'coronal'.*choose from base; axial"):
        run(names=["axial", "coronal"])


def test_a_model_says_what_error_it_was_trained_for():
    assert describe(Settings()).endswith("Trained for the least absolute error, in which bone counts 2 times.")
    assert "the mean HU of small squares counts as well" in describe(replace(Settings(), area_weight=1.0))
    assert describe(replace(Settings(), bone_weight=0.0)).endswith("Trained for the least absolute error.")
    assert describe(replace(Settings(), loss="l2")).endswith("squared error, in which bone counts 2 times.")
    assert describe(replace(Settings(), loss="l2", bone_weight=0.0)).endswith("Trained for the least squared error.")


def test_bone_counts_more_in_the_loss_and_its_edges_half_of_that():
    hu = torch.tensor([[[[0.0, 200.0, 300.0, 1500.0, -1000.0]]]])
    weight = torch.tensor([[[[1.0, 1.0, 1.0, 1.0, 0.0]]]])  # the last pixel is no part of the image
    alike, twice = (0.25, 0.25, 0.25, 0.25, 0.0), (1 / 6.5, 1.5 / 6.5, 2 / 6.5, 2 / 6.5, 0.0)
    for bone_weight, shares in ((0.0, alike), (1.0, twice)):
        for loss, error in (("l2", 4.0), ("l1", 2.0)):
            settings = replace(Settings(), loss=loss, bone_weight=bone_weight)
            for wrong, share in enumerate(shares):
                final = hu / fitting.HU_SCALE
                final[..., wrong] += 2.0
                loss = fitting._loss(final, [], hu, *fitting._shares(weight, hu, settings, Group()), settings)
                assert loss.item() == pytest.approx(error * share)


def test_the_error_of_areas_sees_missing_bone_and_not_a_small_shift():
    bone = torch.full((1, 1, 16, 16), 0.0)
    bone[..., 9:12, :] = 1000.0  # moved by a pixel, it stays within the same squares
    settings = replace(Settings(), loss="l1", bone_weight=0.0, area_weight=2.0)
    pixels = replace(settings, area_weight=0.0)
    shares = fitting._shares(torch.ones_like(bone), bone, settings, Group())
    for ct, counted in ((bone.roll(-1, dims=2), 0.0), (0.5 * bone, 500.0 / fitting.HU_SCALE * 3 / 16)):
        more = fitting._loss(ct / fitting.HU_SCALE, [], bone, *shares, settings)
        less = fitting._loss(ct / fitting.HU_SCALE, [], bone, *shares, pixels)
        assert (more - less).item() == pytest.approx(2.0 * counted, abs=1e-6)


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


def test_each_acquisition_is_scored_on_a_head_that_the_network_has_not_seen(data, bank, tmp_path, monkeypatch):
    monkeypatch.setattr(sensitivity, "LATTICE_MM", 16)
    fit(bank, tmp_path / "run", TINY)
    for fold in ("fold3", "fold2"):
        export(tmp_path / "run", tmp_path / fold / "model", "0")
    result = sensitivity.measure_sensitivity(tmp_path, data, ["cranium"])
    rows = {row["acquisition"]: row for row in result["rows"]}
    assert rows.keys() == sensitivity.ACQUISITIONS.keys()
    assert result["weights_sha256"] == {"cranium": load_model(tmp_path / "fold3/model").weights_sha256}
    assert len({row["mae_hu"] for row in rows.values()}) == len(rows)
    text = sensitivity.table(result)
    assert all(f"| {name} | {row['mae_hu']:.0f} |" in text for name, row in rows.items())
    with pytest.raises(InputError, match="has seen nmd_19y"):
        sensitivity.measure_sensitivity(tmp_path, data, ["nmd_19y"])


def test_what_training_refuses(data, tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_heads(data, ["ernie"])
    with pytest.raises(InputError, match="Unknown heads"):
        read_heads(data, ["nobody"])
    with pytest.raises(InputError, match="no checkpoint"):
        export(tmp_path, tmp_path / "model", "1.0")
    if not torch.cuda.is_available():
        with pytest.raises(SetupError, match="no cuda"):
            fit(bank, tmp_path / "run", TINY, device="cuda")
