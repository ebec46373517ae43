"""The signal of a head's tissues, T1-weighted unless a contrast says otherwise.

Contrast by tissue: the order of T1 at 1.5 T and 3 T (white > grey > CSF, fat brightest unless suppressed, cortical bone
without signal).
"""

from dataclasses import dataclass

import numpy as np

from training.heads.head import Tissue
from training.simulation.fields import gaussian, smooth_field


@dataclass(frozen=True)
class Contrast:
    """Signal of each tissue, white matter 1; ``marrow_fat``: share of fat in the marrow, the rest is like muscle.

    Bone is as full of marrow as it can be from ``marrow_hu`` down, and without any from ``cortical_hu`` up.
    """

    csf: float
    grey: float
    muscle: float
    fat: float
    air: float
    dura: float
    skin: float
    vessel: float
    mucosa: float
    cortical: float
    marrow_fat: float
    marrow_hu: float
    cortical_hu: float


# As the sigma of a Gaussian: so near to its surface, bone of low HU is bone and what lies beside it in one voxel.
_SURFACE_MM = 0.7
_SOFT_HU = 40.0

# The middle of each range of random_contrast(), without contrast agent or suppression of fat.
TYPICAL_CONTRAST = Contrast(0.24, 0.68, 0.57, 1.65, 0.015, 0.55, 1.0, 0.55, 0.62, 0.06, 0.6, 500, 1075)


def random_contrast(rng: np.random.Generator) -> Contrast:
    """Of any sequence: weak or strong T1 weighting, fat bright or suppressed, with or without contrast agent."""
    weighting = rng.uniform(-0.5, 0.5)  # moves grey matter and CSF together
    fat = rng.uniform(1.1, 2.2) if rng.random() < 0.6 else rng.uniform(0.25, 0.75)
    enhanced = rng.random() < 0.4
    grey = 0.68 - 0.2 * weighting + rng.uniform(-0.05, 0.05)
    csf = max(0.08, 0.24 - 0.16 * weighting + rng.uniform(-0.06, 0.06))
    muscle = rng.uniform(0.42, 0.72)
    air = rng.uniform(0.0, 0.03)
    # The meninges: as bright as brain, brighter with contrast agent, or too thin to be seen.
    dura = rng.uniform(0.3, 0.8) * (1.6 if enhanced else 1.0) if rng.random() < 0.7 else csf
    skin = rng.uniform(0.35, 0.9) * max(fat, 0.7)
    vessel = rng.uniform(1.2, 2.2) if enhanced else rng.uniform(0.1, 1.0)
    mucosa = rng.uniform(0.9, 1.5) if enhanced else rng.uniform(0.4, 0.85)
    cortical = rng.uniform(0.0, 0.12)
    marrow_fat = rng.uniform(0.3, 0.95)  # red marrow has less than half, yellow nearly all
    width_hu = 900 - rng.uniform(200, 450)
    end_hu = rng.uniform(900, 1250)
    return Contrast(
        csf, grey, muscle, fat, air, dura, skin, vessel, mucosa, cortical, marrow_fat, end_hu - width_hu, end_hu
    )


def tissue_signal(
    tissue: np.ndarray, hu: np.ndarray, contrast: Contrast, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Signal of water and of fat [z, y, x], float32; how much of each follows the HU: MR and CT tell one story.

    Inside of bone low HU are marrow; in its outermost voxels they are its neighbours, brain or scalp or air.
    """
    c = contrast
    table = np.zeros(len(Tissue), np.float32)
    table[[Tissue.AIR, Tissue.CAVITY]] = c.air
    table[[Tissue.CSF, Tissue.GREY, Tissue.WHITE]] = c.csf, c.grey, 1.0
    table[[Tissue.DURA, Tissue.SKIN, Tissue.VESSEL, Tissue.MUCOSA]] = c.dura, c.skin, c.vessel, c.mucosa
    fat = np.clip((30.0 - hu) / 120.0, 0.0, 1.0)
    soft = (tissue == Tissue.SOFT) | (tissue == Tissue.MUCOSA) & (fat > 0.5)
    filled = np.clip((hu + 700.0) / 500.0, 0.0, 1.0)  # air in the voxel gives no signal
    marrow = np.clip((c.cortical_hu - hu) / (c.cortical_hu - c.marrow_hu), 0.0, 1.0)
    kinds = [tissue == Tissue.BONE, soft]
    bone = c.cortical * (1.0 - marrow) + c.muscle * (1.0 - c.marrow_fat) * marrow
    water = np.select(kinds, [bone, c.muscle * (1.0 - fat) * filled], table[tissue])
    oil = np.select(kinds, [c.fat * c.marrow_fat * marrow, c.fat * fat * filled], 0.0)
    beside = (tissue != Tissue.BONE).astype(np.float32)
    near = gaussian(beside, _SURFACE_MM)
    at_surface = (tissue == Tissue.BONE) * np.clip(near / 0.2, 0.0, 1.0)  # a flat surface's first voxel has 0.24
    cortical = np.clip((hu - _SOFT_HU) / (c.cortical_hu - _SOFT_HU), 0.0, 1.0)
    for signal, of_cortical in ((water, c.cortical), (oil, 0.0)):
        neighbours = gaussian(signal * beside, _SURFACE_MM) / np.maximum(near, 1e-3)
        signal += at_surface * (of_cortical * cortical + neighbours * (1.0 - cortical) - signal)
    # Tissue is not uniform: texture grows with the signal.
    texture = 0.06 * smooth_field(tissue.shape, 6, rng) + 0.05 * smooth_field(tissue.shape, 25, rng)
    texture = 1.0 + rng.uniform(0.3, 1.2) * texture
    return (water * texture).astype(np.float32), (oil * texture).astype(np.float32)
