"""What the engine has to say against the selected MR, found out in the background as soon as it is selected."""

import logging
from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from MRtoCTLib import nodes, validation
from MRtoCTLib.errors import TaskError
from MRtoCTLib.tasks.base import EngineTask
from MRtoCTLib.tasks.polling import repeatUntilDone

# Clicking through a list of volumes, or changing one in steps, starts no check for each.
_PATIENCE_MILLISECONDS = 400


class InputCheck(EngineTask):
    """Starts at once; see EngineTask. Its findings count even if it FAILED: that is what an error in the MR does.

    Several may be there at a time, of which all but the last are being stopped.
    """

    def __init__(self, engine: list[str], mrNode: Any, onChanged: Callable[["InputCheck"], None]) -> None:
        super().__init__(onChanged, lambda _line: None)
        self.mrNode = mrNode
        self._engine = engine
        self._start()

    def _command(self) -> list[str]:
        path = self.workspace.path / "mr.nrrd"
        nodes.writeVolume(self.mrNode, path)
        return [*self._engine, "check", str(path), "--progress", "json"]

    def _nodes(self) -> list[Any]:
        return [self.mrNode]

    def _deliver(self) -> None:
        """The findings are all there is."""

    def _sentence(self, what: str) -> str:
        return _("The MR was not checked.")


class InputChecker(VTKObservationMixin):
    """Checks the volume that setVolume() says, by the command that ``engine`` returns.

    findings: dicts with severity, code, message. isRunning: whether more may come. isStopped: stop() was called, and
    the volume has not changed since. onChanged: called without arguments when findings or isRunning change.
    """

    def __init__(self, engine: Callable[[], list[str]], onChanged: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self.findings: list[dict[str, Any]] = []
        self.isRunning = False
        self.isStopped = False
        self._engine = engine
        self._onChanged = onChanged
        self._mrNode: Any = None
        self._content: Any = None
        self._check: InputCheck | None = None
        self._wanted = 0  # grows with each start, so that an outdated one is known

    def setVolume(self, mrNode: Any) -> None:
        """Check this volume, unless it is the same as before; None for none."""
        if mrNode is self._mrNode:
            return
        # Voxels changed through numpy are told of by the first event, others by the second.
        for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
            if self._mrNode is not None:
                self.removeObserver(self._mrNode, event, self.onVolumeModified)
            if mrNode is not None:
                self.addObserver(mrNode, event, self.onVolumeModified)
        self._mrNode = mrNode
        self._restart()

    def stop(self) -> None:
        """Stop checking the volume; what was found until now stays. For when a synthesis does the same and more."""
        self._wanted += 1
        self.isRunning, self.isStopped = False, True
        if self._check is not None:
            self._check.cancel()
            self._check = None

    def cleanup(self) -> None:
        """The panel goes away."""
        check = self._check
        self.removeObservers()
        self.stop()
        self._onChanged = lambda: None
        if check is not None:
            check.abort()

    def onVolumeModified(self, caller: Any, event: str) -> None:
        if _contentOf(self._mrNode) != self._content:
            self._restart()

    def _restart(self) -> None:
        self.stop()
        self.isStopped = False
        self._content = _contentOf(self._mrNode)
        self.findings = []
        if self._mrNode is not None and not validation.problemOfInput(self._mrNode):
            self.isRunning = True
            wanted = self._wanted
            qt.QTimer.singleShot(_PATIENCE_MILLISECONDS, lambda: self._start(wanted))
        self._onChanged()

    def _start(self, wanted: int) -> None:
        if wanted != self._wanted:
            return
        try:
            self._check = InputCheck(self._engine(), self._mrNode, self._onCheckChanged)
        except TaskError as error:  # a full disk, no engine: a synthesis would say the same, and louder
            logging.warning("The MR was not checked: %s", error)
            self.isRunning = False
            self._onChanged()
            return
        repeatUntilDone(self._check.poll)

    def _onCheckChanged(self, check: InputCheck) -> None:
        if check is not self._check:
            return  # of a volume that is no longer selected
        self.findings = list(check.findings)
        self.isRunning = check.isRunning
        self._onChanged()


def _contentOf(node: Any) -> Any:
    """What tells whether voxels or grid of a volume have changed, and not only its name."""
    image = node.GetImageData() if node is not None else None
    if image is None or image.GetPointData().GetScalars() is None:
        return None
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    grid = tuple(slicer.util.arrayFromVTKMatrix(matrix).ravel())
    return image.GetPointData().GetScalars().GetMTime(), image.GetDimensions(), grid
