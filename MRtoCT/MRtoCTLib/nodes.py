"""MRML volume nodes and image files: the MR on its way to the engine, the CT on its way back."""

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from MRtoCTLib.errors import SynthesisError

PREFIX = "MRtoCT."
"""Of the attributes that this module gives to nodes."""
MODEL_ATTRIBUTE = "MRtoCT.Model"
WEIGHTS_ATTRIBUTE = "MRtoCT.WeightsSHA256"
SOURCE_ATTRIBUTE = "MRtoCT.SourceVolume"
# Of the MR, as decnn.io.provenance names them in a file's header: its DICOM series, and a hash of its voxels.
SERIES_ATTRIBUTE = "MRtoCT.SourceSeriesUID"
HASH_ATTRIBUTE = "MRtoCT.SourceHash"
# What was found in the MR, or happened on the way: sentences, one a line; "none" if there are none.
FINDINGS_ATTRIBUTE = "MRtoCT.Findings"
_SERIES_INSTANCE_UID = "0020,000E"
HOUNSFIELD_UNITS = ("[hnsf'U]", "UCUM", "Hounsfield unit")
_ATTENUATION = ("112031", "DCM", "Attenuation Coefficient")


def outputName(mrNode: Any) -> str:
    """The name of a CT made from this MR."""
    return _("{name} sCT").format(name=mrNode.GetName())


def writeVolume(
    node: Any, path: Path, metadata: dict[str, str] | None = None, toWorld: np.ndarray | None = None
) -> None:
    """Write the image of a node to a file in the folder for temporary files; see imageOf.

    Raises:
        SynthesisError: it cannot be written, such as on a full disk.
    """
    import SimpleITK as sitk  # here, or every start of Slicer would wait for it

    image = imageOf(node, metadata, toWorld)
    try:
        sitk.WriteImage(image, str(path))
    except RuntimeError as error:
        raise SynthesisError(
            _(
                "The volume could not be written to '{folder}': free disk space there, or choose another folder for "
                "temporary files in the application settings."
            ).format(folder=path.parent)
        ) from error


def imageOf(node: Any, metadata: dict[str, str] | None = None, toWorld: np.ndarray | None = None) -> Any:
    """The node's voxels and grid (not its parent transform) as a SimpleITK image.

    Args:
        node: a volume.
        metadata: entries for the image's header.
        toWorld: 4 x 4 matrix from RAS to RAS that moves the grid.
    """
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(slicer.util.arrayFromVolume(node))
    spacing, origin = np.array(node.GetSpacing()), np.array(node.GetOrigin())
    directions = directionsOf(node)
    if toWorld is not None:
        axes = toWorld[:3, :3] @ directions * spacing
        spacing, origin = np.linalg.norm(axes, axis=0), toWorld[:3, :3] @ origin + toWorld[:3, 3]
        directions = axes / spacing
    toLps = np.diag([-1.0, -1.0, 1.0])
    image.SetSpacing(spacing.tolist())
    image.SetDirection((toLps @ directions).ravel().tolist())
    image.SetOrigin((toLps @ origin).tolist())
    for key, value in (metadata or {}).items():
        image.SetMetaData(key, value)
    return image


def directionsOf(node: Any) -> np.ndarray:
    """The directions of the node's axes in RAS, the columns of a 3 x 3 array."""
    directions = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(directions)
    return slicer.util.arrayFromVTKMatrix(directions)[:3, :3]


def matrixBetween(fromNode: Any, toNode: Any) -> np.ndarray | None:
    """From one node's coordinates (RAS below its transform) to another's, 4 x 4; None if that is not linear.

    Args:
        fromNode: a volume.
        toNode: another one; None for the world.
    """
    source = fromNode.GetParentTransformNode()
    target = toNode.GetParentTransformNode() if toNode is not None else None
    if source is target:
        return np.eye(4)
    if any(node is not None and not node.IsTransformToWorldLinear() for node in (source, target)):
        return None
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def readVoxels(path: Path) -> np.ndarray:
    """The voxels of the engine's CT: HU, int16, array [k, j, i]."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def readImageData(path: Path) -> vtk.vtkImageData:
    """The voxels of the engine's CT as a volume node takes them. Touches no node, so a thread may read them."""
    return imageDataOf(readVoxels(path))


def imageDataOf(voxels: np.ndarray) -> vtk.vtkImageData:
    """HU, array [k, j, i], as a volume node takes them."""
    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.AllocateScalars(vtk.VTK_SHORT, 1)
    vtk_to_numpy(image.GetPointData().GetScalars())[:] = voxels.ravel()
    return image


def putCt(image: vtk.vtkImageData, mrNode: Any, outputNode: Any, facts: dict[str, str]) -> Any:
    """Put the CT on a node, in the place of the MR.

    Args:
        image: see imageDataOf, one voxel per voxel of the MR.
        mrNode: the MR.
        outputNode: None for a new node of the scene.
        facts: the node's attributes (where it comes from).

    Returns:
        The node.
    """
    if outputNode is not None and outputNode.GetDisplayNode() is not None:
        _windowByHand(outputNode.GetDisplayNode())
    return putOnGrid(image, mrNode, outputNode, outputName(mrNode), facts)


def putOnGrid(image: vtk.vtkImageData, gridNode: Any, node: Any, name: str, attributes: dict[str, str]) -> Any:
    """Put voxels in HU (one per voxel of gridNode) on node, in the place of gridNode, and beside it.

    Args:
        image: see imageDataOf.
        node: None for a new node of this name (numbered if the name is taken).
        attributes: are set on it.

    Returns:
        The node.
    """
    isNew = node is None
    node = slicer.vtkMRMLScalarVolumeNode() if isNew else node
    with slicer.util.NodeModify(node):
        node.CopyOrientation(gridNode)
        node.SetVoxelValueQuantity(_codedEntry(*_ATTENUATION))
        node.SetVoxelValueUnits(_codedEntry(*HOUNSFIELD_UNITS))
        for key, value in attributes.items():
            node.SetAttribute(key, value)
        if isNew:
            node.SetName(freeName(name))
            slicer.mrmlScene.AddNode(node)
        # CopyOrientation() copies the grid, not the transform that the grid stands under.
        node.SetAndObserveTransformNodeID(gridNode.GetTransformNodeID())
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
            _windowByHand(node.GetDisplayNode())
        node.SetAndObserveImageData(image)
    _placeBeside(gridNode, node)
    return node


def _windowByHand(display: Any) -> None:
    """Whoever puts voxels on a node sets their window too; found by Slicer, it would hold the application up."""
    display.AutoWindowLevelOff()


def freeName(name: str) -> str:
    """The name, numbered as people do if a node of the scene has it already."""
    free, number = name, 1
    while slicer.mrmlScene.GetFirstNodeByName(free) is not None:
        number += 1
        free = f"{name} ({number})"
    return free


def seriesUidOf(node: Any) -> str:
    """SeriesInstanceUID of the DICOM series that a volume was loaded from; "" if none is known."""
    database = getattr(slicer, "dicomDatabase", None)
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if not uids or database is None or not database.isOpen:
        return ""
    return str(database.instanceValue(uids[0], _SERIES_INSTANCE_UID) or "")


def stampOf(node: Any) -> str:
    """A text that changes with the node's voxels and their place, and not with its name or its colours.

    "" for None and for a node without voxels.
    """
    image = node.GetImageData() if node is not None else None
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if image is None or scalars is None:
        return ""
    toRas = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(toRas)
    place = slicer.util.arrayFromVTKMatrix(toRas).ravel().tolist()
    return f"{scalars.GetMTime()} {image.GetDimensions()} {node.GetTransformNodeID()} {place}"


def _codedEntry(value: str, scheme: str, meaning: str) -> Any:
    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(value, scheme, meaning)
    return entry


def _placeBeside(mrNode: Any, node: Any) -> None:
    """Put the node under the subject hierarchy item (study, folder) that holds the MR."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    mrItem = hierarchy.GetItemByDataNode(mrNode)
    item = hierarchy.GetItemByDataNode(node)
    # Without the application's plugins (slicer-core) nodes have no items by themselves.
    if mrItem != hierarchy.GetInvalidItemID() and item != hierarchy.GetInvalidItemID():
        hierarchy.SetItemParent(item, hierarchy.GetItemParent(mrItem))
