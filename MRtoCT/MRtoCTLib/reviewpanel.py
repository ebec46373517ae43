"""The panel's section Review: the window of the CT, and the layout of the views."""

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import layouts, review


class ReviewPanel(VTKObservationMixin):
    """Shows how the MR and the CT are shown, and changes it. ui: the controls of Resources/UI/MRtoCT.ui."""

    def __init__(self, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self.ui = ui
        self._layouts = layouts.Layouts()
        self._mrNode: Any = None
        self._ctNode: Any = None
        self._tooltips = {name: getattr(ui, name).toolTip for name in ("presetSelector", "layoutSelector")}
        for preset, title in (
            ("bone", _("Bone")),
            ("brain", _("Brain")),
            ("soft-tissue", _("Soft tissue")),
            ("synthrad", _("SynthRAD figures")),
        ):
            window = review.PRESETS[preset]
            text = _("{name} (W {width}, L {level})").format(name=title, width=window.width, level=window.level)
            ui.presetSelector.addItem(text, preset)
        titles = {
            layouts.SLICERS_OWN: _("As chosen in Slicer"),
            layouts.COMPARE: _("MR and CT side by side"),
            layouts.BONE_3D: _("Bone in 3D"),
        }
        for layout in self._layouts.available():
            ui.layoutSelector.addItem(titles[layout], layout)
        ui.presetSelector.connect("currentIndexChanged(int)", self.onPresetSelected)
        ui.layoutSelector.connect("currentIndexChanged(int)", self.onLayoutSelected)
        layoutNode = self._layouts.node()
        if layoutNode is not None:
            self.addObserver(layoutNode, vtk.vtkCommand.ModifiedEvent, self.onLayoutModified)
        self._show()

    def setVolumes(self, mrNode: Any, ctNode: Any) -> None:
        """Show these two; None if there is none."""
        if ctNode is not self._ctNode:
            event = slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent
            if self._ctNode is not None:
                self.removeObserver(self._ctNode, event, self.onDisplayModified)
            if ctNode is not None:
                self.addObserver(ctNode, event, self.onDisplayModified)
        if (mrNode, ctNode) != (self._mrNode, self._ctNode):
            self._mrNode, self._ctNode = mrNode, ctNode
            self._layouts.update(mrNode, ctNode)
            self._fitSoon()
        self._show()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.removeObservers()

    def onPresetSelected(self, index: int) -> None:
        if self._ctNode is not None and index >= 0:
            review.applyPreset(self._ctNode, self.ui.presetSelector.itemData(index))

    def onLayoutSelected(self, index: int) -> None:
        if index >= 0:
            self._layouts.show(self.ui.layoutSelector.itemData(index), self._mrNode, self._ctNode)
            self._fitSoon()

    def onLayoutModified(self, caller: Any, event: str) -> None:
        """The layout was changed here, or by Slicer's own menu."""
        self._layouts.update(self._mrNode, self._ctNode)
        self._show()

    def onDisplayModified(self, caller: Any, event: str) -> None:
        self._show()

    def _fitSoon(self) -> None:
        """Show the whole volumes side by side, if they are."""
        if self._layouts.shown() == layouts.COMPARE:
            qt.QTimer.singleShot(0, layouts.fitCompareViews)  # a new view has its size only then

    def _show(self) -> None:
        """Bring the two selectors up to date."""
        hasCt = self._ctNode is not None and self._ctNode.GetDisplayNode() is not None
        preset = review.presetOf(self._ctNode) if hasCt else review.DEFAULT_PRESET
        _selectQuietly(self.ui.presetSelector, preset)
        layout = self._layouts.shown()
        _selectQuietly(self.ui.layoutSelector, layout)
        missing = "" if hasCt else _("Synthesize a CT first.")
        self._enable("presetSelector", missing)
        if self.ui.layoutSelector.count == 0:
            missing = _("There are no views here.")
        elif layout != layouts.SLICERS_OWN:
            missing = ""  # there must be a way back
        self._enable("layoutSelector", missing)

    def _enable(self, name: str, missing: str) -> None:
        """Enable a control unless something is missing; its tooltip then says what."""
        control = getattr(self.ui, name)
        control.enabled = not missing
        control.toolTip = missing or self._tooltips[name]


def _selectQuietly(selector: Any, value: str | None) -> None:
    wasBlocked = selector.blockSignals(True)
    selector.currentIndex = selector.findData(value) if value is not None else -1
    selector.blockSignals(wasBlocked)
