"""Measured pairs go into the bank, and a network is trained on them."""

import json
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from test_measured_pairs import write_case

from decnn.errors import InputError
from phantom import ct_of, phantom_head
from training import __main__ as training_main
from training.__main__ import main
from training.bank import Entry, add_measured, open_pairs, patients_of
from training.card import write_card
from training.export import export
from training.fit import fit
from training.settings import Settings

ENTRY = Entry("synthrad", True)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """One brain as SynthRAD2023 has them, and one without its mask."""
    root = tmp_path_factory.mktemp("synthrad")
    mr, labels = phantom_head(size=(180, 216, 72), spacing=(1.0, 1.0, 1.0))
    images = {"mr": mr, "ct": ct_of(labels), "mask": sitk.BinaryDilate(labels > 0, [4, 4, 4])}
    write_case(root / "1BA001", **images)
    write_case(root / "1BA002", mr=mr, ct=images["ct"])
    return root


@pytest.fixture(scope="module")
def bank(cases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    assert add_measured(folder, f"synthrad:{cases}", variants=2, seed=3) == 2
    return folder


def test_an_interrupted_verb_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_main, "_run", interrupted)
    monkeypatch.setattr(sys, "argv", ["training", "fetch", "--data", "somewhere"])
    assert main() == 130
    assert "same command" in capsys.readouterr().err


def test_a_measured_pair_is_varied_and_stays_a_pair(bank):
    first, second = open_pairs(bank, ENTRY, 0)
    assert first.mr.shape != second.mr.shape or not np.array_equal(first.mr, second.mr)
    for pair in (first, second):
        body = pair.hu > -300
        assert 2 * (body & pair.mask).sum() / (body.sum() + pair.mask.sum()) > 0.9
        brain = (pair.hu > 20) & (pair.hu < 50) & (pair.depth > 0.6)
        assert np.median(pair.mr[pair.hu > 700]) < 0.6 * np.median(pair.mr[brain])


def test_a_case_that_cannot_be_used_is_named(cases, tmp_path, capsys):
    add_measured(tmp_path / "bank", f"synthrad:{cases}", variants=1, seed=3)
    assert "left out: 1BA002: mask.nii.gz missing" in capsys.readouterr().err


def test_a_bank_takes_more_pairs_of_a_kind_and_is_of_one_seed(bank, cases, tmp_path):
    assert add_measured(bank, f"synthrad:{cases}", variants=2, seed=3) == 0, "they are there"
    assert patients_of(bank, "synthrad") == ["1BA001"]
    (tmp_path / "bank.json").write_text('{"seed": 1}')
    with pytest.raises(InputError, match="another seed"):
        add_measured(tmp_path, f"synthrad:{cases}", variants=1, seed=3)
    (tmp_path / "bad/1BA001").mkdir(parents=True)
    with pytest.raises(InputError, match="None of the cases"):
        add_measured(tmp_path / "new", f"synthrad:{tmp_path / 'bad'}", variants=1, seed=3)


def test_a_network_learns_from_them_and_says_so(bank, tmp_path):
    settings = Settings(
        features=4, blocks=1, pyramid=(6,), neighbours=3, patch=32, batch=2, steps=2, warm_up=1,
        heads=(("synthrad", 1.0, True),),
    )  # fmt: skip
    fit(bank, tmp_path / "run", settings)
    model = export(tmp_path / "run", tmp_path / "model", "1.0")
    spec = json.loads((model / "model.json").read_text())
    assert spec["training"]["heads"] == ["synthrad"]
    (tmp_path / "limits.md").write_text("- none seen\n")
    row = {"case": "1BA001", "mae_hu_tight": 100.0}
    figures = {"weights_sha256": spec["weights"]["sha256"], "pairs": "synthrad", "cases": [row], "left_out": []}
    (tmp_path / "figures.json").write_text(json.dumps(figures | {"mean": row, "sd": row}))
    card = write_card(model, [tmp_path / "figures.json"], tmp_path / "limits.md").read_text()
    assert "| 1BA001 | 100.0 |" in card
    assert "SynthRAD2023" in card and "CC BY-NC 4.0" in card


def test_a_share_of_the_patches_is_theirs():
    heads = Settings().with_measured({"folder": 0.25, "slices": 0.5}).heads
    assert [(name, share) for name, share, _ in heads[-2:]] == [("folder", 0.25), ("slices", 0.5)]
    assert sum(share for _, share, _ in heads) == pytest.approx(1.0)
    assert Settings().with_measured({"slices": 1.0}).heads == (("slices", 1.0, True),)


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "half", "nan"])
def test_a_share_that_is_none_is_an_error(share, tmp_path, monkeypatch, capsys):
    run = ["training", "fit", "--bank", str(tmp_path), "--run", str(tmp_path / "run"), "--measured", "folder", share]
    monkeypatch.setattr(sys, "argv", run)
    assert main() == 2
    said = capsys.readouterr().err
    assert "is no share of the patches" in said or "must be above 0, and make up 1 at most" in said
    assert not (tmp_path / "run").exists()


def test_pairs_that_are_not_in_the_bank_are_an_error(tmp_path):
    with pytest.raises(InputError, match="add-pairs"):
        open_pairs(tmp_path, ENTRY, 12)
