"""The self-test that Slicer runs, unchanged, over the stand-ins of Testing/host."""

import importlib
import unittest
from collections.abc import Iterator
from pathlib import Path

import pytest

import host

host.start_gui()

import slicer  # noqa: E402

from decnn.options import Options  # noqa: E402
from host import application  # noqa: E402

MODULE = Path(__file__).resolve().parents[3] / "MRtoCT" / "MRtoCT.py"


@pytest.fixture(scope="module")
def test_class() -> Iterator[type[unittest.TestCase]]:
    """MRtoCTTest, as Slicer finds it: by its name in the module's file. Its panel does not outlive it."""
    slicer.mrmlScene.Clear()
    module = application.load_module(MODULE)
    yield importlib.import_module("MRtoCT").MRtoCTTest
    module.widgetRepresentation()
    slicer.util.getModuleWidget("MRtoCT").cleanup()


def test_every_test_is_found(test_class) -> None:
    """By unittest (ctest), and by Slicer's button, which calls runTest()."""
    found = set(unittest.TestLoader().getTestCaseNames(test_class))
    assert found == {
        "test_badInputs",
        "test_batch",
        "test_cancel",
        "test_delivery",
        "test_failureLeavesTheOutput",
        "test_manyRuns",
        "test_nodeRemovedWhileRunning",
        "test_obliqueUnderTransform",
        "test_panel",
        "test_referenceComparison",
        "test_referenceThatCannotBeCompared",
        "test_sceneClosedWhileRunning",
        "test_synthesize",
    }


def test_without_torch_what_needs_it_is_skipped_with_a_reason(test_class, monkeypatch) -> None:
    from MRtoCTLib import dependencies

    monkeypatch.setattr(dependencies, "torchInstalled", lambda: False)
    result = unittest.TestResult()
    some = ("test_synthesize", "test_obliqueUnderTransform", "test_cancel", "test_failureLeavesTheOutput", "test_panel")
    unittest.TestSuite(map(test_class, some)).run(result)
    assert not result.errors and not result.failures
    assert 0 < len(result.skipped) < result.testsRun and all("PyTorch" in reason for _test, reason in result.skipped)


def test_all_pass(test_class, tiny_model, monkeypatch) -> None:
    """The button "Reload and Test", with a model that is small instead of good."""
    monkeypatch.setattr(test_class, "options", Options(model=str(tiny_model)))
    test_class().runTest()
