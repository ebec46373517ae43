"""Scores a network quickly: on a lattice of voxels, where slices of all three views cross.

Predicting every sixth axial, coronal and sagittal slice costs a sixth of a whole CT, and every voxel in which three of
them meet has a value of each view, so views and their fusion can be compared as in a whole CT.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from decnn.evaluation import metrics
from decnn.views import view_input
from training.simulation.simulate import Pair

_BATCH = 4


@dataclass
class Prediction:
    """What a network says about a pair on the lattice; arrays of the same shape, HU."""

    views: np.ndarray  # [number of views, z, y, x]
    reference: np.ndarray  # [z, y, x]
    mask: np.ndarray  # [z, y, x], bool: the head


def predict(
    network: nn.Module, pair: Pair, neighbours: int, depth_channel: bool, scale_hu: float, step: int
) -> Prediction:
    """Runs the network on every ``step``-th slice of the three views."""
    indices = [np.arange(step // 2, n, step) for n in pair.mr.shape]
    lattice = np.ix_(*indices)
    views = np.empty((3, *(len(i) for i in indices)), np.float32)
    for axis in range(3):
        others = np.ix_(*(i for number, i in enumerate(indices) if number != axis))
        for start in range(0, len(indices[axis]), _BATCH):
            chosen = indices[axis][start : start + _BATCH]
            slices = view_input(pair.mr, pair.depth if depth_channel else None, axis, chosen, neighbours)
            with torch.inference_mode():
                final = network(torch.from_numpy(slices).contiguous(memory_format=torch.channels_last))[0][:, 0].numpy()
            np.moveaxis(views[axis], axis, 0)[start : start + len(chosen)] = final[:, *others] * scale_hu
    return Prediction(views, pair.hu[lattice].astype(np.float32), np.asarray(pair.mask[lattice]))


def fused(views: np.ndarray, fusion: str) -> np.ndarray:
    """HU of several views as one: their "mean", "median", or one of them by name of its axis ("0", "1", "2")."""
    if fusion == "mean":
        return views.mean(axis=0)
    if fusion == "median":
        return np.median(views, axis=0)
    return views[int(fusion)]


def scores(prediction: Prediction, fusion: str) -> dict[str, float]:
    """MAE in the head and in its bone (HU), bone Dice at 250 HU."""
    ct, reference, mask = fused(prediction.views, fusion), prediction.reference, prediction.mask
    found = metrics.score(ct, reference, mask, keys=("mae_hu", "mae_bone_hu", "bone_dice"))
    return {key: float("nan") if value is None else value for key, value in found.items()}
