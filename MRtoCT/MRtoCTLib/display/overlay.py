"""How the CT is looked at: its window, and its place over the MR in the slice views."""

from typing import Any

import slicer

from decnn.hu import WINDOWS
from MRtoCTLib.display import layouts, maps

DEFAULT_OPACITY = 0.5
"""Of a CT over its MR, as long as the user has not chosen another."""


def applyPreset(ctNode: Any, name: str) -> None:
    """Show the CT in one of the WINDOWS, in grey."""
    display = ctNode.GetDisplayNode()
    with slicer.util.NodeModify(display):
        display.AutoWindowLevelOff()
        display.SetWindowLevel(*WINDOWS[name])
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")


def presetOf(ctNode: Any) -> str | None:
    """Which of the WINDOWS the CT is shown in; None if in none, such as after the window was dragged by mouse."""
    display = ctNode.GetDisplayNode()
    window = (display.GetWindow(), display.GetLevel())
    return next((name for name, preset in WINDOWS.items() if preset == window), None)


def showOverlay(mrNode: Any, ctNode: Any, opacity: float = DEFAULT_OPACITY) -> None:
    """Show the CT, or a map, over the MR (None: over what is shown) in all slice views but those side by side.

    opacity of the CT: 0..1.
    """
    newlyShown = mrNode is not None and any(view.GetBackgroundVolumeID() != mrNode.GetID() for view in _sliceViews())
    slicer.util.setSliceViewerLayers(
        background="keep-current" if mrNode is None else mrNode,
        foreground=ctNode,
        foregroundOpacity=opacity,
        fit=newlyShown and hasattr(slicer, "app"),
    )
    layouts.fillCompareViews(mrNode, maps.subjectOf(ctNode))  # they were given the overlay too
    maps.showLegend(ctNode)


def overlays(ctNode: Any) -> list[Any]:
    """What can lie over the MR: the CT, and the maps that are about it."""
    return [ctNode, *maps.mapsOf(ctNode, "difference"), *maps.mapsOf(ctNode, "disagreement")]


def overlaid(ctNode: Any) -> Any:
    """Which of the overlays() lies in the foreground of a slice view; None if none does."""
    shown = {view.GetForegroundVolumeID() for view in _sliceViews()}
    return next((node for node in overlays(ctNode) if node.GetID() in shown), None)


def setOverlayOpacity(ctNode: Any, opacity: float) -> None:
    """Set how opaque (0..1) the CT, or the map in its stead, is in the slice views that have it in their foreground."""
    ids = {node.GetID() for node in overlays(ctNode)}
    for view in _sliceViews():
        if view.GetForegroundVolumeID() in ids:
            view.SetForegroundOpacity(opacity)


def _sliceViews() -> list[Any]:
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [view for view in views if not layouts.isCompareView(view)]
