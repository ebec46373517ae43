"""Varies a real slice in its plane: turned, scaled, deformed, blurred, uneven."""

import numpy as np
import torch
import torch.nn.functional as functional

_TURN_DEG, _SCALE, _SHEAR = 10.0, 0.08, 0.03
_DEFORM_MM, _DEFORM_SCALE_MM = 2.0, 40.0
_BIAS, _BIAS_SCALE_MM = 0.12, 90.0
_BLUR_MM = 0.8


def vary_slice(
    mr: np.ndarray, depth: np.ndarray, hu: np.ndarray, strength: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MR, depth and HU of a slice as another person in another scanner might have them; float32 arrays [h, w].

    strength: 0 changes nothing, 1 is moderate: turned by up to 10 degrees, 8 % larger or smaller, deformed by about
    2 mm, every second one uneven by some 12 %, every third one blurred by up to 0.8 mm.
    """
    if strength == 0.0:
        return mr, depth, hu
    height, width = mr.shape
    angle = np.deg2rad(strength * rng.uniform(-_TURN_DEG, _TURN_DEG))
    scale = np.exp(strength * rng.uniform(-_SCALE, _SCALE))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * turn + strength * rng.uniform(-_SHEAR, _SHEAR, size=(2, 2))
    ys, xs = np.meshgrid(np.arange(height) - height / 2, np.arange(width) - width / 2, indexing="ij")
    position = np.stack([matrix[0, 0] * ys + matrix[0, 1] * xs, matrix[1, 0] * ys + matrix[1, 1] * xs])
    for axis in range(2):
        position[axis] += strength * rng.uniform(0, _DEFORM_MM) * _field((height, width), _DEFORM_SCALE_MM, rng)
    grid = np.stack([position[1] / (width / 2), position[0] / (height / 2)], -1).astype(np.float32)
    # What comes into view at the border is air, far from the head.
    volumes = torch.from_numpy(np.stack([mr, depth - depth.min(), hu + 1000.0]))[None]
    moved = functional.grid_sample(volumes, torch.from_numpy(grid)[None], align_corners=False)[0].numpy()
    mr, depth, hu = moved[0], (moved[1] + depth.min()) / np.float32(scale), moved[2] - 1000.0
    if rng.random() < 0.5:
        mr = mr * np.exp(strength * _BIAS * _field((height, width), _BIAS_SCALE_MM, rng))
    if rng.random() < 0.33:
        mr = _blurred(mr, strength * rng.uniform(0.0, _BLUR_MM))
    return mr.astype(np.float32), depth.astype(np.float32), hu.astype(np.float32)


def _field(shape: tuple[int, int], scale_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Random field of about zero mean and unit variance that changes over ``scale_mm``, float32."""
    coarse = torch.from_numpy(rng.standard_normal([round(n / scale_mm) + 3 for n in shape], dtype=np.float32))
    field = functional.interpolate(coarse[None, None], size=shape, mode="bicubic", align_corners=True)[0, 0]
    return (field / field.std().clamp_min(1e-6)).numpy()


def _blurred(plane: np.ndarray, sigma_mm: float) -> np.ndarray:
    """By a Gaussian of up to 1 mm."""
    if sigma_mm < 0.2:
        return plane
    taps = np.exp(-0.5 * (np.arange(-3, 4) / sigma_mm) ** 2)
    kernel = torch.from_numpy((taps / taps.sum()).astype(np.float32))
    image = functional.pad(torch.from_numpy(np.ascontiguousarray(plane))[None, None], (3, 3, 3, 3), mode="replicate")
    return functional.conv2d(functional.conv2d(image, kernel[None, None, None]), kernel[None, None, :, None])[
        0, 0
    ].numpy()
