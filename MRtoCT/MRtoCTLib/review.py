"""How the CT is looked at: its window, and its place over the MR in the slice views."""

from typing import Any

import slicer

# Slicer's own preset CT-Bone (Modules/Loadable/Volumes/Resources/VolumeDisplayPresets.json), in HU.
_BONE_PRESET, _BONE_WINDOW, _BONE_LEVEL = "CT_BONE", 1000, 400


def applyBonePreset(ctNode: Any) -> None:
    """Show the CT with Slicer's preset CT-Bone."""
    displayNode = ctNode.GetDisplayNode()
    volumes = getattr(getattr(slicer, "modules", None), "volumes", None)
    if volumes is not None and volumes.logic().ApplyVolumeDisplayPreset(displayNode, _BONE_PRESET):
        return
    # Without the Volumes module (slicer-core) there is no file of presets.
    displayNode.AutoWindowLevelOff()
    displayNode.SetWindowLevel(_BONE_WINDOW, _BONE_LEVEL)


def showOverlay(mrNode: Any, ctNode: Any, opacity: float) -> None:
    """Show the CT over the MR in all slice views. opacity of the CT: 0..1."""
    newlyShown = any(view.GetBackgroundVolumeID() != mrNode.GetID() for view in _sliceViews())
    slicer.util.setSliceViewerLayers(
        background=mrNode,
        foreground=ctNode,
        foregroundOpacity=opacity,
        fit=newlyShown and hasattr(slicer, "app"),
    )


def isOverlaid(ctNode: Any) -> bool:
    """Whether some slice view has the CT in its foreground."""
    return any(view.GetForegroundVolumeID() == ctNode.GetID() for view in _sliceViews())


def setOverlayOpacity(ctNode: Any, opacity: float) -> None:
    """Set how opaque the CT (0..1) is in the slice views that have it in their foreground."""
    for view in _sliceViews():
        if view.GetForegroundVolumeID() == ctNode.GetID():
            view.SetForegroundOpacity(opacity)


def _sliceViews() -> list[Any]:
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
