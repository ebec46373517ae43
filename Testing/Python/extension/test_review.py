"""The section Review of the panel, on the real nodes and logics of layouts, slices and volume rendering."""

import types

import numpy as np
import pytest

from panel import add_mr, open_panel  # isort: skip  (it makes qt and slicer.app)

import slicer

from MRtoCTLib.display import layouts, maps

LINEAR_PRESETS = """<MRML version="Slicer4.4.0">
  <VolumeProperty id="vtkMRMLVolumePropertyNode1" name="CT-Bone" scalarOpacity="6 -1000 0 500 1 3000 1"
    gradientOpacity="4 0 1 255 1" colorTransfer="8 -1000 0 0 0 3000 1 1 1" interpolation="1" shade="1"/>
</MRML>
"""


@pytest.fixture
def panel():
    with open_panel() as panel:
        yield panel
        layouts.Layouts.node().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


@pytest.fixture
def ct(panel):
    """A CT, just made."""
    add_mr("Head T1")
    panel.wait_for(lambda: panel.ui.inputSelector.currentNode() is not None)
    return synthesized(panel)


def synthesized(panel):
    panel.click()
    panel.wait_until_idle()
    return panel.ui.outputSelector.currentNode()


def choose(selector, value: str) -> None:
    assert selector.enabled, selector.toolTip
    index = selector.findData(value)
    assert index >= 0
    selector.currentIndex = index


def composite(name: str):
    return slicer.util.getNode(f"vtkMRMLSliceCompositeNode{name}")


def slice_logic(name: str):
    return slicer.app.applicationLogic().GetSliceLogicByLayoutName(name)


def arrangement() -> int:
    return layouts.Layouts.node().GetViewArrangement()


def crosshair_mode() -> int:
    return slicer.util.getNodesByClass("vtkMRMLCrosshairNode")[0].GetCrosshairMode()


def test_nothing_to_review_yet(panel) -> None:
    for selector in (panel.ui.presetSelector, panel.ui.layoutSelector):
        assert (selector.enabled, selector.toolTip) == (False, "Synthesize a CT first.")


@pytest.mark.parametrize(
    ("preset", "window"),
    [("bone", (1000, 400)), ("brain", (100, 50)), ("soft-tissue", (350, 40)), ("synthrad", (2500, 200))],
)
def test_presets(panel, ct, preset, window) -> None:
    display = ct.GetDisplayNode()
    selector = panel.ui.presetSelector
    assert selector.itemData(selector.currentIndex) == "bone"
    assert "HU" in selector.toolTip
    display.SetWindowLevel(123, 45)  # by mouse
    assert selector.currentIndex == -1
    choose(selector, preset)
    assert (display.GetWindow(), display.GetLevel()) == window
    assert not display.GetAutoWindowLevel()
    assert display.GetColorNode().GetName() == "Grey"
    assert selector.itemData(selector.currentIndex) == preset


def test_side_by_side(panel, ct) -> None:
    mr = panel.ui.inputSelector.currentNode()
    before = arrangement()
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    assert arrangement() not in (before, 0)
    for name, volume in ((layouts.MR_VIEW, mr), (layouts.CT_VIEW, ct)):
        assert composite(name).GetBackgroundVolumeID() == volume.GetID()
        assert composite(name).GetForegroundVolumeID() is None
    assert composite("Red").GetForegroundVolumeID() == ct.GetID()
    assert crosshair_mode() == slicer.vtkMRMLCrosshairNode.ShowBasic
    choose(panel.ui.layoutSelector, layouts.SLICERS_OWN)
    assert arrangement() == before
    assert crosshair_mode() == slicer.vtkMRMLCrosshairNode.NoCrosshair


def test_the_two_views_move_together(panel, ct) -> None:
    """Scrolling one, as the mouse does it, scrolls the other, and none of Slicer's own."""
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    slicer.app.processEvents()
    for name in (layouts.MR_VIEW, layouts.CT_VIEW):
        slice_logic(name).GetSliceNode().SetFieldOfView(900, 900, 1)
    choose(panel.ui.layoutSelector, layouts.SLICERS_OWN)
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    slicer.app.processEvents()
    mr_view, ct_view, red = (slice_logic(name) for name in (layouts.MR_VIEW, layouts.CT_VIEW, "Red"))
    assert mr_view.GetSliceOffset() == ct_view.GetSliceOffset()
    assert mr_view.GetSliceNode().GetFieldOfView() == ct_view.GetSliceNode().GetFieldOfView()
    bounds = np.zeros(6)
    ct.GetRASBounds(bounds)
    assert ct_view.GetSliceNode().GetFieldOfView()[1] == pytest.approx(bounds[3] - bounds[2], rel=0.5)  # it was fitted
    elsewhere = red.GetSliceOffset()
    for one, other in ((mr_view, ct_view), (ct_view, mr_view)):
        offset = one.GetSliceOffset() + 1.0
        one.StartSliceOffsetInteraction()
        one.SetSliceOffset(offset)
        one.EndSliceOffsetInteraction()
        assert other.GetSliceOffset() == pytest.approx(offset)
    assert red.GetSliceOffset() == elsewhere


def test_the_layout_is_changed_by_slicers_menu(panel, ct) -> None:
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    conventional = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView
    layouts.Layouts.node().SetViewArrangement(conventional)
    assert panel.ui.layoutSelector.itemData(panel.ui.layoutSelector.currentIndex) == layouts.SLICERS_OWN
    assert crosshair_mode() == slicer.vtkMRMLCrosshairNode.NoCrosshair
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    choose(panel.ui.layoutSelector, layouts.SLICERS_OWN)
    assert arrangement() == conventional


def test_side_by_side_stays_so(panel, ct) -> None:
    """Neither the overlay of the next synthesis nor a volume loaded meanwhile gets into the two views."""
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    assert synthesized(panel) is ct  # once more, into the same volume
    for name, volume in ((layouts.MR_VIEW, panel.ui.inputSelector.currentNode()), (layouts.CT_VIEW, ct)):
        assert composite(name).GetBackgroundVolumeID() == volume.GetID()
        assert composite(name).GetForegroundVolumeID() is None
    other = add_mr("Other T1")
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveVolumeID(other.GetID())
    slicer.app.applicationLogic().PropagateVolumeSelection(0)
    assert composite("Red").GetBackgroundVolumeID() == other.GetID()
    assert composite(layouts.CT_VIEW).GetBackgroundVolumeID() == ct.GetID()
    panel.ui.inputSelector.setCurrentNode(other)
    assert composite(layouts.CT_VIEW).GetBackgroundVolumeID() is None
    new = synthesized(panel)
    assert new is not ct
    for name, volume in ((layouts.MR_VIEW, other), (layouts.CT_VIEW, new)):
        assert composite(name).GetBackgroundVolumeID() == volume.GetID()
        assert composite(name).GetForegroundVolumeID() is None


def test_the_scene_is_closed_side_by_side(panel, ct) -> None:
    """Closing the scene resets the nodes of the views; there is a way back, and the next CT finds its place."""
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    slicer.mrmlScene.Clear()
    slicer.app.processEvents()
    assert panel.ui.layoutSelector.enabled
    mr = add_mr("Head T1")
    panel.wait_for(lambda: panel.ui.inputSelector.currentNode() is mr)
    new = synthesized(panel)
    assert composite(layouts.MR_VIEW).GetBackgroundVolumeID() == mr.GetID()
    assert composite(layouts.CT_VIEW).GetBackgroundVolumeID() == new.GetID()
    assert composite(layouts.CT_VIEW).GetLinkedControl()
    choose(panel.ui.layoutSelector, layouts.SLICERS_OWN)
    assert arrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_a_closed_scene_is_let_go_in_another_module_too(panel, ct) -> None:
    panel.view.exit()
    assert ct.GetReferenceCount() > 1
    slicer.mrmlScene.Clear()
    assert ct not in vars(panel.widget.reviewSection).values()


def test_the_module_is_reloaded_side_by_side(panel, ct) -> None:
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    panel.widget.onReload()
    assert panel.ui.layoutSelector.itemData(panel.ui.layoutSelector.currentIndex) == layouts.COMPARE
    choose(panel.ui.layoutSelector, layouts.SLICERS_OWN)
    assert arrangement() == slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView


def test_no_3d_without_volume_rendering(panel) -> None:
    assert panel.ui.layoutSelector.findData(layouts.BONE_3D) == -1


@pytest.fixture
def volume_rendering(tmp_path, monkeypatch):
    """The real logic of the module Volume Rendering, with a preset of ours: slicer-core has none."""
    (tmp_path / "presets.xml").write_text(LINEAR_PRESETS)
    logic = slicer.vtkSlicerVolumeRenderingLogic()
    logic.SetModuleShareDirectory(str(tmp_path))
    logic.SetMRMLScene(slicer.mrmlScene)
    monkeypatch.setattr(slicer.modules, "volumerendering", types.SimpleNamespace(logic=lambda: logic), raising=False)
    yield logic
    logic.SetMRMLScene(None)


def test_bone_in_3d(volume_rendering, panel, ct) -> None:
    choose(panel.ui.layoutSelector, layouts.BONE_3D)
    display = volume_rendering.GetFirstVolumeRenderingDisplayNode(ct)
    assert display.GetVisibility()
    opacity = display.GetVolumePropertyNode().GetVolumeProperty().GetScalarOpacity()
    assert [opacity.GetValue(hu) for hu in (-1000, 500)] == [0, 1]
    assert slicer.util.getNode("View1").GetID() in display.GetViewNodeIDs()

    other = add_mr("Other T1")
    panel.ui.inputSelector.setCurrentNode(other)
    new = synthesized(panel)
    assert not display.GetVisibility()  # no two skulls in one view
    assert volume_rendering.GetFirstVolumeRenderingDisplayNode(new).GetVisibility()

    choose(panel.ui.layoutSelector, layouts.SLICERS_OWN)
    assert not volume_rendering.GetFirstVolumeRenderingDisplayNode(new).GetVisibility()


def test_the_confidence_map(panel, ct) -> None:
    """On demand: a volume beside the CT, with a colour bar, that can lie over the MR; it goes with the CT it is of."""
    panel.ui.confidenceCheckBox.checked = True
    assert panel.parameters.confidenceMap
    assert synthesized(panel) is ct
    (confidence,) = maps.mapsOf(ct, "disagreement")
    assert confidence.GetName() == "Head T1 sCT disagreement"
    assert (slicer.util.arrayFromVolume(confidence) == 70).all()
    assert confidence.GetTransformNodeID() == ct.GetTransformNodeID()
    assert composite("Red").GetForegroundVolumeID() == ct.GetID()
    choose(panel.ui.overlaySelector, confidence.GetID())
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(confidence).GetVisibility()
    assert composite("Red").GetForegroundVolumeID() == confidence.GetID()
    choose(panel.ui.layoutSelector, layouts.COMPARE)
    assert composite(layouts.CT_VIEW).GetBackgroundVolumeID() == ct.GetID()

    nodes = slicer.mrmlScene.GetNumberOfNodes()
    assert synthesized(panel) is ct
    assert maps.mapsOf(ct, "disagreement") == [confidence]
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    panel.ui.confidenceCheckBox.checked = False
    assert synthesized(panel) is ct
    assert maps.mapsOf(ct, "disagreement") == []
    assert confidence.GetName() == "Head T1 sCT disagreement (of an earlier CT)"
    maps.removeMap(confidence)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes - 3  # the volume, and the two that display it
