"""The panel's section Export: the synthetic CT as a DICOM series."""

from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from MRtoCTLib import files, validation
from MRtoCTLib.panel.runcontrols import showError, showRun, startOrCancel
from MRtoCTLib.panel.scrolling import bringIntoView
from MRtoCTLib.tasks import export
from MRtoCTLib.tasks.base import State

_FOLDER_SETTING = "MRtoCT/ExportFolder"
_UNVERIFIED = "unverified-reference"  # the engine's code (decnn.codes)


class ExportSection(VTKObservationMixin):
    """Exports the selected CT. ui: the controls of Resources/UI/MRtoCT.ui. logic: MRtoCTLogic."""

    def __init__(self, ui: Any, logic: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self._logic = logic
        self._ctNode: Any = None
        self._origin: export.Origin | None = None
        self._export: export.Export | None = None
        self._gone = False
        self._tooltip = ui.exportButton.toolTip
        folder = slicer.app.userSettings().value(_FOLDER_SETTING)
        ui.exportFolderButton.directory = str(folder if folder and Path(folder).is_dir() else Path.home())
        ui.exportButton.connect("clicked(bool)", self.onExportButton)
        ui.exportResampleCheckBox.connect("toggled(bool)", self.onTickToggled)
        ui.exportUnverifiedCheckBox.connect("toggled(bool)", self.onTickToggled)
        ui.exportCollapsibleButton.connect("contentsCollapsed(bool)", self.onCollapsed)
        ui.exportOpenFolderButton.connect("clicked(bool)", self.onOpenFolderButton)
        ui.exportImportButton.connect("clicked(bool)", self.onImportButton)
        self._show()

    def setVolumes(self, mrNode: Any, ctNode: Any) -> None:
        """Offer this CT; None if there is none."""
        if ctNode is self._ctNode:
            return
        events = (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
        for event in events:
            if self._ctNode is not None:
                self.removeObserver(self._ctNode, event, self.onCtModified)
            if ctNode is not None:
                self.addObserver(ctNode, event, self.onCtModified)
        files.restore(ctNode)
        self._ctNode = ctNode
        # Asked once and not at every change: it is a question to the database for each file.
        self._origin = export.originOf(ctNode) if ctNode is not None else None
        if self._export is not None and not self._export.isRunning:
            self._export = None  # what came of it was about another CT
        self._show()

    def cleanup(self) -> None:
        """The panel goes away."""
        self._gone = True
        self.removeObservers()
        if self._export is not None:
            self._export.abort()

    def onCtModified(self, caller: Any, event: str) -> None:
        self._show()

    def onTickToggled(self, checked: bool) -> None:
        self._show()

    def onCollapsed(self, collapsed: bool) -> None:
        self._show()  # unfolding shows everything
        if not collapsed:
            bringIntoView(self.ui.exportStatusLabel)

    def onExportButton(self, checked: bool = False) -> None:
        startOrCancel(self._export, _("The export could not be started."), self._start)

    def _start(self) -> None:
        parent = self.ui.exportFolderButton.directory
        slicer.app.userSettings().setValue(_FOLDER_SETTING, parent)
        self._logic.exportDicom(
            self._ctNode,
            export.newFolder(parent),
            self.ui.exportResampleCheckBox.checked,
            self.ui.exportUnverifiedCheckBox.checked,
            waitForCompletion=False,
            onChanged=self._onExportChanged,
            onLog=self.ui.logTextEdit.appendPlainText,
        )

    def _onExportChanged(self, task: export.Export) -> None:
        if self._gone:
            return
        self._export = task
        self._show()
        if not task.isRunning:
            bringIntoView(self.ui.exportStatusLabel, self.ui.exportImportButton)
        if task.state is State.FAILED and task.error is not None:
            showError(task.error)

    def _isRunning(self) -> bool:
        return self._export is not None and self._export.isRunning

    def _status(self) -> str:
        """What is being done, what came of the last export, or what the next one will write."""
        task = self._export
        if task is not None and task.isRunning:
            return task.stage
        if task is not None and task.state is State.DONE:
            done = _("{count} files were written to {folder}.").format(
                count=task.facts["files"], folder=task.facts["output"]
            )
            return "\n".join([done, *(finding["message"] for finding in task.findings)])
        if task is not None:
            return str(task.error)
        if self._origin is None or validation.problemOfExport(self._ctNode, resample=True):
            return ""
        isMoved = bool(validation.problemOfPlace(self._ctNode))
        return export.identifiersOf(self._origin, isMoved, self.ui.exportResampleCheckBox.checked)

    def _problem(self) -> str:
        """Why the CT cannot be exported as the ticks stand, as a sentence; "" if it can."""
        problem = validation.problemOfExport(self._ctNode, self.ui.exportResampleCheckBox.checked)
        if problem or self._isVerified() or self.ui.exportUnverifiedCheckBox.checked:
            return problem
        return _(
            "Nothing proves that '{name}' was made from this MR, so nobody can tell that it is of this patient: "
            "synthesize it once more, or check it yourself and tick 'Unverified reference'."
        ).format(name=self._ctNode.GetName())

    def _isVerified(self) -> bool:
        if self._export is not None and self._export.error is not None and self._export.error.code == _UNVERIFIED:
            return False  # the engine has compared the voxels
        return self._origin is None or export.isVerified(self._ctNode, self._origin)

    def onOpenFolderButton(self, checked: bool = False) -> None:
        if self._export is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._export.folder)))

    def onImportButton(self, checked: bool = False) -> None:
        """Import the series that was written into Slicer's DICOM database."""
        with slicer.util.tryWithErrorDisplay(_("The series could not be imported."), waitCursor=True):
            if self._export is not None:
                export.importSeries(self._export)
                self.ui.exportStatusLabel.text = _("The series is in Slicer's DICOM database.")

    def _show(self) -> None:
        running = self._isRunning()
        problem = "" if running else self._problem()
        showRun(
            self.ui.exportButton,
            self.ui.exportProgressBar,
            self._export,
            start=_("Export DICOM CT"),
            hint=self._tooltip,
            cancelHint=_("Stop the export. No file is written."),
            problem=problem,
        )
        for name in ("exportFolderButton", "exportResampleCheckBox", "exportUnverifiedCheckBox"):
            getattr(self.ui, name).enabled = not running
        self.ui.exportUnverifiedCheckBox.visible = not self._isVerified()
        isDone = self._export is not None and self._export.state is State.DONE
        for name in ("exportOpenFolderButton", "exportImportButton"):
            getattr(self.ui, name).visible = isDone
        parts = [self._status()] if running else [problem if self._ctNode is not None else "", self._status()]
        self.ui.exportStatusLabel.text = "\n".join(part for part in parts if part)
