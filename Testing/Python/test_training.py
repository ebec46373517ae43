"""training/: heads from files, pairs from heads, a network from pairs, and a model from the network."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from decnn.errors import InputError, SetupError
from decnn.model import load_model
from phantom import LABELS, ct_of, phantom_head
from training import evaluate as evaluation
from training import fit as fitting
from training.evaluate import COLUMNS, evaluate, table
from training.export import export
from training.fit import Settings, fit
from training.pairs import ct_heads, labelled_heads
from training.pairs.head import Tissue
from training.pairs.sources import read_heads
from training.pool import PairPool, Recipe
from training.simulate import simulate

# The phantom's labels as the labels of the NMD atlases: 1 GM, 2 WM, 3 CSF, 4 bone, 5 soft tissue, 6 air.
_TO_NMD = {"background": 6, "skin": 5, "fat": 5, "skull": 4, "csf": 3, "grey_matter": 1, "white_matter": 2, "sinus": 6}
TINY = Settings(
    features=4, blocks=2, dilations=(1, 2), neighbours=3, patch=32, batch=2, steps=4, warm_up=2, pool=2, pool_start=1,
    renew_every=2, heads=(("nmd_19y", 1.0, False),),
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
    assert np.isin(head.tissue[brain], (Tissue.CSF, Tissue.GREY, Tissue.WHITE)).mean() > 0.95
    assert (head.tissue == Tissue.WHITE).sum() > 0.5 * (labelled.tissue == Tissue.WHITE).sum()


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
    signal = np.array([0, 0, 1.1, 0.8, 0.05, 0.2, 0.7, 1.0, 0, 0], np.float32)[labelled.tissue]
    pair = simulate(replace(labelled, mr=signal), np.random.default_rng(5), measured_mr=True)
    assert np.median(pair.mr[pair.hu > 900]) < 0.5 * np.median(pair.mr[(pair.hu > 20) & (pair.depth > 0.6)])
    with pytest.raises(ValueError, match="no measured T1"):
        simulate(labelled, np.random.default_rng(5), measured_mr=True)


def test_a_pool_is_the_same_every_time_and_its_patches_fit(data):
    batches = []
    for _ in range(2):
        with PairPool(Recipe(data, TINY.heads, 7), capacity=2) as pool:
            pool.renew()
            batches.append(pool.batch(np.random.default_rng(0), 4, 48, 3, use_depth=True))
    mr, hu, weight = batches[0]
    assert mr.shape == (4, 4, 48, 48) and hu.shape == weight.shape == (4, 1, 48, 48)
    assert all(torch.equal(first, second) for first, second in zip(*batches, strict=True))
    assert mr[:, 1][hu[:, 0] > 900].median() < 0.5 * mr[:, 1][(hu[:, 0] > 20) & (hu[:, 0] < 50)].median()


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(data, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "CHECKPOINT_EVERY", 2)
    fit(data, tmp_path / "whole", TINY)
    calls = iter(range(3))

    def interrupted(*arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return loss(*arguments)

    loss = fitting._loss
    monkeypatch.setattr(fitting, "_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(data, tmp_path / "parts", TINY)
    monkeypatch.setattr(fitting, "_loss", loss)
    fit(data, tmp_path / "parts", TINY)
    whole, parts = (
        torch.load(tmp_path / name / fitting.CHECKPOINT, weights_only=True)["average"] for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    last = json.loads((tmp_path / "parts" / fitting.LOG).read_text().splitlines()[-1])
    assert last["step"] == 4 and np.isfinite(last["loss"])

    with pytest.raises(InputError, match="other settings"):
        fit(data, tmp_path / "parts", replace(TINY, features=8))

    model = load_model(export(tmp_path / "whole", tmp_path / "model", "1.0"))
    assert model.spec["training"]["heads"] == ["nmd_19y"] and model.spec["training"]["steps"] == 4
    monkeypatch.setattr(evaluation, "SIMULATIONS", 1)
    result = evaluate(model, data, ["cranium"])
    assert set(COLUMNS) <= set(result["heads"][0]) and result["heads"][0]["reference"] == "measured CT"
    assert "cranium" in table(result)


def test_what_training_refuses(data, tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_heads(data, ["ernie"])
    with pytest.raises(InputError, match="Unknown heads"):
        read_heads(data, ["nobody"])
    if not torch.cuda.is_available():
        with pytest.raises(SetupError, match="no cuda"):
            fit(data, tmp_path / "run", TINY, device="cuda")
