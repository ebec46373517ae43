"""Simulates pairs of T1 and CT from a head: anatomy, contrast, and what a scanner does to an image.

Sources of the choices. Contrast by tissue: the order of T1 at 1.5 T and 3 T (white > grey > CSF, fat brightest unless
suppressed, cortical bone without signal). Random contrast, resolution, bias and noise so that a network meets more than
any one scanner shows: Billot et al., "SynthSeg", Medical Image Analysis 86 (2023) 102789. Rician noise: Gudbjartsson
and Patz, Magn Reson Med 34 (1995) 910. HU of soft tissues: ICRP 110 / Schneider et al., Phys Med Biol 45 (2000) 459;
HU of bone by depth and of the rest: measured on the three real CTs (results/ct_statistics.json).
"""

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as functional

from decnn.intensity import depth_channel, head_mask, normalize
from training.pairs.head import Head, Tissue

_SOFT_TISSUE_HU = {
    Tissue.AIR: -1000, Tissue.CAVITY: -1000, Tissue.SKIN: 10, Tissue.CSF: 8, Tissue.GREY: 38, Tissue.WHITE: 30,
    Tissue.VESSEL: 45, Tissue.MUCOSA: 35, Tissue.DURA: 45,
}  # fmt: skip
_FAT_HU, _MUSCLE_HU = -95.0, 55.0


@dataclass
class Pair:
    """A simulated case, ready to be cut into patches; arrays canonical [z, y, x]."""

    mr: np.ndarray  # float16, normalized
    depth: np.ndarray  # float16, depth channel
    hu: np.ndarray  # int16
    mask: np.ndarray  # bool, the head


def simulate(head: Head, rng: np.random.Generator, measured_mr: bool = False) -> Pair:
    """A new pair from ``head``: warped, with a random contrast, or with its measured T1 if ``measured_mr``."""
    # A measured T1 shows the anatomy as it is; where it is simulated, the skull of the labels may vary.
    if head.hu is None and not measured_mr:
        head = vary_skull(head, rng)
    hu = head.hu if head.hu is not None else draw_hu(head, rng)
    sources = [torch.from_numpy(hu.astype(np.float32))]
    if measured_mr:
        if head.mr is None:
            raise ValueError(f"{head.name} has no measured T1")
        sources.append(torch.from_numpy(head.mr / np.float32(np.percentile(head.mr[head.tissue == Tissue.WHITE], 50))))
    grid = _random_warp(head.tissue, rng)
    warped = _sample(torch.stack(sources), grid, "bilinear").numpy()
    hu = warped[0]
    if measured_mr:
        mr = warped[1] ** np.float32(rng.uniform(0.8, 1.25))
    else:
        tissue = (
            _sample(torch.from_numpy(head.tissue[None].astype(np.float32)), grid, "nearest").numpy()[0].astype(np.uint8)
        )
        mr = _signal(tissue, hu, rng)
    mr = _acquire(mr, rng)
    image = sitk.GetImageFromArray(mr)
    mask = head_mask(image)
    mask_array = sitk.GetArrayFromImage(mask) > 0
    return Pair(
        normalize(mr, mask_array).astype(np.float16),
        depth_channel(mask).astype(np.float16),
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        mask_array,
    )


def vary_skull(head: Head, rng: np.random.Generator) -> Head:
    """A labelled head with each surface of its bone up to 0.5 mm lower or 1.2 mm higher, and more air cells inside.

    Bone grows into CSF and soft tissue, never into air, skin or brain; what it leaves becomes CSF on the side of the
    brain and soft tissue elsewhere. Air cells (frontal sinus, mastoid, skull base) lie 2 mm and more inside thick bone.
    """
    assert head.bone_depth is not None and head.brain_distance is not None
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
        tissue[cells & (depth > 2.0) & (tissue == Tissue.BONE)] = Tissue.CAVITY
    return replace(head, tissue=tissue, bone_depth=depth)


def draw_hu(head: Head, rng: np.random.Generator) -> np.ndarray:
    """HU for a labelled head: cortical tables around spongy bone, fat and muscle in the soft tissue, float32."""
    tissue = head.tissue
    assert head.bone_depth is not None and head.skin_depth is not None
    table = np.zeros(len(Tissue), np.float32)
    for label, value in _SOFT_TISSUE_HU.items():
        table[label] = value
    hu = table[tissue]
    cortical_mm = rng.uniform(1.0, 2.2) * np.exp(0.3 * smooth_field(tissue.shape, 24, rng))
    spongy = np.clip((head.bone_depth - cortical_mm) / 1.2, 0.0, 1.0)
    cortical_hu = rng.uniform(1000, 1500) + 120 * smooth_field(tissue.shape, 12, rng)
    spongy_hu = rng.uniform(350, 950) + 180 * smooth_field(tissue.shape, 8, rng)
    bone = cortical_hu + (spongy_hu - cortical_hu) * spongy
    hu = np.where(tissue == Tissue.BONE, np.clip(bone, 150, 2200), hu)
    # Under the skin lies fat of varying thickness, deeper a mixture of muscle and fat.
    layer_mm = rng.uniform(2.0, 7.0) * np.exp(0.4 * smooth_field(tissue.shape, 30, rng))
    subcutaneous = (head.skin_depth > 1.8) & (head.skin_depth < 1.8 + layer_mm)
    deep_fat = smooth_field(tissue.shape, 10, rng) > rng.uniform(0.3, 1.2)
    soft = np.where(subcutaneous | deep_fat, _FAT_HU, _MUSCLE_HU) + 8 * smooth_field(tissue.shape, 8, rng)
    soft = np.where(head.skin_depth < 1.8, _SOFT_TISSUE_HU[Tissue.SKIN], soft)
    hu = np.where(tissue == Tissue.SOFT, soft, hu).astype(np.float32)
    # A scanner's resolution: 1 mm full width at half maximum and more.
    return _gaussian(hu, rng.uniform(0.4, 0.7))


def smooth_field(shape: tuple[int, ...], scale_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Random field of about zero mean and unit variance that changes over ``scale_mm``, float32."""
    coarse = [max(2, round(n / scale_mm) + 2) for n in shape]
    field = torch.from_numpy(rng.standard_normal(coarse, dtype=np.float32))[None, None]
    field = functional.interpolate(field, size=list(shape), mode="trilinear", align_corners=True)[0, 0]
    return (field / field.std().clamp_min(1e-6)).numpy()


def _signal(tissue: np.ndarray, hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """T1-weighted signal, white matter 1; fat and marrow fractions follow the HU, so that MR and CT tell one story."""
    contrast = rng.uniform(-0.5, 0.5)  # weak to strong T1 weighting moves grey matter and CSF together
    fat = rng.uniform(1.1, 1.8) if rng.random() < 0.6 else rng.uniform(0.3, 0.75)
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


def _acquire(mr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the scanner does: partial volume, slice thickness, ghosts, coil sensitivity, noise, stored grey levels."""
    if rng.random() < 0.1:
        _dental_void(mr, rng)
    mr = _gaussian(mr, rng.uniform(0.3, 0.8))
    mr = mr * np.exp(rng.uniform(0.0, 0.2) * smooth_field(mr.shape, 90, rng)).astype(np.float32)
    if rng.random() < 0.35:
        mr = _thick_slices(mr, axis=int(rng.integers(3)), thickness=rng.uniform(1.5, 5.0))
    if rng.random() < 0.15:
        axis = int(rng.integers(1, 3))
        mr = mr + rng.uniform(0.02, 0.08) * np.roll(
            mr, int(rng.integers(mr.shape[axis] // 6, mr.shape[axis] // 2)), axis
        )
    sigma = rng.uniform(0.0, 0.07) * (rng.random() < 0.9)
    if sigma:
        mr = np.hypot(
            mr + sigma * rng.standard_normal(mr.shape, dtype=np.float32),
            sigma * rng.standard_normal(mr.shape, dtype=np.float32),
        )
    mr = np.clip(mr, 0.0, None)
    if rng.random() < 0.1:  # some archives keep few grey levels
        step = np.percentile(mr, 99.5) / 31
        mr = np.rint(mr / step) * step
    return mr.astype(np.float32)


def _dental_void(mr: np.ndarray, rng: np.random.Generator) -> None:
    """No signal around metal in the teeth, in place: some balls of 5 to 20 mm low in the face, if it is in view."""
    depth, height, width = mr.shape
    z, y, x = np.ogrid[:depth, :height, :width]
    for _ in range(int(rng.integers(1, 4))):
        # 110 mm and more below the vertex, which is the last slice; the front of the head is at y = 0.
        centre = depth - rng.uniform(110, 170), rng.uniform(0.08, 0.3) * height, rng.uniform(0.35, 0.65) * width
        square = sum((axis - at) ** 2 for axis, at in zip((z, y, x), centre, strict=True))
        mr[square < rng.uniform(5, 20) ** 2] = 0.0


def _thick_slices(mr: np.ndarray, axis: int, thickness: float) -> np.ndarray:
    """Averages over slices of ``thickness`` mm along ``axis`` and interpolates back to 1 mm."""
    moved = torch.from_numpy(np.ascontiguousarray(np.moveaxis(mr, axis, -1)))
    count = moved.shape[-1]
    slices = functional.adaptive_avg_pool1d(moved.flatten(0, 1)[None], max(1, round(count / thickness)))
    back = functional.interpolate(slices, size=count, mode="linear", align_corners=False)
    return np.ascontiguousarray(np.moveaxis(back.view(moved.shape).numpy(), -1, axis))


def _random_warp(tissue: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Sampling grid [1, z, y, x, 3] for grid_sample: rotation, scale, elastic deformation, field-of-view cuts."""
    occupied = np.argwhere(tissue[::4, ::4, ::4] != Tissue.AIR) * 4
    low, high = occupied.min(0), np.minimum(occupied.max(0) + 4, tissue.shape)
    # The neck, and sometimes the nose, may lie outside the field of view; 145 mm below the vertex the brain is in.
    if rng.random() < 0.75:
        low[0] = max(low[0], high[0] - rng.uniform(145, 250))
    if rng.random() < 0.15:
        low[1] += rng.uniform(0, 25)
    margin = rng.integers(2, 16, size=3)
    size = (high - low + margin).astype(int)
    scale = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, size=3)
    matrix = _rotation(np.deg2rad(rng.uniform(-1, 1, size=3) * (20, 12, 12))) * scale
    matrix += rng.uniform(-0.03, 0.03, size=(3, 3))
    centre = (low + high) / 2.0
    out = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in size), indexing="ij"), -1)
    out -= torch.tensor((size - 1) / 2.0, dtype=torch.float32)
    position = out @ torch.tensor(matrix.T, dtype=torch.float32) + torch.tensor(centre, dtype=torch.float32)
    if rng.random() < 0.8:
        amplitude = rng.uniform(0.5, 2.0)
        for axis in range(3):
            position[..., axis] += torch.from_numpy(amplitude * smooth_field(tuple(size), 50, rng))
    extent = torch.tensor(tissue.shape, dtype=torch.float32) - 1
    if rng.random() < 0.5:  # left and right are alike
        position[..., 2] = extent[2] - position[..., 2]
    return ((position / extent) * 2 - 1).flip(-1)[None]


def _rotation(angles: np.ndarray) -> np.ndarray:
    """3x3 rotation about the array axes [z, y, x], angles in radians."""
    (cz, cy, cx), (sz, sy, sx) = np.cos(angles), np.sin(angles)
    about_z = np.array([[1, 0, 0], [0, cz, -sz], [0, sz, cz]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[cx, -sx, 0], [sx, cx, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _sample(volumes: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    """Volumes [c, z, y, x] at ``grid``; outside the field of view each has its lowest value."""
    floor = volumes.amin(dim=(1, 2, 3), keepdim=True)
    return (
        functional.grid_sample((volumes - floor)[None], grid, mode=mode, padding_mode="zeros", align_corners=True)[0]
        + floor
    )


def _gaussian(array: np.ndarray, sigma: float) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(array), sigma))
