"""Simulates pairs of T1 and CT from a head: anatomy, contrast, and what a scanner does to an image.

Random contrast, resolution, bias and noise so that a network meets more than any one scanner shows: Billot et al.,
"SynthSeg", Medical Image Analysis 86 (2023) 102789.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch

from decnn.intensity import depth_channel, head_mask, normalize
from training.heads.head import Head, Tissue
from training.simulation.acquisition import acquire, random_echo
from training.simulation.anatomy import draw_hu, vary_density, vary_skull
from training.simulation.contrast import random_contrast, tissue_signal
from training.simulation.fields import sample, sample_labels
from training.simulation.warp import random_warp


@dataclass
class Pair:
    """A simulated case, ready to be cut into patches; arrays canonical [z, y, x]."""

    mr: np.ndarray  # float16, normalized
    depth: np.ndarray  # float16, depth channel
    hu: np.ndarray  # int16
    mask: np.ndarray  # bool, the head


def simulate(head: Head, rng: np.random.Generator, measured_mr: bool = False, vary_anatomy: bool = True) -> Pair:
    """A new pair from ``head``, in a new position, with a random contrast, or its measured T1 if ``measured_mr``.

    vary_anatomy: deform it, and vary its skull; without, its anatomy and its CT are those of the person.
    """
    # A measured T1 shows the skull as it is; where it is simulated, the skull may vary.
    if measured_mr:
        if head.mr is None:
            raise ValueError(f"{head.name} has no measured T1")
        hu = draw_hu(head, rng) if head.hu is None else head.hu.astype(np.float32)
        white = np.float32(np.percentile(head.mr[head.tissue == Tissue.WHITE], 50))
        return vary_measured(head.mr / white, hu, head.tissue != Tissue.AIR, rng, vary_anatomy)
    tissue, hu = place_head(head, rng, vary_anatomy)
    water, fat = tissue_signal(tissue, hu, random_contrast(rng), rng)
    return as_pair(acquire(random_echo(water, fat, rng), rng), hu)


def place_head(head: Head, rng: np.random.Generator, vary_anatomy: bool) -> tuple[np.ndarray, np.ndarray]:
    """Tissue and HU (float32) of ``head`` in a new position and field of view."""
    stretched = None
    if head.hu is not None:
        stretched = head.brain_distance if vary_anatomy else None
        hu = vary_density(head.hu, rng) if vary_anatomy else head.hu.astype(np.float32)
    else:
        head = vary_skull(head, rng) if vary_anatomy else head
        hu = draw_hu(head, rng)
    grid = random_warp(head.tissue != Tissue.AIR, rng, vary_anatomy, stretched)
    hu = sample(torch.from_numpy(hu)[None], grid, "bilinear").numpy()[0]
    return sample_labels(head.tissue, grid), hu


def vary_measured(
    mr: np.ndarray, hu: np.ndarray, body: np.ndarray, rng: np.random.Generator, vary_anatomy: bool = True
) -> Pair:
    """A new pair from the T1 and the CT of one person: moved, deformed, and as another scanner might have seen it.

    mr: float32, white matter about 1. hu: float32. body: bool, what must be in the field of view.
    """
    grid = random_warp(body, rng, vary_anatomy)
    hu, mr = sample(torch.from_numpy(np.stack([hu, mr])), grid, "bilinear").numpy()
    return as_pair(acquire(mr ** np.float32(rng.uniform(0.8, 1.25)), rng), hu)


def as_pair(mr: np.ndarray, hu: np.ndarray) -> Pair:
    """A pair as it goes into the bank, of an MR (float32, any unit) and its CT (HU)."""
    mask = head_mask(sitk.GetImageFromArray(mr))
    mask_array = sitk.GetArrayFromImage(mask) > 0
    return Pair(
        normalize(mr, mask_array).astype(np.float16),
        depth_channel(mask).astype(np.float16),
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        mask_array,
    )
