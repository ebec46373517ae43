"""What can be measured of a head on the canonical grid before a network has seen it; what it means: decnn.checks.head.

No units: MR intensity has none, so every figure is a ratio, a length, an angle or a volume. Regions are found by the
depth under the skin and the height below the vertex, not by a segmentation, which would need a contrast to rely on.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from decnn.checks.orientation import likeness, turned
from decnn.morphology import opening

# The work is done on 2 mm voxels: nothing here is finer, and it takes an eighth of the time.
_STEP = 2
# The brain's part of a head that stands upright: below it come sinuses, orbits and the oral cavity.
_BRAIN_HEIGHT_MM = 85.0
# What lies deeper than this under the skin is inside the skull.
_INSIDE_SKULL_MM = 16.0
# The mask is looked at this far inside the field of view: its very border is no longer reliable.
_INSET_MM = 2.0
# Another object lies so far from the head.
_APART_MM = 8.0
_ANGLE_STEP = 7.5
_ANGLES = [float(angle) for angle in np.arange(-45.0, 46.0, _ANGLE_STEP)]


@dataclass(frozen=True)
class HeadMeasures:
    """See ``measure_head``. None: it cannot be told, as the part of the head that would tell is not in the image."""

    litres: float
    """Volume of the head mask."""
    cut_cm2: dict[str, float]
    """Area of the head on each face of the field of view: left, right, front, back, top, bottom (of the patient)."""
    black_outside: float
    """Share of the voxels outside of the head that are exactly 0."""
    ring: float | None
    """Signal of the skin over that of the darkest layer below it: the skull is what is dark."""
    scalp: float | None
    """Upper quartile of the layer 2 to 6 mm under the skin, over the white-matter-like signal of the inside."""
    depth_contrast: float | None
    """Signal deep in the brain over that under the skull: above 1 where white matter is brighter than grey."""
    bright_tail: float | None
    """How far the brightest of the brain lies above its median, over how far the darkest lies below."""
    bias: float | None
    """Largest over smallest signal of the bright tissue in blocks of the brain."""
    void_mm: float | None
    """Radius of the largest ball without signal inside the skull."""
    face_mm: float | None
    """How far the face reaches in front of the forehead, in the middle."""
    tilt_degrees: float
    """Angle between the head's plane of symmetry and the patient's axes (head to a shoulder, or turned)."""
    symmetry: float
    """Correlation of the head with its mirror image about that plane."""
    other_symmetry: float = 0.0
    """The same about the best plane across the head, or through it from front to back."""
    skull: float | None = None
    """Signal of the darkest layer 6 to 14 mm under the skin, over the median of the brain."""
    brain_spread: float | None = None
    """Distance of the quartiles of the brain over its median."""
    lies: str = ""
    """How the head lies along the axes, a key of ``decnn.checks.orientation.TURNS``."""
    lies_by: float = 0.0
    """How clearly it lies so: see ``decnn.checks.orientation.turned``."""
    likeness: float = 1.0
    """Correlation of its middle sagittal slice with that of measured heads."""
    likeness_below: float = 0.0
    """The same of what lies a head's height below the vertex, if that is as high as a head."""
    second_litres: float = 0.0
    """Volume of the largest object beside the head."""


def measure_head(image: sitk.Image, canonical: sitk.Image, mask: sitk.Image) -> HeadMeasures:
    """Measures a head.

    Args:
        image: MR on its own grid: its field of view counts, not that of the canonical grid around it.
        canonical: the same on the canonical grid.
        mask: head mask on that grid.
    """
    mr, head = halved(canonical, mask)
    depth = depth_under_skin(head)
    cut = _cut(image, mask)
    outside = sitk.GetArrayViewFromImage(canonical)[sitk.GetArrayViewFromImage(mask) == 0]
    tilt, symmetry, other_symmetry = _plane_of_symmetry(mr, head)
    lies, lies_by = turned(mr, head)
    like, like_below = likeness(mr, head)
    return HeadMeasures(
        litres=float(sitk.GetArrayViewFromImage(mask).sum()) / 1e6,
        cut_cm2=cut,
        black_outside=float(np.mean(outside == 0)) if outside.size else 0.0,
        **measure_layers(mr, head, depth),
        face_mm=_face(head),
        tilt_degrees=tilt,
        symmetry=symmetry,
        other_symmetry=other_symmetry,
        lies=lies,
        lies_by=lies_by,
        likeness=like,
        likeness_below=like_below,
        second_litres=_second(mr, head, depth),
    )


def halved(canonical: sitk.Image, mask: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """MR (float32) and head (bool), (z, y, x), in voxels of 2 mm, of images on the canonical grid."""
    mr, share = (
        sitk.GetArrayFromImage(sitk.BinShrink(sitk.Cast(part, sitk.sitkFloat32), [_STEP] * 3))
        for part in (canonical, mask)
    )
    return mr, share > 0.5


def measure_layers(mr: np.ndarray, head: np.ndarray, depth: np.ndarray) -> dict[str, float | None]:
    """What the layers under the skin and the brain tell: some fields of HeadMeasures.

    Args:
        mr: canonical MR, (z, y, x), in voxels of 2 mm. head: bool. depth: mm under the skin. All of one shape.
    """
    upper = _upper(head)
    brain = upper & (depth > _INSIDE_SKULL_MM)
    if brain.sum() * _STEP**3 < 1e5:  # 0.1 litres
        names = ("ring", "scalp", "depth_contrast", "bright_tail", "bias", "void_mm", "skull", "brain_spread")
        return dict.fromkeys(names)
    return {
        "ring": _ring(mr, depth, upper),
        "scalp": _scalp(mr, depth, upper, brain),
        "depth_contrast": _depth_contrast(mr, depth, upper),
        "bright_tail": _bright_tail(mr, brain),
        "bias": _bias(mr, brain),
        "void_mm": _void(mr, brain),
        "skull": _skull(mr, depth, upper, brain),
        "brain_spread": _spread(mr[brain]),
    }


def _top(head: np.ndarray) -> int:
    return int(np.flatnonzero(head.any(axis=(1, 2)))[-1])


def _upper(head: np.ndarray) -> np.ndarray:
    """The brain's part of the image, with all that is above it."""
    upper = np.zeros_like(head)
    upper[max(0, _top(head) - round(_BRAIN_HEIGHT_MM / _STEP)) :] = True
    return upper


def depth_under_skin(head: np.ndarray) -> np.ndarray:
    """mm under the skin, negative outside; the border of the field of view is no skin."""
    image = sitk.GetImageFromArray(head.astype(np.uint8))
    image.SetSpacing([float(_STEP)] * 3)
    return sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    )


def _cut(image: sitk.Image, mask: sitk.Image) -> dict[str, float]:
    """Area of the mask, in cm^2, on each face of the field of view of ``image``."""
    names = (("right", "left"), ("front", "back"), ("bottom", "top"))  # LPS: the lower and the upper end of each axis
    axes = np.array(image.GetDirection()).reshape(3, 3)
    size, spacing = image.GetSize(), image.GetSpacing()
    areas = dict.fromkeys(itertools.chain(*names), 0.0)
    for axis, end in itertools.product(range(3), (0, 1)):
        inset = min(round(_INSET_MM / spacing[axis]), size[axis] - 1)
        first = [0, 0, 0]
        first[axis] = inset if end == 0 else size[axis] - 1 - inset
        extent = list(size)
        extent[axis] = 1
        face = sitk.RegionOfInterest(image, extent, first)
        touched = sitk.Resample(mask, face, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
        normal = axes[:, axis] * (1 if end else -1)
        main = int(np.argmax(np.abs(normal)))
        area = float(sitk.GetArrayViewFromImage(touched).sum()) * float(np.prod(spacing)) / spacing[axis] / 100.0
        areas[names[main][int(normal[main] > 0)]] += area
    return areas


def _ring(mr: np.ndarray, depth: np.ndarray, upper: np.ndarray) -> float:
    layers = [float(np.median(mr[upper & (depth > d) & (depth <= d + _STEP)])) for d in range(0, 16, _STEP)]
    return max(layers[:4]) / max(min(layers[2:]), 1e-6)


def _skull(mr: np.ndarray, depth: np.ndarray, upper: np.ndarray, brain: np.ndarray) -> float:
    layers = (mr[upper & (depth > d) & (depth <= d + _STEP)] for d in range(6, 14, _STEP))
    return min(float(np.median(layer)) for layer in layers if layer.size) / max(float(np.median(mr[brain])), 1e-6)


def _spread(values: np.ndarray) -> float:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float((high - low) / max(middle, 1e-6))


def _second(mr: np.ndarray, head: np.ndarray, depth: np.ndarray) -> float:
    """Litres of the largest object, half as bright as the head, that lies apart from it."""
    apart = opening((mr > 0.5 * float(np.median(mr[head]))) & (depth < -_APART_MM))
    if not apart.any():
        return 0.0
    statistics = sitk.LabelShapeStatisticsImageFilter()
    objects = sitk.ConnectedComponent(sitk.GetImageFromArray(apart.astype(np.uint8)))
    statistics.Execute(sitk.RelabelComponent(objects, sortByObjectSize=True))
    return statistics.GetNumberOfPixels(1) * _STEP**3 / 1e6 if statistics.GetNumberOfLabels() else 0.0


def _scalp(mr: np.ndarray, depth: np.ndarray, upper: np.ndarray, brain: np.ndarray) -> float:
    layer = mr[upper & (depth > 2.0) & (depth <= 6.0)]
    return float(np.percentile(layer, 75)) / max(float(np.percentile(mr[brain], 75)), 1e-6)


def _depth_contrast(mr: np.ndarray, depth: np.ndarray, upper: np.ndarray) -> float | None:
    # Upper quartiles, as the ventricles and the fluid in the sulci are to have no say in it.
    deep, shallow = (mr[upper & (depth > low) & (depth <= high)] for low, high in ((26.0, 45.0), (15.0, 22.0)))
    if not deep.size or not shallow.size:
        return None
    return float(np.percentile(deep, 75)) / max(float(np.percentile(shallow, 75)), 1e-6)


def _bright_tail(mr: np.ndarray, brain: np.ndarray) -> float:
    low, middle, high = np.percentile(mr[brain], [3, 50, 97])
    return float((high - middle) / max(middle - low, 1e-6))


def _bias(mr: np.ndarray, brain: np.ndarray) -> float:
    """Upper quartiles (white matter, if it is a T1) of the blocks of 40 mm that are full enough of brain."""
    edge = 40 // _STEP
    quartiles = []
    for corner in itertools.product(*(range(0, n, edge) for n in mr.shape)):
        block = tuple(slice(start, start + edge) for start in corner)
        if brain[block].sum() > 0.3 * edge**3:
            quartiles.append(float(np.percentile(mr[block][brain[block]], 75)))
    return max(quartiles) / max(min(quartiles), 1e-6) if quartiles else 1.0


def _void(mr: np.ndarray, brain: np.ndarray) -> float:
    """mm; a void has the signal of air, which cerebrospinal fluid has not."""
    dark = (mr < 0.05 * float(np.percentile(mr[brain], 75))) & brain
    return max(0.0, float(depth_under_skin(dark).max())) if dark.any() else 0.0


def _face(head: np.ndarray) -> float | None:
    """Between 45 and 75 mm below the vertex is the forehead, between 90 and 150 mm are nose and mouth."""
    top = _top(head)
    middle = round(float(np.argwhere(_upper(head) & head)[:, 2].mean()))
    half = 20 // _STEP // 2
    profile = np.any(head[:, :, max(0, middle - half) : middle + half + 1], axis=2)
    front = np.where(np.any(profile, axis=1), profile.argmax(axis=1), profile.shape[1])
    forehead, face = (
        front[max(0, top - round(low / _STEP)) : max(0, top - round(high / _STEP))]
        for low, high in ((75, 45), (150, 90))
    )
    if len(face) < 30 // _STEP or len(forehead) == 0:
        return None
    return float(np.median(forehead) - face.min()) * _STEP


def _plane_of_symmetry(mr: np.ndarray, head: np.ndarray) -> tuple[float, float, float]:
    """(degrees, correlation): the turn and the lean of the head that make left and right alike.

    The third number is the best correlation of front and back, or top and bottom, along the axes.
    """
    values = np.where(head, np.clip(mr / max(float(np.percentile(mr[head], 90)), 1e-6), 0.0, 1.5), 0.0)
    coarse = sitk.BinShrink(sitk.GetImageFromArray(values.astype(np.float32)), [3, 3, 3])
    z, y, x = (axis.astype(np.float32) for axis in np.nonzero(sitk.GetArrayFromImage(coarse) > 0.2))
    centre = coarse.TransformContinuousIndexToPhysicalPoint([float(x.mean()), float(y.mean()), float(z.mean())])
    edge = 41  # 6 mm voxels: 246 mm, the brain's part of any head
    half = (edge - 1) / 2 * coarse.GetSpacing()[0]

    def symmetry(turn: float, lean: float) -> float:
        transform = sitk.Euler3DTransform()
        transform.SetRotation(0.0, float(np.deg2rad(lean)), float(np.deg2rad(turn)))
        transform.SetTranslation(centre)
        turned = sitk.GetArrayFromImage(
            sitk.Resample(coarse, [edge] * 3, transform, sitk.sitkLinear, [-half] * 3, coarse.GetSpacing())
        )
        # The centre need not lie on the plane: the mirror image may be off by some voxels.
        return max(_with_its_mirror(turned[:, :, max(0, s) : edge + min(0, s)]) for s in (-2, -1, 0, 1, 2))

    # Every other angle first, then those around the best of them.
    scores = {angles: symmetry(*angles) for angles in itertools.product(_ANGLES[::2], repeat=2)}
    turn, lean = max(scores, key=lambda angles: scores[angles])
    near = [[angle for angle in _ANGLES if abs(angle - middle) < 1.5 * _ANGLE_STEP] for middle in (turn, lean)]
    scores |= {angles: symmetry(*angles) for angles in itertools.product(*near) if angles not in scores}
    turn, lean = max(scores, key=lambda angles: scores[angles])
    others = max(_mirrored(sitk.GetArrayFromImage(coarse), axis) for axis in (0, 1))
    return float(np.hypot(turn, lean)), scores[turn, lean], others


def _with_its_mirror(part: np.ndarray) -> float:
    """Correlation of a volume with itself, mirrored along its last axis: the two have one mean and one variance."""
    around = part - part.mean(dtype=np.float64).astype(np.float32)
    variance = float(np.vdot(around, around))
    return float(np.vdot(around, around[:, :, ::-1])) / variance if variance > 0 else -1.0


def _mirrored(values: np.ndarray, axis: int) -> float:
    """The best correlation of what is in a volume with its mirror image along an axis, over shifts."""
    inside = np.argwhere(values > 0.2)
    if not inside.size:
        return 0.0
    box = tuple(slice(low, high + 1) for low, high in zip(inside.min(axis=0), inside.max(axis=0), strict=True))
    along = np.moveaxis(values[box], axis, 0)
    length = len(along)
    best = -1.0
    for shift in range(-4, 5):
        part = along[max(0, shift) : length + min(0, shift)]
        if len(part) > 3 and part.std() > 0:
            best = max(best, float(np.corrcoef(part.ravel(), part[::-1].ravel())[0, 1]))
    return best
