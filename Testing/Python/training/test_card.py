"""The bundled model's card says what was measured with these very weights."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from decnn.catalog import DEFAULT_MODEL, MODELS_FOLDER
from decnn.errors import InputError
from training.card import write_card
from training.experiments.ablate import table as ablation_table
from training.experiments.evaluate_heads import table
from training.experiments.sensitivity import table as sensitivity_table
from training.fit import Settings
from training.heads import ct_heads

RESULTS = Path(__file__).resolve().parents[3] / "training/results"


def test_the_card_is_what_the_stored_figures_make(tmp_path):
    bundled = MODELS_FOLDER / DEFAULT_MODEL
    (tmp_path / "model.json").write_bytes((bundled / "model.json").read_bytes())
    results, limits = RESULTS / "leave_one_head_out.json", RESULTS / "model_limits.md"
    card = (
        write_card(tmp_path, results, limits)
        .read_text()
        .replace(results.as_posix(), "training/results/leave_one_head_out.json")
    )
    assert card == (bundled / "MODEL_CARD.md").read_text()


def test_the_tables_in_the_texts_are_those_of_the_stored_figures():
    top = RESULTS.parents[1]
    left_out = json.loads((RESULTS / "leave_one_head_out.json").read_text())
    assert table(left_out) in (top / "README.md").read_text()
    for name in ("ablation", "ablation_again", "ablation_bone"):
        ablation = json.loads((RESULTS / f"{name}.json").read_text())
        assert ablation_table(ablation) in (top / "training/README.md").read_text()
    for name in ("left_out_ernie", "left_out_ernie_and_nmd"):
        row = json.loads((RESULTS / f"{name}.json").read_text())["heads"][0]
        cells = [f"{row[column]:.2f}" for column in ("mae_hu_tight", "bone_dice", "bone_dice_vault")]
        assert " | ".join([*cells, f"`{name}.json`"]) in (top / "training/README.md").read_text()


def test_what_the_scan_costs_is_what_was_measured():
    result = json.loads((RESULTS / "sensitivity.json").read_text())
    assert set(result["weights_sha256"]) == set(ct_heads.NAMES)
    top = RESULTS.parents[1]
    assert sensitivity_table(result) in (top / "training/README.md").read_text()
    dice = {row["acquisition"]: f"{row['bone_dice']:.2f}" for row in result["rows"]}
    for text in (top / "README.md", RESULTS / "model_limits.md"):
        words = text.read_text().split()
        for acquisition in ("1 mm", "1 mm, fat shifted by 2 mm", "1 mm, fat opposed to water", "axial slices, 7 mm"):
            assert any(word.strip(",") == dice[acquisition] for word in words), (text.name, acquisition)


def test_figures_of_another_model_are_refused(tmp_path):
    (tmp_path / "model.json").write_bytes((MODELS_FOLDER / DEFAULT_MODEL / "model.json").read_bytes())
    results, limits = tmp_path / "results.json", RESULTS / "model_limits.md"
    results.write_text(json.dumps({"weights_sha256": "0" * 64, "heads": []}))
    with pytest.raises(InputError, match="another model"):
        write_card(tmp_path, results, limits)
    results.write_text(json.dumps({"settings": asdict(Settings(features=7)), "heads": []}))
    with pytest.raises(InputError, match="another model"):
        write_card(tmp_path, results, limits)
