"""A pool of simulated pairs, renewed in other processes while the network trains on it."""

import itertools
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from decnn.views import view_input
from training.pairs.sources import read_heads
from training.simulate import Pair, simulate

_heads: dict = {}


@dataclass(frozen=True)
class Recipe:
    """Which heads a pool draws from: (head, weight, measured T1?)."""

    data: Path
    entries: tuple[tuple[str, float, bool], ...]
    seed: int


def _start_worker(recipe: Recipe) -> None:
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    names = sorted({name for name, _, _ in recipe.entries})
    _heads.update({head.name: head for head in read_heads(recipe.data, names)})


def _simulate(recipe: Recipe, index: int) -> Pair:
    rng = np.random.default_rng([recipe.seed, index])
    weights = np.array([weight for _, weight, _ in recipe.entries])
    name, _, measured = recipe.entries[rng.choice(len(weights), p=weights / weights.sum())]
    return simulate(_heads[name], rng, measured)


class PairPool:
    """The newest ``capacity`` pairs of the endless sequence that a recipe defines.

    Which pairs are in the pool depends on the number of calls of ``renew`` alone, not on the speed of the workers, so a
    run can be repeated and resumed exactly.
    """

    def __init__(self, recipe: Recipe, capacity: int, workers: int = 1, first: int = 0) -> None:
        self._recipe = recipe
        self._workers = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(recipe,)
        )
        self._indices = itertools.count(first)
        self._coming: deque[Future[Pair]] = deque()
        self._pairs: deque[Pair] = deque(maxlen=capacity)
        self._ahead = 2 * workers

    def __enter__(self) -> "PairPool":
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.shutdown(cancel_futures=True)

    def renew(self) -> None:
        """Adds the next pair (waits for it) and drops the oldest one when the pool is full."""
        while len(self._coming) < self._ahead:
            self._coming.append(self._workers.submit(_simulate, self._recipe, next(self._indices)))
        self._pairs.append(self._coming.popleft().result())

    def batch(self, rng: np.random.Generator, count: int, size: int, neighbours: int, use_depth: bool) -> tuple:
        """``count`` patches of any view, float32: MR input [n, C, s, s], CT in HU and loss weight [n, 1, s, s]."""
        patches = [self._patch(rng, size, neighbours, use_depth) for _ in range(count)]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*patches, strict=True))

    def _patch(self, rng: np.random.Generator, size: int, neighbours: int, use_depth: bool) -> tuple:
        pair = self._pairs[rng.integers(len(self._pairs))]
        axis = int(rng.integers(3))
        inside = np.flatnonzero(pair.mask.any(axis=tuple({0, 1, 2} - {axis})))
        index = int(rng.choice(inside))
        mr = view_input(pair.mr, pair.depth if use_depth else None, axis, [index], neighbours)[0]
        hu = np.moveaxis(pair.hu, axis, 0)[index].astype(np.float32)
        # Air around the head is easy and everywhere: it counts a tenth (depth is in units of 30 mm).
        weight = np.where(np.moveaxis(pair.depth, axis, 0)[index] > -0.1, 1.0, 0.1).astype(np.float32)
        rows, columns = np.nonzero(np.moveaxis(pair.mask, axis, 0)[index])
        centre = int(rng.integers(len(rows)))
        window = tuple(
            _window(int(position), size, length, rng)
            for position, length in zip((rows[centre], columns[centre]), hu.shape, strict=True)
        )
        return (
            _padded(mr[(slice(None), *window)], size, 0.0),
            _padded(hu[None][(slice(None), *window)], size, -1000.0),
            _padded(weight[None][(slice(None), *window)], size, 0.0),
        )


def _window(centre: int, size: int, length: int, rng: np.random.Generator) -> slice:
    start = centre - size // 2 + int(rng.integers(-size // 4, size // 4 + 1))
    start = min(max(start, 0), max(0, length - size))
    return slice(start, start + size)


def _padded(array: np.ndarray, size: int, value: float) -> np.ndarray:
    missing = [(0, 0), *((0, size - n) for n in array.shape[1:])]
    return np.pad(array, missing, constant_values=value) if any(after for _, after in missing) else array
