"""Pictures to look at: pairs, a learning curve, and a synthetic CT beside the real one."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.hu import BODY_ABOVE_HU, BONE_ABOVE_HU
from training.measured_pairs.pair import MeasuredPair
from training.simulation.simulate import Pair

matplotlib.use("Agg")
from matplotlib import pyplot

# SynthRAD's window for figures: level 200 HU, width 2500 HU.
_CT_WINDOW = (-1050, 1450)
_DIFFERENCE_HU = 1000
_MR_WINDOW, _PAIR_WINDOW = (0.0, 2.0), (-200.0, 1500.0)
# An axial slice through the ventricles, below the vertex.
AXIAL_MM = 75


def draw_preview(pairs: Sequence[tuple[str, Pair]], png: Path) -> None:
    """A contact sheet: MR and CT, axial and midsagittal, of pairs with their titles; of a slice, twice itself."""
    figure, axes = pyplot.subplots(len(pairs), 4, figsize=(9, 2.4 * len(pairs)), squeeze=False, layout="constrained")
    for line, (title, pair) in zip(axes, pairs, strict=True):
        axial, sagittal = max(0, pair.mr.shape[0] - AXIAL_MM), pair.mr.shape[2] // 2
        for number, (array, window) in enumerate(((pair.mr, _MR_WINDOW), (pair.hu, _PAIR_WINDOW))):
            views = (array.squeeze(),) * 2 if 1 in array.shape else (array[axial], array[::-1, :, sagittal])
            for place, view in enumerate(views):
                cell = line[2 * place + number]
                cell.imshow(view.astype(np.float32), cmap="gray", vmin=window[0], vmax=window[1])
                cell.axis("off")
        line[0].set_title(title, fontsize=8, loc="left")
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=80)
    pyplot.close(figure)


def draw_pair(pair: MeasuredPair, png: Path) -> None:
    """Writes the MR with the contour of the CT's bone (250 HU), in the three planes through the middle of the bone."""
    mr, ct = (sitk.GetArrayViewFromImage(image) for image in (pair.mr, pair.ct))
    bone = np.argwhere(ct > BONE_ABOVE_HU)
    centre = bone.mean(axis=0).astype(int) if len(bone) else np.array(mr.shape) // 2
    white = float(np.percentile(mr[mr > 0], 99.5)) if (mr > 0).any() else 1.0
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 4.5))
    for axis, (panel, title) in enumerate(zip(panels, ("axial", "coronal", "sagittal"), strict=True)):
        # Arrays run to superior, posterior and left: axial slices are drawn from the front down, the others from below.
        origin = "upper" if axis == 0 else "lower"
        panel.imshow(mr.take(centre[axis], axis), cmap="gray", vmin=0, vmax=white, origin=origin)
        plane = ct.take(centre[axis], axis)
        if plane.min() < BONE_ABOVE_HU < plane.max():
            panel.contour(plane, [BONE_ABOVE_HU], colors="orange", linewidths=0.8)
        panel.set_title(title)
        panel.set_axis_off()
    figure.suptitle(f"{pair.name}: MR, bone of the CT (250 HU) {pair.placement}")
    figure.tight_layout()
    figure.savefig(png, dpi=100)
    pyplot.close(figure)


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


def draw_curve(logs: Sequence[Path], png: Path) -> None:
    """Writes the training loss over the steps, on a logarithmic scale, as PNG.

    logs: that of a run, after those of the runs whose weights it went on from. InputError if one cannot be read.
    """
    losses: dict[int, float] = {}
    for log in logs:
        first = max(losses, default=0)
        try:
            rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise InputError(f"The log {log} cannot be read ({error}): give the log.jsonl of a run.") from error
        # An interrupted run repeats the steps since its last checkpoint: the later row counts.
        losses |= {first + row["step"]: row["loss"] for row in rows if "loss" in row}
    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.semilogy(list(losses), list(losses.values()))
    axes.set_xlabel("step")
    axes.set_ylabel("loss: final and tentative CTs")
    axes.grid(which="both", alpha=0.3)
    figure.tight_layout()
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=100)
    pyplot.close(figure)
