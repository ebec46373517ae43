"""NIfTI files whose axes are nearly, but not quite, at right angles: ITK refuses them, so they are straightened."""

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from decnn.errors import Finding, InputError, warning
from decnn.io.integrity import opened
from decnn.io.layout import Layout

MOST_MOVED_MM = 0.5
"""No voxel may be moved further by the straightening."""
# Below this nobody needs to be told: float32 numbers are no better.
_ROUND_OFF_MM = 0.01
_AGREE_MM = 1.0


@contextmanager
def readable(path: Path, layout: Layout) -> Iterator[tuple[str, list[Finding]]]:
    """Yields the name of a file that ITK can read: ``path``, or a temporary copy with axes at right angles.

    Raises:
        InputError: the axes are too far off right angles.
    """
    if layout.sform is None or len(layout.size) < 3 or layout.data != path:
        yield str(path), []
        return
    if layout.qform is not None:
        yield str(path), _disagreement(layout.qform, layout.sform, layout.size[:3])
        return
    straight, moved = straightened(layout.sform, layout.size[:3])
    if moved <= _ROUND_OFF_MM:
        yield str(path), []
        return
    if not moved <= MOST_MOVED_MM:
        raise InputError(
            f"The axes in the header of {path} are not at right angles (voxels would have to move by {moved:.1f} mm): "
            "resample the image to a grid with right angles.",
            code="sheared",
        )
    finding = warning(
        "straightened",
        f"The axes in the header are not quite at right angles: they were straightened, which moves no voxel by more "
        f"than {moved:.2f} mm.",
    )
    with tempfile.TemporaryDirectory(prefix="decnn-") as folder:
        copy = Path(folder) / "image.nii"
        with opened(layout) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 22)
        with copy.open("r+b") as target:
            _write_sform(target, layout, straight)
        yield str(copy), [finding]


def straightened(transform: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """The nearest grid with right angles around the same centre, and how far (mm) it moves a corner at most.

    transform: 3 x 4, voxel indices to mm. The rotation is that of the polar decomposition of the axes: Higham,
    "Computing the polar decomposition", SIAM J Sci Stat Comput 7 (1986) 1160.
    """
    axes = transform[:, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not np.isfinite(transform).all() or not spacing.min() > 0:
        return transform, float("inf")
    left, singular, right = np.linalg.svd(axes / spacing)
    if singular[-1] < 1e-3:
        return transform, float("inf")
    straight = left @ right * spacing
    centre = (np.array(size, float) - 1) / 2
    result = np.column_stack([straight, transform[:, 3] + axes @ centre - straight @ centre])
    return result, _distance(transform, result, size)


def _distance(first: np.ndarray, second: np.ndarray, size: tuple[int, ...]) -> float:
    """How far (mm) two grids of one size lie apart at the corner where they do most."""
    corners = np.array(np.meshgrid(*((0.0, n - 1.0) for n in size), (1.0,))).reshape(4, -1)
    return float(np.linalg.norm((first - second) @ corners, axis=0).max())


def _disagreement(qform: np.ndarray, sform: np.ndarray, size: tuple[int, ...]) -> list[Finding]:
    """ITK takes the qform in most cases; where the sform says something else, nobody knows which is meant."""
    apart = _distance(qform, sform, size)
    if apart <= _AGREE_MM:
        return []
    return [
        warning(
            "two-transforms",
            f"The header names two places for the image, {apart:.0f} mm apart (qform and sform of NIfTI), and only one "
            "of them is used: check that the CT lies on the MR, or save the MR again with one transform.",
        )
    ]


def _write_sform(file, layout: Layout, transform: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    """Replaces the sform of an unpacked NIfTI file, and makes it the only transform."""
    file.seek(0)
    order = "<" if struct.unpack("<i", head := file.read(4))[0] in (348, 540) else ">"
    second = struct.unpack(f"{order}i", head)[0] == 540
    file.seek(344 if second else 252)
    file.write(struct.pack(f"{order}2i" if second else f"{order}2h", 0, 2))
    file.seek(400 if second else 280)
    file.write(struct.pack(f"{order}12d" if second else f"{order}12f", *transform.ravel()))
