"""A small network that tells how the head in a sagittal picture lies. numpy alone: a check must not wait for torch.

It gives a picture one score, the higher the more it looks like an upright head that faces the front; the picture is
scored in each way that it can be turned. ``python -m training fit-orientation`` trains it and writes its weights.
"""

import base64
import zlib
from functools import cache

import numpy as np
import SimpleITK as sitk

from decnn.checks.turn_weights import WEIGHTS

SIZE = 32
"""Pixels on each side of what the network sees."""
SHAPES = ((12, 1, 5, 5), (12,), (16, 12, 3, 3), (16,), (24, 16, 3, 3), (24,), (1, 24 * 16), (1,))
"""Of its weights and offsets: three convolutions with stride 2, rectified, and a sum."""
STRIDE = 2
HEAD_ROWS = 44
"""A head is no higher, in pixels of 4 mm: what lies lower is neck."""
# In units of the head's median: fat and contrast agent would else hide the rest.
_BRIGHTEST = 1.6


def framed(picture: np.ndarray, head: np.ndarray) -> np.ndarray:
    """What the network sees: the box around the head, brought to SIZE x SIZE pixels, (row up, column back), float32.

    Args:
        picture: (z, y), any scale, in pixels of 4 mm. head: bool, the same shape, not empty.
    """
    rows = np.flatnonzero(head.any(axis=1))[-HEAD_ROWS:]
    inside = head[rows[0] : rows[-1] + 1]
    columns = np.flatnonzero(inside.any(axis=0))
    box, inside = (part[:, columns[0] : columns[-1] + 1] for part in (picture[rows[0] : rows[-1] + 1], inside))
    median = max(float(np.median(box[inside])), 1e-6)
    image = sitk.GetImageFromArray(np.clip(box / median, 0.0, _BRIGHTEST).astype(np.float32))
    spacing = [(edge - 1) / (SIZE - 1) for edge in image.GetSize()]
    return sitk.GetArrayFromImage(
        sitk.Resample(image, [SIZE, SIZE], sitk.Transform(), sitk.sitkLinear, [0.0, 0.0], spacing)
    )


def scores(pictures: np.ndarray) -> np.ndarray:
    """The score of each picture: float32, (n,), of (n, SIZE, SIZE)."""
    *layers, weights, offset = _weights()
    values = pictures[:, None]
    for kernel, offsets in zip(layers[::2], layers[1::2], strict=True):
        reach = kernel.shape[-1] // 2
        padded = np.pad(values, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
        windows = windows[:, :, ::STRIDE, ::STRIDE]
        values = np.einsum("ncyxij,kcij->nkyx", windows, kernel, optimize=True) + offsets[:, None, None]
        values = np.maximum(values, 0.0)
    return (values.reshape(len(values), -1) @ weights.T + offset)[:, 0].astype(np.float32)


@cache
def _weights() -> list[np.ndarray]:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(WEIGHTS)), np.float16).astype(np.float32)
    ends = np.cumsum([int(np.prod(shape)) for shape in SHAPES])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), SHAPES, strict=True)]
