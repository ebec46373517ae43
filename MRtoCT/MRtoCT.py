"""What Slicer loads: the module's metadata, and the classes that Slicer looks for in this file by their names."""

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule

from decnn import NOTICE
from MRtoCTLib.display.layouts import registerDescriptions
from MRtoCTLib.logic import MRtoCTLogic
from MRtoCTLib.panel.widget import MRtoCTWidget
from MRtoCTLib.selftest import MRtoCTTest
from MRtoCTLib.tasks.workspace import removeAbandoned

__all__ = ["MRtoCT", "MRtoCTLogic", "MRtoCTTest", "MRtoCTWidget"]


class MRtoCT(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "MRtoCT"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        parent.dependencies = ["Volumes"]
        parent.contributors = ["MRtoCT maintainers"]
        parent.helpText = _(
            "<p>Makes a synthetic CT of the head, in Hounsfield units, from a T1-weighted MR: select the MR and click "
            "'Synthesize CT'. The CT appears on the grid of the MR, over the MR. "
            "See the {link_start}documentation{link_end}.</p><p><b>{notice}</b></p>"
        ).format(link_start='<a href="https://github.com/MRtoCT/SlicerMRtoCT">', link_end="</a>", notice=NOTICE)
        parent.acknowledgementText = _(
            "The network is DECNN: Xiang L, Wang Q, Nie D, Zhang L, Jin X, Qiao Y, Shen D. Deep embedding "
            "convolutional neural network for synthesizing CT image from T1-Weighted MR image. Medical Image Analysis "
            "47 (2018) 31-44, {link}. This implementation and its models are independent of the paper's authors."
        ).format(link='<a href="https://doi.org/10.1016/j.media.2018.03.011">doi:10.1016/j.media.2018.03.011</a>')
        slicer.app.connect("startupCompleted()", registerDescriptions)
        slicer.app.connect("startupCompleted()", removeAbandoned)
