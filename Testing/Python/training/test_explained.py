"""What simulation and people differ in, and what limits the scores on people: measures of known images."""

from types import SimpleNamespace

import numpy as np
import pytest

from training.bank import SLICES, Entry, _save
from training.experiments import compare_simulation as comparison
from training.experiments import explain_error as explanation
from training.measured_pairs.slices import RealSlice
from training.simulation.simulate import Pair

SIDE = 80


def shell(edge_hu):
    """HU of a square head of 60 mm with a skull of 8 mm, whose outermost pixels have ``edge_hu``."""
    hu = np.full((SIDE, SIDE), -1000.0, np.float32)
    hu[10:70, 10:70] = 40.0
    hu[18:62, 18:62] = 1200.0
    for hull in (np.s_[18, 18:62], np.s_[61, 18:62], np.s_[18:62, 18], np.s_[18:62, 61]):
        hu[hull] = edge_hu
    hu[26:54, 26:54] = 40.0
    return hu


def pair_of(hu):
    head = hu > -300
    mr = np.where(head, 1.0, 0.0) - 0.75 * (hu > 250)
    rows = np.minimum(np.arange(SIDE) - 10, 69 - np.arange(SIDE))
    depth = np.minimum(rows[:, None], rows[None, :]) / 30.0
    return Pair(*(array[None].astype(np.float32) for array in (mr, depth, hu)), head[None])


def test_the_signal_and_the_edge_of_each_kind_are_measured(tmp_path):
    for patient, edge in (("1BA001", 600.0), ("1BB001", 300.0)):
        _save(tmp_path, Entry(SLICES, True), f"{patient}/axial", pair_of(shell(edge)))
    result = comparison.compare_simulation(tmp_path, pairs=1)
    sharp, soft = result["kinds"]
    assert (sharp["kind"], soft["kind"], sharp["slices"]) == ("people, 1BA", "people, 1BB", 1)
    across = dict(zip(comparison._PROFILE_MM, sharp["profile_hu"], strict=True))
    assert (across[-2], across[0], across[2]) == (40, 600, 1200)
    assert dict(zip(comparison._PROFILE_MM, soft["profile_hu"], strict=True))[0] == 300
    assert sharp["mr"]["bone_deep"] == [0.25] * 3 and sharp["mr"]["scalp_fat"] is None
    assert "people, 1BB, hu" in comparison.table(result)


@pytest.fixture
def one_slice(monkeypatch):
    truth = shell(1200.0)
    inside = truth > -300
    item = RealSlice("1BA001", "axial", truth[None], truth[None], inside[None])
    monkeypatch.setattr(explanation, "prepare", lambda mr, axis: (None, None, inside[None]))
    monkeypatch.setattr(explanation, "read_slices", lambda root, patients: [item])
    monkeypatch.setattr(explanation, "identity", lambda model: {})
    return truth


def explained(monkeypatch, ct):
    monkeypatch.setattr(explanation, "slice_predictor", lambda model: lambda item: ct)
    result = explanation.explain_error(SimpleNamespace(), None, {"fold 1": ["1BA001"]})
    return result, {row["against"]: row for row in result["rows"]}


def test_a_soft_ct_fits_the_blurred_one_best(one_slice, monkeypatch):
    ct = explanation._blurred(one_slice, 1.0)
    result, rows = explained(monkeypatch, ct)
    assert rows["CT blurred by 1 mm"]["mae_hu"] == 0.0 < rows["CT blurred by 0.5 mm"]["mae_hu"] < rows["CT"]["mae_hu"]
    assert rows["CT"]["me_bone_hu"] < rows["CT"]["me_synthetic_bone_hu"] < 0.0
    assert "| fold 1 | CT blurred by 1 mm | 0.0 |" in explanation.table(result)


def test_a_shifted_ct_fits_the_deformed_one_best(one_slice, monkeypatch):
    result, rows = explained(monkeypatch, np.roll(one_slice, 1, axis=1))
    assert rows["CT deformed onto it"]["mae_hu"] < 0.5 * rows["CT"]["mae_hu"]
    assert rows["CT"]["me_bone_hu"] < 0.0 < rows["CT"]["me_synthetic_bone_hu"]
    assert 0.2 < result["moved_mm"]["fold 1"] < 1.5


def test_what_the_mr_does_not_show_is_told_apart(one_slice, monkeypatch):
    shown = one_slice > -300
    shown[:30] = False
    monkeypatch.setattr(explanation, "prepare", lambda mr, axis: (None, None, shown[None]))
    result, rows = explained(monkeypatch, np.where(shown, one_slice, -1000.0).astype(np.float32))
    assert rows["CT"]["mae_hu"] > 200.0 > rows["CT, where the MR shows the head"]["mae_hu"]
    assert result["not_shown"]["fold 1"] == pytest.approx(17 / 60, abs=0.002)
