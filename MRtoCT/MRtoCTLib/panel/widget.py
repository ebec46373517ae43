"""The panel: binds the parameter node to the controls, and its sections to the scene."""

import contextlib
import sys
from typing import Any

import qt
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from decnn import NOTICE
from MRtoCTLib import nodes, validation
from MRtoCTLib.display import overlay
from MRtoCTLib.logic import MRtoCTLogic
from MRtoCTLib.panel.advancedsection import AdvancedSection
from MRtoCTLib.panel.comparesection import CompareSection
from MRtoCTLib.panel.exportsection import ExportSection
from MRtoCTLib.panel.reviewsection import ReviewSection
from MRtoCTLib.panel.synthesissection import SynthesisSection
from MRtoCTLib.parameters import MRtoCTParameterNode
from MRtoCTLib.tasks.synthesis import Synthesis


class MRtoCTWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; its controls are in Resources/UI/MRtoCT.ui.

    Attributes:
        logic: the panel's MRtoCTLogic, from setup() on; None after cleanup().
    """

    # All there from setup() on.
    logic: Any
    ui: Any
    synthesisSection: SynthesisSection
    advancedSection: AdvancedSection
    reviewSection: ReviewSection
    compareSection: CompareSection
    exportSection: ExportSection

    def __init__(self, parent: Any = None) -> None:
        self.logic = None
        self._parameterNode: MRtoCTParameterNode | None = None
        self._guiTag: Any = None
        super().__init__(parent)  # at last, because without a parent it calls setup(); it sets up the mixin too

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/MRtoCT.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.ui.noticeLabel.text = NOTICE
        self.logic = MRtoCTLogic()
        self.advancedSection = AdvancedSection(self.ui, self.logic)
        self.synthesisSection = SynthesisSection(self.ui, self.logic, self._onSynthesized, self._requestDevices)
        self.reviewSection = ReviewSection(self.ui)
        self.compareSection = CompareSection(self.ui, self.logic, self.reviewSection.showResults)
        self.exportSection = ExportSection(self.ui, self.logic)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """The panel goes away: module reloaded, or Slicer quits."""
        logic, self.logic = self.logic, None
        if logic is None:
            return
        logic.cleanup()  # first: no engine may go on, whatever is left of the panel
        # When Slicer quits, its windows are gone by now, and calls of their widgets fail.
        with contextlib.suppress(ValueError, AttributeError):
            self.setParameterNode(None)
        self.removeObservers()
        for section in (self.synthesisSection, self.reviewSection, self.compareSection, self.exportSection):
            with contextlib.suppress(ValueError, AttributeError):
                section.cleanup()

    def enter(self) -> None:
        self.synthesisSection.enter()
        self.initializeParameterNode()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onReload(self) -> None:
        """For developers: Slicer reloads MRtoCT.py only, so let it import the rest again, too."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("MRtoCTLib", "decnn")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        self.setParameterNode(None)
        self.synthesisSection.forgetScene()
        for section in (self.reviewSection, self.compareSection, self.exportSection):
            section.setVolumes(None, None)  # do not hold on to a patient

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
            wrapped: Any = self._parameterNode
            wrapped.disconnectGui(self._guiTag)
            self.removeObserver(wrapped, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self._parameterNode = parameterNode
        self.advancedSection.setParameterNode(parameterNode)
        self.synthesisSection.setParameterNode(parameterNode)
        if parameterNode is not None:
            wrapped = parameterNode
            # connectGui() does the same, but returns no tag (Slicer issue 7547): nothing could be disconnected.
            named = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
            self._guiTag = wrapped.connectParametersToGui({name: named[name] for name in named if name})
            self.addObserver(wrapped, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
            self._onParametersModified()

    def _onParametersModified(self, caller: Any = None, event: str = "") -> None:
        parameters = self._parameterNode
        if parameters is None:
            return
        mrNode, ctNode = parameters.inputVolume, parameters.outputVolume
        source = ctNode.GetAttribute(nodes.SOURCE_ATTRIBUTE) if ctNode is not None else None
        if mrNode is not None and source is not None and source != mrNode.GetID():
            parameters.outputVolume = ctNode = None  # this CT is another MR's: do not overwrite it
        if mrNode is not None:
            self.ui.outputSelector.baseName = nodes.outputName(mrNode)
        if ctNode is not None:
            overlay.setOverlayOpacity(ctNode, parameters.overlayOpacity)
        for section in (self.reviewSection, self.compareSection, self.exportSection):
            section.setVolumes(mrNode, ctNode)
        self.advancedSection.setParameterNode(parameters)
        self.synthesisSection.setParameterNode(parameters)

    def _selectInput(self) -> None:
        """Select the T1 if nothing is selected yet, to save clicks."""
        if self._parameterNode is not None and self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = validation.mostLikelyT1()

    def _onSynthesized(self, synthesis: Synthesis) -> None:
        self.logic.getParameterNode().outputVolume = synthesis.outputNode
        if self._parameterNode is not None:
            overlay.setOverlayOpacity(synthesis.outputNode, self._parameterNode.overlayOpacity)
        self.reviewSection.show()

    def _requestDevices(self) -> None:
        self.logic.requestDevices(self.advancedSection.showDevices)
