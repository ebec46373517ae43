"""What a scanner does to an image: resolution, coil sensitivity, ghosts, noise.

Rician noise: Gudbjartsson and Patz, Magn Reson Med 34 (1995) 910.
"""

import numpy as np
import torch
import torch.nn.functional as functional

from training.fields import gaussian, smooth_field

# Of the size of a head coil: so far from its centre, the sensitivity has fallen, or risen, by a random factor.
_COIL_MM = 130.0


def acquire(mr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the scanner does: partial volume, slice thickness, ghosts, coil sensitivity, noise, stored grey levels."""
    if rng.random() < 0.1:
        _dental_void(mr, rng)
    mr = gaussian(mr, rng.uniform(0.3, 0.8))
    mr = mr * coil_sensitivity(mr.shape, rng)
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


def coil_sensitivity(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Factor [z, y, x] of the signal, float32: uneven, about 1 in the brain, more or less far from there.

    A volume coil fades towards the neck (in ernie's T1, muscle and fat there have four fifths of the signal that they
    have around the upper half of the brain), an array of surface coils is brightest near the skin.
    """
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    # The vertex is the last slice.
    centre = shape[0] - rng.uniform(60, 110), shape[1] / 2 + rng.uniform(-20, 20), shape[2] / 2 + rng.uniform(-10, 10)
    square = sum((axis - at) ** 2 for axis, at in zip((z, y, x), centre, strict=True)) / _COIL_MM**2
    fading = rng.uniform(-0.4, 0.7) * np.minimum(square, 2.0)
    return np.exp(rng.uniform(0.0, 0.2) * smooth_field(shape, 90, rng) - fading).astype(np.float32)


def _dental_void(mr: np.ndarray, rng: np.random.Generator) -> None:
    """No signal around metal in the teeth, in place: some balls of 5 to 20 mm low in the face, if it is in view."""
    depth, height, width = mr.shape
    z, y, x = np.ogrid[:depth, :height, :width]
    for _ in range(int(rng.integers(1, 4))):
        # 120 mm and more below the vertex, which is the last slice; the front of the head is at y = 0.
        centre = depth - rng.uniform(120, 170), rng.uniform(0.08, 0.3) * height, rng.uniform(0.35, 0.65) * width
        square = sum((axis - at) ** 2 for axis, at in zip((z, y, x), centre, strict=True))
        mr[square < rng.uniform(5, 20) ** 2] = 0.0


def _thick_slices(mr: np.ndarray, axis: int, thickness: float) -> np.ndarray:
    """Averages over slices of ``thickness`` mm along ``axis`` and interpolates back to 1 mm."""
    moved = torch.from_numpy(np.ascontiguousarray(np.moveaxis(mr, axis, -1)))
    count = moved.shape[-1]
    slices = functional.adaptive_avg_pool1d(moved.flatten(0, 1)[None], max(1, round(count / thickness)))
    back = functional.interpolate(slices, size=count, mode="linear", align_corners=False)
    return np.ascontiguousarray(np.moveaxis(back.view(moved.shape).numpy(), -1, axis))
