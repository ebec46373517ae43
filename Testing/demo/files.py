"""Volumes between files and the MRML scene, by Slicer's own storage node."""

from pathlib import Path
from typing import Any

import slicer
import vtk

from demo.sources import DemoError


def read_volume(path: Path, name: str) -> Any:
    """A new scalar volume node of slicer.mrmlScene, with the image of the file (NRRD, NIfTI, MHA).

    Raises DemoError if Slicer cannot read it.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    vtk.vtkObject.GlobalWarningDisplayOff()  # ten lines of VTK tell less than the sentence below
    try:
        done = storage.ReadData(node)
    finally:
        vtk.vtkObject.GlobalWarningDisplayOn()
    if not done:
        slicer.mrmlScene.RemoveNode(storage)
        slicer.mrmlScene.RemoveNode(node)
        raise DemoError(f"Slicer cannot read {path} as a volume: give a T1 of a head as NRRD, NIfTI or MHA.")
    node.SetAndObserveStorageNodeID(storage.GetID())
    node.CreateDefaultDisplayNodes()
    return node


def write_volume(node: Any, path: Path) -> None:
    """Write the node's image, compressed; DemoError if that fails."""
    storage = node.CreateDefaultStorageNode()
    slicer.mrmlScene.AddNode(storage)
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    storage.SetUseCompression(True)
    path.unlink(missing_ok=True)  # or Slicer reports at length that it replaces it
    if not storage.WriteData(node):
        raise DemoError(f"{path} could not be written: free disk space, or name another folder by --output.")
