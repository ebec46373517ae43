"""Simulates pairs of T1 and CT from a head: anatomy, contrast, and what a scanner does to an image.

Sources of the choices. Contrast by tissue: the order of T1 at 1.5 T and 3 T (white > grey > CSF, fat brightest unless
suppressed, cortical bone without signal). Random contrast, resolution, bias and noise so that a network meets more than
any one scanner shows: Billot et al., "SynthSeg", Medical Image Analysis 86 (2023) 102789.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch

from decnn.intensity import depth_channel, head_mask, normalize
from training.acquisition import acquire
from training.anatomy import draw_hu, vary_density, vary_skull
from training.fields import sample, sample_labels, smooth_field
from training.pairs.head import Head, Tissue
from training.warp import random_warp


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
    stretched = None
    if head.hu is not None:
        stretched = head.brain_distance if vary_anatomy else None
        hu = vary_density(head.hu, rng) if vary_anatomy else head.hu.astype(np.float32)
    else:
        head = vary_skull(head, rng) if vary_anatomy else head
        hu = draw_hu(head, rng)
    grid = random_warp(head.tissue != Tissue.AIR, rng, vary_anatomy, stretched)
    hu = sample(torch.from_numpy(hu)[None], grid, "bilinear").numpy()[0]
    return _acquired(_signal(sample_labels(head.tissue, grid), hu, rng), hu, rng)


def vary_measured(
    mr: np.ndarray, hu: np.ndarray, body: np.ndarray, rng: np.random.Generator, vary_anatomy: bool = True
) -> Pair:
    """A new pair from the T1 and the CT of one person: moved, deformed, and as another scanner might have seen it.

    mr: float32, white matter about 1. hu: float32. body: bool, what must be in the field of view.
    """
    grid = random_warp(body, rng, vary_anatomy)
    hu, mr = sample(torch.from_numpy(np.stack([hu, mr])), grid, "bilinear").numpy()
    return _acquired(mr ** np.float32(rng.uniform(0.8, 1.25)), hu, rng)


def _acquired(mr: np.ndarray, hu: np.ndarray, rng: np.random.Generator) -> Pair:
    """The pair as it goes into the bank, with the MR that a scanner makes of a signal."""
    mr = acquire(mr, rng)
    mask = head_mask(sitk.GetImageFromArray(mr))
    mask_array = sitk.GetArrayFromImage(mask) > 0
    return Pair(
        normalize(mr, mask_array).astype(np.float16),
        depth_channel(mask).astype(np.float16),
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        mask_array,
    )


def _signal(tissue: np.ndarray, hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """T1-weighted signal, white matter 1; fat and marrow fractions follow the HU, so that MR and CT tell one story."""
    contrast = rng.uniform(-0.5, 0.5)  # weak to strong T1 weighting moves grey matter and CSF together
    fat = rng.uniform(1.1, 1.8) if rng.random() < 0.6 else rng.uniform(0.25, 0.75)
    enhanced = rng.random() < 0.25
    grey = 0.68 - 0.2 * contrast + rng.uniform(-0.05, 0.05)
    csf = max(0.08, 0.24 - 0.16 * contrast + rng.uniform(-0.06, 0.06))
    muscle = rng.uniform(0.42, 0.72)
    table = np.zeros(len(Tissue), np.float32)
    table[[Tissue.AIR, Tissue.CAVITY]] = rng.uniform(0.0, 0.03)
    table[[Tissue.CSF, Tissue.GREY, Tissue.WHITE]] = csf, grey, 1.0
    # The meninges: as bright as brain, brighter with contrast agent, or too thin to be seen.
    table[Tissue.DURA] = rng.uniform(0.3, 0.8) * (1.6 if enhanced else 1.0) if rng.random() < 0.7 else csf
    table[Tissue.SKIN] = rng.uniform(0.35, 0.9) * max(fat, 0.7)
    table[Tissue.VESSEL] = rng.uniform(1.2, 2.2) if enhanced else rng.uniform(0.1, 1.0)
    table[Tissue.MUCOSA] = rng.uniform(0.9, 1.5) if enhanced else rng.uniform(0.4, 0.85)
    signal = table[tissue]
    fat_fraction = np.clip((30.0 - hu) / 120.0, 0.0, 1.0)
    soft = muscle + (fat - muscle) * fat_fraction
    soft *= np.clip((hu + 700.0) / 500.0, 0.0, 1.0)  # air in the voxel gives no signal
    signal = np.where((tissue == Tissue.SOFT) | (tissue == Tissue.MUCOSA) & (fat_fraction > 0.5), soft, signal)
    cortical = rng.uniform(0.0, 0.12)
    marrow = fat * rng.uniform(0.4, 0.95)
    full = rng.uniform(200, 450)
    marrow_fraction = np.clip((rng.uniform(900, 1250) - hu) / (900 - full), 0.0, 1.0)
    signal = np.where(tissue == Tissue.BONE, cortical + (marrow - cortical) * marrow_fraction, signal)
    # Tissue is not uniform: texture grows with the signal.
    texture = 0.06 * smooth_field(tissue.shape, 6, rng) + 0.05 * smooth_field(tissue.shape, 25, rng)
    return (signal * (1.0 + rng.uniform(0.3, 1.2) * texture)).astype(np.float32)
