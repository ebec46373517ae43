"""The selected MR is checked in the background: what is found is shown, and nothing of another volume is."""

import pytest

from panel import add_mr, open_panel  # isort: skip  (it makes qt and slicer.app)

import slicer
from test_export import node_of

from MRtoCTLib.panel import inputchecker
from MRtoCTLib.tasks.process import engineCommand
from phantom import ct_of, phantom_head


@pytest.fixture
def panel():
    with open_panel() as panel:
        yield panel


def checker(panel):
    return panel.widget.synthesisSection.checker


def test_what_is_found_is_shown_before_a_synthesis(panel) -> None:
    assert not panel.ui.findingsLabel.visible
    add_mr("Head T1")
    panel.wait_for(lambda: panel.ui.findingsLabel.text == "The slices are thick.")
    assert panel.ui.findingsLabel.visible
    panel.wait_for(lambda: not checker(panel).isRunning)
    assert panel.ui.synthesizeButton.enabled and not panel.widget.logic.isRunning
    panel.parameters.inputVolume = None
    assert panel.ui.findingsLabel.text == "" and not panel.ui.findingsLabel.visible


def test_the_real_engine_says_what_is_wrong(panel) -> None:
    panel.widget.logic.engine = engineCommand()
    node_of(ct_of(phantom_head()[1]), "Head")
    panel.wait_for(lambda: "histogram of a CT" in panel.ui.findingsLabel.text, 60)
    panel.wait_for(lambda: not checker(panel).isRunning)


def test_what_is_said_of_a_volume_that_is_no_longer_selected_is_dropped(panel) -> None:
    panel.play("hang")
    add_mr("First T1")
    panel.wait_for(lambda: checker(panel)._check is not None)
    first = checker(panel)._check
    panel.play("make")
    panel.parameters.inputVolume = add_mr("Second T1")
    assert panel.ui.findingsLabel.text == ""
    panel.wait_for(lambda: panel.ui.findingsLabel.text == "The slices are thick.")
    panel.wait_for(lambda: not first.isRunning, 2.0)
    assert not first.workspace.path.exists()
    first.findings.append({"severity": "error", "code": "x", "message": "Of another volume."})
    first._tellOfChange()
    assert panel.ui.findingsLabel.text == "The slices are thick."


def test_a_changed_volume_is_checked_again(panel) -> None:
    node = add_mr("Head T1")
    panel.wait_for(lambda: panel.ui.findingsLabel.visible)
    panel.play("fail")
    node.SetName("Another name")
    assert panel.ui.findingsLabel.visible
    slicer.util.arrayFromVolume(node)[:] = 2
    slicer.util.arrayFromVolumeModified(node)
    assert checker(panel).isRunning and not panel.ui.findingsLabel.visible
    panel.wait_for(lambda: not checker(panel).isRunning)
    assert not panel.ui.findingsLabel.visible  # a check that fails says nothing, and stops nobody
    assert panel.ui.synthesizeButton.enabled


def test_a_synthesis_takes_over(panel) -> None:
    panel.play("hang")
    add_mr("Head T1")
    panel.wait_for(lambda: checker(panel)._check is not None)
    check = checker(panel)._check
    panel.play("make")
    panel.click()
    panel.wait_until_idle()
    panel.wait_for(lambda: not check.isRunning, 2.0)
    assert not check.workspace.path.exists()
    assert panel.ui.findingsLabel.text == "The slices are thick."


@pytest.mark.parametrize("end", ["scene", "node", "panel"])
def test_nothing_is_left_behind(panel, end: str) -> None:
    panel.play("stubborn")
    node = add_mr("Head T1")
    panel.wait_for(lambda: checker(panel)._check is not None)
    check = checker(panel)._check
    if end == "scene":
        slicer.mrmlScene.Clear()
    elif end == "node":
        slicer.mrmlScene.RemoveNode(node)
    else:
        panel.widget.cleanup()
    # The engine does not listen and is killed after a grace: the scene does not wait for that, the end of Slicer does.
    assert check.isRunning == (end != "panel")
    panel.wait_for(lambda: not check.isRunning, 2.0)
    assert not check.workspace.path.exists()
    if end == "panel":
        panel.view.build()


def test_a_check_that_is_not_yet_due_does_not_start(panel, monkeypatch) -> None:
    monkeypatch.setattr(inputchecker, "_PATIENCE_MILLISECONDS", 50)
    heads = [add_mr(f"Head {number}") for number in range(4)]
    started = []
    monkeypatch.setattr(checker(panel), "_startCheck", lambda node, changed: started.append(node) or Idle())
    for node in heads:
        panel.parameters.inputVolume = node
    panel.wait_for(lambda: bool(started))
    assert started == [heads[-1]]


class Idle:
    """A check that has nothing to do."""

    def cancel(self) -> None:
        pass

    def abort(self) -> None:
        pass
