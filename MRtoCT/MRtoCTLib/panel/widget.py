"""The panel: shows the parameter node and the running synthesis, forwards clicks to the logic."""

import sys
from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from decnn import NOTICE
from MRtoCTLib import dependencies, nodes, timing, validation
from MRtoCTLib.display import overlay
from MRtoCTLib.errors import RestartNeeded, SynthesisError
from MRtoCTLib.logic import MRtoCTLogic
from MRtoCTLib.panel.advancedsection import AdvancedSection
from MRtoCTLib.panel.comparesection import CompareSection
from MRtoCTLib.panel.exportsection import ExportSection
from MRtoCTLib.panel.inputchecker import InputChecker
from MRtoCTLib.panel.reviewsection import ReviewSection
from MRtoCTLib.panel.runcontrols import showRun
from MRtoCTLib.parameters import MRtoCTParameterNode, optionsOf
from MRtoCTLib.tasks.check import Check
from MRtoCTLib.tasks.synthesis import State, Synthesis


class MRtoCTWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; its controls are in Resources/UI/MRtoCT.ui."""

    def __init__(self, parent: Any = None) -> None:
        self.logic: MRtoCTLogic | None = None  # there from setup() to cleanup()
        self._parameterNode: MRtoCTParameterNode | None = None
        self._guiTag: int | None = None
        self._advancedPanel: AdvancedSection | None = None  # from setup() on
        self._reviewPanel: ReviewSection | None = None  # from setup() on
        self._comparePanel: CompareSection | None = None
        self._exportPanel: ExportSection | None = None
        self._inputChecker: InputChecker | None = None
        self._synthesis: Synthesis | None = None
        self._status = ""
        self._torchInstalled = True
        self._torchIsBeingInstalled = False
        super().__init__(parent)  # at last, because without a parent it calls setup(); it sets up the mixin too

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/MRtoCT.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.ui.noticeLabel.text = NOTICE
        self.logic = MRtoCTLogic()
        self._advancedPanel = AdvancedSection(self.ui, self.logic)
        self._reviewPanel = ReviewSection(self.ui)
        self._comparePanel = CompareSection(self.ui, self.logic, self._reviewPanel.showResults)
        self._exportPanel = ExportSection(self.ui, self.logic)
        self._inputChecker = InputChecker(self._startCheck, self._showFindings)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.ui.synthesizeButton.connect("clicked(bool)", self.onSynthesizeButton)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """The panel goes away: module reloaded, or Slicer quits."""
        logic, self.logic = self.logic, None
        self.setParameterNode(None)
        self.removeObservers()
        if self._reviewPanel is not None:
            self._reviewPanel.cleanup()
            self._comparePanel.cleanup()
            self._exportPanel.cleanup()
            self._inputChecker.cleanup()
        if logic is not None:
            logic.cleanup()

    def enter(self) -> None:
        self._torchInstalled = dependencies.torchInstalled()
        self.initializeParameterNode()
        self._requestDevices()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onReload(self) -> None:
        """For developers: Slicer reloads MRtoCT.py only, so let it import the rest anew as well."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("MRtoCTLib", "decnn")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        self.setParameterNode(None)
        for panel in (self._reviewPanel, self._comparePanel):
            panel.setVolumes(None, None)  # do not hold on to a patient
        self._exportPanel.setCt(None)
        self._inputChecker.setVolume(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeAdded(self, caller: Any, event: str) -> None:
        if self._parameterNode is not None and self._parameterNode.inputVolume is None:
            # Only later has a volume that is being loaded its name and its voxels.
            qt.QTimer.singleShot(0, self._selectInput)

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())
        self._selectInput()

    def setParameterNode(self, parameterNode: MRtoCTParameterNode | None) -> None:
        """Show this parameter node, and no other. None: the module is left, or the scene is being closed."""
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._parameterNode = parameterNode
        self._advancedPanel.setParameterNode(parameterNode)
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
            self._onParametersModified()

    def onSynthesizeButton(self, checked: bool = False) -> None:
        if self._synthesis is not None and self._synthesis.isRunning:
            self._synthesis.cancel()
            return
        if not self._ensureTorch() or self._problem():
            return  # meanwhile the scene may have been closed
        with slicer.util.tryWithErrorDisplay(_("The synthesis could not be started.")):
            try:
                self._start()
            except SynthesisError as error:
                self._complain(error)

    def _start(self) -> None:
        self.ui.logTextEdit.clear()
        self._status = ""
        self._inputChecker.stop()  # the synthesis checks the MR, too
        parameters = self._parameterNode
        with slicer.util.tryWithErrorDisplay(show=False, waitCursor=True):
            self.logic.synthesize(
                parameters.inputVolume,
                parameters.outputVolume,
                optionsOf(parameters),
                waitForCompletion=False,
                onChanged=self._onSynthesisChanged,
                onLog=self.ui.logTextEdit.appendPlainText,
            )

    def _startCheck(self, mrNode: Any, onChanged: Callable[[Check], None]) -> Check:
        return self.logic.check(mrNode, waitForCompletion=False, onChanged=onChanged)

    def _complain(self, error: SynthesisError) -> None:
        """Tell of an error that has a sentence for the user, by a message box and in the panel."""
        self._status = str(error)
        self._show()
        details = {"detailedText": error.log} if error.log else {}
        slicer.util.errorDisplay(str(error), **details)

    def _ensureTorch(self) -> bool:
        """Whether torch is there, if need be after the user has let it be installed."""
        if dependencies.torchInstalled():
            self._torchInstalled = True
            return True
        self._torchIsBeingInstalled = True  # the application goes on meanwhile: no second click
        self._show()
        try:
            self._torchInstalled = dependencies.installTorch()
            self._status = "" if self._torchInstalled else _("No CT was made, because PyTorch was not installed.")
        except RestartNeeded as error:
            self._status = str(error)
            slicer.util.infoDisplay(str(error))
        except SynthesisError as error:
            self._complain(error)
        finally:
            self._torchIsBeingInstalled = False
        if self.logic is None:
            return False  # the panel is gone
        self._show()
        self._requestDevices()
        return self._torchInstalled

    def _requestDevices(self) -> None:
        if self._torchInstalled:
            self.logic.requestDevices(self._advancedPanel.showDevices)

    def _onSynthesisChanged(self, synthesis: Synthesis) -> None:
        if self.logic is None:
            return  # the panel is gone
        self._synthesis = synthesis
        if synthesis.state is State.DONE:
            self._status = self._reportOf(synthesis)
            self._rememberTiming(synthesis)
            self.logic.getParameterNode().outputVolume = synthesis.outputNode
        elif synthesis.state is State.FAILED:
            self._complain(synthesis.error)
        elif not synthesis.isRunning:
            self._status = str(synthesis.error)
        self._show()

    @staticmethod
    def _reportOf(synthesis: Synthesis) -> str:
        return _("'{name}' was made in {seconds:.0f} s on {device}.").format(
            name=synthesis.outputNode.GetName(), seconds=synthesis.facts["seconds"], device=synthesis.facts["device"]
        )

    def _rememberTiming(self, synthesis: Synthesis) -> None:
        timing.remember(synthesis.mrNode, synthesis.options, synthesis.secondsElapsed)

    def _onParametersModified(self, caller: Any = None, event: str = "") -> None:
        parameters = self._parameterNode
        mrNode, ctNode = parameters.inputVolume, parameters.outputVolume
        source = ctNode.GetAttribute(nodes.SOURCE_ATTRIBUTE) if ctNode is not None else None
        if mrNode is not None and source is not None and source != mrNode.GetID():
            parameters.outputVolume = ctNode = None  # this CT is another MR's: do not overwrite it
        if mrNode is not None:
            self.ui.outputSelector.baseName = nodes.outputName(mrNode)
        if ctNode is not None:
            overlay.setOverlayOpacity(ctNode, parameters.overlayOpacity)
        for panel in (self._reviewPanel, self._comparePanel):
            panel.setVolumes(mrNode, ctNode)
        self._advancedPanel.setParameterNode(parameters)
        self._exportPanel.setCt(ctNode)
        self._inputChecker.setVolume(mrNode)
        self._show()

    def _selectInput(self) -> None:
        """Select the T1 if nothing is selected yet, to save clicks."""
        if self._parameterNode is not None and self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = validation.mostLikelyT1()

    def _problem(self) -> str:
        """What is missing before the button can be clicked; "" if nothing."""
        parameters = self._parameterNode
        if parameters is None:
            return _("Open the module to synthesize.")
        if self._torchIsBeingInstalled:
            return _("PyTorch is being installed.")
        if not parameters.model and self.ui.modelSelector.count == 0:
            return _("No model is installed: reinstall the extension.")
        return validation.problemOfInput(parameters.inputVolume) or validation.problemOfOutput(
            parameters.outputVolume, parameters.inputVolume
        )

    @staticmethod
    def _stageOf(synthesis: Synthesis) -> str:
        """What is being done, and for how long still, as far as that can be told."""
        left = synthesis.secondsLeft
        if synthesis.state is State.CANCELLING or left is None or left < 1:
            return synthesis.stage
        return _("{stage}, {time} left").format(stage=synthesis.stage, time=timing.about(left))

    def _lastStatus(self) -> str:
        """What came of the last synthesis; "" once another MR is selected."""
        mrNode = self._parameterNode.inputVolume if self._parameterNode is not None else None
        isOfAnother = mrNode is not None and self._synthesis is not None and self._synthesis.mrNode is not mrNode
        return "" if isOfAnother else self._status

    def _missingTorch(self) -> str:
        if self._torchInstalled or self._torchIsBeingInstalled:
            return ""
        return _("PyTorch is not installed: a click on 'Synthesize CT' offers to install it.")

    def _expectation(self) -> str:
        """How long the synthesis will take, as a sentence; "" if that is not known."""
        parameters = self._parameterNode
        seconds = timing.expectedSeconds(parameters.inputVolume, optionsOf(parameters))
        if seconds is None:
            return ""
        return _("The synthesis will take {time} on this machine.").format(time=timing.about(seconds))

    def _findings(self) -> list[str]:
        """Sentences on the selected MR: what the engine has to say about it, before a synthesis and after it."""
        synthesis, checker = self._synthesis, self._inputChecker
        mrNode = self._parameterNode.inputVolume if self._parameterNode is not None else None
        isOfThisMr = mrNode is not None and synthesis is not None and synthesis.mrNode is mrNode and checker.isStopped
        if isOfThisMr and (synthesis.findings or synthesis.state is State.DONE):
            # What blocks is shown as the error.
            return [finding["message"] for finding in synthesis.findings if finding["severity"] == "warning"]
        return [finding["message"] for finding in checker.findings]

    def _showFindings(self) -> None:
        findings = self._findings()
        self.ui.findingsLabel.text = "\n".join(findings)
        self.ui.findingsLabel.visible = bool(findings)

    def _show(self) -> None:
        """Bring button, progress and status up to date."""
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
        for selector in ("inputSelector", "outputSelector", "modelSelector", "deviceSelector"):
            getattr(self.ui, selector).enabled = not running
        if running:
            self.ui.statusLabel.text = self._stageOf(synthesis)
        else:
            self.ui.statusLabel.text = self._lastStatus() or self._missingTorch() or problem or self._expectation()
        self._showFindings()
        self._reviewPanel.show()
