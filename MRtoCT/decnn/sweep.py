"""The network over the slices of one view, only where there is head.

Slices without head are left out. The others are whole: cropped to their own head with 16 pixels around it they would be
a sixth smaller, but the network sees the whole slice, and bone near the vertex would come out otherwise.
"""

from collections.abc import Callable

import numpy as np

from decnn.runner import Runner
from decnn.views import AXES, view_input


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
        mr = _slices_first(self._mr, axis)
        depth = None if self._depth is None else _slices_first(self._depth, axis)
        slices, variances = np.moveaxis(total, axis, 0), None if within is None else np.moveaxis(within, axis, 0)
        occupied = np.flatnonzero(self._areas(axis))
        if not occupied.size:
            return
        first, end = int(occupied[0]), int(occupied[-1]) + 1
        done = first
        while done < end:
            indices = np.arange(done, min(done + runner.batch, end))
            ct, variance = runner.run(view_input(mr, depth, 0, indices, self._neighbours))
            here = slice(done, done + len(ct))
            slices[here] += ct
            if variances is not None and variance is not None:
                variances[here] += variance
            done += len(ct)
            step((done - first) / (end - first))

    def _areas(self, axis: int) -> np.ndarray:
        """Of what is wanted, in pixels, for each slice along an axis."""
        return np.count_nonzero(self._wanted, axis=tuple(other for other in range(3) if other != axis))


def _slices_first(volume: np.ndarray, axis: int) -> np.ndarray:
    """The volume with the slices of one view first.

    Along the last axis it is copied once: a slice would else be gathered from all over the memory, once a neighbour.
    """
    moved = np.moveaxis(volume, axis, 0)
    return np.ascontiguousarray(moved) if axis == volume.ndim - 1 else moved
