"""A synthetic CT compared with a reference CT of the scene: files out, engine, results into the scene."""

from collections.abc import Callable
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from . import comparisonnodes, maps, volumes
from .errors import ComparisonCancelled, ComparisonError
from .task import EngineTask


def problemOfReference(referenceNode: Any, ctNode: Any) -> str:
    """Why these two cannot be compared, as a sentence; "" if nothing is obviously wrong with them."""
    if ctNode is None or ctNode.GetImageData() is None:
        return _("Select the synthetic CT, or synthesize one first.")
    if referenceNode is None:
        return _("Select the reference CT.")
    name = referenceNode.GetName()
    if referenceNode is ctNode:
        return _("'{name}' is the synthetic CT itself: select a real CT of the same head.").format(name=name)
    if not referenceNode.IsA("vtkMRMLScalarVolumeNode") or referenceNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("'{name}' is not an image volume: select a CT.").format(name=name)
    image = referenceNode.GetImageData()
    if image is None or not image.GetPointData().GetScalars():
        return _("'{name}' is empty: select a volume with image data.").format(name=name)
    if image.GetNumberOfScalarComponents() != 1:
        return _("'{name}' has several values per voxel: select a CT.").format(name=name)
    if referenceNode.GetAttribute(maps.KIND_ATTRIBUTE):
        return _("'{name}' is no CT, but a map of errors: select a CT.").format(name=name)
    return _problemOfTransform(referenceNode, ctNode)


def _problemOfTransform(node: Any, ctNode: Any) -> str:
    if matrixBetween(node, ctNode) is not None:
        return ""
    return _(
        "'{name}' or '{ct}' stands under a transform that is not linear: harden it first (module Transforms)."
    ).format(name=node.GetName(), ct=ctNode.GetName())


def matrixBetween(fromNode: Any, toNode: Any) -> np.ndarray | None:
    """From the one node's coordinates (RAS below its transform) to the other's, 4 x 4; None if that is not linear."""
    source, target = fromNode.GetParentTransformNode(), toNode.GetParentTransformNode()
    if source is target:
        return np.eye(4)
    if any(node is not None and not node.IsTransformToWorldLinear() for node in (source, target)):
        return None
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(source, target, matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


class Comparison(EngineTask):
    """Starts at once; see EngineTask for how it goes on.

    ctNode, referenceNode: what is compared. mrNode: the MR to which the reference is registered; None for no
    registration. results: the comparisonnodes.Results, once DONE.
    """

    Error = ComparisonError
    Cancelled = ComparisonCancelled

    def __init__(
        self,
        engine: list[str],
        ctNode: Any,
        referenceNode: Any,
        mrNode: Any = None,
        onChanged: Callable[["Comparison"], None] = lambda _comparison: None,
        onLog: Callable[[str], None] = lambda _line: None,
    ) -> None:
        if Comparison.current is not None:
            raise ComparisonError(_("A comparison is already running: wait until it has ended, or cancel it."))
        problem = problemOfReference(referenceNode, ctNode)
        if not problem and mrNode is not None:
            problem = volumes.problemOfInput(mrNode) or _problemOfTransform(mrNode, ctNode)
        if problem:
            raise ComparisonError(problem)
        super().__init__(onChanged, onLog)
        self.ctNode = ctNode
        self.referenceNode = referenceNode
        self.mrNode = mrNode
        self.results: comparisonnodes.Results | None = None
        self._engine = engine
        self._stamps = [volumes.stampOf(node) for node in self._compared()]
        self._start()

    def _command(self) -> list[str]:
        """All images in the coordinates of the CT's node, so that no transform is left to be considered."""
        folder = self.workspace.path
        for node, name in ((self.ctNode, "ct"), (self.referenceNode, "reference"), (self.mrNode, "mr")):
            if node is not None:
                volumes.writeVolume(node, folder / f"{name}.nrrd", toWorld=matrixBetween(node, self.ctNode))
        how = ["--register", str(folder / "mr.nrrd")] if self.mrNode is not None else ["--resample"]
        files = [str(folder / name) for name in ("ct.nrrd", "reference.nrrd")]
        difference = ["--difference", str(folder / "difference.nrrd")]
        return [*self._engine, "evaluate", *files, *how, *difference, "--progress", "json"]

    def _nodes(self) -> list[Any]:
        return [node for node in (self.ctNode, self.referenceNode, self.mrNode) if node is not None]

    def _compared(self) -> list[Any]:
        return [self.ctNode, self.referenceNode]

    def _sentence(self, what: str) -> str:
        return {
            "cancelled": _("The comparison was cancelled."),
            "removed": _("A volume was removed, so the comparison was cancelled."),
            "undelivered": _("The result of the comparison could not be loaded ({reason})."),
        }[what]

    def _read(self) -> None:
        self._voxels = volumes.readVoxels(self.workspace.path / "difference.nrrd")

    def _deliver(self) -> None:
        voxels = self._voxels
        del self._voxels  # or the panel would hold on to them, after the scene has been closed too
        for node, stamp in zip(self._compared(), self._stamps, strict=True):
            if volumes.stampOf(node) != stamp:  # such as by a synthesis into the same volume
                raise ComparisonError(
                    _("'{name}' was changed while it was compared: compare once more.").format(name=node.GetName())
                )
        self.results = comparisonnodes.putResults(self.ctNode, self.referenceNode, voxels, self.facts)


