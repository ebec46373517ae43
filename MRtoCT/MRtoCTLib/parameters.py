"""What the user chose, kept in the scene."""

from typing import Annotated

import slicer
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from decnn.options import DEFAULTS, Options


@parameterNodeWrapper
class MRtoCTParameterNode:
    """The parameters of the panel.

    Attributes:
        inputVolume: the T1 MR.
        outputVolume: where the CT goes; None for a new volume.
        model: name of a bundled model; "" for the default.
        device: "auto", "cpu", "cuda:0", ...
        confidenceMap: whether one is made with the CT.
        overlayOpacity: how opaque the CT lies over the MR.
        referenceVolume: the real CT to compare with.
        registerReference: whether it is registered to the MR for that.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    outputVolume: slicer.vtkMRMLScalarVolumeNode
    model: str = ""
    device: str = "auto"
    overlayOpacity: Annotated[float, WithinRange(0, 1)] = 0.5
    confidenceMap: bool = False
    referenceVolume: slicer.vtkMRMLScalarVolumeNode
    registerReference: bool = False


def optionsOf(parameters: MRtoCTParameterNode) -> Options:
    """What the user chose for a synthesis."""
    return Options(parameters.model or DEFAULTS.model, parameters.device, parameters.confidenceMap)
