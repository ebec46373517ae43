"""One picture of an MR volume and its synthetic CT: three planes, as Slicer's own slice logic renders them.

vtkMRMLSliceLogic reslices, windows and blends in memory, so the picture needs neither a display nor OpenGL.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from vtk.util.numpy_support import vtk_to_numpy

BONE_WINDOW, BONE_LEVEL = 1000.0, 400.0
HEAD_ABOVE_HU = -500
MARGIN_MM = 12.0
SCALE_BAR_MM = 50
PANEL_PIXELS = 420
PANEL_INCHES = 4.2

# Slicer's orientation presets, and which side of the patient is left, right, top and bottom in such a view.
PLANES = {
    "Axial": ("R", "L", "A", "P"),
    "Coronal": ("R", "L", "S", "I"),
    "Sagittal": ("A", "P", "S", "I"),
}


@dataclass(frozen=True)
class Layers:
    """What one column of the picture shows: a volume node, and perhaps a second one over it (opacity 0..1)."""

    title: str
    background: Any
    foreground: Any = None
    opacity: float = 0.0


def write_overview(path: Path, mr: Any, ct: Any, title: str, notice: str) -> None:
    """Write the picture: rows axial, coronal, sagittal; columns MR, CT in the bone window, CT over MR.

    path: a .png file. mr, ct: scalar volume nodes of slicer.mrmlScene. title, notice: the lines above and below.
    The CT's display node is left with the bone window.
    """
    matrix = vtk.vtkMatrix4x4()
    ct.GetIJKToRASMatrix(matrix)
    centre, side = head_box(slicer.util.arrayFromVolume(ct), slicer.util.arrayFromVTKMatrix(matrix))
    width = side + 2 * MARGIN_MM
    ct.GetDisplayNode().AutoWindowLevelOff()
    ct.GetDisplayNode().SetWindowLevel(BONE_WINDOW, BONE_LEVEL)
    columns = [
        Layers("T1 MR", mr),
        # Opaque over the MR: beyond the grid the view stays black, where a lone CT would read 0 HU.
        Layers("Synthetic CT (window 1000, level 400)", mr, ct, 1.0),
        Layers("Synthetic CT over MR", mr, ct, 0.5),
    ]
    with slice_logic() as logic:
        pictures = {
            plane: [render_slice(logic, layers, plane, centre, width, PANEL_PIXELS) for layers in columns]
            for plane in PLANES
        }
    _compose(path, pictures, [layers.title for layers in columns], width, title, notice)


def head_box(ct: np.ndarray, ijk_to_ras: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the head is, so that the planes can be cut through its middle.

    ct: HU, array [k, j, i]. ijk_to_ras: 4 x 4, mm.
    Returns (middle of the head's bounding box, RAS mm; its longest side, mm); the grid's own if all of it is air.
    """
    inside = ct > HEAD_ABOVE_HU
    if not inside.any():
        inside = np.ones_like(inside)
    found = [np.flatnonzero(inside.any(axis=others)) for others in ((0, 1), (0, 2), (1, 2))]  # along i, j, k
    edges = [(line[0] - 0.5, line[-1] + 0.5) for line in found]
    corners = np.array([(i, j, k, 1) for i in edges[0] for j in edges[1] for k in edges[2]]) @ ijk_to_ras.T
    low, high = corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)
    return (low + high) / 2, float((high - low).max())


@contextmanager
def slice_logic() -> Iterator[Any]:
    """A vtkMRMLSliceLogic with a slice view of its own in slicer.mrmlScene; the scene is left as it was."""
    scene = slicer.mrmlScene
    before = {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLScene(scene)
    logic.AddSliceNode("MRtoCT overview")
    try:
        yield logic
    finally:
        added = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
        logic.SetMRMLScene(None)
        for node in added:
            if node.GetID() not in before:
                scene.RemoveNode(node)


def render_slice(logic: Any, layers: Layers, plane: str, centre: np.ndarray, width: float, pixels: int) -> np.ndarray:
    """One slice view.

    logic: of slice_logic(). plane: a key of PLANES. centre: the middle of the view, RAS mm. width: mm across the view.
    Returns RGB uint8 [pixels, pixels, 3], the first row at the top.
    """
    composite = logic.GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(layers.background.GetID())
    composite.SetForegroundVolumeID(layers.foreground.GetID() if layers.foreground else None)
    composite.SetForegroundOpacity(layers.opacity)
    view = logic.GetSliceNode()
    view.SetOrientation(plane)
    view.SetDimensions(pixels, pixels, 1)
    view.SetFieldOfView(width, width, 1.0)
    view.JumpSliceByCentering(*(float(value) for value in centre))
    producer = logic.GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    columns, rows, _ = image.GetDimensions()
    rgba = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)
    return rgba[::-1, :, :3].copy()  # VTK counts rows from below


def _compose(
    path: Path, pictures: dict[str, list[np.ndarray]], titles: list[str], width: float, title: str, notice: str
) -> None:
    """Lay the slice views out with their names, sides, a scale bar and the grey scale of the CT."""
    rows, columns = len(pictures), len(titles)
    figure = Figure(figsize=(PANEL_INCHES * columns + 1.1, PANEL_INCHES * rows + 1.2), dpi=100, facecolor="black")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows, columns + 1, width_ratios=[1] * columns + [0.035], wspace=0.02, hspace=0.02,
        left=0.01, right=0.935, top=0.925, bottom=0.035,
    )  # fmt: skip
    light: dict[str, Any] = {"color": "white", "fontsize": 12}
    for row, (plane, slices) in enumerate(pictures.items()):
        for column, picture in enumerate(slices):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(picture, extent=(0, width, 0, width), interpolation="nearest")
            axes.axis("off")
            _label_sides(axes, plane, light)
            if row == 0:
                axes.set_title(titles[column], color="white", fontsize=14)
            if column == 0:
                axes.text(0.02, 0.97, plane, transform=axes.transAxes, va="top", **light)
                axes.plot([0.06 * width, 0.06 * width + SCALE_BAR_MM], [0.045 * width] * 2, color="white", linewidth=3)
                axes.text(0.06 * width, 0.06 * width, f"{SCALE_BAR_MM} mm", **light)
    low, high = BONE_LEVEL - BONE_WINDOW / 2, BONE_LEVEL + BONE_WINDOW / 2
    scale = figure.add_subplot(grid[1, columns])
    scale.imshow(np.linspace(1, 0, 256)[:, None], cmap="gray", aspect="auto", extent=(0, 1, low, high))
    scale.set_xticks([])
    scale.yaxis.tick_right()
    scale.tick_params(colors="white", labelsize=11)
    scale.set_title("HU", color="white", fontsize=12)
    figure.text(0.5, 0.985, title, ha="center", va="top", color="white", fontsize=15)
    figure.text(0.5, 0.012, notice, ha="center", va="bottom", color="#ffcc66", fontsize=13)
    figure.savefig(path, facecolor="black")


def _label_sides(axes: Any, plane: str, style: dict[str, Any]) -> None:
    left, right, top, bottom = PLANES[plane]
    for name, x, y in ((left, 0.02, 0.5), (right, 0.98, 0.5), (top, 0.5, 0.97), (bottom, 0.5, 0.03)):
        axes.text(x, y, name, transform=axes.transAxes, ha="center", va="center", **style)
