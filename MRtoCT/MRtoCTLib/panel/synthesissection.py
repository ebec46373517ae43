"""The panel's upper part: the button Synthesize, the progress, and what is found in the selected MR."""

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRtoCTLib import dependencies, nodes, timing, validation
from MRtoCTLib.errors import RestartNeeded, TaskError
from MRtoCTLib.panel.inputchecker import InputChecker
from MRtoCTLib.panel.runcontrols import showError, showRun
from MRtoCTLib.parameters import MRtoCTParameterNode, optionsOf
from MRtoCTLib.tasks.base import State
from MRtoCTLib.tasks.check import Check
from MRtoCTLib.tasks.synthesis import Synthesis

# What may not be changed while a synthesis runs.
_CONTROLS = ("inputSelector", "outputSelector", "modelSelector", "deviceSelector", "confidenceCheckBox")


class SynthesisSection:
    """Starts, cancels and follows a synthesis, and has the selected MR checked before.

    Args:
        ui: the controls of Resources/UI/MRtoCT.ui.
        logic: the module's MRtoCTLogic.
        onSynthesized: called with each Synthesis that is DONE.
        onTorch: called when torch is there, at the start or after it was installed.
    """

    def __init__(
        self, ui: Any, logic: Any, onSynthesized: Callable[[Synthesis], None], onTorch: Callable[[], None]
    ) -> None:
        self.ui = ui
        self._logic: Any = logic  # None once the panel is gone
        self._onSynthesized = onSynthesized
        self._onTorch = onTorch
        self._parameters: MRtoCTParameterNode | None = None
        self._synthesis: Synthesis | None = None
        self._stamp = ""  # of the MR of the last CT, as it was then
        self._status = ""
        self._torchInstalled = True
        self._torchIsBeingInstalled = False
        self.checker = InputChecker(self._startCheck, self.show)
        ui.synthesizeButton.connect("clicked(bool)", self.onSynthesizeButton)

    def setParameterNode(self, parameters: MRtoCTParameterNode | None) -> None:
        """Work with this parameter node; None: the module is left, or the scene is being closed."""
        self._parameters = parameters
        if parameters is not None:
            self.checker.setVolume(parameters.inputVolume)
            self.show()

    def forgetScene(self) -> None:
        """The scene is being closed: hold on to no patient, and say nothing more of its volumes."""
        if self._synthesis is not None and self._synthesis.isRunning:
            self._synthesis.cancel(_("The scene was closed, so no CT was made."))
        else:
            self._synthesis, self._status = None, ""
        self.checker.setVolume(None)

    def enter(self) -> None:
        """The module is opened: torch may have come or gone meanwhile."""
        self._torchInstalled = dependencies.torchInstalled()
        if self._torchInstalled:
            self._onTorch()

    def cleanup(self) -> None:
        """The panel goes away."""
        self._logic = None
        self.checker.cleanup()

    def onSynthesizeButton(self, checked: bool = False) -> None:
        if self._synthesis is not None and self._synthesis.isRunning:
            self._synthesis.cancel()
            return
        if not self._ensureTorch() or self._problem():
            return  # meanwhile the scene may have been closed
        with slicer.util.tryWithErrorDisplay(_("The synthesis could not be started.")):
            try:
                self._start()
            except TaskError as error:
                self._complain(error)

    def _start(self) -> None:
        assert self._parameters is not None
        self.ui.logTextEdit.clear()
        self._status = ""
        self.checker.stop()  # the synthesis checks the MR, too
        with slicer.util.tryWithErrorDisplay(show=False, waitCursor=True):
            self._logic.synthesize(
                self._parameters.inputVolume,
                self._parameters.outputVolume,
                optionsOf(self._parameters),
                waitForCompletion=False,
                onChanged=self._onSynthesisChanged,
                onLog=self.ui.logTextEdit.appendPlainText,
            )

    def _startCheck(self, mrNode: Any, onChanged: Callable[[Check], None]) -> Check:
        check: Check = self._logic.check(mrNode, waitForCompletion=False, onChanged=onChanged)
        return check

    def _complain(self, error: TaskError) -> None:
        """Tell of an error that has a sentence for the user, by a message box and in the panel."""
        self._status = str(error)
        self.show()
        showError(error)

    def _ensureTorch(self) -> bool:
        """Whether torch is there, if need be after the user has let it be installed."""
        if dependencies.torchInstalled():
            self._torchInstalled = True
            return True
        self._torchIsBeingInstalled = True  # the application goes on meanwhile: no second click
        self.show()
        try:
            self._torchInstalled = dependencies.installTorch()
            self._status = "" if self._torchInstalled else _("No CT was made, because PyTorch was not installed.")
        except RestartNeeded as error:
            self._status = str(error)
            slicer.util.infoDisplay(str(error))
        except TaskError as error:
            self._complain(error)
        finally:
            self._torchIsBeingInstalled = False
        if self._logic is None:
            return False  # the panel is gone
        self.show()
        if self._torchInstalled:
            self._onTorch()
        return self._torchInstalled

    def _onSynthesisChanged(self, synthesis: Synthesis) -> None:
        if self._logic is None:
            return  # the panel is gone
        self._synthesis = synthesis
        if synthesis.state is State.DONE:
            self._status = _("'{name}' was made in {seconds:.0f} s on {device}.").format(
                name=synthesis.outputNode.GetName(),
                seconds=synthesis.facts["seconds"],
                device=synthesis.facts["device"],
            )
            self._stamp = nodes.stampOf(synthesis.mrNode)
            timing.remember(synthesis.mrNode, synthesis.options, synthesis.secondsElapsed)
            self._onSynthesized(synthesis)
        elif synthesis.state is State.FAILED and synthesis.error is not None:
            self._complain(synthesis.error)
        elif not synthesis.isRunning:
            self._status = str(synthesis.error)
        self.show()

    def _mrNode(self) -> Any:
        return self._parameters.inputVolume if self._parameters is not None else None

    def _problem(self) -> str:
        """What is missing before the button can be clicked; "" if nothing."""
        parameters = self._parameters
        if parameters is None:
            return _("Open the module to synthesize.")
        if self._torchIsBeingInstalled:
            return _("PyTorch is being installed.")
        if not parameters.model and self.ui.modelSelector.count == 0:
            return _("No model is installed: reinstall the extension.")
        problem = validation.problemOfInput(parameters.inputVolume) or validation.problemOfOutput(
            parameters.outputVolume, parameters.inputVolume
        )
        return problem or self.checker.problem

    def _stage(self) -> str:
        """What is being done, and for how long still, as far as that can be told."""
        synthesis = self._synthesis
        assert synthesis is not None
        left = synthesis.secondsLeft
        if synthesis.state is State.CANCELLING or left is None or left < 1:
            return synthesis.stage
        return _("{stage}, {time} left").format(stage=synthesis.stage, time=timing.about(left))

    def _lastStatus(self) -> str:
        """What came of the last synthesis; "" once another MR is selected."""
        mrNode, synthesis = self._mrNode(), self._synthesis
        if mrNode is None or synthesis is None:
            return self._status
        if synthesis.mrNode is not mrNode:
            return ""
        if synthesis.state is State.DONE and nodes.stampOf(mrNode) != self._stamp:
            return _("'{name}' has changed, or was moved, since its CT was made: synthesize it once more.").format(
                name=mrNode.GetName()
            )
        return self._status

    def _missingTorch(self) -> str:
        if self._torchInstalled or self._torchIsBeingInstalled:
            return ""
        return _("PyTorch is not installed: a click on 'Synthesize CT' offers to install it.")

    def _expectation(self) -> str:
        """How long the synthesis will take, as a sentence; "" if that is not known."""
        if self._parameters is None:
            return ""
        seconds = timing.expectedSeconds(self._parameters.inputVolume, optionsOf(self._parameters))
        if seconds is None:
            return ""
        return _("The synthesis will take {time} on this machine.").format(time=timing.about(seconds))

    def _findings(self) -> list[str]:
        """Sentences on the selected MR: what the engine has to say about it, before a synthesis and after it."""
        synthesis, mrNode = self._synthesis, self._mrNode()
        isOfThisMr = mrNode is not None and synthesis is not None and synthesis.mrNode is mrNode
        if synthesis is not None and isOfThisMr and self.checker.isStopped:
            if synthesis.findings or synthesis.state is State.DONE:
                # What blocks is shown as the error.
                return [finding["message"] for finding in synthesis.findings if finding["severity"] == "warning"]
        return [finding["message"] for finding in self.checker.findings]

    def show(self) -> None:
        """Bring button, progress, status and findings up to date."""
        synthesis = self._synthesis
        running = synthesis is not None and synthesis.isRunning
        problem = "" if running else self._problem()
        showRun(
            self.ui.synthesizeButton,
            self.ui.progressBar,
            synthesis,
            start=_("Synthesize CT"),
            hint=_("Make a synthetic CT of the selected MR.")
            if self._torchInstalled
            else _("PyTorch is not installed yet: a click asks whether to install it, and then makes the CT."),
            cancelHint=_("Stop the synthesis. The scene stays as it was."),
            problem=problem,
        )
        for name in _CONTROLS:
            getattr(self.ui, name).enabled = not running
        if running:
            status = self._stage()
        elif problem:  # what the check has found is said among the findings
            said = "" if problem == self.checker.problem else problem
            status = self._lastStatus() or self._missingTorch() or said
        else:
            status = self._lastStatus() or self._missingTorch() or self._expectation()
        self.ui.statusLabel.text = status
        findings = self._findings()
        self.ui.findingsLabel.text = "\n".join(findings)
        self.ui.findingsLabel.visible = bool(findings)
