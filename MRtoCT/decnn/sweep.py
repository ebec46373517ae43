"""The network over the slices of one view, only where there is head.

Slices without head are left out. The others are whole: cropped to their own head with 16 pixels around it they would be
a sixth smaller, but the network sees the whole slice, and bone near the vertex would come out otherwise.
"""

from collections.abc import Callable, Iterator

import numpy as np

from decnn.runner import Runner
from decnn.views import AXES, view_input

# Slices that are gathered at a time: a line of the cache holds so many of a view whose slices lie across the memory.
_BLOCK = 16


class Sweep:
    """Inputs of a model, and what its network makes of them.

    Args:
        mr: normalized MR, canonical array [z, y, x].
        depth: depth channel on the same grid, or None for a model without one.
        wanted: bool, where a CT is wanted: the head and its skin.
        neighbours: MR slices that the model takes.
    """

    def __init__(self, mr: np.ndarray, depth: np.ndarray | None, wanted: np.ndarray, neighbours: int) -> None:
        self._mr = mr
        self._depth = depth
        self._wanted = wanted
        self._neighbours = neighbours

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the volumes, [z, y, x]."""
        return self._mr.shape

    def middle_slice(self, view: str) -> np.ndarray:
        """Input (1, C, H, W) of the slice through the middle of the head, as ``run`` gives it to the network."""
        axis = AXES[view]
        areas = self._areas(axis)
        index = int(np.searchsorted(np.cumsum(areas), areas.sum() / 2))
        return view_input(self._mr, self._depth, axis, [index], self._neighbours)

    def run(
        self,
        view: str,
        runner: Runner,
        total: np.ndarray,
        within: np.ndarray | None = None,
        step: Callable[[float], None] = lambda _done: None,
    ) -> None:
        """Adds the CT of one view to ``total``, slice by slice where there is head, in units of the model.

        Args:
            view: a key of ``decnn.views.AXES``.
            runner: see Runner.
            total: float32 [z, y, x].
            within: float32 [z, y, x], takes the variances of the stages, if the runner computes them.
            step: called with the share that is done, 0..1, after each batch.
        """
        axis = AXES[view]
        slices, variances = np.moveaxis(total, axis, 0), None if within is None else np.moveaxis(within, axis, 0)
        occupied = np.flatnonzero(self._areas(axis))
        if not occupied.size:
            return
        first, end = int(occupied[0]), int(occupied[-1]) + 1
        block = max(_BLOCK, runner.batch)
        for start in range(first, end, block):
            stop = min(start + block, end)
            done = []
            for batch in self._run_block(axis, start, stop, runner):
                done.append(batch)
                step((start + sum(len(ct) for ct, _ in done) - first) / (end - first))
            slices[start:stop] += np.concatenate([ct for ct, _ in done])
            if variances is not None:
                variances[start:stop] += np.concatenate([spread for _, spread in done if spread is not None])

    def _run_block(
        self, axis: int, start: int, stop: int, runner: Runner
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """What the runner gives for the slices from ``start`` to before ``stop``, in one batch after another."""
        half = self._neighbours // 2
        low = max(start - half, 0)
        mr = np.ascontiguousarray(np.moveaxis(self._mr, axis, 0)[low : stop + half])
        depth = None if self._depth is None else np.ascontiguousarray(np.moveaxis(self._depth, axis, 0)[low:stop])
        while start < stop:
            indices = np.arange(start, min(start + runner.batch, stop)) - low
            done = runner.run(view_input(mr, depth, 0, indices, self._neighbours))
            start += len(done[0])
            yield done

    def _areas(self, axis: int) -> np.ndarray:
        """Of what is wanted, in pixels, for each slice along an axis."""
        return np.count_nonzero(self._wanted, axis=tuple(other for other in range(3) if other != axis))
