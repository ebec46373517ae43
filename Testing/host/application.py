"""Stand-ins for slicer.app, slicer.modules and the module factory, with an off-screen Qt."""

import atexit
import importlib.util
import os
import sys
import tempfile
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from host import scene
from host.pythonqt import PythonQtObject, qt
from host.ui_loader import QUiLoader
from host.widgets import CTK_WIDGETS, MRML_WIDGETS, qMRMLWidget


class Application:
    """What scripted modules ask of slicer.app. In testing mode: Slicer then logs its messages, and shows no dialogs."""

    applicationName = "Slicer"
    temporaryPath = ""

    def __init__(self) -> None:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        self._application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["Slicer"])
        self._application.setStyle("Fusion")
        self._modules = ModuleManager()
        self._window = qSlicerMainWindow()
        self._layouts = LayoutManager(scene.add_views(slicer.mrmlScene))
        self._folder = tempfile.TemporaryDirectory(prefix="MRtoCT-host-")
        self._settings = QtCore.QSettings(os.path.join(self._folder.name, "Slicer.ini"), QtCore.QSettings.IniFormat)
        atexit.register(self._removeSettings)

    def testingEnabled(self) -> bool:
        return True

    def connect(self, signature: str, slot: Any) -> bool:
        """The signal of a start that is over here: nobody will be called."""
        if signature != "startupCompleted()":
            raise ValueError(f"this host has no signal {signature}")
        return True

    def topLevelWidgets(self) -> list[Any]:
        """The main window."""
        return [self._window]

    def processEvents(self) -> None:
        self._application.processEvents()

    def moduleManager(self) -> "ModuleManager":
        return self._modules

    def layoutManager(self) -> "LayoutManager":
        return self._layouts

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return scene.application_logic()

    def userSettings(self) -> QtCore.QSettings:
        """Settings of this process only: no user's own are read or changed."""
        return self._settings

    def _removeSettings(self) -> None:
        """In this order: settings that go later write their file once more, into a folder made anew."""
        del self._settings
        self._folder.cleanup()

    def setOverrideCursor(self, cursor: Any) -> None:
        self._application.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        self._application.restoreOverrideCursor()


class qSlicerModuleSelectorToolBar(PythonQtObject, QtCore.QObject):
    """Says which module is selected; none as Slicer closes, before it saves its settings."""

    moduleSelected = QtCore.Signal(str)
    mrmlSignals = ("moduleSelected(QString)",)


class qSlicerMainWindow:
    """What scripted modules ask of the main window."""

    objectName = "qSlicerMainWindow"

    def __init__(self) -> None:
        self._selector = qSlicerModuleSelectorToolBar()

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._selector


class LayoutManager:
    """What stands for the views: the real logics of layout and slices, and no widget that draws."""

    threeDViewCount = 0

    def __init__(self, logic: slicer.vtkMRMLLayoutLogic) -> None:
        self._logic = logic

    def layoutLogic(self) -> slicer.vtkMRMLLayoutLogic:
        return self._logic

    def mrmlSliceLogics(self) -> Any:
        return scene.application_logic().GetSliceLogics()


class ModuleManager:
    """The loaded modules, by their names."""

    def __init__(self) -> None:
        self._records: dict[str, ModuleRecord] = {}

    def add(self, record: "ModuleRecord") -> None:
        self._records[record.name] = record
        setattr(slicer.modules, record.name.lower(), record)

    def module(self, name: str) -> "ModuleRecord | None":
        return self._records.get(name)

    def disconnect(self, signature: str, slot: Any) -> None:
        raise ValueError("this host connects nothing to the module manager")


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """What Slicer puts into its module panel for a scripted module."""

    def __init__(self, record: "ModuleRecord") -> None:
        super().__init__()
        self._record = record
        self._self = None
        self._entered = False
        QtWidgets.QVBoxLayout(self)

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def self(self) -> Any:
        return self._self

    def build(self) -> None:
        """Make the module's widget class, and set it up."""
        name = self._record.name + "Widget"
        self._self = getattr(sys.modules[self._record.name], name)(self)
        setattr(slicer.modules, name, self._self)
        self._self.setup()

    reload = build

    def enter(self) -> None:
        self._entered = True
        self._self.enter()

    def exit(self) -> None:
        self._entered = False
        self._self.exit()


@dataclass
class ModuleRecord:
    """A scripted module as the factory knows it: `parent` of the class in the module's file."""

    path: str
    title: str = ""
    categories: list[str] = field(default_factory=list)
    dependencies: list[str] = field(default_factory=list)
    contributors: list[str] = field(default_factory=list)
    helpText: str = ""
    acknowledgementText: str = ""
    _widget: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__:
            raise AttributeError(f"a module has no property {name!r}")
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        return Path(self.path).stem

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self)
            self._widget.build()
            self._widget.setMRMLScene(slicer.mrmlScene)
        return self._widget


def start() -> None:
    """Put the stand-ins where scripted modules look for them."""
    if hasattr(slicer, "app"):
        return
    qt.QUiLoader = QUiLoader
    ctk = types.ModuleType("ctk")
    sys.modules.update(qt=qt, ctk=ctk)
    for name, widget in CTK_WIDGETS.items():
        setattr(ctk, name, widget)
    for name, widget in MRML_WIDGETS.items():
        setattr(slicer, name, widget)
    slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
    slicer.modules = types.SimpleNamespace()
    slicer.app = Application()


def load_module(path: Path) -> ModuleRecord:
    """Load a scripted module as Slicer's factory does: its folder on sys.path, its class called with its record."""
    record = ModuleRecord(str(path))
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(record.name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[record.name] = module
    spec.loader.exec_module(module)
    getattr(module, record.name)(record)
    slicer.app.moduleManager().add(record)
    return record
