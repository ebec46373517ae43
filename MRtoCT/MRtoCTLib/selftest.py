"""What Slicer runs by "Reload and Test" and by ctest."""

from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest


class MRtoCTTest(ScriptedLoadableModuleTest):
    pass
