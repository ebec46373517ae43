"""Recipes: what a run depends on, from a TOML file, and what is wrong with one, in a sentence."""

import json
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from decnn.errors import InputError
from training.__main__ import main
from training.arguments import parser_of_verbs
from training.heads.catalog import NAMES
from training.settings import (
    DEFAULT_RECIPE,
    HEAD_FOLDS,
    RECIPES,
    Settings,
    read_labels,
    read_settings,
    settings_from,
)

README = RECIPES.parent / "README.md"
COMMANDS = re.findall(r"^python -m training (.+)$", README.read_text(), re.MULTILINE)
RECIPE = """
[training]
steps = 7
learning_rate = 1
[measured]
slices = 0.5
folder = 0.25
[heads]
ernie = { measured = 3, simulated = 1 }
unc = { simulated = 4 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.name)
def test_the_recipes_can_be_read_and_name_heads_that_exist(recipe):
    settings = read_settings(recipe)
    assert sum(share for _, share, _ in settings.heads) == pytest.approx(1.0)
    assert {name for name, _, _ in settings.heads} <= {*NAMES, "slices"}
    assert set(read_labels(recipe)) == {"title", "summary", "terms"}


def test_every_head_of_the_bundled_recipe_is_left_out_by_one_fold():
    heads = [name for names in HEAD_FOLDS.values() for name in names]
    assert sorted(heads) == sorted({name for name, _, _ in read_settings(DEFAULT_RECIPE).heads} - {"slices"})
    settings = read_settings(DEFAULT_RECIPE).without_fold(1)
    assert settings.fold == 1 and not set(HEAD_FOLDS[1]) & {name for name, _, _ in settings.heads}


def test_shares_and_settings_are_as_written(tmp_path):
    settings = read_settings(written(tmp_path, RECIPE))
    assert settings.steps == 7 and settings.learning_rate == 1 and settings.features == Settings().features
    expected = (
        ("ernie", 0.09375, True), ("ernie", 0.03125, False), ("unc", 0.125, False),
        ("slices", 0.5, True), ("folder", 0.25, True),
    )  # fmt: skip
    assert settings.heads == expected
    assert settings_from(json.dumps(asdict(settings))) == settings
    alone = read_settings(written(tmp_path, "[measured]\nslices = 1.0\n"))
    assert alone.heads == (("slices", 1.0, True),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "cannot be read"),
        ("[trainin]\nsteps = 1\n", "unknown table trainin"),
        ("[training]\nstep = 1\n", "unknown setting step"),
        ("[heads]\nerni = { simulated = 1.0 }\n", "no head erni"),
        ("[heads]\nernie = { simulate = 1.0 }\n", "has simulate"),
        ("[heads]\nernie = { simulated = 'x' }\n", "above 0"),
        ("[heads]\nernie = { simulated = -1.0 }\n", "above 0"),
        ("[training]\nsteps = 'many'\n", "steps is 'many'"),
        ("[training]\nsteps = 0\n", "steps is 0: it must be 1 or more"),
        ("[training]\nloss = 'l3'\n", "loss is l3"),
        ("[network]\nneighbours = 2\n", "must be odd"),
        ("[network]\nfeatures = 0\n", "features is 0"),
        ("[measured]\nslices = 1.5\n", "make up 1 at most"),
        ("[measured]\nslices = 0.5\nfolder = 0.6\n", "make up 1 at most"),
        ("[measured]\nslices = 0.5\n", "there is nothing else"),
        ("[heads]\nernie = 0.3\n", "cannot be understood"),
        ("", "nothing to learn from"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_settings(written(tmp_path, text))
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "--bank", "B", "--run", "R", "--features", "0"], "features is 0: it must be 1 or more"),
        (["fit", "--bank", "B", "--run", "R", "--device", "mps"], "Training does not run on mps"),
        (["fit", "--bank", "B", "--run", "R", "--fold", "7"], "no fold 7"),
        (
            ["fit", "--bank", "B", "--run", "R", "--measured", "slices", "0.2", "--measured", "slices", "0.3"],
            "slices is given twice",
        ),
        (["simulate", "--bank", "B", "--data", "nonexist"], "is missing: run `python -m training fetch`"),
        (["card", "--model", "nowhere", "--results", "x", "--limits", "y"], "cannot be read"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    assert main() == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "R").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_can_be_given(command):
    parser_of_verbs().parse_args(shlex.split(command, comments=True))


def test_the_readme_is_short():
    text = README.read_text()
    assert COMMANDS and len(text.splitlines()) <= 90 and len(text.split()) <= 900
