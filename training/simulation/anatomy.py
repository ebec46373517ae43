"""What varies from head to head: the skull's thickness, air cells and density, and the HU of labelled heads.

HU of soft tissues: ICRP 110 / Schneider et al., Phys Med Biol 45 (2000) 459; HU of bone by depth and of the rest:
measured on the three real CTs (results/decnn-head-t1/ct_statistics.json).
"""

from dataclasses import astuple, dataclass, replace

import numpy as np

from decnn.hu import BONE_ABOVE_HU
from training.heads.head import Head, Tissue
from training.simulation.fields import gaussian, smooth_field

_SOFT_TISSUE_HU = {
    Tissue.AIR: -1000, Tissue.CAVITY: -1000, Tissue.SKIN: 10, Tissue.CSF: 8, Tissue.GREY: 38, Tissue.WHITE: 30,
    Tissue.VESSEL: 45, Tissue.MUCOSA: 35, Tissue.DURA: 45,
}  # fmt: skip
_FAT_HU, _MUSCLE_HU = -95.0, 55.0
# Frontal sinus, skull base and mastoid lie lower than this under the vertex; the vault above has no air in it.
VAULT_MM = 75


def vary_skull(head: Head, rng: np.random.Generator) -> Head:
    """A labelled head with each surface of its bone up to 0.5 mm lower or 1.2 mm higher, and more air cells inside.

    Bone grows into CSF and soft tissue, never into air, skin or brain; what it leaves becomes CSF on the side of the
    brain and soft tissue elsewhere. Air cells (frontal sinus, mastoid, skull base) lie 2 mm and more inside thick bone.
    """
    assert head.bone_depth is not None
    tissue = head.tissue.copy()
    thinning = rng.uniform(-0.8, 0.2) + 0.25 * smooth_field(tissue.shape, 40, rng)
    depth = head.bone_depth - np.clip(thinning, -1.2, 0.5)
    bone = tissue == Tissue.BONE
    grown = (depth >= 0) & np.isin(tissue, (Tissue.CSF, Tissue.DURA, Tissue.SOFT))
    left = bone & (depth < 0)
    tissue[left] = np.where(head.brain_distance[left] < 3.0, Tissue.CSF, Tissue.SOFT)
    tissue[grown] = Tissue.BONE
    if rng.random() < 0.6:
        cells = smooth_field(tissue.shape, rng.uniform(4, 10), rng) > rng.uniform(0.0, 1.0)
        cells &= (depth > 2.0) & (tissue == Tissue.BONE)
        cells[np.flatnonzero((tissue != Tissue.AIR).any(axis=(1, 2)))[-1] - VAULT_MM :] = False
        tissue[cells] = Tissue.CAVITY
    return replace(head, tissue=tissue, bone_depth=depth)


def vary_density(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A measured CT (HU) with bone that is up to 15 % less or 20 % more dense above 250 HU, float32."""
    hu = hu.astype(np.float32)
    return np.where(hu > BONE_ABOVE_HU, BONE_ABOVE_HU + (hu - BONE_ABOVE_HU) * np.float32(rng.uniform(0.85, 1.2)), hu)


@dataclass(frozen=True)
class Look:
    """What differs from CT to CT of labelled heads: mm, HU, the share of fat between muscles (lower is more), mm."""

    cortical_mm: float
    cortical_hu: float
    spongy_hu: float
    fat_layer_mm: float
    deep_fat: float
    blur_mm: float


# Such that bone is as dense, and its edges are as soft, as in measured CTs (both in ct_statistics.json).
_LOWEST_LOOK = Look(0.8, 1000, 300, 2.0, 0.3, 0.55)
_HIGHEST_LOOK = Look(1.8, 1500, 1150, 7.0, 1.2, 0.95)
# The middle of each range: what a head is scored against must not hang on a draw, and the reach of thin bone does.
TYPICAL_LOOK = Look(1.3, 1250, 725, 4.5, 0.75, 0.75)


def random_look(rng: np.random.Generator) -> Look:
    """Each number drawn from its range."""
    return Look(*rng.uniform(astuple(_LOWEST_LOOK), astuple(_HIGHEST_LOOK)))


def draw_hu(head: Head, rng: np.random.Generator, look: Look | None = None) -> np.ndarray:
    """HU for a labelled head: cortical tables around spongy bone, fat and muscle in the soft tissue, float32.

    look: a random one if not given.
    """
    look = look or random_look(rng)
    tissue = head.tissue
    assert head.bone_depth is not None and head.skin_depth is not None
    table = np.zeros(len(Tissue), np.float32)
    for label, value in _SOFT_TISSUE_HU.items():
        table[label] = value
    hu = table[tissue]
    cortical_mm = look.cortical_mm * np.exp(0.3 * smooth_field(tissue.shape, 24, rng))
    spongy = np.clip((head.bone_depth - cortical_mm) / 1.2, 0.0, 1.0)
    cortical_hu = look.cortical_hu + 120 * smooth_field(tissue.shape, 12, rng)
    spongy_hu = look.spongy_hu + 180 * smooth_field(tissue.shape, 8, rng)
    bone = cortical_hu + (spongy_hu - cortical_hu) * spongy
    hu = np.where(tissue == Tissue.BONE, np.clip(bone, 150, 2200), hu)
    # Where no segmentation tells fat from muscle: fat of varying thickness under the skin, deeper a mixture of both.
    layer_mm = look.fat_layer_mm * np.exp(0.4 * smooth_field(tissue.shape, 30, rng))
    subcutaneous = (head.skin_depth > 1.8) & (head.skin_depth < 1.8 + layer_mm)
    deep_fat = smooth_field(tissue.shape, 10, rng) > look.deep_fat
    fat = (subcutaneous | deep_fat).astype(np.float32) if head.fat is None else head.fat
    soft = _MUSCLE_HU + (_FAT_HU - _MUSCLE_HU) * fat + 8 * smooth_field(tissue.shape, 8, rng)
    soft = np.where(head.skin_depth < 1.8, _SOFT_TISSUE_HU[Tissue.SKIN], soft)
    hu = np.where(tissue == Tissue.SOFT, soft, hu).astype(np.float32)
    # A scanner's resolution, and that of the grid its slices of 1 to 2 mm are brought to.
    return gaussian(hu, look.blur_mm)
