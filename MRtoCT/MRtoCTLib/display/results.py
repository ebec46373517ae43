"""What a comparison leaves in the scene: a table of metrics, a map of the differences, a chart of the HU histograms."""

from typing import Any, NamedTuple

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from decnn.evaluation.metrics import metrics_of
from MRtoCTLib import nodes
from MRtoCTLib.display import maps

ROLE_ATTRIBUTE = "MRtoCT.Comparison"
WITH_REFERENCE = "MRtoCT.With"
"""Role of the reference from a result to the reference CT."""
PLACEMENT_ATTRIBUTE = "MRtoCT.Placement"
_SYNTHETIC_COLOUR, _REFERENCE_COLOUR = (0.85, 0.55, 0.1), (0.2, 0.45, 0.8)


class Results(NamedTuple):
    """The nodes of one comparison."""

    table: Any
    difference: Any
    chart: Any


def putResults(ctNode: Any, referenceNode: Any, difference: vtk.vtkImageData, facts: dict[str, Any]) -> Results:
    """Put the engine's facts and the differences (see nodes.imageDataOf, on the CT's grid) into the scene.

    A comparison of the same two volumes before is replaced; all names say what was compared with what.
    """
    pair = _("{ct} vs {reference}").format(ct=ctNode.GetName(), reference=referenceNode.GetName())
    masks = [name for name in ("tight", "wide") if name in facts]

    def resultNode(nodeClass: str, role: str, name: str) -> Any:
        found = _find(nodeClass, role, ctNode, referenceNode)
        node = found or slicer.mrmlScene.AddNewNodeByClass(nodeClass, nodes.freeName(name))
        return _relate(node, role, ctNode, referenceNode)

    table = resultNode("vtkMRMLTableNode", "metrics", _("{pair} metrics").format(pair=pair))
    metrics = metrics_of(3)
    columns = [
        _column(vtk.vtkStringArray, _("Metric"), [metric.title for metric in metrics]),
        *(
            _column(
                vtk.vtkDoubleArray,
                _("{mask} mask").format(mask=mask),
                [None if (value := facts[mask][m.key]) is None else round(value, m.digits) for m in metrics],
            )
            for mask in masks
        ),
        _column(vtk.vtkStringArray, _("Unit"), [metric.unit for metric in metrics]),
        _column(vtk.vtkStringArray, _("Definition"), [metric.definition for metric in metrics]),
    ]
    _fill(table, columns)
    placement = str(facts["reference"]["placement"])
    masksInWords = _("The tight mask ends at the skin; the wide one is 10 mm larger, as SynthRAD's.")
    table.SetDescription(f"{pair}. {placement} {masksInWords}")
    table.SetAttribute(PLACEMENT_ATTRIBUTE, placement)

    histogram = facts["histogram"]
    edges = np.array(histogram["edges_hu"])
    counts = resultNode("vtkMRMLTableNode", "histogram", _("{pair} histogram").format(pair=pair))
    titles = {"synthetic": ctNode.GetName(), "reference": referenceNode.GetName()}
    _fill(
        counts,
        [
            _column(vtk.vtkDoubleArray, "HU", ((edges[1:] + edges[:-1]) / 2).tolist()),
            *(_column(vtk.vtkDoubleArray, name, histogram[name]) for name in titles),
        ],
    )
    chart = resultNode("vtkMRMLPlotChartNode", "chart", _("{pair} HU").format(pair=pair))
    chart.SetTitle(pair)
    chart.SetXAxisTitle(_("HU"))
    chart.SetYAxisTitle(_("Voxels in the body"))
    chart.SetYAxisLogScale(True)  # else air and brain hide the bone
    for name, colour in (("synthetic", _SYNTHETIC_COLOUR), ("reference", _REFERENCE_COLOUR)):
        series = resultNode("vtkMRMLPlotSeriesNode", name, titles[name])
        series.SetName(titles[name])  # the legend shows it; a volume of that name may be in the scene
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        series.SetAndObserveTableNodeID(counts.GetID())
        series.SetXColumnName("HU")
        series.SetYColumnName(name)
        series.SetColor(*colour)
        if not chart.HasPlotSeriesNodeID(series.GetID()):
            chart.AddAndObservePlotSeriesNodeID(series.GetID())

    name = _("{ct} minus {reference}").format(ct=ctNode.GetName(), reference=referenceNode.GetName())
    before = _find("vtkMRMLScalarVolumeNode", "difference", ctNode, referenceNode)
    volume = _relate(maps.putMap("difference", difference, ctNode, before, name), "difference", ctNode, referenceNode)
    volume.SetAttribute(PLACEMENT_ATTRIBUTE, placement)
    return Results(table, volume, chart)


def _find(nodeClass: str, role: str, ctNode: Any, referenceNode: Any) -> Any:
    """This result of an earlier comparison of the same two volumes; None if there is none."""
    for node in slicer.util.getNodesByClass(nodeClass):
        ids = (node.GetNodeReferenceID(maps.OF_REFERENCE), node.GetNodeReferenceID(WITH_REFERENCE))
        if node.GetAttribute(ROLE_ATTRIBUTE) == role and ids == (ctNode.GetID(), referenceNode.GetID()):
            return node
    return None


def _relate(node: Any, role: str, ctNode: Any, referenceNode: Any) -> Any:
    node.SetAttribute(ROLE_ATTRIBUTE, role)
    node.SetNodeReferenceID(maps.OF_REFERENCE, ctNode.GetID())
    node.SetNodeReferenceID(WITH_REFERENCE, referenceNode.GetID())
    return node


def _column(arrayClass: Any, name: str, values: list[Any]) -> Any:
    array = arrayClass()
    array.SetName(name)
    for value in values:
        array.InsertNextValue(float("nan") if value is None else value)
    return array


def _fill(tableNode: Any, columns: list[Any]) -> None:
    table = vtk.vtkTable()
    for column in columns:
        table.AddColumn(column)
    tableNode.SetAndObserveTable(table)
