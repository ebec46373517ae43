"""The panel over the stand-ins of Testing/host, with a hand on its controls."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np

import fake_engine
import host

host.start_gui()

import slicer  # noqa: E402

from host import application  # noqa: E402

MODULE = Path(__file__).resolve().parents[3] / "MRtoCT" / "MRtoCT.py"


class Panel:
    """The panel as a user has it: opened, with a hand on its controls."""

    def __init__(self) -> None:
        slicer.mrmlScene.Clear()
        self.module = application.load_module(MODULE)
        self.view = self.module.widgetRepresentation()
        self.view.resize(400, 1100)
        self.view.show()
        self.widget.logic.engine = fake_engine.command("make")
        self.view.enter()

    @property
    def widget(self):
        return slicer.util.getModuleWidget("MRtoCT")

    @property
    def ui(self):
        return self.widget.ui

    @property
    def parameters(self):
        return self.widget.logic.getParameterNode()

    @property
    def synthesis(self):
        """The synthesis that runs, or None; of the classes as they are: a test may have reloaded them."""
        return import_module("MRtoCTLib.tasks.synthesis").Synthesis.current

    def play(self, role: str) -> None:
        self.widget.logic.engine = fake_engine.command(role)

    def click(self) -> None:
        self.ui.synthesizeButton.click()

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.ui.synthesizeButton.text, self.ui.statusLabel.text)
            slicer.app.processEvents()
            time.sleep(0.01)

    def wait_until_idle(self, seconds: float = 20.0) -> None:
        self.wait_for(lambda: not self.widget.logic.isRunning, seconds)

    @contextmanager
    def in_scroll_area(self, height: int) -> Iterator["Panel"]:
        """The panel in an area that scrolls and is not as high, as in Slicer's window."""
        from PySide6 import QtWidgets

        area = QtWidgets.QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(self.view)
        area.resize(430, height)
        area.show()
        yield self
        area.takeWidget()

    def sees(self, control) -> bool:
        """Whether the whole of a control is in view."""
        slicer.app.processEvents()
        return control.visibleRegion().boundingRect() == control.rect

    def picture(self, path: Path):
        """Save the panel as a PNG; returns its pixels."""
        slicer.app.processEvents()
        image = self.view.grab().toImage()
        assert image.save(str(path))
        image = image.convertToFormat(image.Format.Format_RGB888)
        array = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        return array[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


@contextmanager
def open_panel() -> Iterator[Panel]:
    """A panel over an empty scene, put away at the end."""
    panel = Panel()
    try:
        yield panel
    finally:
        panel.widget.cleanup()
        for selector in (panel.ui.inputSelector, panel.ui.outputSelector):
            selector.setMRMLScene(None)  # or each panel of the past would list the nodes of every later test
    assert not slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode") > 1


def add_mr(name: str):
    return slicer.util.addVolumeFromArray(np.ones((4, 5, 6), np.float32), name=name)
