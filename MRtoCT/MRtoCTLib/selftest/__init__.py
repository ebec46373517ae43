"""What Slicer runs by "Reload and Test" and by ctest: from an MR node to a CT node and its review, and the bad ends."""

from MRtoCTLib.selftest.batchtest import BatchTests
from MRtoCTLib.selftest.comparisontest import ComparisonTests
from MRtoCTLib.selftest.paneltest import PanelTests
from MRtoCTLib.selftest.synthesistest import SynthesisTests


class MRtoCTTest(SynthesisTests, PanelTests, ComparisonTests, BatchTests):
    """All of them; Slicer looks for this name."""
