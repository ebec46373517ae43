"""A synthetic CT of the scene as a DICOM CT series on disk, beside the series of its MR in the same study."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from decnn.errors import Cancelled, InputError, explain
from decnn.io.folders import check_output_folder, publish
from MRtoCTLib import files, nodes, validation
from MRtoCTLib.errors import ExportCancelled, ExportError
from MRtoCTLib.tasks.base import EngineTask, State, ignore

_SERIES = "series"


@dataclass(frozen=True)
class Origin:
    """The DICOM files of the MR that a CT was made from. mrName: "" if that MR is no longer in the scene."""

    mrName: str
    hasSeries: bool  # the MR was loaded from a DICOM series
    files: list[str]  # its files; empty if not all of them are in Slicer's DICOM database


def originOf(ctNode: Any) -> Origin:
    """Where Slicer's DICOM database has the series of the MR that this CT was made from."""
    mrNode = slicer.mrmlScene.GetNodeByID(ctNode.GetAttribute(nodes.SOURCE_ATTRIBUTE) or "") or _ofSeries(
        ctNode.GetAttribute(nodes.SERIES_ATTRIBUTE)
    )
    if mrNode is None or not mrNode.IsA("vtkMRMLScalarVolumeNode"):
        return Origin("", False, [])
    uids = (mrNode.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    paths = [database.fileForInstance(uid) for uid in uids] if database is not None and database.isOpen else []
    return Origin(mrNode.GetName(), bool(uids), paths if paths and all(p and Path(p).is_file() for p in paths) else [])


def _ofSeries(uid: str | None) -> Any:
    """The scene's volume of a DICOM series, for a CT that was loaded from a file; None if there is none."""
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if uid else []
    return next((node for node in volumes if nodes.seriesUidOf(node) == uid), None)


def isVerified(ctNode: Any, origin: Origin) -> bool:
    """Whether the CT itself says which MR it was made from, or there is no patient to be taken over."""
    said = (ctNode.GetAttribute(name) for name in (nodes.SERIES_ATTRIBUTE, nodes.HASH_ATTRIBUTE))
    return not origin.files or any(said)


def identifiersOf(origin: Origin, isMoved: bool = False, mayBeMoved: bool = False) -> str:
    """Which patient, study and frame of reference the series will have, in sentences.

    Args:
        isMoved: whether the CT stands under a transform, so elsewhere than its MR's series.
        mayBeMoved: whether one that lies elsewhere for other reasons (a hardened transform) will be exported too.
    """
    if origin.files and isMoved:
        return _(
            "Patient and study are those of the DICOM series of '{name}' ({count} files). The CT was moved away from "
            "that series, so it gets a new frame of reference."
        ).format(name=origin.mrName, count=len(origin.files))
    if origin.files:
        taken = _(
            "Patient, study and frame of reference are those of the DICOM series of '{name}' ({count} files)."
        ).format(name=origin.mrName, count=len(origin.files))
        condition = _("If the CT no longer lies where that series lies, it gets a new frame of reference.")
        return f"{taken} {condition}" if mayBeMoved else taken
    if origin.hasSeries:
        reason = _("The DICOM files of '{name}' are no longer in Slicer's DICOM database (import them again)")
    elif origin.mrName:
        reason = _("'{name}' was not loaded from a DICOM series")
    else:
        reason = _("The MR of this CT is not in the scene")
    return _("{reason}, so the CT gets a generated patient, a new study and a new frame of reference.").format(
        reason=reason.format(name=origin.mrName)
    )


def newFolder(parent: str) -> Path:
    """A folder in ``parent`` that does not exist yet, named after the time: a volume's name may be the patient's."""
    base = Path(parent) / time.strftime("sCT_%Y%m%d_%H%M%S")
    path, number = base, 1
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}_{number}")
    return path


def importSeries(exported: "Export") -> None:
    """Import the series that was written into Slicer's DICOM database; ExportError if it is not there afterwards."""
    from DICOMLib import DICOMUtils

    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise ExportError(_("Slicer's DICOM database is not open: open the module DICOM once, and import again."))
    DICOMUtils.importDicom(str(exported.folder))  # what it returns does not tell whether anything was taken
    if len(database.instancesForSeries(exported.facts["series_instance_uid"])) < exported.facts["files"]:
        raise ExportError(
            _(
                "Slicer's DICOM database has not taken the series: import the folder '{folder}' in the module DICOM."
            ).format(folder=exported.folder)
        )


class Export(EngineTask):
    """Starts at once; see EngineTask for how it goes on.

    The engine writes into the workspace. Once it has ended, the series is moved to its place: an engine that is killed
    leaves nothing there.

    Args:
        engine: the command that runs the engine.
        ctNode: a CT that this module made.
        folder: a folder that does not exist yet, or is empty.
        resample: whether an oblique, sheared or transformed CT may be brought to axial slices of 1 mm.
        unverifiedReference: whether a CT that does not say which MR it was made from may take over that MR's patient.
        onChanged, onLog: as in EngineTask.

    Attributes:
        result: the folder with the series, once DONE.

    Raises:
        ExportError: a CT that cannot be exported, a folder that cannot be taken, or another export is running.
    """

    Error = ExportError
    Cancelled = ExportCancelled

    def __init__(
        self,
        engine: list[str],
        ctNode: Any,
        folder: Path,
        resample: bool = False,
        unverifiedReference: bool = False,
        onChanged: Callable[["Export"], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> None:
        super().__init__(engine, onChanged, onLog)
        self.ctNode = ctNode
        self.folder = folder.absolute()
        self.resample = resample
        self.unverifiedReference = unverifiedReference
        self._start()

    def _problem(self) -> str:
        files.restore(self.ctNode)
        problem = validation.problemOfExport(self.ctNode, self.resample)
        if problem:
            return problem
        try:
            check_output_folder(self.folder)
        except (InputError, OSError) as error:
            return str(explain(error))
        return ""

    def _command(self) -> list[str]:
        path = self.workspace.path / "ct.nrrd"
        nodes.writeVolume(self.ctNode, path, files.metadataOf(self.ctNode), nodes.matrixBetween(self.ctNode, None))
        options = ["--resample", "--allow-moved"] if self.resample else []
        options += ["--unverified-reference"] if self.unverifiedReference else []
        origin = originOf(self.ctNode)
        if origin.files:
            names = self.workspace.path / "mr_files.txt"
            names.write_text("\n".join(origin.files), encoding="utf-8")
            options += ["--reference-list", str(names)]
        series = str(self.workspace.path / _SERIES)
        return [*self._engine, "export-dicom", str(path), series, "--progress", "json", *options]

    def _nodes(self) -> list[Any]:
        return []  # all that is needed of the scene has been written

    def _read(self) -> None:
        try:
            publish(self.workspace.path / _SERIES, self.folder, lambda: self.state is State.CANCELLING)
        except Cancelled as error:
            raise ExportCancelled(self._sentence("cancelled")) from error
        except OSError as error:
            raise ExportError(
                _("The series could not be put into '{folder}' ({reason}): choose another folder.").format(
                    folder=self.folder, reason=error.strerror or error
                )
                + f" {self._remains()}".rstrip()
            ) from error
        self._isTooLate = True

    def _remains(self) -> str:
        """What is said of files that could not be removed again, such as on a network drive that is gone."""
        try:
            if not self.folder.is_dir() or not any(self.folder.iterdir()):
                return ""
        except OSError:
            pass  # then nobody knows
        return _("A part of the series may be in '{folder}': remove it.").format(folder=self.folder)

    def _deliver(self) -> Iterator[None]:
        self.facts["output"] = str(self.folder)
        self.result = self.folder
        return iter(())

    def _sentence(self, what: str) -> str:
        return {
            "busy": _("An export is already running: wait until it has ended, or cancel it."),
            "delivering": _("Moving the series to its folder"),
            "cancelled": self._remains() or _("The export was cancelled: no file was written."),
            "removed": "",
            "undelivered": _("The export failed ({reason})."),
        }[what]
