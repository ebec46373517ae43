"""The section Compare: a real scene, the real engine, and volumes whose differences are known."""

import numpy as np
import pytest
import SimpleITK as sitk
import vtk

from panel import open_panel  # isort: skip  (it makes qt and slicer.app)

import slicer

from decnn.evaluation.metrics import metrics_of
from MRtoCTLib.display import layouts, maps, overlay
from MRtoCTLib.errors import ComparisonCancelled, ComparisonError
from MRtoCTLib.logic import MRtoCTLogic
from MRtoCTLib.tasks.comparison import Comparison
from MRtoCTLib.tasks.process import engineCommand
from phantom import ct_of, phantom_head

RESULT_CLASSES = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLScalarVolumeNode")


@pytest.fixture
def panel():
    with open_panel() as panel:
        yield panel
        layouts.Layouts.node().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def add(image: sitk.Image, name: str):
    """A volume node with the voxels and the grid of an image."""
    toRas = np.eye(4)
    toRas[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    toRas[:3, 3] = image.GetOrigin()
    matrix = slicer.util.vtkMatrixFromArray(np.diag([-1, -1, 1, 1]) @ toRas)
    node = slicer.util.addVolumeFromArray(sitk.GetArrayFromImage(image), ijkToRAS=matrix, name=name)
    node.CreateDefaultDisplayNodes()
    return node


def transform(name: str, degrees: float, *translation: float):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    matrix = vtk.vtkTransform()
    matrix.Translate(*translation)
    matrix.RotateWXYZ(degrees, 0.3, 0.5, 1.0)
    node.SetMatrixTransformToParent(matrix.GetMatrix())
    return node


@pytest.fixture
def head():
    """MR and CT of a head at 4 mm."""
    mr, labels = phantom_head((48, 54, 48), (4.0, 4.0, 4.0))
    return mr, ct_of(labels)


def counts() -> list[int]:
    return [slicer.mrmlScene.GetNumberOfNodesByClass(name) for name in RESULT_CLASSES]


def column(table, name: str) -> list[float]:
    return [table.GetTable().GetValueByName(row, name).ToDouble() for row in range(table.GetNumberOfRows())]


def test_a_known_offset_under_different_transforms(panel, head) -> None:
    """Both volumes are elsewhere by the same rigid motion: the one by its transform, the other by its grid as well."""
    _, image = head
    ct = add(image + 25, "Somebody sCT")
    reference = add(image, "Somebody CT")
    couch = transform("Couch", 20, 30, -40, 50)
    ct.SetAndObserveTransformNodeID(couch.GetID())
    # The reference stands under two transforms, of which the inner one undoes a part of its own grid's place.
    inner = transform("Inner", 35, 7, 8, 9)
    inner.SetAndObserveTransformNodeID(couch.GetID())
    reference.SetAndObserveTransformNodeID(inner.GetID())
    toRas, undo = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    reference.GetIJKToRASMatrix(toRas)
    inner.GetMatrixTransformToParent(undo)
    undo.Invert()
    vtk.vtkMatrix4x4.Multiply4x4(undo, toRas, toRas)
    reference.SetIJKToRASMatrix(toRas)
    before = counts()

    results = MRtoCTLogic().compare(ct, reference)

    assert [after - n for after, n in zip(counts(), before, strict=True)] == [2, 1, 2, 1]
    table = results.table
    assert table.GetName() == "Somebody sCT vs Somebody CT metrics"
    metrics = dict(zip([table.GetTable().GetValueByName(row, "Metric").ToString() for row in range(len(metrics_of(3)))],
                       column(table, "tight mask"), strict=True))  # fmt: skip
    assert metrics["Mean absolute error"] == pytest.approx(25, abs=0.5)
    assert metrics["Mean error (synthetic - reference)"] == pytest.approx(25, abs=0.5)
    definitions = [table.GetTable().GetValueByName(row, "Definition").ToString() for row in range(len(metrics_of(3)))]
    assert "SynthRAD2023" in definitions and "SynthRAD2025" in definitions
    difference = results.difference
    assert difference.GetName() == "Somebody sCT minus Somebody CT"
    assert difference.GetTransformNodeID() == couch.GetID()
    assert (slicer.util.arrayFromVolume(difference) == 25).mean() > 0.9
    display = difference.GetDisplayNode()
    assert display.GetColorNode().GetName() == "DivergingBlueRed"
    assert display.GetWindowLevelMin() == -display.GetWindowLevelMax()
    legend_of = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode
    assert legend_of(difference) is None, "made before the map is shown, it would not be drawn"
    overlay.showOverlay(None, difference)
    assert legend_of(difference).GetVisibility()
    series = results.chart.GetNthPlotSeriesNode(0)
    counted = slicer.util.arrayFromTableColumn(series.GetTableNode(), "synthetic")
    assert counted.sum() == slicer.util.arrayFromTableColumn(series.GetTableNode(), "reference").sum() > 1000
    assert "resampled" not in table.GetDescription() or "not moved" in table.GetDescription()

    before = counts()
    assert MRtoCTLogic().compare(ct, reference) == results, "the same nodes once more"
    assert counts() == before
    other = add(image, "Another CT")
    other.SetAndObserveTransformNodeID(couch.GetID())
    assert MRtoCTLogic().compare(ct, other).difference.GetName() == "Somebody sCT minus Another CT"


def test_registered_to_the_mr(panel, head) -> None:
    mr_image, image = head
    mr, ct, reference = add(mr_image, "T1"), add(image, "sCT"), add(image, "CT")
    moved = transform("Elsewhere", 6, 14, -6, 9)
    reference.SetAndObserveTransformNodeID(moved.GetID())
    apart = column(MRtoCTLogic().compare(ct, reference).table, "tight mask")[0]
    results = MRtoCTLogic().compare(ct, reference, mr)
    together = column(results.table, "tight mask")[0]
    assert together < 0.3 * apart
    assert "registered rigidly" in results.table.GetDescription()
    assert "turned by 6." in results.table.GetDescription() or "turned by 5." in results.table.GetDescription()


def test_what_cannot_be_compared(panel, head) -> None:
    mr_image, image = head
    mr, ct, reference = add(mr_image, "T1"), add(image, "sCT"), add(image, "CT")
    far = add(image, "Far")
    far.SetAndObserveTransformNodeID(transform("Far away", 0, 900, 0, 0).GetID())
    bent = add(image, "Bent")
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Bend")
    bent.SetAndObserveTransformNodeID(grid.GetID())
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    before = counts()
    for other, said in (
        (None, "Select the reference"),
        (ct, "itself"),
        (empty, "is empty"),
        (bent, "not linear"),
        (mr, "not in HU"),
        (far, "do not overlap"),
    ):
        with pytest.raises(ComparisonError) as raised:
            MRtoCTLogic().compare(ct, other)
        assert said in str(raised.value)
        assert counts() == before
    with pytest.raises(ComparisonError, match="Select the synthetic CT"):
        MRtoCTLogic().compare(None, reference)


def test_cancelled_removed_or_failed_it_leaves_nothing(panel, head) -> None:
    _, image = head
    before = None
    for end in ("cancel", "remove", "fail"):
        ct, reference = add(image, "sCT"), add(image, "CT")
        before = counts()
        panel.play("fail" if end == "fail" else "hang")
        comparison = Comparison(panel.widget.logic.engine, ct, reference)
        with pytest.raises(ComparisonError, match="already running"):
            Comparison(panel.widget.logic.engine, ct, reference)
        if end == "cancel":
            comparison.cancel()
        elif end == "remove":
            slicer.mrmlScene.RemoveNode(reference)
        panel.wait_for(comparison.poll, 5.0)
        assert isinstance(comparison.error, ComparisonCancelled if end != "fail" else ComparisonError)
        assert not comparison.workspace.path.exists() and Comparison.current is None
        if end == "remove":
            assert "removed" in str(comparison.error)
        else:
            assert counts() == before


def test_by_the_panel(panel, head, tmp_path) -> None:
    mr_image, image = head
    mr = add(mr_image, "Head T1")
    panel.wait_for(lambda: panel.ui.inputSelector.currentNode() is mr)
    button, selector = panel.ui.compareButton, panel.ui.referenceSelector
    assert (button.enabled, button.toolTip) == (False, "Select the synthetic CT, or synthesize one first.")
    ct, reference = add(image + 40, "Head sCT"), add(image, "Head CT")
    panel.parameters.outputVolume = ct
    assert button.toolTip == "Select the reference CT."
    selector.setCurrentNode(ct)
    assert "is the synthetic CT itself" in button.toolTip
    selector.setCurrentNode(reference)
    assert panel.parameters.referenceVolume is reference and button.enabled
    overlay.showOverlay(mr, ct, 0.5)

    panel.play("hang")
    button.click()
    panel.wait_for(lambda: panel.ui.compareStatusLabel.text == "Acting")
    assert (button.text, panel.ui.compareProgressBar.value, selector.enabled) == ("Cancel", 25, False)
    button.click()
    panel.wait_for(lambda: button.text == "Compare", 2.0)
    assert panel.ui.compareStatusLabel.text == "The comparison was cancelled."

    panel.ui.compareCollapsibleButton.collapsed = False
    before = layouts.Layouts.node().GetViewArrangement()
    panel.widget.logic.engine = engineCommand()
    button.click()
    panel.wait_for(lambda: button.text == "Compare", 60.0)
    report = panel.ui.compareStatusLabel.text
    assert report.startswith("'Head sCT' and 'Head CT': mean absolute error 40 HU, mean error +40 HU")
    assert "as it is" in report
    (difference,) = maps.mapsOf(ct, "difference")
    selector = panel.ui.overlaySelector
    assert [selector.itemData(index) for index in range(selector.count)] == [ct.GetID(), difference.GetID()]
    assert selector.itemData(selector.currentIndex) == difference.GetID()
    red = slicer.util.getNode("vtkMRMLSliceCompositeNodeRed")
    assert (red.GetBackgroundVolumeID(), red.GetForegroundVolumeID()) == (mr.GetID(), difference.GetID())
    panel.ui.overlaySlider.value = 0.75
    assert red.GetForegroundOpacity() == 0.75
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActiveTableID() and selection.GetActivePlotChartID()
    views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode") + slicer.util.getNodesByClass("vtkMRMLTableViewNode")
    assert len(views) == 2
    assert views[0].GetPlotChartNodeID() == selection.GetActivePlotChartID()
    assert views[1].GetTableNodeID() == selection.GetActiveTableID()
    panel.picture(tmp_path / "compared.png")

    selector.currentIndex = 0
    assert red.GetForegroundVolumeID() == ct.GetID()
    layout = panel.ui.layoutSelector
    assert layout.itemData(layout.currentIndex) == layouts.RESULTS
    slicer.util.mainWindow().moduleSelector().moduleSelected.emit("")  # Slicer closes, and will save the layout
    assert layouts.Layouts.node().GetViewArrangement() == before
    maps.removeMap(difference)
    assert selector.count == 1
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 0


def test_a_ct_that_is_made_anew_meanwhile(panel, head) -> None:
    """What would be delivered is about the old one."""
    _, image = head
    ct, reference = add(image, "sCT"), add(image, "CT")
    before = counts()
    comparison = Comparison(engineCommand(), ct, reference)
    ct.GetDisplayNode().SetWindowLevel(100, 50)
    ct.SetName("Another name")
    slicer.util.updateVolumeFromArray(ct, slicer.util.arrayFromVolume(ct) + 5)
    panel.wait_for(comparison.poll, 120.0)
    assert "was changed while it was compared" in str(comparison.error)
    assert counts() == before
    comparison = Comparison(engineCommand(), ct, reference)
    ct.GetDisplayNode().SetWindowLevel(1000, 400)
    ct.SetName("Yet another name")
    panel.wait_for(comparison.poll, 120.0)
    assert comparison.error is None


def test_what_comes_of_a_click_is_in_view(panel, head) -> None:
    """In a window of 1600 x 1000 about 700 pixels are left for the panel."""
    mr, ct, reference = add(head[0], "Head T1"), add(head[1] + 40, "Head sCT"), add(head[1], "Head CT")
    panel.widget.logic.engine = engineCommand()
    with panel.in_scroll_area(700):
        panel.parameters.inputVolume, panel.parameters.outputVolume = mr, ct
        panel.parameters.referenceVolume = reference
        panel.ui.findingsLabel.text = "A sentence about this MR that is as long as most of them are. " * 4
        panel.ui.findingsLabel.visible = True
        panel.ui.compareCollapsibleButton.collapsed = False
        panel.wait_for(lambda: panel.sees(panel.ui.compareButton))
        panel.ui.compareButton.click()
        panel.wait_for(lambda: Comparison.current is None, 60)
        assert "mean absolute error" in panel.ui.compareStatusLabel.text
        panel.wait_for(lambda: panel.sees(panel.ui.compareStatusLabel))
        assert panel.sees(panel.ui.compareButton)


def test_an_mr_that_cannot_be_registered_to_is_told_before(panel, head) -> None:
    ct, reference = add(head[1] + 40, "Head sCT"), add(head[1], "Head CT")
    panel.parameters.inputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty T1")
    panel.parameters.outputVolume, panel.parameters.referenceVolume = ct, reference
    assert panel.ui.compareButton.enabled
    panel.ui.registerCheckBox.checked = True
    assert not panel.ui.compareButton.enabled and "'Empty T1' is empty" in panel.ui.compareStatusLabel.text
