"""What Slicer runs by "Reload and Test" and by ctest: the way from an MR node to a CT node, and its bad ends."""

from .batch import BatchTests
from .panel import PanelTests
from .synthesis import SynthesisTests


class MRtoCTTest(SynthesisTests, PanelTests, BatchTests):
    """All of them; Slicer looks for this name."""
