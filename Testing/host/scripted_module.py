"""Stand-ins for slicer.ScriptedLoadableModule: the four base classes of a scripted module."""

import logging
import os
import unittest

import slicer


class ScriptedLoadableModule:
    """Metadata of a module. parent: what Slicer's module factory hands over (host.application.ModuleRecord)."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)


class ScriptedLoadableModuleLogic:
    """Gives a module its parameter node, a singleton of the scene."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        # Closing the scene resets the attributes of singletons.
        node.SetAttribute("ModuleName", self.moduleName)
        return node


class ScriptedLoadableModuleWidget:
    """The panel. parent: the widget that Slicer puts into its module panel."""

    def __init__(self, parent=None):
        if parent is None:
            raise NotImplementedError("this host shows a panel only inside its module (host.application.load_module)")
        super().__init__()  # as Slicer's class does: the mixins of the panel are set up too
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self):
        """Slicer adds its buttons for developers here, in developer mode only."""

    def cleanup(self):
        """For the panel to override."""

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's self-test: run by unittest, or as Slicer does it by its "Reload and Test" button: runTest()."""

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        logging.info(message)
        slicer.app.processEvents()

    def runTest(self):
        for name in sorted(dir(self)):
            if name.startswith("test"):
                self.setUp()
                getattr(self, name)()
                self.tearDown()
