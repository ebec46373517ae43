"""What a scanner does to an image: chemical shift, resolution, coil sensitivity, ghosts, noise.

Rician noise: Gudbjartsson and Patz, Magn Reson Med 34 (1995) 910.
"""

import numpy as np
import SimpleITK as sitk

from training.simulation.fields import gaussian, smooth_field

# Of the size of a head coil: so far from its centre, the sensitivity has fallen, or risen, by a random factor.
_COIL_MM = 130.0
# Fat resonates 3.5 ppm below water, 220 Hz at 1.5 T and 440 Hz at 3 T: two pixels of a readout of 110, or 220, Hz each.
_LARGEST_SHIFT_MM = 2.5
_VOXEL_MM = 0.4  # as the sigma of a Gaussian: water and fat that lie in one voxel cancel


def random_echo(water: np.ndarray, fat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Water and fat together: in two of three, fat is displaced; in every other one, it is out of phase."""
    axis, shift_mm = int(rng.integers(3)), float(rng.uniform(-_LARGEST_SHIFT_MM, _LARGEST_SHIFT_MM))
    phase = float(rng.uniform(0.0, np.pi))
    return echo(water, fat, axis, shift_mm * (rng.random() < 2 / 3), phase * (rng.random() < 1 / 2))


def echo(water: np.ndarray, fat: np.ndarray, axis: int, shift_mm: float, phase: float) -> np.ndarray:
    """The magnitude [z, y, x], float32, of water and fat together.

    The fat of scalp and marrow that is displaced covers bone on one side of the head, and leaves a gap on the other.
    Sequences made for segmenting the skull avoid that by a high bandwidth or by suppressing fat (Nielsen et al.,
    NeuroImage 174 (2018) 587), those of a hospital mostly do not. In a gradient echo, fat and water get out of phase
    and in again, at 3 T every 2.3 ms: out of it marrow, which is both, is dark, and so is the edge of fat.

    Args:
        water, fat: their signals, float32.
        axis: array axis of the readout, along which fat is displaced.
        shift_mm: by how much.
        phase: between fat and water, in rad; 0 is that of a spin echo.
    """
    offset = np.zeros(3)
    offset[2 - axis] = -shift_mm  # SimpleITK counts x first, and a transform leads from the result to where it is read
    fat = sitk.GetArrayFromImage(sitk.Resample(sitk.GetImageFromArray(fat), sitk.TranslationTransform(3, offset)))
    if phase == 0.0:
        return water + fat
    return np.abs(gaussian(water, _VOXEL_MM) + gaussian(fat, _VOXEL_MM) * np.complex64(np.exp(1j * phase)))


def acquire(mr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the scanner does: partial volume, slice thickness, ghosts, coil sensitivity, noise, stored grey levels."""
    if rng.random() < 0.1:
        _dental_void(mr, rng)
    mr = gaussian(mr, rng.uniform(0.3, 1.0))
    mr = mr * coil_sensitivity(mr.shape, rng)
    if rng.random() < 0.6:
        # Slice by slice, mostly axial: spin echoes of hospitals have 4 to 7 mm from slice to slice, with gaps between.
        spacing = rng.uniform(1.5, 8.0)
        mr = thick_slices(mr, int(rng.choice(3, p=(0.7, 0.15, 0.15))), spacing, spacing * rng.uniform(0.7, 1.0))
    if rng.random() < 0.15:
        axis = int(rng.integers(1, 3))
        mr = mr + rng.uniform(0.02, 0.08) * np.roll(
            mr, int(rng.integers(mr.shape[axis] // 6, mr.shape[axis] // 2)), axis
        )
    sigma = rng.uniform(0.0, 0.07) * (rng.random() < 0.9)
    if sigma:
        mr = rician_noise(mr, sigma, rng)
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


def rician_noise(mr: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """The magnitude of a signal with noise of ``sigma`` in both of its components."""
    real, imaginary = (sigma * rng.standard_normal(mr.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(mr + real, imaginary)


def _dental_void(mr: np.ndarray, rng: np.random.Generator) -> None:
    """No signal around metal in the teeth, in place: some balls of 5 to 20 mm low in the face, if it is in view."""
    depth, height, width = mr.shape
    z, y, x = np.ogrid[:depth, :height, :width]
    for _ in range(int(rng.integers(1, 4))):
        # 120 mm and more below the vertex, which is the last slice; the front of the head is at y = 0.
        centre = depth - rng.uniform(120, 170), rng.uniform(0.08, 0.3) * height, rng.uniform(0.35, 0.65) * width
        square = sum((axis - at) ** 2 for axis, at in zip((z, y, x), centre, strict=True))
        mr[square < rng.uniform(5, 20) ** 2] = 0.0


def thick_slices(mr: np.ndarray, axis: int, spacing: float, thickness: float) -> np.ndarray:
    """What slices of ``thickness`` mm show that lie ``spacing`` mm apart along ``axis``, interpolated back to 1 mm."""
    voxels = np.moveaxis(mr, axis, 0)
    centres = np.arange(min(spacing, len(voxels)) / 2, len(voxels), spacing)
    ends = _integral(voxels, np.concatenate([centres - thickness / 2, centres + thickness / 2]))
    slices = (ends[len(centres) :] - ends[: len(centres)]) / thickness
    place = np.clip((np.arange(len(voxels)) + 0.5 - centres[0]) / spacing, 0, len(centres) - 1)
    before = np.minimum(place.astype(int), max(0, len(centres) - 2))
    after = np.minimum(before + 1, len(centres) - 1)
    share = (place - before)[:, None, None]
    back = slices[before] * (1 - share) + slices[after] * share
    return np.ascontiguousarray(np.moveaxis(back, 0, axis), dtype=np.float32)


def _integral(voxels: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Of voxels of 1 mm, along the first axis, from its start to each ``depth`` in mm; the outermost voxels go on."""
    whole = np.clip(np.floor(depth).astype(int), 0, len(voxels) - 1)
    sums = np.cumsum(voxels, axis=0) - voxels
    return sums[whole] + (depth - whole)[:, None, None] * voxels[whole]
