"""What the form of real slices costs: a whole head given slice by slice, each one standing in for its neighbours."""

import numpy as np
import SimpleITK as sitk
import torch

from decnn.hu import AIR_HU, CT_RANGE_HU
from decnn.inference import for_inference
from decnn.intensity import depth_channel, head_mask, near_head, normalize
from decnn.model import Model
from decnn.views import AXES, view_input
from training.measured_pairs.slices import depth_in_plane


def synthesize_repeated(mr: np.ndarray, model: Model) -> sitk.Image:
    """The CT of a head as the engine makes it, but for neighbours (the slice itself) and depth (in its plane).

    Args:
        mr: canonical [z, y, x], any scale.
        model: one that is fused by the mean of its views.

    Returns:
        int16, HU, on the canonical grid.
    """
    mask = head_mask(sitk.GetImageFromArray(mr))
    inside = sitk.GetArrayFromImage(mask) > 0
    normal = normalize(mr, inside)
    network, feeding = for_inference(model.network), model.spec["input"]
    total = np.zeros(mr.shape, np.float32)
    for view in model.spec["views"]:
        axis = AXES[view]
        with_head = np.moveaxis(inside, axis, 0).any(axis=(1, 2))
        np.moveaxis(total, axis, 0)[~with_head] += AIR_HU / model.spec["output"]["scale_hu"]
        for index in np.flatnonzero(with_head):
            channels = np.repeat(view_input(normal, None, axis, [int(index)], 1), feeding["neighbours"], axis=1)
            if feeding["depth_channel"]:
                depth = depth_in_plane(np.take(inside, index, axis)).astype(np.float32)
                channels = np.concatenate([channels, depth[None, None]], axis=1)
            with torch.inference_mode():
                final = network(torch.from_numpy(channels).contiguous(memory_format=torch.channels_last))[0]
            np.moveaxis(total, axis, 0)[index] += final[0, 0].numpy()
    hounsfield = total / len(model.spec["views"]) * model.spec["output"]["scale_hu"]
    near = near_head(depth_channel(mask))
    return sitk.GetImageFromArray(np.where(near, np.clip(np.rint(hounsfield), *CT_RANGE_HU), AIR_HU).astype(np.int16))
