"""Layouts of the views that this module adds to Slicer's own: MR and CT side by side, and the CT's bone in 3D.

All is done by nodes of the scene; where there are no views (Slicer without a main window) there is no layout either.
"""

from typing import Any

import slicer

from MRtoCTLib.nodes import MODEL_ATTRIBUTE

SLICERS_OWN, COMPARE, BONE_3D, RESULTS = "slicer", "compare", "bone-3d", "results"
MR_VIEW, CT_VIEW = "MRtoCT-MR", "MRtoCT-CT"

# Slicer's own layouts have numbers below 100; above, each extension takes what it likes.
_ARRANGEMENTS = {
    COMPARE: 47110,
    BONE_3D: 47111,
    RESULTS: slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotTableView,
}
_SLICE_VIEW = """
  <item><view class="vtkMRMLSliceNode" singletontag="{name}">
    <property name="orientation" action="default">Axial</property>
    <property name="viewlabel" action="default">{label}</property>
    <property name="viewcolor" action="default">{color}</property>
  </view></item>"""
_DESCRIPTIONS = {
    COMPARE: '<layout type="horizontal">{mr}{ct}</layout>'.format(
        mr=_SLICE_VIEW.format(name=MR_VIEW, label="MR", color="#4A90D9"),
        ct=_SLICE_VIEW.format(name=CT_VIEW, label="CT", color="#D9A441"),
    ),
    BONE_3D: """
<layout type="horizontal">
  <item><view class="vtkMRMLViewNode" singletontag="1">
    <property name="viewlabel" action="default">1</property>
  </view></item>
</layout>""",
}
# Views are linked within their group: these two with each other, and not with Slicer's own.
_VIEW_GROUP = 4711
_BONE_PRESET = "CT-Bone"


class Layouts:
    """Switches between Slicer's own layout, whatever it was, and those of this module."""

    def __init__(self) -> None:
        self._entered = SLICERS_OWN
        self._arrangementBefore = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
        self._crosshairBefore = slicer.vtkMRMLCrosshairNode.NoCrosshair

    @staticmethod
    def node() -> Any:
        """The scene's layout node; None if there are no views."""
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")

    def available(self) -> list[str]:
        """The layouts that can be shown; none if there are no views."""
        if self.node() is None:
            return []
        return [SLICERS_OWN, COMPARE] + ([BONE_3D] if _volumeRendering() is not None else []) + [RESULTS]

    def shown(self) -> str:
        """Which layout is shown now; SLICERS_OWN for all that are not this module's."""
        node = self.node()
        arrangement = node.GetViewArrangement() if node is not None else None
        return next((name for name, number in _ARRANGEMENTS.items() if number == arrangement), SLICERS_OWN)

    def show(self, name: str, mrNode: Any, ctNode: Any) -> None:
        """Switch to one of the available() layouts, with these two volumes (or None) in it."""
        node = self.node()
        if self.shown() == SLICERS_OWN:
            self._arrangementBefore = node.GetViewArrangement()
        registerDescriptions()
        node.SetViewArrangement(self._arrangementBefore if name == SLICERS_OWN else _ARRANGEMENTS[name])
        self.update(mrNode, ctNode)

    def update(self, mrNode: Any, ctNode: Any) -> None:
        """Follow what has changed: the layout, perhaps by Slicer's own menu, or the volumes to be shown in it."""
        left, self._entered = self._entered, self.shown()
        entered = self._entered
        if left == COMPARE != entered:
            _setCrosshairMode(self._crosshairBefore)
        if left == BONE_3D != entered:
            _renderBone(None)
        if entered == COMPARE:
            if left != COMPARE:
                self._crosshairBefore = _setCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowBasic)
            fillCompareViews(mrNode, ctNode)
        if entered == BONE_3D:
            _renderBone(ctNode)
            if left != BONE_3D:
                slicer.util.resetThreeDViews()


def registerDescriptions() -> None:
    """Make this module's layouts known to the scene's layout node, if there is one.

    At the start of Slicer already: a scene that was saved in one of them would else be opened without any view.
    """
    node = Layouts.node()
    for name, description in _DESCRIPTIONS.items():
        if node is not None and not node.IsLayoutDescription(_ARRANGEMENTS[name]):
            node.AddLayoutDescription(_ARRANGEMENTS[name], description)


def moduleSelector() -> Any:
    """What selects the module in Slicer's main window; None if there is no main window."""
    window = slicer.util.mainWindow() if hasattr(slicer, "app") else None
    return window.moduleSelector() if window is not None else None


def showTable(tableNode: Any) -> None:
    """Show this table in the table views."""
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveTableID(tableNode.GetID())
    logic.PropagateTableSelection()


def showChart(chartNode: Any) -> None:
    """Show this chart in the plot views."""
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActivePlotChartID(chartNode.GetID())
    logic.PropagatePlotChartSelection()


def isCompareView(node: Any) -> bool:
    """Whether this slice node or slice composite node belongs to one of the two views side by side."""
    return node.GetLayoutName() in (MR_VIEW, CT_VIEW)


def fillCompareViews(mrNode: Any, ctNode: Any) -> None:
    """Put the MR into its view and the CT into its own, and link the two; nothing, as long as they do not exist."""
    for view in filter(isCompareView, slicer.util.getNodesByClass("vtkMRMLSliceNode")):
        view.SetViewGroup(_VIEW_GROUP)
    for view in filter(isCompareView, slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")):
        volume = mrNode if view.GetLayoutName() == MR_VIEW else ctNode
        view.SetDoPropagateVolumeSelection(False)  # a volume that is loaded meanwhile does not replace ours
        view.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)
        view.SetForegroundVolumeID(None)
        view.SetLinkedControl(True)
        view.SetHotLinkedControl(True)


def fitCompareViews() -> None:
    """Show the whole volumes in the two views; call it when the views have their sizes. Needs the application."""
    for name in (MR_VIEW, CT_VIEW):
        logic = slicer.app.applicationLogic().GetSliceLogicByLayoutName(name)
        if logic is not None:
            logic.FitSliceToBackground()


def _setCrosshairMode(mode: int) -> int:
    """Set how the cross-hair is drawn; returns how it was drawn before."""
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if crosshair is None:
        return mode
    before = crosshair.GetCrosshairMode()
    crosshair.SetCrosshairMode(mode)
    return before


def _volumeRendering() -> Any:
    """The logic of Slicer's module Volume Rendering; None where the module is not loaded."""
    module = getattr(getattr(slicer, "modules", None), "volumerendering", None)
    return module.logic() if module is not None else None


def _renderBone(ctNode: Any) -> None:
    """Render this CT in 3D, and no other CT of this module; None for none at all."""
    logic = _volumeRendering()
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        display = logic.GetFirstVolumeRenderingDisplayNode(node)
        if display is not None and node is not ctNode and node.GetAttribute(MODEL_ATTRIBUTE):
            display.SetVisibility(False)
    if ctNode is None or ctNode.GetImageData() is None:
        return
    display = logic.GetFirstVolumeRenderingDisplayNode(ctNode)
    if display is None:  # later on its colours may be the user's
        display = logic.CreateDefaultVolumeRenderingNodes(ctNode)
        display.GetVolumePropertyNode().Copy(logic.GetPresetByName(_BONE_PRESET))
    display.SetVisibility(True)
