"""Stand-in for Slicer's module `qt`: PySide6 with PythonQt's manners, as far as scripted modules rely on them.

- Qt properties are attributes: widget.text, button.enabled = False. Setters such as setText() exist too.
- widget.name is the object's name.
- object.connect("clicked(bool)", function) and object.disconnect(...) name the signal by its signature; a signal that
  does not exist is an error here. object.clicked.connect(function) works too.
- An attribute that does not exist cannot be set by mistake.
"""

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

# Virtual methods that are properties as well: Qt itself asks for them as methods, through Python.
_METHODS = {"sizeHint", "minimumSizeHint"}


class PythonQtObject:
    """Mixin for subclasses of QObject, before the Qt class in the order of bases."""

    def __getattribute__(self, name: str) -> Any:
        if name == "name":
            return QtCore.QObject.objectName(self)
        if name in ("connect", "disconnect"):  # PySide looks for these two in its own classes only
            return types.MethodType(getattr(PythonQtObject, name), self)
        if not name.startswith("_") and name not in _METHODS:
            meta = QtCore.QObject.metaObject(self)
            index = meta.indexOfProperty(name)
            if index >= 0:
                return meta.property(index).read(self)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "name":
            QtCore.QObject.setObjectName(self, value)
            return
        if name.startswith("_"):
            super().__setattr__(name, value)
            return
        meta = QtCore.QObject.metaObject(self)
        index = meta.indexOfProperty(name)
        if index < 0 and isinstance(value, QtCore.QObject) and QtCore.QObject.objectName(value) == name:
            return  # PySide's QUiLoader makes the named children attributes; PythonQt's does not
        if index < 0:
            raise AttributeError(f"{type(self).__name__} has no property {name!r}")
        # PythonQt takes any sequence for a list.
        if not meta.property(index).write(self, list(value) if isinstance(value, tuple) else value):
            raise ValueError(f"property {name!r} of {type(self).__name__} cannot be set to {value!r}")

    def findChildren(self, kind: type, *arguments: Any, **keywords: Any) -> list[Any]:
        # All QWidgets are children of class qt.QWidget, not only those that were made as such.
        bare = kind.__bases__[1] if kind.__bases__[0] is PythonQtObject else kind
        return super().findChildren(bare, *arguments, **keywords)

    def connect(self, signature: str, slot: Any) -> bool:
        slots = self.__dict__.setdefault("_slots", {})
        # With an empty signature PythonQt passes no arguments on.
        receiver = (lambda *_arguments: slot()) if signature.endswith("()") else slot
        slots[signature, slot] = receiver
        self._signal(signature).connect(receiver)
        return True

    def disconnect(self, signature: str, slot: Any) -> bool:
        self._signal(signature).disconnect(self.__dict__["_slots"].pop((signature, slot)))
        return True

    def _signal(self, signature: str) -> Any:
        meta = QtCore.QObject.metaObject(self)
        known = {bytes(meta.method(index).methodSignature().data()).decode() for index in range(meta.methodCount())}
        # Signals that a stand-in declares carry Python objects; mrmlSignals says what they carry in Slicer.
        if signature.replace(" ", "") not in known | set(getattr(type(self), "mrmlSignals", ())):
            raise ValueError(f"{type(self).__name__} has no signal {signature}")
        return super().__getattribute__(signature.partition("(")[0])


class _Qt(types.ModuleType):
    """Classes are wrapped when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        for source in (QtCore, QtGui, QtWidgets):
            if hasattr(source, name):
                found = getattr(source, name)
                break
        else:
            raise AttributeError(f"Qt has no {name}")
        if isinstance(found, type) and issubclass(found, QtCore.QObject):
            found = type(name, (PythonQtObject, found), {"__doc__": found.__doc__})
        setattr(self, name, found)
        return found


qt = _Qt("qt", __doc__)
