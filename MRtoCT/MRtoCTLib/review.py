"""How the CT is looked at: its window, and its place over the MR in the slice views."""

from typing import Any, NamedTuple

import slicer

from . import layouts


class Window(NamedTuple):
    """Width and centre of the grey scale, in HU."""

    width: float
    level: float


# The first three are Slicer's own CT-Bone, CT-Brain and CT-Abdomen (VolumeDisplayPresets.json of its module Volumes);
# the last one is that of the figures of the SynthRAD challenges, from air to dense bone.
PRESETS = {
    "bone": Window(1000, 400),
    "brain": Window(100, 50),
    "soft-tissue": Window(350, 40),
    "synthrad": Window(2500, 200),
}
DEFAULT_PRESET = "bone"


def applyPreset(ctNode: Any, name: str) -> None:
    """Show the CT in one of the PRESETS, in grey."""
    display = ctNode.GetDisplayNode()
    with slicer.util.NodeModify(display):
        display.AutoWindowLevelOff()
        display.SetWindowLevel(*PRESETS[name])
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")


def presetOf(ctNode: Any) -> str | None:
    """Which of the PRESETS the CT is shown in; None if in none, such as after the window was dragged by mouse."""
    display = ctNode.GetDisplayNode()
    window = (display.GetWindow(), display.GetLevel())
    return next((name for name, preset in PRESETS.items() if preset == window), None)


def showOverlay(mrNode: Any, ctNode: Any, opacity: float) -> None:
    """Show the CT over the MR in all slice views but those side by side. opacity of the CT: 0..1."""
    newlyShown = any(view.GetBackgroundVolumeID() != mrNode.GetID() for view in _sliceViews())
    slicer.util.setSliceViewerLayers(
        background=mrNode,
        foreground=ctNode,
        foregroundOpacity=opacity,
        fit=newlyShown and hasattr(slicer, "app"),
    )
    layouts.fillCompareViews(mrNode, ctNode)  # they were given the overlay too


def isOverlaid(ctNode: Any) -> bool:
    """Whether some slice view has the CT in its foreground."""
    return any(view.GetForegroundVolumeID() == ctNode.GetID() for view in _sliceViews())


def setOverlayOpacity(ctNode: Any, opacity: float) -> None:
    """Set how opaque the CT (0..1) is in the slice views that have it in their foreground."""
    for view in _sliceViews():
        if view.GetForegroundVolumeID() == ctNode.GetID():
            view.SetForegroundOpacity(opacity)


def _sliceViews() -> list[Any]:
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [view for view in views if not layouts.isCompareView(view)]
