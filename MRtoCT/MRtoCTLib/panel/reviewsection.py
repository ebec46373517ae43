"""The panel's section Review: what lies over the MR, the window of the CT, its bone, and the layout of the views."""

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from decnn.hu import DEFAULT_WINDOW, WINDOWS
from MRtoCTLib.display import contour, layouts, overlay
from MRtoCTLib.display.profile import Profile
from MRtoCTLib.display.results import Results

_CONTROLS = ("overlaySelector", "presetSelector", "layoutSelector", "boneContourCheckBox")


class ReviewSection(VTKObservationMixin):
    """Shows how the MR and the CT are shown, and changes it. ui: the controls of Resources/UI/MRtoCT.ui."""

    def __init__(self, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self._layouts = layouts.Layouts()
        self._mrNode: Any = None
        self._ctNode: Any = None
        self._tooltips = {name: getattr(ui, name).toolTip for name in _CONTROLS}
        for preset, title in (
            ("bone", _("Bone")),
            ("brain", _("Brain")),
            ("soft-tissue", _("Soft tissue")),
            ("synthrad", _("SynthRAD figures")),
        ):
            window = WINDOWS[preset]
            text = _("{name} (W {width}, L {level})").format(name=title, width=window.width, level=window.level)
            ui.presetSelector.addItem(text, preset)
        titles = {
            layouts.SLICERS_OWN: _("As chosen in Slicer"),
            layouts.COMPARE: _("MR and CT side by side"),
            layouts.BONE_3D: _("Bone in 3D"),
            layouts.RESULTS: _("Slices, chart and table"),
        }
        for layout in self._layouts.available():
            ui.layoutSelector.addItem(titles[layout], layout)
        self._contour: Any = None
        self._profile = Profile(self._showChart)
        ui.boneContourCheckBox.connect("toggled(bool)", self.onBoneContourToggled)
        ui.lineSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onLineSelected)
        ui.lineSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.onLineAdded)
        ui.referenceSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onLineSelected)
        ui.overlaySelector.connect("currentIndexChanged(int)", self.onOverlaySelected)
        ui.presetSelector.connect("currentIndexChanged(int)", self.onPresetSelected)
        ui.layoutSelector.connect("currentIndexChanged(int)", self.onLayoutSelected)
        layoutNode = self._layouts.node()
        if layoutNode is not None:
            self.addObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self.onLayoutModified)
        # Slicer selects no module before it saves, as it closes, the number of the layout; it could not show ours at
        # the next start, and would show its default one instead of the user's.
        self._moduleSelector = layouts.moduleSelector()
        if self._moduleSelector is not None:
            self._moduleSelector.connect("moduleSelected(QString)", self.onModuleSelected)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.show()

    def setVolumes(self, mrNode: Any, ctNode: Any) -> None:
        """Show these two; None if there is none."""
        if ctNode is not self._ctNode:
            observed = (
                (slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, self.onDisplayModified),
                (vtk.vtkCommand.ModifiedEvent, self.onCtModified),
                (slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self.onCtModified),
                (slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self.onCtModified),
            )
            for event, method in observed:
                if self._ctNode is not None:
                    self.removeObserver(self._ctNode, event, method)
                if ctNode is not None:
                    self.addObserver(ctNode, event, method)
            self._removeContour()
            self._contour = contour.contourOf(ctNode) if ctNode is not None else None  # in a scene that was loaded
        if (mrNode, ctNode) != (self._mrNode, self._ctNode):
            self._mrNode, self._ctNode = mrNode, ctNode
            self._layouts.update(mrNode, ctNode)
            self._fitSoon()
        self.onLineSelected(None)
        self.show()

    def showResults(self, results: Results) -> None:
        """Show the table, the chart and the map of a comparison."""
        if layouts.RESULTS in self._layouts.available():
            self._layouts.show(layouts.RESULTS, self._mrNode, self._ctNode)
            layouts.showTable(results.table)
            layouts.showChart(results.chart)
        self.showOverlay(results.difference)

    def showOverlay(self, node: Any) -> None:
        """Show the CT, or a map that is about it, over the MR."""
        overlay.showOverlay(self._mrNode, node, self.ui.overlaySlider.value)
        self.show()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.removeObservers()
        self._removeContour()
        self._profile.cleanup()
        selector, self._moduleSelector = self._moduleSelector, None
        if selector is not None:
            selector.disconnect("moduleSelected(QString)", self.onModuleSelected)

    def onOverlaySelected(self, index: int) -> None:
        node = slicer.mrmlScene.GetNodeByID(self.ui.overlaySelector.itemData(index)) if index >= 0 else None
        if node is not None:
            self.showOverlay(node)

    def onBoneContourToggled(self, checked: bool) -> None:
        if checked and self._hasCt():
            self._contour = contour.showContour(self._ctNode)
        else:
            self._removeContour()

    def onCtModified(self, caller: Any, event: str) -> None:
        if self._contour is not None and self._ctNode.GetImageData() is not None:
            contour.updateContour(self._contour, self._ctNode)

    def onLineSelected(self, node: Any) -> None:
        line, reference = (selector.currentNode() for selector in (self.ui.lineSelector, self.ui.referenceSelector))
        self._profile.set(line, self._mrNode, self._ctNode, reference if reference is not self._ctNode else None)

    def onLineAdded(self, node: Any) -> None:
        """A new line: let the user place it by two clicks."""
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetReferenceActivePlaceNodeClassName(node.GetClassName())
        logic.GetSelectionNode().SetActivePlaceNodeID(node.GetID())
        logic.GetInteractionNode().SetPlaceModePersistence(0)
        logic.GetInteractionNode().SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)

    def onModuleSelected(self, name: str) -> None:
        if not name and self._layouts.shown() != layouts.SLICERS_OWN:
            self._layouts.show(layouts.SLICERS_OWN, self._mrNode, self._ctNode)

    def onNodeRemoved(self, caller: Any, event: str) -> None:
        if self._contour is not None and not slicer.mrmlScene.IsNodePresent(self._contour):
            self._contour = None
        if not slicer.mrmlScene.IsBatchProcessing():
            self.show()

    def onPresetSelected(self, index: int) -> None:
        if self._hasCt() and index >= 0:
            overlay.applyPreset(self._ctNode, self.ui.presetSelector.itemData(index))

    def onLayoutSelected(self, index: int) -> None:
        if index >= 0:
            self._layouts.show(self.ui.layoutSelector.itemData(index), self._mrNode, self._ctNode)
            self._fitSoon()

    def onLayoutModified(self, caller: Any, event: str) -> None:
        """The layout was changed here, or by Slicer's own menu."""
        self._layouts.update(self._mrNode, self._ctNode)
        self.show()

    def onDisplayModified(self, caller: Any, event: str) -> None:
        self.show()

    def _removeContour(self) -> None:
        node, self._contour = self._contour, None
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            contour.removeContour(node)

    def _showChart(self, chartNode: Any) -> None:
        if layouts.RESULTS in self._layouts.available():
            self._layouts.show(layouts.RESULTS, self._mrNode, self._ctNode)
            layouts.showChart(chartNode)

    def _fitSoon(self) -> None:
        """Show the whole volumes side by side, if they are."""
        if self._layouts.shown() == layouts.COMPARE:
            qt.QTimer.singleShot(0, layouts.fitCompareViews)  # a new view has its size only then

    def show(self) -> None:
        """Bring the controls up to date."""
        self._showOverlays()
        hasCt = self._hasCt()
        preset = overlay.presetOf(self._ctNode) if hasCt else DEFAULT_WINDOW
        _selectQuietly(self.ui.presetSelector, preset)
        layout = self._layouts.shown()
        _selectQuietly(self.ui.layoutSelector, layout)
        missing = "" if hasCt else _("Synthesize a CT first.")
        self._enable("presetSelector", missing)
        self._enable("boneContourCheckBox", missing)
        box = self.ui.boneContourCheckBox
        wasBlocked = box.blockSignals(True)
        box.checked = self._contour is not None
        box.blockSignals(wasBlocked)
        if self.ui.layoutSelector.count == 0:
            missing = _("There are no views here.")
        elif layout != layouts.SLICERS_OWN:
            missing = ""  # there must be a way back
        self._enable("layoutSelector", missing)

    def _hasCt(self) -> bool:
        """Whether there is a CT with voxels that can be shown; its parts can be removed one by one."""
        ct = self._ctNode
        return ct is not None and ct.GetDisplayNode() is not None and ct.GetImageData() is not None

    def _showOverlays(self) -> None:
        selector = self.ui.overlaySelector
        nodes = overlay.overlays(self._ctNode) if self._ctNode is not None else []
        shown = overlay.overlaid(self._ctNode) if nodes else None
        wasBlocked = selector.blockSignals(True)
        selector.clear()
        for node in nodes:
            selector.addItem(node.GetName(), node.GetID())
        selector.blockSignals(wasBlocked)
        _selectQuietly(selector, shown.GetID() if shown is not None else None)
        self._enable("overlaySelector", "" if nodes else _("Synthesize a CT first."))
        self.ui.overlaySlider.enabled = shown is not None

    def _enable(self, name: str, missing: str) -> None:
        """Enable a control unless something is missing; its tooltip then says what."""
        control = getattr(self.ui, name)
        control.enabled = not missing
        control.toolTip = missing or self._tooltips[name]


def _selectQuietly(selector: Any, value: str | None) -> None:
    wasBlocked = selector.blockSignals(True)
    selector.currentIndex = selector.findData(value) if value is not None else -1
    selector.blockSignals(wasBlocked)
