"""Volumes in HU that are no CT: on the grid of another volume, in colours, with a colour bar."""

from typing import Any, NamedTuple

import slicer
import vtk
from slicer.i18n import tr as _

from MRtoCTLib import nodes

KIND_ATTRIBUTE = "MRtoCT.Map"
"""On each map, what it is: "difference" or "disagreement"."""
OF_REFERENCE = "MRtoCT.Of"
"""Role of the reference from a map, table or plot to the CT that it is about."""


class Colours(NamedTuple):
    """A colour table of Slicer's own, and the window in which it is shown, in HU."""

    tableID: str
    low: float
    high: float


COLOURS = {
    "difference": Colours("vtkMRMLColorTableNodeFileDivergingBlueRed.txt", -200, 200),
    "disagreement": Colours("vtkMRMLColorTableNodeFileInferno.txt", 0, 400),
}


def putMap(kind: str, image: vtk.vtkImageData, ctNode: Any, node: Any, name: str) -> Any:
    """Put voxels in HU on node, or on a new one, in the place of the CT they are about.

    Args:
        kind: one of COLOURS.
        image: see nodes.imageDataOf, on the CT's grid.
        node: an older map, which is replaced; its colours may be the user's by now, and stay. None for a new one of
            this name.

    Returns:
        The node.
    """
    isNew = node is None
    node = nodes.putOnGrid(image, ctNode, node, name, {KIND_ATTRIBUTE: kind})
    node.SetNodeReferenceID(OF_REFERENCE, ctNode.GetID())
    if isNew:
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(COLOURS[kind].tableID)
        display.SetWindowLevelMinMax(COLOURS[kind].low, COLOURS[kind].high)
    return node


def showLegend(node: Any) -> None:
    """Draw the colour bar of a map that is shown, and of no other map.

    Once it is shown: a bar that is made before finds nothing to draw itself for, and stays away.
    """
    for other in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        if other.GetDisplayableNode() is not None and other.GetDisplayableNode().GetAttribute(KIND_ATTRIBUTE):
            other.SetVisibility(other.GetDisplayableNode() is node)
    if node.GetAttribute(KIND_ATTRIBUTE) and slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node) is None:
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(node)
        legend.SetTitleText("HU")
        legend.SetVisibility(True)


def mapsOf(ctNode: Any, kind: str) -> list[Any]:
    """The scene's maps of this kind that are about this CT, the newest last."""
    return [
        node
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        if node.GetAttribute(KIND_ATTRIBUTE) == kind and node.GetNodeReferenceID(OF_REFERENCE) == ctNode.GetID()
    ]


def subjectOf(node: Any) -> Any:
    """The CT that a map is about; any other volume is its own subject."""
    isMap = node.GetAttribute(KIND_ATTRIBUTE) is not None
    return node.GetNodeReference(OF_REFERENCE) if isMap else node


def detachOlder(ctNode: Any, newNode: Any) -> None:
    """Detach from a CT the maps, tables and charts of the CT that it replaces, and say so in their names.

    Args:
        ctNode: the new CT.
        newNode: the map that was made with it; None for none.
    """
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):
        if node is not newNode and node.GetNodeReferenceID(OF_REFERENCE) == ctNode.GetID():
            node.RemoveNodeReferenceIDs(OF_REFERENCE)
            node.SetName(_("{name} (of an earlier CT)").format(name=node.GetName()))


def removeMap(node: Any) -> None:
    """Remove a map with its display nodes, the colour bar among them: the scene itself would keep those."""
    for display in [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]:
        if display is not None:
            slicer.mrmlScene.RemoveNode(display)
    slicer.mrmlScene.RemoveNode(node)
