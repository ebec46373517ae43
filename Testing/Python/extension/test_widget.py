"""The panel over the stand-ins of Testing/host: click, progress, cancel, result, and what it looks like."""

import logging
import re
import time
import types
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from panel import add_mr, open_panel  # isort: skip  (it makes qt and slicer.app)

import qt
import slicer

from MRtoCTLib.tasks.process import engineCommand

CONTROLS = (
    "inputSelector",
    "outputSelector",
    "modelSelector",
    "modelCardButton",
    "deviceSelector",
    "synthesizeButton",
    "progressBar",
    "statusLabel",
    "logTextEdit",
    "overlaySlider",
    "presetSelector",
    "layoutSelector",
    "findingsLabel",
)


@pytest.fixture
def panel():
    with open_panel() as panel:
        yield panel


@pytest.fixture
def mr(panel):
    """A T1 that was loaded while the panel was open."""
    node = add_mr("Head T1")
    panel.wait_for(lambda: panel.ui.inputSelector.currentNode() is node)
    return node


def test_what_slicer_lists(panel) -> None:
    assert panel.module.title == "MRtoCT"
    assert panel.module.categories == ["Image Synthesis"]
    assert "10.1016/j.media.2018.03.011" in panel.module.acknowledgementText
    assert "Not a medical device" in panel.module.helpText


def test_controls_have_names_and_tooltips(panel) -> None:
    for name in CONTROLS:
        assert getattr(panel.ui, name).toolTip, name
    assert panel.ui.noticeLabel.text.startswith("Not a medical device.")
    assert panel.ui.noticeLabel.visible


def test_every_control_has_a_tooltip(panel) -> None:
    """As the file has them, and as the panel shows them before anything was chosen."""
    file = ET.parse(Path(panel.module.path).parent / "Resources" / "UI" / "MRtoCT.ui")
    controls = [widget for widget in file.iter("widget") if widget.get("class") != "qMRMLWidget"]
    assert len(controls) > 20
    for control in controls:
        tips = [prop.findtext("string") for prop in control.findall("property") if prop.get("name") == "toolTip"]
        assert tips, control.get("name")
        assert (tips[0] or "").strip().endswith("."), control.get("name")
        assert getattr(panel.ui, control.get("name")).toolTip, control.get("name")


def test_a_disabled_button_says_what_is_missing(panel) -> None:
    button = panel.ui.synthesizeButton
    assert (button.enabled, button.toolTip) == (False, "Select the T1 MR volume.")
    head = add_mr("Head")
    panel.wait_for(lambda: button.enabled)
    panel.parameters.outputVolume = head
    assert not button.enabled
    assert "is the input" in button.toolTip
    panel.parameters.outputVolume = None
    assert button.enabled
    slicer.mrmlScene.RemoveNode(head)
    panel.wait_for(lambda: not button.enabled)


def test_click_progress_result(panel, mr, tmp_path) -> None:
    idle = panel.picture(tmp_path / "idle.png")
    assert not panel.ui.progressBar.visible
    assert not panel.ui.overlaySlider.enabled
    panel.play("hang")
    panel.click()
    assert panel.ui.synthesizeButton.text == "Cancel"
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    assert panel.ui.progressBar.visible
    assert panel.ui.progressBar.value == 25
    assert not panel.ui.inputSelector.enabled
    running = panel.picture(tmp_path / "running.png")
    panel.click()
    panel.wait_until_idle(2.0)

    panel.play("make")
    panel.click()
    panel.wait_until_idle()
    ct = panel.ui.outputSelector.currentNode()
    assert ct.GetName() == "Head T1 sCT"
    assert panel.parameters.outputVolume is ct
    assert panel.ui.statusLabel.text.startswith("'Head T1 sCT' was made in 1 s on cpu.")
    assert panel.ui.findingsLabel.text == "The slices are thick."
    assert "Acting" in panel.ui.logTextEdit.plainText
    assert panel.ui.synthesizeButton.text == "Synthesize CT"
    assert not panel.ui.progressBar.visible
    done = panel.picture(tmp_path / "done.png")
    assert np.any(idle != running)
    assert np.any(idle != done)


def test_nothing_is_cut_off_in_a_narrow_panel(panel, mr) -> None:
    """Slicer's panel may be narrow: every control fits into it, and none lies upon another."""
    panel.click()
    panel.wait_until_idle()
    for section in ("advancedCollapsibleButton", "logCollapsibleButton"):
        getattr(panel.ui, section).collapsed = False
    panel.view.resize(300, 1300)
    panel.wait_for(lambda: panel.view.width == 300)
    slicer.app.processEvents()
    boxes = {}
    for name in (*(name for name in CONTROLS if name != "progressBar"), "noticeLabel"):
        control = getattr(panel.ui, name)
        corner = control.mapTo(panel.view, qt.QPoint(0, 0))
        boxes[name] = qt.QRect(corner.x(), corner.y(), control.width, control.height)
        assert control.visible, name
        assert boxes[name].left() >= 0, name
        assert boxes[name].right() < panel.view.width, name
    names = list(boxes)
    for number, name in enumerate(names):
        for other in names[number + 1 :]:
            assert not boxes[name].intersects(boxes[other]), (name, other)


def test_long_texts_do_not_widen_the_panel(panel, mr) -> None:
    """They wrap or are cut short: the views beside it keep their place."""
    panel.click()
    panel.wait_until_idle()
    for section in ("advanced", "review", "compare", "export"):
        getattr(panel.ui, f"{section}CollapsibleButton").collapsed = False
    slicer.app.processEvents()
    before = panel.view.minimumSizeHint().width()
    long = "sub_01_ses_02_acq_mprage_rec_norm_desc_defaced_and_even_longer_T1w_" * 3
    for node in (mr, panel.parameters.outputVolume):
        node.SetName(long + node.GetName())
    panel.parameters.referenceVolume = add_mr(long)
    devices = [{"name": "cuda:0", "description": long, "memory_gb": 80.0}]
    panel.widget.advancedSection.showDevices(devices)
    panel.ui.deviceSelector.currentIndex = 1
    for label in ("statusLabel", "findingsLabel", "compareStatusLabel", "exportStatusLabel", "modelTermsLabel"):
        getattr(panel.ui, label).text = long
    slicer.app.processEvents()
    assert panel.view.minimumSizeHint().width() == before < 330


def test_cancel(panel, mr) -> None:
    panel.play("stubborn")
    count = slicer.mrmlScene.GetNumberOfNodes()
    panel.click()
    panel.wait_for(lambda: "child" in panel.ui.logTextEdit.plainText)
    panel.click()
    assert (panel.ui.synthesizeButton.text, panel.ui.synthesizeButton.enabled) == ("Cancelling", False)
    panel.wait_until_idle(2.0)
    assert panel.ui.statusLabel.text == "The synthesis was cancelled."
    assert panel.ui.synthesizeButton.enabled
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_an_error_is_shown(panel, mr, caplog) -> None:
    panel.play("fail")
    with caplog.at_level(logging.ERROR):
        panel.click()
        panel.wait_until_idle()
    assert panel.ui.statusLabel.text == "The disk is full: free some space."
    assert "The disk is full: free some space." in caplog.messages  # slicer.util.errorDisplay logs what it shows
    assert "the reason, at length" in panel.ui.logTextEdit.plainText
    assert panel.ui.synthesizeButton.enabled


def test_the_event_loop_is_never_held_up(panel, mr) -> None:
    """While the engine runs, Slicer goes on: the longest pause between two turns of the event loop."""
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    pauses = []
    for _ in range(50):
        began = time.monotonic()
        slicer.app.processEvents()
        pauses.append(time.monotonic() - began)
        time.sleep(0.01)
    assert max(pauses) < 0.2
    panel.click()
    panel.wait_until_idle(2.0)


def test_reading_the_ct_does_not_hold_the_event_loop_up(panel, mr, monkeypatch) -> None:
    """However long it takes."""
    from MRtoCTLib import nodes

    read = nodes.readVoxels

    def slowly(path):
        time.sleep(2.0)
        return read(path)

    monkeypatch.setattr(nodes, "readVoxels", slowly)
    pauses = []
    panel.click()
    while panel.widget.logic.isRunning:
        began = time.monotonic()
        slicer.app.processEvents()
        pauses.append(time.monotonic() - began)
        time.sleep(0.01)
    assert max(pauses) < 1.0  # on the main thread it would be two seconds
    assert panel.ui.outputSelector.currentNode() is not None


@pytest.mark.parametrize("gone", ["MR", "CT", "scene"])
def test_nodes_that_go_while_the_ct_comes_in(panel, mr, gone) -> None:
    """The CT is put in one piece, its map in the next."""
    panel.parameters.confidenceMap = True
    panel.click()
    panel.wait_for(lambda: panel.synthesis.outputNode is not None)
    synthesis = panel.synthesis
    ct = synthesis.outputNode
    synthesis.cancel()  # too late
    if gone == "scene":
        slicer.mrmlScene.Clear()
    else:
        slicer.mrmlScene.RemoveNode(mr if gone == "MR" else ct)
    panel.wait_until_idle()
    if gone == "MR":
        assert synthesis.state.name == "DONE" and slicer.mrmlScene.IsNodePresent(synthesis.confidenceNode)
    else:
        assert synthesis.state.name == "CANCELLED" and synthesis.confidenceNode is None
    assert panel.ui.synthesizeButton.text == "Synthesize CT"


def test_a_ct_of_another_mr_is_not_overwritten(panel, mr) -> None:
    panel.click()
    panel.wait_until_idle()
    assert panel.ui.outputSelector.currentNode() is not None
    other = add_mr("Other T1")
    panel.ui.inputSelector.setCurrentNode(other)
    assert panel.ui.outputSelector.currentNode() is None
    assert panel.ui.outputSelector.baseName == "Other T1 sCT"


def test_the_overlay_slider(panel, mr) -> None:
    panel.click()
    panel.wait_until_idle()
    assert panel.ui.overlaySlider.enabled
    panel.ui.overlaySlider.value = 0.8
    views = [slicer.util.getNode(f"vtkMRMLSliceCompositeNode{name}") for name in ("Red", "Yellow", "Green")]
    assert [view.GetForegroundOpacity() for view in views] == [0.8, 0.8, 0.8]


def test_devices_have_their_names_once_the_engine_told_them(panel, mr) -> None:
    items = lambda: [panel.ui.deviceSelector.itemText(row) for row in range(panel.ui.deviceSelector.count)]  # noqa: E731
    panel.widget.advancedSection.showDevices([])
    assert items() == ["Automatic", "CPU"]
    panel.wait_for(lambda: panel.widget.logic._devicesQuery is None)
    panel.play("devices")
    panel.view.exit()
    panel.view.enter()
    panel.wait_for(lambda: len(items()) == 3)
    assert items() == ["Automatic", "NVIDIA Example, 24 GB", "Some CPU, 8 cores"]
    panel.ui.deviceSelector.currentIndex = 1
    assert panel.parameters.device == "cuda:0"


def test_an_engine_that_talks_of_no_devices(panel, mr) -> None:
    """A library prints lines of its own, brackets among them."""
    listed = panel.ui.deviceSelector.count
    panel.play("chatter")
    panel.widget.logic.requestDevices(lambda devices: pytest.fail("none were told"))
    panel.wait_for(lambda: panel.widget.logic._devicesQuery is None)
    assert panel.ui.deviceSelector.count == listed


def test_a_choice_survives_another_module(panel, mr) -> None:
    """The user goes elsewhere while the engine runs: the CT is delivered, and selected on return."""
    panel.play("make")
    panel.click()
    panel.view.exit()
    panel.wait_until_idle()
    panel.view.enter()
    assert panel.ui.outputSelector.currentNode().GetName() == "Head T1 sCT"
    assert panel.ui.inputSelector.currentNode() is mr


def test_the_scene_is_closed_while_running(panel, mr) -> None:
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    slicer.mrmlScene.Clear()
    panel.wait_until_idle(2.0)
    assert panel.ui.inputSelector.currentNode() is None
    assert not panel.ui.synthesizeButton.enabled


@pytest.mark.parametrize("which", ["input", "output"])
def test_a_node_is_removed_while_running(panel, mr, which) -> None:
    """The panel says why it ended, and can be used again."""
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    panel.parameters.outputVolume = output
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    slicer.mrmlScene.RemoveNode(mr if which == "input" else output)
    panel.wait_until_idle(2.0)
    assert "was removed" in panel.ui.statusLabel.text
    panel.play("make")
    if which == "input":
        panel.ui.inputSelector.setCurrentNode(add_mr("Other T1"))
    panel.click()
    panel.wait_until_idle()
    assert panel.ui.outputSelector.currentNode() is not None


def test_slicer_asks_whether_to_save_and_quits(panel, mr) -> None:
    """The question has an event loop of its own, in which the CT may arrive; then the module is left and taken down."""
    panel.click()
    question = qt.QEventLoop()
    qt.QTimer.singleShot(3000, question.quit)
    question.exec()
    assert not panel.widget.logic.isRunning
    assert panel.ui.outputSelector.currentNode() is not None
    panel.play("stubborn")
    panel.click()
    panel.wait_for(lambda: "child" in panel.ui.logTextEdit.plainText)
    synthesis = panel.widget.synthesisSection._synthesis
    panel.view.exit()
    panel.widget.cleanup()
    assert not synthesis.isRunning
    assert not synthesis.workspace.path.exists()
    slicer.app.processEvents()  # timers that are still to come find nobody, and say nothing


def test_slicer_quits_after_its_windows_are_gone(panel, mr, monkeypatch) -> None:
    """As PythonQt does, calls of widgets that no longer exist raise ValueError."""
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    synthesis = panel.widget.synthesisSection._synthesis

    def destroyed(*_arguments) -> None:
        raise ValueError("Trying to call 'disconnect' on a destroyed qSlicerModuleSelectorToolBar object")

    review = panel.widget.reviewSection
    selector, review._moduleSelector = review._moduleSelector, types.SimpleNamespace(disconnect=destroyed)
    monkeypatch.setattr(type(panel.widget), "setParameterNode", destroyed)
    panel.widget.cleanup()
    assert not synthesis.isRunning and not synthesis.workspace.path.exists()
    assert panel.widget.exportSection._gone
    monkeypatch.undo()  # the windows of this test are still there
    with pytest.warns(UserWarning, match="does not have observer"):
        panel.widget.setParameterNode(None)
    if selector is not None:
        selector.disconnect("moduleSelected(QString)", review.onModuleSelected)


def test_a_second_panel_is_refused(panel, mr, caplog) -> None:
    """It says why, and the first goes on."""
    first = panel.widget
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    view = type(panel.view)(panel.module)
    view.build()
    view.setMRMLScene(slicer.mrmlScene)
    second = view.self()
    try:
        view.enter()
        second.ui.synthesizeButton.click()
        assert second.ui.statusLabel.text.startswith("A synthesis is already running")
        assert "A synthesis is already running" in caplog.text
        assert first.synthesisSection._synthesis.isRunning
    finally:
        first.ui.synthesizeButton.click()
        panel.wait_until_idle(2.0)
        second.cleanup()
        for selector in (second.ui.inputSelector, second.ui.outputSelector):
            selector.setMRMLScene(None)
        slicer.modules.MRtoCTWidget = first


def test_the_module_is_reloaded_while_running(panel, mr) -> None:
    panel.play("stubborn")
    panel.click()
    panel.wait_for(lambda: "child" in panel.ui.logTextEdit.plainText)
    synthesis = panel.widget.synthesisSection._synthesis
    old = panel.widget
    old.onReload()
    assert not synthesis.isRunning
    assert not synthesis.workspace.path.exists()
    assert panel.widget is not old
    assert type(panel.widget).__module__ == "MRtoCTLib.panel.widget"
    assert panel.ui.inputSelector.currentNode() is mr
    assert panel.ui.synthesizeButton.enabled


def test_the_engine_is_asked_for_devices_once(panel, monkeypatch) -> None:
    """Once per version of torch, however often the module is opened."""
    from MRtoCTLib import dependencies, logic

    monkeypatch.setattr(logic, "_devices", {})
    started = []
    real = logic.EngineProcess
    monkeypatch.setattr(logic, "EngineProcess", lambda command, *rest: started.append(command) or real(command, *rest))
    panel.wait_for(lambda: panel.widget.logic._devicesQuery is None)
    panel.play("devices")
    for _visit in range(3):
        panel.view.exit()
        panel.view.enter()
    panel.wait_for(lambda: panel.ui.deviceSelector.count == 3)
    panel.view.exit()
    panel.view.enter()
    assert len(started) == 1
    monkeypatch.setattr(dependencies, "torchVersion", lambda: "999")
    panel.view.exit()
    panel.view.enter()
    assert len(started) == 2
    panel.wait_for(lambda: panel.widget.logic._devicesQuery is None)


def test_torch_missing(panel, mr, monkeypatch, caplog) -> None:
    """The panel says so, before the click and after it; a failed installation leaves it usable."""
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: False)
    panel.view.exit()
    panel.view.enter()
    assert "PyTorch is not installed" in panel.ui.statusLabel.text
    assert "PyTorch is not installed" in panel.ui.synthesizeButton.toolTip
    panel.click()
    assert not panel.widget.logic.isRunning
    assert "--no-index" in panel.ui.statusLabel.text
    assert panel.ui.synthesizeButton.enabled
    monkeypatch.undo()
    panel.click()
    panel.wait_until_idle()
    assert panel.ui.outputSelector.currentNode() is not None


def test_torch_declined_then_installed(panel, mr, monkeypatch) -> None:
    """While it is being installed the application goes on: a second click must not start a second installation."""
    from MRtoCTLib import dependencies

    there, answers, seen = [False], [False, True], []
    monkeypatch.setattr(dependencies, "torchInstalled", lambda: there[0])

    def install() -> bool:
        slicer.app.processEvents()
        panel.click()
        seen.append((panel.ui.synthesizeButton.enabled, panel.ui.synthesizeButton.toolTip))
        there[0] = answers.pop(0)
        return there[0]

    monkeypatch.setattr(dependencies, "installTorch", install)
    panel.view.exit()
    panel.view.enter()
    panel.click()
    assert panel.ui.statusLabel.text == "No CT was made, because PyTorch was not installed."
    assert panel.ui.synthesizeButton.enabled
    panel.click()
    assert seen == [(False, "PyTorch is being installed.")] * 2
    panel.wait_until_idle()
    assert panel.ui.outputSelector.currentNode() is not None


def test_torch_is_installed_while_the_scene_is_closed(panel, mr, monkeypatch) -> None:
    from MRtoCTLib import dependencies

    there = [False]
    monkeypatch.setattr(dependencies, "torchInstalled", lambda: there[0])

    def install() -> bool:
        slicer.mrmlScene.Clear()
        there[0] = True
        return True

    monkeypatch.setattr(dependencies, "installTorch", install)
    panel.click()
    assert not panel.widget.logic.isRunning
    assert not panel.ui.synthesizeButton.enabled


def test_findings_belong_to_their_mr(panel, mr) -> None:
    """They are shown apart from the status, and only as long as the MR is selected that they are about."""
    assert not panel.ui.findingsLabel.visible
    panel.click()
    panel.wait_until_idle()
    assert panel.ui.findingsLabel.visible
    assert "thick" not in panel.ui.statusLabel.text
    panel.ui.inputSelector.setCurrentNode(add_mr("Other T1"))
    assert (panel.ui.findingsLabel.visible, panel.ui.findingsLabel.text) == (False, "")
    assert "was made" not in panel.ui.statusLabel.text


def test_the_time_left_is_told_once_it_can_be(panel, mr) -> None:
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    synthesis = panel.widget.synthesisSection._synthesis
    assert synthesis.secondsLeft is None  # no three seconds yet
    since, before = synthesis._pace
    assert before == 0.25
    synthesis._pace, synthesis.fraction = (since - 40.0, before), 0.5
    assert synthesis.secondsLeft == pytest.approx(80, abs=10)  # a quarter took 40 s
    panel.widget.synthesisSection.show()
    assert re.fullmatch(r"Acting, about (75|80|85|90) s left", panel.ui.statusLabel.text)
    synthesis.fraction = before
    assert synthesis.secondsLeft is None
    panel.click()
    panel.wait_until_idle(2.0)


def test_no_time_is_told_before_a_slice_was_measured(panel, mr) -> None:
    """However long reading, checking and loading take: they are not like the slices."""
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    synthesis = panel.synthesis
    synthesis._pace, synthesis.fraction, synthesis._started = None, 0.0, synthesis._started - 60
    synthesis._onEvent({"event": "progress", "fraction": 0.19, "stage": "Finding the head"})
    assert synthesis.secondsLeft is None and panel.ui.statusLabel.text == "Finding the head"
    synthesis._onEvent({"event": "progress", "fraction": 0.21, "stage": "Synthesizing axial view"})
    assert synthesis.secondsLeft is None and panel.ui.statusLabel.text == "Synthesizing axial view"
    panel.click()
    panel.wait_until_idle(2.0)


def test_the_time_it_takes_is_told_before_the_click(panel, mr) -> None:
    slicer.app.userSettings().clear()
    panel.widget.synthesisSection.show()
    assert panel.ui.statusLabel.text == ""
    panel.click()
    panel.wait_until_idle()
    panel.ui.inputSelector.setCurrentNode(add_mr("Other T1"))
    assert re.fullmatch(r"The synthesis will take about \d+ (s|min) on this machine\.", panel.ui.statusLabel.text)
    panel.ui.deviceSelector.currentIndex = 1  # of which there is no experience
    assert panel.ui.statusLabel.text == ""


def test_the_card_of_the_model_is_one_click_away(panel, mr, tmp_path, monkeypatch, caplog) -> None:
    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    button = panel.ui.modelCardButton
    (tmp_path / "model.json").write_text("{}")
    panel.parameters.model = str(tmp_path)
    assert (button.enabled, button.toolTip) == (False, "This model has no card.")
    (tmp_path / "MODEL_CARD.md").write_text("# Card")
    panel.view.exit()
    panel.view.enter()
    assert button.enabled
    button.click()
    assert [Path(path) for path in opened] == [tmp_path / "MODEL_CARD.md"]
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: False)
    button.click()
    assert "No program opens" in caplog.text
    panel.parameters.model = str(tmp_path / "gone")
    assert not button.enabled


def test_what_blocks_disables_the_button_and_says_why(panel) -> None:
    panel.widget.logic.engine = engineCommand()
    flat = slicer.util.addVolumeFromArray(np.ones((20, 20, 20), np.float32), name="Flat T1")
    panel.parameters.inputVolume = flat
    panel.wait_for(lambda: panel.ui.findingsLabel.visible, 60)
    said = panel.ui.findingsLabel.text
    assert not panel.ui.synthesizeButton.enabled and panel.ui.synthesizeButton.toolTip == said
    assert panel.ui.statusLabel.text == "", "it is said once"
    panel.play("make")
    panel.parameters.inputVolume = add_mr("Head T1")
    panel.wait_for(lambda: panel.ui.findingsLabel.text == "The slices are thick.")
    assert panel.ui.synthesizeButton.enabled


def test_an_mr_that_is_edited_or_moved_afterwards_is_told_of(panel, mr) -> None:
    panel.click()
    panel.wait_until_idle()
    assert "was made in" in panel.ui.statusLabel.text
    mr.SetOrigin(1, 2, 3)
    panel.wait_for(lambda: "has changed, or was moved" in panel.ui.statusLabel.text)
    mr.SetOrigin(0, 0, 0)
    panel.wait_for(lambda: "was made in" in panel.ui.statusLabel.text)


def test_a_closed_scene_is_not_spoken_of(panel, mr) -> None:
    panel.click()
    panel.wait_until_idle()
    assert mr.GetName() in panel.ui.statusLabel.text
    slicer.mrmlScene.Clear()
    assert "was made" not in panel.ui.statusLabel.text


def test_the_options_rest_while_a_synthesis_runs(panel, mr) -> None:
    panel.play("hang")
    panel.click()
    panel.wait_for(lambda: panel.ui.statusLabel.text == "Acting")
    assert not any(getattr(panel.ui, name).enabled for name in ("confidenceCheckBox", "modelSelector", "inputSelector"))
    panel.click()
    panel.wait_until_idle(2.0)
    assert panel.ui.confidenceCheckBox.enabled


def test_the_terms_of_the_model_stand_in_the_panel(panel, mr, tiny_model) -> None:
    assert "non-commercial" in panel.ui.modelTermsLabel.text
    panel.parameters.model = str(tiny_model)
    assert panel.ui.modelTermsLabel.text == "Makes a volume, and no CT. Terms of the model: Any use."
    panel.parameters.model = "no-such-model"
    assert panel.ui.modelTermsLabel.text == ""
