"""Stand-in for qt.QUiLoader: builds a .ui file with PythonQt's manners and the stand-ins for Slicer's widgets."""

import xml.etree.ElementTree as ET
from typing import Any

from PySide6 import QtCore, QtUiTools

from host.pythonqt import qt
from host.widgets import CTK_WIDGETS, MRML_WIDGETS


class QUiLoader:
    """load() a QFile; whatever the file asks for that does not exist is an error."""

    def load(self, file: QtCore.QFile) -> Any:
        root = ET.fromstring(bytes(file.readAll().data()))
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)  # Qt cannot connect the signals of Python classes by their C++ signatures
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        loader = _Loader()
        widget = loader.load(buffer)
        if widget is None:
            raise RuntimeError(f"the .ui file cannot be loaded: {loader.errorString()}")
        widgets = {child.objectName: child for child in [widget, *widget.findChildren(qt.QWidget)] if _is_ours(child)}
        _refuse_unknown_properties(root, widgets)
        for connection in [] if connections is None else connections:
            sender, receiver = (widgets[connection.findtext(end)] for end in ("sender", "receiver"))
            slot = connection.findtext("slot").partition("(")[0]
            sender.connect(connection.findtext("signal"), getattr(receiver, slot))
        return widget


class _Loader(QtUiTools.QUiLoader):
    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        known = {**MRML_WIDGETS, **CTK_WIDGETS}
        widget_class = known[class_name] if class_name in known else getattr(qt, class_name)
        widget = widget_class(parent)
        widget.setObjectName(name)
        return widget


def _is_ours(widget: Any) -> bool:
    return hasattr(type(widget), "_signal") and bool(widget.objectName)


def _refuse_unknown_properties(root: ET.Element, widgets: dict[str, Any]) -> None:
    """Qt makes a dynamic property of every unknown name: only those declared so (stdset="0") may be."""
    for element in root.iter("widget"):
        widget = widgets[element.get("name")]
        for prop in element.findall("property"):
            if prop.get("stdset") != "0" and widget.metaObject().indexOfProperty(prop.get("name")) < 0:
                raise RuntimeError(f"{element.get('name')} ({element.get('class')}) has no property {prop.get('name')}")
