"""Scores a network while it is trained: on measured pairs of the patients that are left out."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from decnn.evaluation.metrics import score
from decnn.views import view_input
from training.settings import Settings
from training.simulation.simulate import Pair

KEYS = ("mae_hu", "bone_dice", "me_bone_hu")


def validate(
    network: nn.Module, pairs: Sequence[Pair], settings: Settings, scale_hu: float, device: str
) -> dict[str, float]:
    """Means over single slices, inside the head: of a real slice itself, of a volume the middle slice of each view."""
    network.eval()
    rows = []
    for pair in pairs:
        for axis in [pair.mask.shape.index(1)] if 1 in pair.mask.shape else settings.views:
            index = pair.mask.shape[axis] // 2
            depth = pair.depth if settings.depth_channel else None
            channels = torch.from_numpy(view_input(pair.mr, depth, axis, [index], settings.neighbours)).to(device)
            with torch.inference_mode():
                final = network(channels.contiguous(memory_format=torch.channels_last))[0][0, 0].float().cpu().numpy()
            hu, mask = (np.take(array, index, axis) for array in (pair.hu, pair.mask))
            if mask.any():
                rows.append(score(final * scale_hu, hu.astype(np.float32), mask, keys=KEYS))
    network.train()
    means = {}
    for key in KEYS:
        defined = [value for row in rows if (value := row[key]) is not None]
        means[key] = round(float(np.mean(defined)), 4) if defined else float("nan")
    return means
