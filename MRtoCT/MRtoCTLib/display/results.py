"""What a comparison leaves in the scene: a table of metrics, a map of the differences, a chart of the HU histograms."""

from typing import Any, NamedTuple

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from MRtoCTLib import nodes
from MRtoCTLib.display import maps

ROLE_ATTRIBUTE = "MRtoCT.Comparison"
WITH_REFERENCE = "MRtoCT.With"
"""Role of the reference from a result to the reference CT."""
PLACEMENT_ATTRIBUTE = "MRtoCT.Placement"
_SYNTHETIC_COLOUR, _REFERENCE_COLOUR = (0.85, 0.55, 0.1), (0.2, 0.45, 0.8)
_TISSUES = "air < -200 HU, soft tissue, bone > 250 HU of the reference"


class Results(NamedTuple):
    """The nodes of one comparison."""

    table: Any
    difference: Any
    chart: Any


def rows() -> list[tuple[str, str, str, str]]:
    """The rows of the table: key of the engine's scores, title, unit, definition."""
    return [
        ("mae_hu", _("Mean absolute error"), "HU", "SynthRAD2023, SynthRAD2025"),
        ("me_hu", _("Mean error (synthetic - reference)"), "HU", ""),
        ("psnr_db_2023", _("PSNR"), "dB", "SynthRAD2023"),
        ("psnr_db_2025", _("PSNR"), "dB", "SynthRAD2025"),
        ("ssim_2023", _("SSIM"), "", "SynthRAD2023"),
        ("ms_ssim_2025", _("MS-SSIM"), "", "SynthRAD2025"),
        ("mae_air_hu", _("Mean absolute error, air"), "HU", _TISSUES),
        ("mae_soft_tissue_hu", _("Mean absolute error, soft tissue"), "HU", _TISSUES),
        ("mae_bone_hu", _("Mean absolute error, bone"), "HU", _TISSUES),
        ("me_bone_hu", _("Mean error, bone"), "HU", _TISSUES),
        ("bone_dice", _("Bone overlap (Dice)"), "", "> 250 HU"),
        ("bone_surface95_mm", _("Bone surface distance, 95 %"), "mm", "> 250 HU"),
    ]


def putResults(ctNode: Any, referenceNode: Any, difference: np.ndarray, facts: dict[str, Any]) -> Results:
    """Put the engine's facts and the differences (HU, [k, j, i], on the CT's grid) into the scene.

    A comparison of the same two volumes before is replaced; all names say what was compared with what.
    """
    pair = _("{ct} vs {reference}").format(ct=ctNode.GetName(), reference=referenceNode.GetName())
    masks = [name for name in ("tight", "wide") if name in facts]

    def resultNode(nodeClass: str, role: str, name: str) -> Any:
        found = _find(nodeClass, role, ctNode, referenceNode)
        node = found or slicer.mrmlScene.AddNewNodeByClass(nodeClass, nodes.freeName(name))
        return _relate(node, role, ctNode, referenceNode)

    table = resultNode("vtkMRMLTableNode", "metrics", _("{pair} metrics").format(pair=pair))
    columns = [
        _column(vtk.vtkStringArray, _("Metric"), [title for _key, title, _unit, _definition in rows()]),
        *(
            _column(vtk.vtkDoubleArray, _("{mask} mask").format(mask=mask), [facts[mask][row[0]] for row in rows()])
            for mask in masks
        ),
        _column(vtk.vtkStringArray, _("Unit"), [row[2] for row in rows()]),
        _column(vtk.vtkStringArray, _("Definition"), [row[3] for row in rows()]),
    ]
    _fill(table, columns)
    placement = str(facts["reference"]["placement"])
    table.SetDescription(f"{pair}. {placement}")
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
