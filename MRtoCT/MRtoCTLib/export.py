"""A synthetic CT of the scene as a DICOM CT series on disk, beside the series of its MR in the same study."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from . import volumes
from .errors import ExportCancelled, ExportError
from .task import EngineTask

# Voxels that are off an axial grid by less are on it: the same limit as in decnn.dicom.
_SAME_PLACE_MM = 0.02
_IDENTITY = np.eye(4)


@dataclass(frozen=True)
class Origin:
    """The DICOM files of the MR that a CT was made from. mrName: "" if that MR is no longer in the scene."""

    mrName: str
    hasSeries: bool  # the MR was loaded from a DICOM series
    files: list[str]  # its files; empty if not all of them are in Slicer's DICOM database


def originOf(ctNode: Any) -> Origin:
    """Where Slicer's DICOM database has the series of the MR that this CT was made from."""
    mrNode = slicer.mrmlScene.GetNodeByID(ctNode.GetAttribute(volumes.SOURCE_ATTRIBUTE) or "")
    if mrNode is None or not mrNode.IsA("vtkMRMLScalarVolumeNode"):
        return Origin("", False, [])
    uids = (mrNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    files = [database.fileForInstance(uid) for uid in uids] if database is not None and database.isOpen else []
    return Origin(mrNode.GetName(), bool(uids), files if files and all(f and Path(f).is_file() for f in files) else [])


def identifiersOf(origin: Origin) -> str:
    """Which patient, study and frame of reference the series will have, as a sentence."""
    if origin.files:
        return _(
            "Patient, study and frame of reference are those of the DICOM series of '{name}' ({count} files)."
        ).format(name=origin.mrName, count=len(origin.files))
    if origin.hasSeries:
        reason = _("The DICOM files of '{name}' are no longer in Slicer's DICOM database (import them again)")
    elif origin.mrName:
        reason = _("'{name}' was not loaded from a DICOM series")
    else:
        reason = _("The MR of this CT is not in the scene")
    return _("{reason}, so the CT gets no patient, a new study and a new frame of reference.").format(
        reason=reason.format(name=origin.mrName)
    )


def problemOfExport(ctNode: Any, resample: bool) -> str:
    """Why this node cannot be exported, as a sentence; "" if it can. resample: whether the grid may be changed."""
    if ctNode is None:
        return _("Select the synthetic CT, or synthesize one first.")
    name = ctNode.GetName()
    if volumes.problemOfInput(ctNode):
        return volumes.problemOfInput(ctNode)
    if not ctNode.GetAttribute(volumes.MODEL_ATTRIBUTE) or not ctNode.GetAttribute(volumes.WEIGHTS_ATTRIBUTE):
        return _("'{name}' does not say which model made it: select a CT that this module made.").format(name=name)
    toWorld = _toWorld(ctNode)
    if toWorld is None:
        return _(
            "'{name}' stands under a transform that is not linear, and DICOM cannot hold that: harden the transform, "
            "or take the CT out of it (module Transforms)."
        ).format(name=name)
    if resample:
        return ""
    if not np.allclose(toWorld, _IDENTITY, rtol=0, atol=1e-9):
        return _(
            "'{name}' stands under the transform '{transform}', so it is not where its MR's DICOM series is: take it "
            "out of the transform (module Transforms), or allow resampling."
        ).format(name=name, transform=ctNode.GetParentTransformNode().GetName())
    return _problemOfGrid(ctNode)


def newFolder(parent: str) -> Path:
    """A folder in ``parent`` that does not exist yet, named after the time: a volume's name may be the patient's."""
    base = Path(parent) / time.strftime("sCT_%Y%m%d_%H%M%S")
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}_{number}")
    return path


class Export(EngineTask):
    """Starts at once; see EngineTask for how it goes on. Once DONE, the series lies in ``folder``.

    ctNode: a CT that this module made. folder: a folder that does not exist yet. resample: whether an oblique,
    sheared or transformed CT may be brought to axial slices of 1 mm; else it is refused (ExportError).
    """

    Error = ExportError
    Cancelled = ExportCancelled

    def __init__(
        self,
        engine: list[str],
        ctNode: Any,
        folder: Path,
        resample: bool = False,
        onChanged: Callable[["Export"], None] = lambda _export: None,
        onLog: Callable[[str], None] = lambda _line: None,
    ) -> None:
        if Export.current is not None:
            raise ExportError(_("An export is already running: wait until it has ended, or cancel it."))
        problem = problemOfExport(ctNode, resample)
        if problem:
            raise ExportError(problem)
        super().__init__(onChanged, onLog)
        self.ctNode = ctNode
        self.folder = folder
        self.resample = resample
        self.origin = originOf(ctNode)
        self._engine = engine
        self._start()

    def _command(self) -> list[str]:
        attributes = [name for name in self.ctNode.GetAttributeNames() if name.startswith("MRtoCT.")]
        metadata = {name: self.ctNode.GetAttribute(name) for name in attributes}
        path = self.workspace.path / "ct.nrrd"
        volumes.writeVolume(self.ctNode, path, metadata, _toWorld(self.ctNode))
        options = ["--resample", "--allow-moved"] if self.resample else []
        if self.origin.files:
            names = self.workspace.path / "mr_files.txt"
            names.write_text("\n".join(self.origin.files), encoding="utf-8")
            options += ["--reference-list", str(names)]
        return [*self._engine, "export-dicom", str(path), str(self.folder), "--progress", "json", *options]

    def _nodes(self) -> list[Any]:
        return []  # all that is needed of the scene has been written

    def _deliver(self) -> None:
        """The engine has put the series where it belongs."""

    def _sentence(self, what: str) -> str:
        return {
            "cancelled": _("The export was cancelled: no file was written."),
            "removed": "",
            "undelivered": _("The export failed ({reason})."),
        }[what]


def _toWorld(node: Any) -> np.ndarray | None:
    """The matrix (RAS to RAS) of all transforms that the node stands under; None if one of them is not linear."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return _IDENTITY
    matrix = vtk.vtkMatrix4x4()
    if not transform.IsTransformToWorldLinear() or not transform.GetMatrixTransformToWorld(matrix):
        return None
    return slicer.util.arrayFromVTKMatrix(matrix)


def _problemOfGrid(node: Any) -> str:
    """Why the node's grid is no stack of axial, sagittal or coronal slices, as a sentence; "" if it is."""
    axes = volumes.directionsOf(node)
    nearest = np.zeros((3, 3))
    for axis, main in enumerate(np.abs(axes).argmax(axis=0)):
        nearest[main, axis] = np.sign(axes[main, axis])
    last = np.array(node.GetImageData().GetDimensions()) - 1
    if np.linalg.matrix_rank(nearest) == 3:
        off = np.abs((axes - nearest) * node.GetSpacing() * last).sum(axis=1).max()
        if off < _SAME_PLACE_MM:
            return ""
    kind = _("oblique to the patient's axes") if np.allclose(axes.T @ axes, np.eye(3), atol=1e-3) else _("sheared")
    return _(
        "The grid of '{name}' is {kind}, which planning systems do not accept: allow resampling to bring it to axial "
        "slices of 1 mm."
    ).format(name=node.GetName(), kind=kind)
