"""How the CT of a measured pair lies on its MR, to be looked at."""

from pathlib import Path

import matplotlib
import numpy as np
import SimpleITK as sitk

from decnn.hu import BONE_ABOVE_HU
from training.pairs.pair import MeasuredPair

matplotlib.use("Agg")
from matplotlib import pyplot


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
