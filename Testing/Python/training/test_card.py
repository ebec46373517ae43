"""The bundled model's card says what was measured with these very weights."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from decnn.catalog import DEFAULT_MODEL, MODELS_FOLDER
from decnn.errors import InputError
from training.card import write_card
from training.experiments.quality import write_quality
from training.fit import Settings

RESULTS = Path(__file__).resolve().parents[3] / "training/results"


def test_the_card_is_what_the_stored_figures_make(tmp_path):
    bundled, results = MODELS_FOLDER / DEFAULT_MODEL, RESULTS / DEFAULT_MODEL
    (tmp_path / "model.json").write_bytes((bundled / "model.json").read_bytes())
    figures = [results / name for name in ("folds.json", "slices.json", "heads.json")]
    card = write_card(tmp_path, figures, results / "limits.md").read_text()
    assert card == (bundled / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/*.json")), ids=lambda path: path.name)
def test_every_figure_says_how_it_was_made_and_names_no_folder_of_a_machine(path):
    text = path.read_text()
    assert {"command", "commit", "date"} <= set(json.loads(text)["made"])
    assert not re.search(r"/(home|work|tmp|root|Users)/", text)


def test_figures_of_another_model_are_refused(tmp_path):
    (tmp_path / "model.json").write_bytes((MODELS_FOLDER / DEFAULT_MODEL / "model.json").read_bytes())
    results, limits = tmp_path / "results.json", tmp_path / "limits.md"
    limits.write_text("- none\n")
    heads = [{"head": "unc", "reference": "measured CT", "mr": "", "mae_hu_tight": 1.0}]
    for figures, said in (
        ({"weights_sha256": "0" * 64, "heads": heads}, "another model"),
        ({"settings": asdict(Settings(features=7)), "heads": heads}, "another model"),
        ({"rates": {}}, "holds no figures"),
        ([1], "no JSON file of figures"),
    ):
        results.write_text(json.dumps(figures))
        with pytest.raises(InputError, match=said):
            write_card(tmp_path, [results], limits)
    results.write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        write_card(tmp_path, [results], limits)


def test_the_page_of_quality_is_what_the_stored_figures_make(tmp_path):
    top = RESULTS.parents[1]
    readme = tmp_path / "README.md"
    readme.write_text((top / "README.md").read_text())
    others = [RESULTS / "decnn-head-t1-open"]
    write_quality(RESULTS / DEFAULT_MODEL, tmp_path / "quality.md", readme, others)
    assert (tmp_path / "quality.md").read_text() == (top / "docs/quality.md").read_text()
    assert readme.read_text() == (top / "README.md").read_text()
    readme.write_text("# nothing\n")
    with pytest.raises(InputError, match="lacks the marks"):
        write_quality(RESULTS / DEFAULT_MODEL, tmp_path / "quality.md", readme)
    with pytest.raises(InputError, match="slices.json cannot be read"):
        write_quality(tmp_path, tmp_path / "quality.md", readme)


def test_models_that_stand_side_by_side_were_measured_on_the_same_people(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    slices = json.loads((RESULTS / DEFAULT_MODEL / "slices.json").read_text())
    slices["cases"] = slices["cases"][3:]
    (other / "slices.json").write_text(json.dumps(slices))
    (other / "heads.json").write_text((RESULTS / DEFAULT_MODEL / "heads.json").read_text())
    readme = tmp_path / "README.md"
    readme.write_text((RESULTS.parents[1] / "README.md").read_text())
    with pytest.raises(InputError, match="different patients"):
        write_quality(RESULTS / DEFAULT_MODEL, tmp_path / "quality.md", readme, [other])
    assert not (tmp_path / "quality.md").exists()
