"""The signal of the MR and the HU of the CTs along a markups line, as a table and a chart."""

from typing import Any

import numpy as np
import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

_STEP_MM = 0.5
_MOST_SAMPLES = 1000
# While a point is dragged there is an event per pixel; ten charts a second are enough to watch.
_PAUSE_MILLISECONDS = 100
# The MR has no HU: its display window is laid over this range, so that both curves can be seen in one chart.
_SIGNAL_RANGE_HU = (-1000.0, 1000.0)
# The legend lies in the upper right corner, and cannot be put elsewhere: this share of the chart is kept free for it.
_ROOM_FOR_LEGEND = 0.35
_COLOURS = {"mr": (0.3, 0.3, 0.3), "ct": (0.85, 0.55, 0.1), "reference": (0.2, 0.45, 0.8)}


def sample(volumeNode: Any, points: np.ndarray) -> np.ndarray:
    """The volume's values at points of the world, linearly interpolated; NaN outside.

    Any transform above the volume is taken into account, bent ones too.

    Args:
        points: RAS in mm, n x 3.
    """
    fromWorld = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, volumeNode.GetParentTransformNode(), fromWorld)
    toIjk = vtk.vtkMatrix4x4()
    volumeNode.GetRASToIJKMatrix(toIjk)
    fromWorld.PostMultiply()
    fromWorld.Concatenate(toIjk)
    interpolator = vtk.vtkImageInterpolator()
    interpolator.SetInterpolationModeToLinear()
    interpolator.SetOutValue(float("nan"))
    interpolator.Initialize(volumeNode.GetImageData())  # its spacing is 1 and its origin 0: Slicer keeps these apart
    return np.array([interpolator.Interpolate(*fromWorld.TransformPoint(point), 0) for point in points.tolist()])


class Profile(VTKObservationMixin):
    """Keeps table and chart up to date, as long as a line is set. onChart: called with a chart that is new."""

    def __init__(self, onChart: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._onChart = onChart
        self._lineNode: Any = None
        self._volumes: dict[str, Any] = {}
        self._nodes: list[Any] = []  # the table, the chart and the series, or nothing
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MILLISECONDS)
        self._timer.connect("timeout()", self.update)

    def set(self, lineNode: Any, mrNode: Any, ctNode: Any, referenceNode: Any) -> None:
        """Plot these along this line; None for what there is not."""
        volumes = {"mr": mrNode, "ct": ctNode, "reference": referenceNode}
        volumes = {role: node for role, node in volumes.items() if node is not None}
        if lineNode is self._lineNode and volumes == self._volumes:
            return
        self.removeObservers()
        self._lineNode, self._volumes = lineNode, volumes
        if lineNode is not None:
            for event in (lineNode.PointModifiedEvent, lineNode.PointPositionDefinedEvent):
                self.addObserver(lineNode, event, self._soon)
            for node in (lineNode, *volumes.values()):
                self.addObserver(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._soon)
            for node in volumes.values():
                for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
                    self.addObserver(node, event, self._soon)
        self.update()

    def update(self) -> None:
        """Sample the line again; without a line of two points there is no chart."""
        self._timer.stop()
        ends = self._ends()
        volumes = {role: node for role, node in self._volumes.items() if node.GetImageData() is not None}
        if ends is None or not volumes:
            self.remove()
            return
        length = float(np.linalg.norm(ends[1] - ends[0]))
        count = int(np.clip(np.ceil(length / _STEP_MM) + 1, 2, _MOST_SAMPLES))
        points = np.linspace(ends[0], ends[1], count)
        columns = {"distance": np.linspace(0, length, count)}
        for role, node in volumes.items():
            columns[role] = sample(node, points)
        isNew = not self._nodes
        if isNew:
            self._nodes = [
                slicer.mrmlScene.AddNewNodeByClass(name) for name in ("vtkMRMLTableNode", "vtkMRMLPlotChartNode")
            ]
        self._fill(columns, volumes)
        if isNew:
            self._onChart(self._nodes[1])

    def remove(self) -> None:
        """Remove what was made."""
        nodes, self._nodes = self._nodes, []
        for node in nodes:
            if slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)

    def cleanup(self) -> None:
        """The panel goes away."""
        self._timer.stop()
        self.removeObservers()
        self.remove()

    def _soon(self, caller: Any, event: str) -> None:
        if not self._timer.active:
            self._timer.start()

    def _ends(self) -> np.ndarray | None:
        """The two ends of the line in the world, RAS in mm, 2 x 3."""
        line = self._lineNode
        if line is None or line.GetNumberOfDefinedControlPoints() < 2:
            return None
        return np.array([line.GetNthControlPointPositionWorld(index) for index in (0, 1)])

    def _fill(self, columns: dict[str, np.ndarray], volumes: dict[str, Any]) -> None:
        tableNode, chart = self._nodes[:2]
        line = self._lineNode.GetName()
        plotted = dict(columns)
        if "mr" in columns:
            plotted["mr, scaled"] = _scaled(columns["mr"], volumes["mr"])
        table = vtk.vtkTable()
        for name, values in plotted.items():
            array = vtk.vtkDoubleArray()
            array.SetName(name)
            for value in values:
                array.InsertNextValue(value)
            table.AddColumn(array)
        tableNode.SetName(_("Profile along {line}").format(line=line))
        tableNode.SetAndObserveTable(table)
        chart.SetName(_("Chart along {line}").format(line=line))
        chart.SetTitle(line)
        chart.SetXAxisTitle(_("mm"))
        chart.SetYAxisTitle(_("HU"))
        curves = [values for name, values in plotted.items() if name not in ("distance", "mr")]
        low, high = (
            (float(extreme(curves)) for extreme in (np.nanmin, np.nanmax)) if np.isfinite(curves).any() else (0, 1)
        )
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(low, low + max(high - low, 1.0) / (1 - _ROOM_FOR_LEGEND))
        for role, node in volumes.items():
            series = self._series(role)
            title = node.GetName()
            series.SetName(_("{name} (signal, scaled)").format(name=title) if role == "mr" else title)
            series.SetAndObserveTableNodeID(tableNode.GetID())
            series.SetXColumnName("distance")
            series.SetYColumnName("mr, scaled" if role == "mr" else role)
        for series in self._nodes[2:]:  # of a volume that is gone
            if series.GetAttribute("MRtoCT.Role") not in volumes:
                self._nodes.remove(series)
                slicer.mrmlScene.RemoveNode(series)

    def _series(self, role: str) -> Any:
        for series in self._nodes[2:]:
            if series.GetAttribute("MRtoCT.Role") == role:
                return series
        series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
        series.SetAttribute("MRtoCT.Role", role)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleNone)
        series.SetColor(*_COLOURS[role])
        self._nodes.append(series)
        self._nodes[1].AddAndObservePlotSeriesNodeID(series.GetID())
        return series


def _scaled(values: np.ndarray, mrNode: Any) -> np.ndarray:
    """The MR's signal with its display window laid over _SIGNAL_RANGE_HU."""
    display = mrNode.GetDisplayNode()
    low, high = np.nanmin(values, initial=0.0), np.nanmax(values, initial=1.0)
    if display is not None:
        low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    bottom, top = _SIGNAL_RANGE_HU
    return bottom + (values - low) / max(high - low, 1e-6) * (top - bottom)
