"""A contact sheet of the bank's pairs, to look at before hours are spent on training from them."""

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from training.bank import Entry, open_pairs
from training.comparison_picture import AXIAL_MM

_MR_WINDOW, _CT_WINDOW = (0.0, 2.0), (-200.0, 1500.0)


def draw_preview(bank: Path, entries: list[Entry], pairs: int, png: Path) -> None:
    """Draws MR and CT, axial and midsagittal, of the first ``pairs`` pairs of each kind.

    Raises:
        InputError: the bank has fewer pairs.
    """
    rows = [(f"{e.folder} {n}", pair) for e in entries for n, pair in enumerate(open_pairs(bank, e, pairs))]
    figure, axes = pyplot.subplots(len(rows), 4, figsize=(9, 2.4 * len(rows)), squeeze=False, layout="constrained")
    for line, (title, pair) in zip(axes, rows, strict=True):
        axial, sagittal = max(0, pair.mr.shape[0] - AXIAL_MM), pair.mr.shape[2] // 2
        for number, (array, window) in enumerate(((pair.mr, _MR_WINDOW), (pair.hu, _CT_WINDOW))):
            for place, view in enumerate((array[axial], array[::-1, :, sagittal])):
                cell = line[2 * place + number]
                cell.imshow(view.astype(np.float32), cmap="gray", vmin=window[0], vmax=window[1])
                cell.axis("off")
        line[0].set_title(title, fontsize=8, loc="left")
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=80)
    pyplot.close(figure)
