"""How long a synthesis takes: what is kept, and what is told."""

import numpy as np
import pytest

import host

host.start_gui()

import slicer  # noqa: E402

from decnn import catalog  # noqa: E402
from decnn.options import Options  # noqa: E402
from MRtoCTLib import timing  # noqa: E402


@pytest.fixture(autouse=True)
def no_experience():
    slicer.mrmlScene.Clear()
    slicer.app.userSettings().clear()


def add_mr(size: int):
    return slicer.util.addVolumeFromArray(np.zeros((size, size, size), np.float32), name="Patient's name")


def test_it_grows_with_the_image() -> None:
    small, large = add_mr(10), add_mr(20)
    assert timing.expectedSeconds(large, Options(device="cpu")) is None
    timing.remember(small, Options(device="cpu"), 3.0)
    assert timing.expectedSeconds(small, Options(device="cpu")) == pytest.approx(3.0)
    assert timing.expectedSeconds(large, Options(device="cpu")) == pytest.approx(24.0)
    large.SetSpacing(0.5, 0.5, 0.5)  # finer voxels, the same space
    assert timing.expectedSeconds(large, Options(device="cpu")) == pytest.approx(3.0)
    assert timing.expectedSeconds(small, Options(device="cuda:0")) is None


def test_it_is_still_known_after_a_restart() -> None:
    from PySide6.QtCore import QSettings

    settings = slicer.app.userSettings()
    mr = add_mr(10)
    timing.remember(mr, Options(device="auto"), 7.5)
    settings.sync()
    assert float(QSettings(settings.fileName(), QSettings.IniFormat).value(settings.allKeys()[0])) > 0
    assert timing.expectedSeconds(mr, Options(device="auto")) == pytest.approx(7.5)


def test_nothing_is_kept_but_numbers(tmp_path) -> None:
    """No patient, and no path of a model of the user's own."""
    mr = add_mr(10)
    timing.remember(mr, Options(str(tmp_path), "cpu"), 3.0)
    assert slicer.app.userSettings().allKeys() == []
    assert timing.expectedSeconds(mr, Options(str(tmp_path), "cpu")) is None
    timing.remember(mr, Options(device="cpu"), 3.0)
    (key,) = slicer.app.userSettings().allKeys()
    version = catalog.model_entry("decnn-head-t1").version
    assert key == f"MRtoCT/SecondsPerLitre/decnn-head-t1/{version}/cpu"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "about 1 s"), (7.4, "about 7 s"), (38, "about 40 s"), (89, "about 90 s"), (91, "about 2 min")],
)
def test_times_are_no_more_exact_than_an_estimate(seconds, said) -> None:
    assert timing.about(seconds) == said
