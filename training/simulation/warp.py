"""Where a head lies in the field of view, and how it is deformed."""

import numpy as np
import torch

from training.simulation.fields import gaussian, sample, smooth_field

# The skull lies within the first millimetres around the cranial cavity; from the face on nothing is stretched.
_SKULL_MM, _STRETCH_FADES_MM, _STRETCH_ENDS_MM = 10.0, 30.0, 70.0


def random_warp(
    body: np.ndarray, rng: np.random.Generator, vary_anatomy: bool, brain_distance: np.ndarray | None = None
) -> torch.Tensor:
    """Sampling grid [1, z, y, x, 3] for ``fields.sample``: rotation, scale, field-of-view cuts, deformation.

    Args:
        body: bool [z, y, x], the head.
        vary_anatomy: deform it elastically, by some mm over 30 mm and more.
        brain_distance: mm outside of the cranial cavity; if given, the skull is made thicker or thinner, too.
    """
    occupied = np.argwhere(body[::4, ::4, ::4]) * 4
    low, high = occupied.min(0), occupied.max(0)
    # The neck, and sometimes the nose, may lie outside the field of view; 145 mm below the vertex the brain is in.
    if rng.random() < 0.75:
        low[0] = max(low[0], high[0] - rng.uniform(145, 250))
    if rng.random() < 0.15:
        low[1] += rng.uniform(0, 25)
    centre = (low + high) / 2.0
    scale = rng.uniform(0.9, 1.1) * rng.uniform(0.95, 1.05, size=3)
    matrix = _rotation(np.deg2rad(rng.uniform(-1, 1, size=3) * (20, 12, 12))) * scale
    matrix += rng.uniform(-0.03, 0.03, size=(3, 3))
    # The turned head lies in the volume with some margin; one time in seven its right side is cut by some mm.
    turned = (occupied[(occupied >= low).all(axis=1)] - centre) @ np.linalg.inv(matrix).T
    first = turned.min(axis=0) - rng.uniform(0, 12, size=3)
    last = turned.max(axis=0) + rng.uniform(2, 12, size=3)
    if rng.random() < 0.15:
        first[2] += rng.uniform(0, 20)
    axes = [torch.arange(start, end, dtype=torch.float32) for start, end in zip(first, last, strict=True)]
    out = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    size = tuple(out.shape[:3])
    position = out @ torch.tensor(matrix.T, dtype=torch.float32) + torch.tensor(centre, dtype=torch.float32)
    if vary_anatomy:
        # Heads differ in form by several mm over the size of a lobe, and by one or two in detail.
        for scale_mm, amplitude in ((80, rng.uniform(0.0, 4.0)), (35, rng.uniform(0.0, 1.5))):
            for axis in range(3):
                position[..., axis] += torch.from_numpy(amplitude * smooth_field(size, scale_mm, rng))
    extent = torch.tensor(body.shape, dtype=torch.float32) - 1
    if rng.random() < 0.5:  # left and right are alike
        position[..., 2] = 2 * float(centre[2]) - position[..., 2]
    if brain_distance is not None:
        _stretch_skull(position, brain_distance, extent, rng)
    return _to_grid(position, extent)


def _stretch_skull(
    position: torch.Tensor, brain_distance: np.ndarray, extent: torch.Tensor, rng: np.random.Generator
) -> None:
    """Moves the sampled positions [z, y, x, 3], in place, so that the skull is 0.75 to 1.4 times as thick.

    What lies around the cranial cavity is stretched away from it; what lies behind the skull moves along.
    """
    smooth = gaussian(np.clip(brain_distance, -10.0, _STRETCH_ENDS_MM), 2.0)
    maps = torch.from_numpy(np.stack([smooth, *np.gradient(smooth)]))
    distance, *normal = sample(maps, _to_grid(position, extent), "bilinear")
    shape = tuple(position.shape[:3])
    stretch = np.exp(rng.uniform(-0.2, 0.27) + 0.06 * smooth_field(shape, 60, rng))
    shift = (1.0 - 1.0 / torch.from_numpy(stretch)) * distance.clamp(0.0, _SKULL_MM)
    shift *= ((_STRETCH_ENDS_MM - distance) / (_STRETCH_ENDS_MM - _STRETCH_FADES_MM)).clamp(0.0, 1.0)
    for axis in range(3):
        position[..., axis] -= normal[axis] * shift


def _to_grid(position: torch.Tensor, extent: torch.Tensor) -> torch.Tensor:
    return ((position / extent) * 2 - 1).flip(-1)[None]


def _rotation(angles: np.ndarray) -> np.ndarray:
    """3x3 rotation about the array axes [z, y, x], angles in radians."""
    (cz, cy, cx), (sz, sy, sx) = np.cos(angles), np.sin(angles)
    about_z = np.array([[1, 0, 0], [0, cz, -sz], [0, sz, cz]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[cx, -sx, 0], [sx, cx, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
