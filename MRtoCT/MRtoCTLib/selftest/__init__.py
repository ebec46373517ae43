"""What Slicer runs by "Reload and Test" and by ctest: from an MR node to a CT node and its review, and the bad ends."""

from .batch import BatchTests
from .comparison import ComparisonTests
from .panel import PanelTests
from .synthesis import SynthesisTests


class MRtoCTTest(SynthesisTests, PanelTests, ComparisonTests, BatchTests):
    """All of them; Slicer looks for this name."""
