"""Checks the selected MR in the background, as soon as it is selected or changed."""

import logging
from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from MRtoCTLib import nodes, validation
from MRtoCTLib.errors import TaskError
from MRtoCTLib.tasks.check import Check

# Clicking through a list of volumes, or changing one in steps, starts no check for each.
_PATIENCE_MILLISECONDS = 400


class InputChecker(VTKObservationMixin):
    """Checks the volume that setVolume() says.

    Args:
        start: starts a check, as MRtoCTLogic.check does without waiting: start(mrNode, onChanged) -> Check.
        onChanged: called without arguments when findings or isRunning change.

    Attributes:
        findings: dicts with severity, code, message.
        isRunning: whether more may come.
        isStopped: stop() was called, and the volume has not changed since.
    """

    def __init__(self, start: Callable[[Any, Callable[[Check], None]], Check], onChanged: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self.findings: list[dict[str, Any]] = []
        self.isRunning = False
        self.isStopped = False
        self._startCheck = start
        self._onChanged: Callable[..., None] = onChanged
        self._mrNode: Any = None
        self._stamp = ""
        self._check: Check | None = None
        self._wanted = 0  # grows with each start, so that an outdated one is known

    @property
    def problem(self) -> str:
        """What was found that blocks a synthesis, as a sentence; "" if nothing."""
        return next((finding["message"] for finding in self.findings if finding["severity"] == "error"), "")

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
        if nodes.stampOf(self._mrNode) != self._stamp:
            self._restart()

    def _restart(self) -> None:
        self.stop()
        self.isStopped = False
        self._stamp = nodes.stampOf(self._mrNode)
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
            self._check = self._startCheck(self._mrNode, self._onCheckChanged)
        except TaskError as error:  # a full disk, no engine: a synthesis would say the same, and louder
            logging.warning("The MR was not checked: %s", error)
            self.isRunning = False
            self._onChanged()

    def _onCheckChanged(self, check: Check) -> None:
        if check is not self._check:
            return  # of a volume that is no longer selected
        self.findings = list(check.findings)
        self.isRunning = check.isRunning
        self._onChanged()
