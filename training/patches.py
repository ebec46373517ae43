"""Cuts patches of any view from pairs, and varies them: what the network sees in training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from decnn.intensity import near_head
from decnn.views import view_input
from training.augment import vary_slice
from training.measured_pairs.slices import depth_in_plane
from training.simulation.simulate import Pair

# Air around the head is easy and everywhere: where no CT is written it counts a tenth.
_OUTSIDE_WEIGHT = 0.1


@dataclass(frozen=True)
class PatchForm:
    """What a patch looks like.

    size: pixels of 1 mm. views: array axes. neighbours, depth_channel: see view_input(). repeated: how often, 0 to 1, a
    patch of a volume is given as a real slice is, repeated as its own neighbours and, every second time, with its depth
    in the plane: the network must not tell a real slice from a simulated one. strength: of vary_slice().
    """

    size: int
    neighbours: int
    depth_channel: bool
    views: tuple[int, ...] = (0, 1, 2)
    repeated: float = 0.0
    strength: float = 1.0


def batch(
    groups: Sequence[Sequence[Pair]], weights: Sequence[float], form: PatchForm, rngs: Sequence[np.random.Generator]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draws a patch with each of ``rngs``, from a group chosen by ``weights``.

    Returns:
        float32: MR input [n, C, s, s], CT in HU [n, 1, s, s], loss weight [n, 1, s, s].
    """
    shares = np.array(weights) / np.sum(weights)
    patches = []
    for rng in rngs:
        group = groups[rng.choice(len(groups), p=shares)]
        patches.append(_patch(group[int(rng.integers(len(group)))], form, rng))
    mr, hu, weight = (torch.from_numpy(np.stack(part)) for part in zip(*patches, strict=True))
    return mr, hu, weight


def _patch(pair: Pair, form: PatchForm, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if 1 in pair.mask.shape:
        pair = _varied(pair, form.strength, rng)
        axis = pair.mask.shape.index(1)
    else:
        axis = int(rng.choice(form.views))
    # A random voxel of the head (most voxels of a pair are head, so a few tries find one) is where the patch lies.
    while True:
        voxel = [int(rng.integers(n)) for n in pair.mask.shape]
        if pair.mask[tuple(voxel)]:
            break
    index = voxel.pop(axis)
    shape = [n for number, n in enumerate(pair.mask.shape) if number != axis]
    window = tuple(_window(at, form.size, length, rng) for at, length in zip(voxel, shape, strict=True))
    # Only the window is read: the pair lies on disk.
    crop: Any = (*window[:axis], slice(None), *window[axis:])
    here: Any = (*window[:axis], index, *window[axis:])
    mr = view_input(pair.mr[crop], pair.depth[crop] if form.depth_channel else None, axis, [index], form.neighbours)[0]
    if 1 not in pair.mask.shape and rng.random() < form.repeated:
        mr[: form.neighbours] = mr[form.neighbours // 2]
        if form.depth_channel and rng.random() < 0.5:
            mr[form.neighbours] = depth_in_plane(np.take(pair.mask, index, axis))[window]
    hu = pair.hu[here].astype(np.float32)
    weight = np.where(near_head(pair.depth[here]), 1.0, _OUTSIDE_WEIGHT).astype(np.float32)
    _vary_contrast(mr[: form.neighbours], rng)
    patch = (_padded(mr, form.size, 0.0), _padded(hu[None], form.size, -1000.0), _padded(weight[None], form.size, 0.0))
    if axis != 2 and rng.random() < 0.5:  # left and right are alike
        patch = tuple(np.ascontiguousarray(part[..., ::-1]) for part in patch)  # type: ignore[assignment]
    return patch


def _varied(pair: Pair, strength: float, rng: np.random.Generator) -> Pair:
    """A real slice, varied; its arrays have the singleton axis that they had."""
    axis = pair.mask.shape.index(1)
    mr, depth, hu = (np.take(array, 0, axis).astype(np.float32) for array in (pair.mr, pair.depth, pair.hu))
    mr, depth, hu = (np.expand_dims(plane, axis) for plane in vary_slice(mr, depth, hu, strength, rng))
    return Pair(mr, depth, hu, depth >= 0.0)


def _vary_contrast(mr: np.ndarray, rng: np.random.Generator) -> None:
    """Another scale, another gamma, some noise, in place: a pair serves many patches, and none looks like another."""
    np.power(mr, rng.uniform(0.8, 1.25), out=mr)
    mr *= rng.uniform(0.85, 1.18)
    if rng.random() < 0.3:
        sigma = rng.uniform(0.0, 0.06)
        noise = sigma * rng.standard_normal((2, *mr.shape), dtype=np.float32)
        np.hypot(mr + noise[0], noise[1], out=mr)


def _window(centre: int, size: int, length: int, rng: np.random.Generator) -> slice:
    start = centre - size // 2 + int(rng.integers(-size // 4, size // 4 + 1))
    start = min(max(start, 0), max(0, length - size))
    return slice(start, start + size)


def _padded(array: np.ndarray, size: int, value: float) -> np.ndarray:
    missing = [(0, 0), *((0, size - n) for n in array.shape[1:])]
    return np.pad(array, missing, constant_values=value) if any(after for _, after in missing) else array
