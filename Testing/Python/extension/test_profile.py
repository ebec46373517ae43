"""The profile along a line and the bone contour: in the place of the CT, whatever transform it stands under."""

import numpy as np
import pytest
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st

from panel import add_mr, open_panel  # isort: skip  (it makes qt and slicer.app)

import slicer

from MRtoCTLib.display import contour, layouts, maps
from MRtoCTLib.display.profile import sample


@pytest.fixture
def panel():
    with open_panel() as panel:
        yield panel
        layouts.Layouts.node().SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def rigid(degrees: float, *translation: float) -> vtk.vtkTransform:
    transform = vtk.vtkTransform()
    transform.Translate(*translation)
    transform.RotateWXYZ(degrees, 1, 2, 0.5)
    return transform


def add_ramp(name: str, grid: vtk.vtkTransform, spacing=(2.0, 3.0, 1.5)):
    """A volume on an oblique grid, 20 x 30 x 25 voxels, whose values are 7 x - 3 y + 2 z + 100 of its own RAS."""
    toRas = np.eye(4)
    toRas[:3] = slicer.util.arrayFromVTKMatrix(grid.GetMatrix())[:3]
    toRas[:3, :3] = toRas[:3, :3] * np.array(spacing)
    k, j, i = np.indices((25, 30, 20))
    ras = np.tensordot(toRas[:3, :3], np.stack([i, j, k]), axes=1) + toRas[:3, 3][:, None, None, None]
    values = 7 * ras[0] - 3 * ras[1] + 2 * ras[2] + 100
    return slicer.util.addVolumeFromArray(
        values.astype(np.float32), ijkToRAS=slicer.util.vtkMatrixFromArray(toRas), name=name
    )


def add_line(*ends):
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "Line")
    for end in ends:
        line.AddControlPointWorld(vtk.vtkVector3d(*end))
    return line


def add_transform(transform: vtk.vtkTransform):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Couch")
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.floats(-90, 90), st.floats(-180, 180), st.tuples(*[st.floats(-50, 50)] * 3))
def test_sampling_undoes_every_grid_and_transform(tilt: float, turn: float, shift) -> None:
    """Linear values are sampled exactly by linear interpolation, if and only if the geometry is right."""
    volume = add_ramp("Ramp", rigid(tilt, *shift))
    moved = rigid(turn, 11, -5, 3)
    node = add_transform(moved)
    volume.SetAndObserveTransformNodeID(node.GetID())
    toRas = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(toRas)
    inside = np.random.default_rng(0).uniform((0, 0, 0), (19, 29, 24), (20, 3))
    own = np.array([toRas.MultiplyPoint([*ijk, 1.0])[:3] for ijk in inside.tolist()])
    world = np.array([moved.TransformPoint(point) for point in own.tolist()])
    np.testing.assert_allclose(sample(volume, world), own @ [7, -3, 2] + 100, atol=0.05)
    assert np.isnan(sample(volume, world + 500)).all()
    slicer.mrmlScene.RemoveNode(volume)
    slicer.mrmlScene.RemoveNode(node)


def test_sampling_through_a_bent_transform() -> None:
    volume = add_ramp("Ramp", rigid(0, 0, 0, 0))
    field = vtk.vtkImageData()
    field.SetDimensions(3, 3, 3)
    field.SetOrigin(-300, -300, -300)
    field.SetSpacing(300, 300, 300)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for index in range(27):
        field.GetPointData().GetScalars().SetTuple3(index, 5, 0, 0)  # 5 mm to the right, everywhere
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(field)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Bend")
    node.SetAndObserveTransformToParent(grid)
    volume.SetAndObserveTransformNodeID(node.GetID())
    assert sample(volume, np.array([[15.0, 20, 20]]))[0] == pytest.approx(7 * 10 - 60 + 40 + 100, abs=0.1)
    slicer.mrmlScene.RemoveNode(volume)
    slicer.mrmlScene.RemoveNode(node)


def result_nodes() -> int:
    names = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLSegmentationNode")
    return sum(slicer.mrmlScene.GetNumberOfNodesByClass(name) for name in names)


def test_the_chart_follows_the_line(panel) -> None:
    mr, ct = add_ramp("T1", rigid(0, 0, 0, 0)), add_ramp("CT", rigid(0, 0, 0, 0))
    panel.parameters.inputVolume, panel.parameters.outputVolume = mr, ct
    line = add_line((5, 10, 10), (25, 10, 10))
    assert result_nodes() == 0
    panel.ui.lineSelector.setCurrentNode(line)
    (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    assert chart.GetNthPlotSeriesNode(0).GetName() == "T1 (signal, scaled)"
    (view,) = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
    assert view.GetPlotChartNodeID() == chart.GetID()

    def hu() -> np.ndarray:
        return slicer.util.arrayFromTableColumn(table, "ct")

    distance = slicer.util.arrayFromTableColumn(table, "distance")
    assert (distance[0], distance[-1], len(distance)) == (0, 20, 41)
    np.testing.assert_allclose(hu(), 7 * (5 + distance) - 30 + 20 + 100, atol=0.01)

    # What is in the upper third, where the legend is, nobody sees.
    curves = np.stack([slicer.util.arrayFromTableColumn(table, name) for name in ("ct", "mr, scaled")])
    low, high = chart.GetYAxisRange()
    assert not chart.GetYAxisRangeAuto() and low == curves.min() and curves.max() < low + 0.67 * (high - low)

    first = hu()[0]
    changes = []
    table.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: changes.append(hu()[0]))
    for x in range(6, 16):
        line.SetNthControlPointPositionWorld(0, x, 10, 10)
    assert changes == [], "not for every pixel"
    panel.wait_for(lambda: changes and changes[-1] == pytest.approx(first + 70, abs=0.01), 3.0)
    couch = add_transform(rigid(0, 3, 0, 0))
    ct.SetAndObserveTransformNodeID(couch.GetID())
    panel.wait_for(lambda: hu()[0] == pytest.approx(first + 70 - 21, abs=0.01), 3.0)

    reference = add_ramp("Real CT", rigid(0, 0, 0, 0))
    panel.ui.referenceSelector.setCurrentNode(reference)
    assert chart.GetNumberOfPlotSeriesNodes() == 3
    panel.ui.referenceSelector.setCurrentNode(None)
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    slicer.mrmlScene.RemoveNode(line)
    assert result_nodes() == 0


def test_a_new_line_is_placed_by_mouse(panel) -> None:
    line = panel.ui.lineSelector.addNode()
    logic = slicer.app.applicationLogic()
    assert logic.GetSelectionNode().GetActivePlaceNodeID() == line.GetID()
    assert logic.GetInteractionNode().GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place
    assert result_nodes() == 0, "there is no point yet"
    logic.GetInteractionNode().SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)


@pytest.fixture
def ct(panel):
    """A CT with a block of bone in it, on an oblique grid under a transform."""
    node = add_ramp("CT", rigid(30, 5, 6, 7))
    node.CreateDefaultDisplayNodes()
    voxels = np.full((25, 30, 20), -1000, np.int16)
    voxels[5:10, 8:20, 3:9] = 700
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetAndObserveTransformNodeID(add_transform(rigid(50, 30, -20, 10)).GetID())
    panel.parameters.outputVolume = node
    return node


def bone_of(segmentation) -> tuple[np.ndarray, np.ndarray]:
    """The contour's labelmap, and where its first voxel lies in the world."""
    labelmap = segmentation.GetBinaryLabelmapInternalRepresentation("bone")
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    extent = labelmap.GetExtent()
    corner = matrix.MultiplyPoint([extent[0], extent[2], extent[4], 1.0])[:3]
    array = vtk.util.numpy_support.vtk_to_numpy(labelmap.GetPointData().GetScalars())
    world = [0.0] * 3
    segmentation.TransformPointToWorld(corner, world)
    return array.reshape(labelmap.GetDimensions()[::-1]), np.array(world)


def test_the_bone_contour_is_where_the_bone_is(panel, ct) -> None:
    before = slicer.mrmlScene.GetNumberOfNodes()
    panel.ui.boneContourCheckBox.checked = True
    segmentation = contour.contourOf(ct)
    display = segmentation.GetDisplayNode()
    assert (display.GetVisibility2DOutline(), display.GetVisibility2DFill(), display.GetVisibility3D()) == (1, 0, 0)
    assert segmentation.GetTransformNodeID() == ct.GetTransformNodeID()

    def matches() -> bool:
        bone, corner = bone_of(segmentation)
        toRas, world = vtk.vtkMatrix4x4(), [0.0] * 3
        ct.GetIJKToRASMatrix(toRas)
        ct.TransformPointToWorld(toRas.MultiplyPoint([0, 0, 0, 1.0])[:3], world)
        np.testing.assert_allclose(corner, world, atol=1e-6)
        return np.array_equal(bone > 0, slicer.util.arrayFromVolume(ct) > 250)

    assert matches()
    slicer.util.arrayFromVolume(ct)[12:15] = 900
    slicer.util.arrayFromVolumeModified(ct)
    assert matches(), "it follows the voxels"
    ct.SetAndObserveTransformNodeID(None)
    assert matches(), "and the transform"
    panel.ui.boneContourCheckBox.checked = False
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_the_bone_contour_goes_with_the_ct(panel, ct) -> None:
    panel.ui.boneContourCheckBox.checked = True
    maps.removeMap(contour.contourOf(ct))  # by hand
    assert not panel.ui.boneContourCheckBox.checked
    panel.ui.boneContourCheckBox.checked = True
    maps.removeMap(ct)
    panel.wait_for(lambda: not panel.ui.boneContourCheckBox.checked, 3.0)
    assert result_nodes() == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationDisplayNode") == 0
    assert not panel.ui.boneContourCheckBox.enabled


@pytest.mark.parametrize("part", ["voxels", "display"])
def test_a_ct_that_has_lost_a_part_is_not_reviewed(panel, ct, part) -> None:
    if part == "voxels":
        ct.SetAndObserveImageData(None)
    else:
        slicer.mrmlScene.RemoveNode(ct.GetDisplayNode())
    panel.widget.reviewSection.show()
    assert not panel.ui.boneContourCheckBox.enabled and not panel.ui.presetSelector.enabled
    panel.ui.boneContourCheckBox.checked = True
    panel.ui.presetSelector.currentIndex = 2
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_closing_the_scene_takes_both(panel, ct) -> None:
    panel.parameters.inputVolume = add_mr("Head T1")
    panel.ui.boneContourCheckBox.checked = True
    panel.ui.lineSelector.setCurrentNode(add_line((30, -20, 10), (35, -20, 10)))
    assert result_nodes() > 3
    slicer.mrmlScene.Clear()
    slicer.app.processEvents()
    assert result_nodes() == 0
    assert not panel.ui.boneContourCheckBox.checked
