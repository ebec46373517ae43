"""A brain drawn into a cavity, for models of free sources alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from decnn.errors import InputError
from training.bank import check_brains, make_bank
from training.heads.catalog import _brains
from training.heads.drawn_brain import draw_brain
from training.heads.head import Tissue, distance_inside
from training.settings import RECIPES, read_settings


def test_a_drawn_brain_fills_the_cavity_in_layers():
    z, y, x = np.ogrid[:130, :180, :150]
    inside = ((z - 65) / 55) ** 2 + ((y - 90) / 80) ** 2 + ((x - 75) / 62) ** 2 < 1
    brain = draw_brain(inside)
    depth = distance_inside(inside)
    assert not brain[~inside].any() and set(np.unique(brain[inside])) == {
        Tissue.CSF, Tissue.GREY, Tissue.WHITE, Tissue.DURA,
    }  # fmt: skip
    assert (brain[inside & (depth < 0.5)] == Tissue.CSF).mean() > 0.9
    assert np.median(depth[brain == Tissue.GREY]) < np.median(depth[brain == Tissue.WHITE])
    shares = [(brain[inside] == tissue).mean() for tissue in (Tissue.CSF, Tissue.GREY, Tissue.WHITE)]
    assert 0.1 < shares[0] < 0.4 and 0.2 < shares[1] < 0.6 and 0.2 < shares[2] < 0.6
    assert brain[75, 90, 84] == brain[75, 90, 66] == Tissue.CSF, "the lateral ventricles"
    assert brain[105, 90, 75] == Tissue.DURA != brain[105, 90, 78], "the falx"
    assert np.array_equal(brain, draw_brain(inside))


def test_the_open_recipe_names_no_head_of_other_terms():
    settings = read_settings(RECIPES / "decnn-head-t1-open.toml")
    assert {name for name, _, _ in settings.heads} == {"visible_female", "cptac_head", "thca_neck", "ge_head"}
    assert settings.drawn_brains and not any(measured for _, _, measured in settings.heads)
    assert _brains(["visible_female"], drawn=True) == {} != _brains(["visible_female"], drawn=False)


def test_a_bank_is_of_one_kind_of_brain(tmp_path):
    make_bank(Path(), tmp_path, [], pairs=1, seed=1, workers=1, drawn_brains=True)
    check_brains(tmp_path, True)
    with pytest.raises(InputError, match="other brains than the recipe names"):
        check_brains(tmp_path, False)
    with pytest.raises(InputError, match="other brains"):
        make_bank(Path(), tmp_path, [], pairs=1, seed=1, workers=1)
    (tmp_path / "bank.json").write_text(json.dumps({"seed": 1}))  # made before there were drawn ones
    check_brains(tmp_path, False)
    with pytest.raises(InputError, match="no bank in"):
        check_brains(tmp_path / "none", False)
