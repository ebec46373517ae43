"""A synthetic CT beside what it was made from and what it should be: where it fails can be seen."""

from pathlib import Path

import matplotlib
import numpy as np

from decnn.hu import BODY_ABOVE_HU

matplotlib.use("Agg")
from matplotlib import pyplot

# SynthRAD's window for figures: level 200 HU, width 2500 HU.
_CT_WINDOW = (-1050, 1450)
_DIFFERENCE_HU = 1000
# An axial slice through the ventricles, below the vertex.
AXIAL_MM = 75


def draw_comparison(mr: np.ndarray, reference: np.ndarray, synthetic: np.ndarray, png: Path) -> None:
    """Writes MR, reference CT, synthetic CT and their signed difference (HU), axial and midsagittal.

    The arrays are canonical [z, y, x]. The folder of ``png`` is made if need be.
    """
    difference = synthetic.astype(np.float32) - reference
    columns = (
        ("MR", mr, "gray", (0.0, float(np.percentile(mr, 99.5)))),
        ("reference CT", reference, "gray", _CT_WINDOW),
        ("synthetic CT", synthetic, "gray", _CT_WINDOW),
        ("synthetic - reference", difference, "coolwarm", (-_DIFFERENCE_HU, _DIFFERENCE_HU)),
    )
    head = np.argwhere(reference > BODY_ABOVE_HU)
    vertex, middle = int(head[:, 0].max()), int(round(head[:, 2].mean()))
    figure, panels = pyplot.subplots(2, 4, figsize=(12, 6.4), layout="constrained")
    for column, (title, array, colours, (low, high)) in enumerate(columns):
        views = array[max(0, vertex - AXIAL_MM)], array[::-1, :, middle]
        for panel, view in zip(panels[:, column], views, strict=True):
            shown = panel.imshow(view, cmap=colours, vmin=low, vmax=high)
            panel.set_axis_off()
        panels[0, column].set_title(title)
    figure.colorbar(shown, ax=panels[:, 3], label="HU", shrink=0.7)
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=70)
    pyplot.close(figure)
