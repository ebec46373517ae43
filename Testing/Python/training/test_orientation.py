"""The network that sees how a head lies: trained with torch, run with numpy, measured on whom it has not seen."""

import importlib.util

import numpy as np
import pytest
import torch

from decnn.checks import turn_network
from training import orientation
from training.orientation import Picture, fit_orientation, table, write_weights

ROWS, COLUMNS = 50, 56


def picture(name: str, source: str, rng: np.random.Generator) -> Picture:
    """A disc upon a neck, with a bright face in front."""
    z, y = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    disc = (z - 30) ** 2 + (y - 28) ** 2 < rng.uniform(15, 18) ** 2
    head = disc | ((z < 30) & (np.abs(y - 30) < 9))
    face = head & (z < 28) & (y < 24)
    values = np.where(head, 1.0, 0.0) + face + rng.normal(0, 0.05, head.shape)
    return Picture(name, source, values.astype(np.float32), head)


def test_it_learns_which_end_is_up_and_is_measured_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orientation, "_OF_SIMULATED", 3)
    monkeypatch.setattr(orientation, "_OF_MEASURED", 9)
    monkeypatch.setattr(orientation, "_OF_TESTED", 4)
    monkeypatch.setattr(orientation, "_EPOCHS", 60)
    monkeypatch.setattr(orientation, "_DROPOUT", 0.0)
    rng = np.random.default_rng(3)
    seen = []
    real = orientation._train
    monkeypatch.setattr(orientation, "_train", lambda views, seed: seen.append(len(views)) or real(views, seed))
    learned = [picture(str(n), "simulated T1", rng) for n in range(6)] + [picture("m", "measured T1", rng)]
    network, result = fit_orientation(learned, [picture(str(number), "real slice", rng) for number in range(3)])
    assert seen == [6 * 4 + 10] and result["learned"] == 7
    as_it_is, varied = result["rows"]
    assert (as_it_is["form"], as_it_is["heads"], varied["form"], varied["heads"]) == ("as it is", 3, "varied", 12)
    assert as_it_is["least"] > 0 and as_it_is["false_error"] == as_it_is["false_warning"] == 0
    assert len(result["worst"]["real slice"]) == 3 and "| real slice | as it is | 3 |" in table(result)
    new = picture("new", "real slice", rng)
    seen_of_it = orientation._varied(new, 0, rng)
    assert orientation._log_odds(network, seen_of_it)[0] > 0
    upside_down = seen_of_it[:, [2, 3, 0, 1]]
    assert orientation._log_odds(network, upside_down)[0] < 0, "turned, the other way scores more"


def test_numpy_computes_what_torch_has_trained(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    network = orientation._network().eval()
    write_weights(network, tmp_path / "turn_weights.py")
    spec = importlib.util.spec_from_file_location("weights_of_a_test", tmp_path / "turn_weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(turn_network, "WEIGHTS", module.WEIGHTS)
    turn_network._weights.cache_clear()
    size = turn_network.SIZE
    pictures = np.random.default_rng(2).uniform(0, 1.6, (3, size, size)).astype(np.float32)
    try:
        with torch.no_grad():
            expected = network(torch.from_numpy(pictures)[:, None])[:, 0].numpy()
        np.testing.assert_allclose(turn_network.scores(pictures), expected, atol=2e-3)  # float16 in the file
    finally:
        turn_network._weights.cache_clear()


def test_a_frame_is_the_box_around_the_upper_part_of_the_head() -> None:
    values = np.zeros((90, 60), np.float32)
    values[5:85, 10:50] = 1.0  # a long neck
    values[41:85, 20:50] = 2.0
    head = values > 0
    head[41:85, 10:20] = False
    frame = turn_network.framed(values, head)
    assert frame.shape == (turn_network.SIZE, turn_network.SIZE)
    np.testing.assert_allclose(frame, 1.0)  # no neck, no empty border, in units of the median
