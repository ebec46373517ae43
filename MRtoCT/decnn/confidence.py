"""Where a model disagrees with itself: between its views, and between the successive CTs within each of them.

For each voxel, in HU::

    disagreement = sqrt(variance over the views of the final CT
                        + mean over the views of the variance over the last stages of a view's network)

that is the scatter between the views plus the scatter within them, as in an analysis of variance (but around the final
CTs, which are what the result is made of, not around the means of the stages; variances are divided by n). The last
stages are the final CT and the tentative CTs of the last two embedding blocks.

It is no calibrated uncertainty, no standard error and no bound: where all views and stages make the same mistake, it is
small. It tells where to look first: what lies high is not to be trusted; what lies low may still be wrong.
"""

from collections.abc import Sequence

import numpy as np
import torch

from decnn.errors import InputError
from decnn.model import Model

BLOCKS = 2
"""How many tentative CTs count, from the last one back: the first ones are rough by design."""


def check_model(model: Model) -> None:
    """Raises InputError if the model has but one CT per voxel: one view, and no embedding blocks."""
    if len(model.spec["views"]) < 2 and not model.network.stages:
        raise InputError(
            f"Model {model.name} has one view and no tentative CTs, so there is nothing that could disagree: "
            "ask for no confidence map, or choose another model."
        )


def variance_of_stages(final: torch.Tensor, tentative: Sequence[torch.Tensor]) -> torch.Tensor:
    """Variance over the final CT and the last BLOCKS tentative CTs, (B, 1, H, W) each; 0 if there are none."""
    stages = torch.stack([*tentative[-BLOCKS:], final])
    return torch.var(stages, dim=0, correction=0)


def disagreement(views: Sequence[np.ndarray], within: np.ndarray) -> np.ndarray:
    """The map, in the unit of the CTs.

    Args:
        views: the final CT of each view, arrays of one shape.
        within: sum over the views of their ``variance_of_stages``; becomes the result.
    """
    within /= len(views)
    for layer in range(len(within)):  # slab by slab, or the variance would take the memory of all views once more
        within[layer] += np.var([view[layer] for view in views], axis=0)
    return np.sqrt(within, out=within)
