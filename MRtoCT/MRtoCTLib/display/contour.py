"""The outline of the CT's bone in the slice views: a segmentation, of which only the outline is shown.

Cheap, because nothing is meshed: Slicer outlines the labelmap in each slice that it draws.
"""

from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from decnn.hu import BONE_ABOVE_HU
from MRtoCTLib import nodes
from MRtoCTLib.display import maps

_ATTRIBUTE = "MRtoCT.BoneContour"
_SEGMENT = "bone"
_COLOUR = (1.0, 0.85, 0.1)


def contourOf(ctNode: Any) -> Any:
    """The scene's bone contour of this CT; None if there is none."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetAttribute(_ATTRIBUTE) and node.GetNodeReferenceID(maps.OF_REFERENCE) == ctNode.GetID():
            return node
    return None


def showContour(ctNode: Any) -> Any:
    """Outline the CT's bone, in its place; returns the segmentation node."""
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLSegmentationNode", _("{name} bone > {hu} HU").format(name=ctNode.GetName(), hu=BONE_ABOVE_HU)
    )
    node.SetAttribute(_ATTRIBUTE, nodes.stampOf(ctNode))
    node.SetNodeReferenceID(maps.OF_REFERENCE, ctNode.GetID())
    node.CreateDefaultDisplayNodes()
    segment = slicer.vtkSegment()
    segment.SetName(_("Bone"))
    segment.SetColor(*_COLOUR)
    segment.AddRepresentation(_representation(), _labelmapOf(ctNode))
    node.GetSegmentation().AddSegment(segment, _SEGMENT)
    node.SetAndObserveTransformNodeID(ctNode.GetTransformNodeID())
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetVisibility3D(False)
    display.SetSliceIntersectionThickness(2)
    return node


def updateContour(node: Any, ctNode: Any) -> None:
    """Follow the CT, if its voxels or its place have changed."""
    if node.GetAttribute(_ATTRIBUTE) == nodes.stampOf(ctNode):
        return
    node.SetAttribute(_ATTRIBUTE, nodes.stampOf(ctNode))
    labelmap = node.GetSegmentation().GetSegment(_SEGMENT).GetRepresentation(_representation())
    labelmap.ShallowCopy(_labelmapOf(ctNode))
    labelmap.Modified()
    node.SetAndObserveTransformNodeID(ctNode.GetTransformNodeID())


def _labelmapOf(ctNode: Any) -> Any:
    """Where the CT is bone, on its grid."""
    bone = (slicer.util.arrayFromVolume(ctNode) > BONE_ABOVE_HU).view(np.uint8)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetDimensions(bone.shape[::-1])
    labelmap.GetPointData().SetScalars(numpy_to_vtk(bone.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    toRas = vtk.vtkMatrix4x4()
    ctNode.GetIJKToRASMatrix(toRas)
    labelmap.SetImageToWorldMatrix(toRas)
    return labelmap


def _representation() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def removeContour(node: Any) -> None:
    """Remove the segmentation with what displays and stores it."""
    storage = node.GetStorageNode()
    if storage is not None:
        slicer.mrmlScene.RemoveNode(storage)
    maps.removeMap(node)
