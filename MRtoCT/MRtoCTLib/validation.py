"""Which nodes can be input, output, reference or export, and which volume is most likely the T1.

A problem is a sentence for the user; "" means that nothing is obviously wrong. What the voxels say is for the engine.
"""

import re
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from decnn.axes import kind_of_grid
from MRtoCTLib.display import maps
from MRtoCTLib.nodes import HOUNSFIELD_UNITS, MODEL_ATTRIBUTE, WEIGHTS_ATTRIBUTE, directionsOf, matrixBetween

# In the name of a T1 with contrast agent.
_WITH_AGENT = r"(?<![a-z])(gd|gado\w*|gad|ce|post\w*|contrast|c\+|km|mra)(?![a-z])|t1w?ce?(?![a-z0-9])|\+c"


def problemOfInput(node: Any) -> str:
    """Why this node cannot be a T1 MR of the head, as a sentence; "" if nothing is obviously wrong with it."""
    if node is None:
        return _("Select the T1 MR volume.")
    name = node.GetName()
    if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("'{name}' is not an image volume: select a T1 MR volume.").format(name=name)
    image = node.GetImageData()
    if image is None or not node.GetImageData().GetPointData().GetScalars():
        return _("'{name}' is empty: select a volume with image data.").format(name=name)
    if image.GetNumberOfScalarComponents() != 1:
        return _("'{name}' has several values per voxel: select a volume with one.").format(name=name)
    return ""


def problemOfOutput(outputNode: Any, mrNode: Any) -> str:
    """Why the CT cannot be put on this node, as a sentence; "" if it can. None stands for a node yet to be made."""
    if outputNode is None:
        return ""
    name = outputNode.GetName()
    if outputNode is mrNode:
        return _("'{name}' is the input: select another output volume, so that the MR is kept.").format(name=name)
    if not outputNode.IsA("vtkMRMLScalarVolumeNode") or outputNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("'{name}' cannot hold a CT: select a scalar volume, or none.").format(name=name)
    return ""


def looksLikeT1(node: Any) -> int:
    """How probable it is that this volume is a T1 MR: 0 (something else) to 3 (a T1 without contrast agent)."""
    if problemOfInput(node) or node.GetAttribute(MODEL_ATTRIBUTE):
        return 0
    units = node.GetVoxelValueUnits()
    if units is not None and units.GetCodeValue() == HOUNSFIELD_UNITS[0]:
        return 0
    name = node.GetName().lower()
    if re.search(r"(?<![a-z])s?ct(?![a-z])|synthetic", name):
        return 0
    if re.search(r"t1|mp-?rage|spgr|bravo|tfl3d", name):
        return 2 if re.search(_WITH_AGENT, name) else 3
    if re.search(r"t2|flair|swi|adc|dwi|dti|bold|(?<![a-z])(ct|cbct|pd|pet)|(ct|cbct|pet)(?![a-z])", name):
        return 0
    return 1


def mostLikelyT1() -> Any:
    """The first of the scene's volumes that most looks like a T1 MR; None if none does."""
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    best = max(nodes, key=looksLikeT1, default=None)
    return best if best is not None and looksLikeT1(best) > 0 else None


def problemOfReference(referenceNode: Any, ctNode: Any) -> str:
    """Why these two cannot be compared, as a sentence; "" if nothing is obviously wrong with them."""
    if ctNode is None or ctNode.GetImageData() is None:
        return _("Select the synthetic CT, or synthesize one first.")
    if referenceNode is None:
        return _("Select the reference CT.")
    name = referenceNode.GetName()
    if referenceNode is ctNode:
        return _("'{name}' is the synthetic CT itself: select a real CT of the same head.").format(name=name)
    if not referenceNode.IsA("vtkMRMLScalarVolumeNode") or referenceNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("'{name}' is not an image volume: select a CT.").format(name=name)
    image = referenceNode.GetImageData()
    if image is None or not image.GetPointData().GetScalars():
        return _("'{name}' is empty: select a volume with image data.").format(name=name)
    if image.GetNumberOfScalarComponents() != 1:
        return _("'{name}' has several values per voxel: select a CT.").format(name=name)
    if referenceNode.GetAttribute(maps.KIND_ATTRIBUTE):
        return _("'{name}' is no CT, but a map of errors: select a CT.").format(name=name)
    return problemOfTransform(referenceNode, ctNode)


def problemOfComparison(ctNode: Any, referenceNode: Any, mrNode: Any) -> str:
    """Why these cannot be compared, as a sentence; "" if they can. mrNode: to be registered to; None for none."""
    problem = problemOfReference(referenceNode, ctNode)
    if problem or mrNode is None:
        return problem
    return problemOfInput(mrNode) or problemOfTransform(mrNode, ctNode)


def problemOfTransform(node: Any, ctNode: Any) -> str:
    if matrixBetween(node, ctNode) is not None:
        return ""
    return _(
        "'{name}' or '{ct}' stands under a transform that is not linear: harden it first (module Transforms)."
    ).format(name=node.GetName(), ct=ctNode.GetName())


def problemOfCt(ctNode: Any) -> str:
    """Why this node is no CT of this module, as a sentence; "" if it is one, and says who made it."""
    if ctNode is None:
        return _("Select the synthetic CT, or synthesize one first.")
    if problemOfInput(ctNode):
        return problemOfInput(ctNode)
    if ctNode.GetAttribute(MODEL_ATTRIBUTE) and ctNode.GetAttribute(WEIGHTS_ATTRIBUTE):
        return ""
    return _(
        "'{name}' does not say which model made it: synthesize it once more, or load one that does. A scene (.mrb) "
        "does, and so does a .nrrd or .mha file of mrtoct or of logic.save(). NIfTI does not, nor does a volume "
        "that Slicer itself has saved."
    ).format(name=ctNode.GetName())


def problemOfExport(ctNode: Any, resample: bool) -> str:
    """Why this node cannot be exported, as a sentence; "" if it can. resample: whether the grid may be changed."""
    problem = problemOfCt(ctNode)
    if problem:
        return problem
    toWorld = matrixBetween(ctNode, None)
    if toWorld is None:
        return _(
            "'{name}' stands under a transform that is not linear, and DICOM cannot hold that: harden the transform, "
            "or take the CT out of it (module Transforms)."
        ).format(name=ctNode.GetName())
    if resample:
        return ""
    return problemOfPlace(ctNode) or _problemOfGrid(ctNode)


def problemOfPlace(ctNode: Any) -> str:
    """Why this CT is not where its MR's DICOM series is, as a sentence; "" if it is."""
    toWorld = matrixBetween(ctNode, None)
    if toWorld is None or np.allclose(toWorld, np.eye(4), rtol=0, atol=1e-9):
        return ""
    return _(
        "'{name}' stands under the transform '{transform}', so it is not where its MR's DICOM series is: take it "
        "out of the transform (module Transforms), or allow resampling."
    ).format(name=ctNode.GetName(), transform=ctNode.GetParentTransformNode().GetName())


def _problemOfGrid(node: Any) -> str:
    """Why the node's grid is no stack of axial, sagittal or coronal slices, as a sentence; "" if it is."""
    dimensions = np.array(node.GetImageData().GetDimensions())
    kind = kind_of_grid(directionsOf(node), np.array(node.GetSpacing()), dimensions)
    if not kind:
        return ""
    word = _("oblique to the patient's axes") if kind == "oblique" else _("sheared")
    return _(
        "The grid of '{name}' is {kind}, which planning systems do not accept: allow resampling to bring it to axial "
        "slices of 1 mm."
    ).format(name=node.GetName(), kind=word)
