"""Stand-ins for the widgets of CTK and of Slicer that the panel uses, over the real MRML scene."""

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from host.pythonqt import PythonQtObject

_HEADER_HEIGHT = 26


class qMRMLWidget(PythonQtObject, QtWidgets.QWidget):
    """Passes the scene on to the MRML widgets in it."""

    mrmlSceneChanged = QtCore.Signal(object)
    mrmlSignals = ("mrmlSceneChanged(vtkMRMLScene*)",)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(PythonQtObject, QtWidgets.QWidget):
    """Lists the scene's nodes of given classes, with None above and commands below."""

    currentNodeChanged = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    mrmlSignals = ("currentNodeChanged(vtkMRMLNode*)", "nodeAddedByUser(vtkMRMLNode*)")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._scene = None
        self._observers: list[int] = []
        self._current = None
        self._values: dict[str, Any] = {
            "nodeTypes": [],
            "showChildNodeTypes": True,
            "noneEnabled": False,
            "noneDisplay": "None",
            "addEnabled": True,
            "removeEnabled": True,
            "renameEnabled": False,
            "baseName": "",
        }
        self._box = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._on_activated)

    def _value(name: str, kind: Any) -> Any:
        def read(self: "qMRMLNodeComboBox") -> Any:
            return self._values[name]

        def write(self: "qMRMLNodeComboBox", value: Any) -> None:
            self._values[name] = value
            self._fill()

        return QtCore.Property(kind, read, write)

    nodeTypes = _value("nodeTypes", "QStringList")
    showChildNodeTypes = _value("showChildNodeTypes", bool)
    noneEnabled = _value("noneEnabled", bool)
    noneDisplay = _value("noneDisplay", str)
    addEnabled = _value("addEnabled", bool)
    removeEnabled = _value("removeEnabled", bool)
    renameEnabled = _value("renameEnabled", bool)
    baseName = _value("baseName", str)
    del _value

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent) if scene is not None else ()
        self._observers = [scene.AddObserver(event, lambda *_: self._fill()) for event in events]
        self._fill()

    def currentNode(self) -> Any:
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        self._select(node if node in self._nodes() else None)

    def nodeCount(self) -> int:
        return len(self._nodes())

    def addNode(self) -> Any:
        name = self._scene.GenerateUniqueName(self._values["baseName"] or "Node")
        node = self._scene.AddNewNodeByClass(self._values["nodeTypes"][0], name)
        self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        nodes = [node for kind in self._values["nodeTypes"] for node in slicer.util.getNodesByClass(kind, self._scene)]
        types = self._values["nodeTypes"]
        exact = not self._values["showChildNodeTypes"]
        return [n for n in nodes if not n.GetHideFromEditors() and (not exact or n.GetClassName() in types)]

    def _fill(self) -> None:
        """List the nodes anew; the choice stays unless its node has gone."""
        nodes = self._nodes()
        self._box.clear()
        for node in nodes:
            self._box.addItem(node.GetName(), node)
        if self._values["noneEnabled"]:
            self._box.insertItem(0, self._values["noneDisplay"], None)
        if self._values["addEnabled"] and self._values["nodeTypes"]:
            self._box.insertSeparator(self._box.count())
            self._box.addItem("Create new Volume", "add")
        self._select(self._current if self._current in nodes else None)

    def _select(self, node: Any) -> None:
        changed = node is not self._current
        self._current = node
        row = next((row for row in range(self._box.count()) if self._box.itemData(row) is node), -1)
        self._box.setCurrentIndex(row)
        if changed:
            self.currentNodeChanged.emit(node)

    def _on_activated(self, row: int) -> None:
        chosen = self._box.itemData(row)
        if chosen == "add":
            self.addNode()
        else:
            self._select(chosen)


class ctkCollapsibleButton(PythonQtObject, QtWidgets.QWidget):
    """A titled box whose contents can be folded away."""

    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._collapsed = False
        self.setContentsMargins(0, _HEADER_HEIGHT, 0, 0)

    text = QtCore.Property(str, lambda self: self._text, lambda self, value: self._set_text(value))
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, lambda self, value: self.setCollapsed(value))

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def setCollapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        for child in self.findChildren(QtWidgets.QWidget, options=QtCore.Qt.FindDirectChildrenOnly):
            child.setVisible(not collapsed)
        self.setMaximumHeight(_HEADER_HEIGHT if collapsed else 16777215)
        self.contentsCollapsed.emit(collapsed)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        if event.added() and self._collapsed and event.child().isWidgetType():
            event.child().setVisible(False)
        super().childEvent(event)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.position().y() < _HEADER_HEIGHT:
            self.setCollapsed(not self._collapsed)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, _HEADER_HEIGHT - 4)
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowRight if self._collapsed else QtWidgets.QStyle.PE_IndicatorArrowDown
        option.rect = QtCore.QRect(6, 3, 16, 16)
        painter.drawPrimitive(arrow, option)
        where = QtCore.QRect(28, 0, self.width - 28, _HEADER_HEIGHT - 4)
        painter.drawText(where, QtCore.Qt.AlignVCenter, self._text)


class ctkSliderWidget(PythonQtObject, QtWidgets.QWidget):
    """A slider and a spin box for one number."""

    valueChanged = QtCore.Signal(float)
    mrmlSignals = ("valueChanged(double)",)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._box = QtWidgets.QDoubleSpinBox(self)
        self._box.setMaximum(100)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal, self)
        self._slider.setMaximum(1000)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self._on_value)
        self._slider.valueChanged.connect(self._on_slider)

    def _forwarded(name: str, kind: Any) -> Any:
        setter = "set" + name[0].upper() + name[1:]
        return QtCore.Property(
            kind, lambda self: getattr(self._box, name)(), lambda self, value: getattr(self._box, setter)(value)
        )

    decimals = _forwarded("decimals", int)
    minimum = _forwarded("minimum", float)
    maximum = _forwarded("maximum", float)
    singleStep = _forwarded("singleStep", float)
    value = _forwarded("value", float)
    suffix = _forwarded("suffix", str)
    del _forwarded

    def setValue(self, value: float) -> None:
        self._box.setValue(value)

    def _on_value(self, value: float) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round(1000 * (value - low) / (high - low)) if high > low else 0)
        self._slider.blockSignals(blocked)
        self.valueChanged.emit(value)

    def _on_slider(self, position: int) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._box.setValue(low + (high - low) * position / 1000)


class ctkDirectoryButton(PythonQtObject, QtWidgets.QPushButton):
    """A button that shows a folder; here it opens no dialog, a test sets ``directory``."""

    directoryChanged = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._directory = ""
        self.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Fixed)  # a long path is elided

    directory = QtCore.Property(str, lambda self: self._directory, lambda self, value: self.setDirectory(value))

    def setDirectory(self, directory: str) -> None:
        if directory != self._directory:
            self._directory = directory
            self.setText(directory)
            self.directoryChanged.emit(directory)


MRML_WIDGETS = {"qMRMLWidget": qMRMLWidget, "qMRMLNodeComboBox": qMRMLNodeComboBox}
CTK_WIDGETS = {
    "ctkCollapsibleButton": ctkCollapsibleButton,
    "ctkDirectoryButton": ctkDirectoryButton,
    "ctkSliderWidget": ctkSliderWidget,
}
