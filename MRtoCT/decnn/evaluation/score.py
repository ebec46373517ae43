"""The scores of a synthetic CT against a real one on its grid: the same for panel, command line and training."""

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError
from decnn.evaluation.masks import check_ct, regions, without_padding
from decnn.evaluation.metrics import Scores, score
from decnn.io.images import same_grid


def score_images(
    ct: sitk.Image, reference: sitk.Image, mask: sitk.Image | None = None, covered: np.ndarray | None = None
) -> dict[str, Scores]:
    """All metrics of volumes, per mask. What lies below -1024 HU in the reference is padding, and counts as -1024.

    Args:
        ct, reference: 3D images in HU on one grid.
        mask: where to compare (> 0). If not given, the body in the reference, "tight" and "wide" (masks.body_masks()).
        covered: bool [z, y, x], where the reference has data; everywhere if not given.

    Returns:
        {"given": scores} or {"tight": scores, "wide": scores}; a score is None where it is not defined (no bone, ...).

    Raises:
        InputError: different grids, an image that is not in HU, an empty mask.
    """
    for image, what in ((ct, "synthetic CT"), (reference, "reference CT")):
        check_ct(image, what)
    for other, what in ((ct, "synthetic CT"), (mask, "mask")):
        if other is not None and not same_grid(other, reference):
            raise InputError(f"The {what} and the reference CT have different grids: resample one to the other first.")
    reference = without_padding(reference)
    values, truth = (sitk.GetArrayFromImage(image).astype(np.float32) for image in (ct, reference))
    spacing = reference.GetSpacing()
    return {name: score(values, truth, inside, spacing) for name, inside in regions(reference, mask, covered).items()}


def as_row(scores: dict[str, Scores]) -> Scores:
    """The scores as one row of a table: those in the tight mask, and each mask's MAE (mae_hu_wide, ...)."""
    return dict(scores["tight"]) | {f"mae_hu_{name}": values["mae_hu"] for name, values in scores.items()}
