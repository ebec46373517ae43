"""Stand-in for slicer.parameterNodeWrapper: typed attributes kept in a parameter node, and bound to widgets.

Knows the types, the widgets and the annotations that the module uses; refuses all others, as Slicer refuses what it
does not know.
"""

import typing
from dataclasses import dataclass
from typing import Any

import slicer
import vtk


@dataclass(frozen=True)
class WithinRange:
    """Annotation: a number from minimum to maximum."""

    minimum: float
    maximum: float

    def validate(self, value: float) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} .. {self.maximum}")


@dataclass(frozen=True)
class _Parameter:
    name: str
    kind: type
    default: Any
    within: WithinRange | None

    def is_in(self, node: Any) -> bool:
        return bool(node.HasParameter(self.name))

    def read(self, node: Any) -> Any:
        if issubclass(self.kind, slicer.vtkMRMLNode):
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text == "True" if self.kind is bool else self.kind(text)

    def write(self, node: Any, value: Any) -> None:
        if issubclass(self.kind, slicer.vtkMRMLNode):
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"{self.name} takes a {self.kind.__name__}, not {type(value).__name__}")
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, None if value is None else value.GetID())
            return
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            raise TypeError(f"{self.name} takes a {self.kind.__name__}, not {type(value).__name__}")
        if self.within is not None:
            self.within.validate(value)
        node.SetParameter(self.name, str(value))


def parameterNodeWrapper(classtype: type) -> type:
    """Class decorator: the annotated attributes become parameters of the node that the class is called with."""
    parameters = {}
    for name, hint in typing.get_type_hints(classtype, include_extras=True).items():
        kind, *annotations = typing.get_args(hint) if typing.get_origin(hint) is typing.Annotated else (hint,)
        is_node = isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)
        if not is_node and kind not in (str, bool, int, float):
            raise TypeError(f"{name}: this host does not know parameters of type {kind}")
        if unknown := [extra for extra in annotations if not isinstance(extra, WithinRange)]:
            raise TypeError(f"{name}: this host does not know the annotations {unknown}")
        default = getattr(classtype, name, None if is_node else kind())
        parameters[name] = _Parameter(name, kind, default, annotations[0] if annotations else None)
    return type(classtype.__name__, (_ParameterNode,), {"allParameters": parameters, "__doc__": classtype.__doc__})


class _ParameterNode:
    """What parameterNodeWrapper makes of a class."""

    allParameters: typing.ClassVar[dict[str, _Parameter]] = {}

    def __init__(self, parameterNode: Any) -> None:
        self.__dict__.update(parameterNode=parameterNode, _guis={}, _updating=False)
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def __getattr__(self, name: str) -> Any:
        if name not in self.allParameters:
            raise AttributeError(name)
        return self.allParameters[name].read(self.parameterNode)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            self.__dict__[name] = value
            return
        with slicer.util.NodeModify(self.parameterNode):
            self.allParameters[name].write(self.parameterNode, value)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Bind widgets to the parameters of these names; returns a tag."""
        for name in mapping:
            if name not in self.allParameters:
                raise ValueError(f"Cannot find a param with the given name: {name}")
        bindings = [_Binding(self, self.allParameters[name], widget) for name, widget in mapping.items()]
        tag = len(self._guis)
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda _caller, _event: self._show(bindings))
        self._guis[tag] = (bindings, observer)
        return tag

    def disconnectGui(self, tag: int | None) -> None:
        if tag in self._guis:
            bindings, observer = self._guis.pop(tag)
            self.RemoveObserver(observer)
            for binding in bindings:
                binding.disconnect()

    def _show(self, bindings: list["_Binding"]) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for binding in bindings:
                binding.show()
        finally:
            self._updating = False


class _Binding:
    """One parameter and the widget that shows it."""

    def __init__(self, owner: _ParameterNode, parameter: _Parameter, widget: Any) -> None:
        import ctk
        import qt

        self._owner, self._parameter, self._widget = owner, parameter, widget
        if type(widget) is slicer.qMRMLNodeComboBox and issubclass(parameter.kind, slicer.vtkMRMLNode):
            widget.nodeTypes = [parameter.kind().GetClassName()]
            self._read, self._write = widget.currentNode, widget.setCurrentNode
            self._signal = widget.currentNodeChanged
        elif type(widget) is ctk.ctkSliderWidget and parameter.kind is float:
            if parameter.within is None:
                raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
            widget.minimum, widget.maximum = parameter.within.minimum, parameter.within.maximum
            self._read, self._write = lambda: widget.value, widget.setValue
            self._signal = widget.valueChanged
        elif type(widget) is qt.QCheckBox and parameter.kind is bool:
            self._read, self._write = lambda: widget.checked, widget.setChecked
            self._signal = widget.toggled
        else:
            raise RuntimeError(f"this host cannot bind {parameter.kind.__name__} to {type(widget).__name__}")
        self.show()
        self._signal.connect(self._changed)

    def show(self) -> None:
        self._write(self._parameter.read(self._owner.parameterNode))

    def disconnect(self) -> None:
        self._signal.disconnect(self._changed)

    def _changed(self, *_value: Any) -> None:
        if not self._owner._updating:
            setattr(self._owner, self._parameter.name, self._read())
