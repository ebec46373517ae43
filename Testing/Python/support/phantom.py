"""A head made of ellipsoids, for tests: nobody's head, on any grid, in milliseconds."""

import numpy as np
import SimpleITK as sitk

LABELS = {"background": 0, "skin": 1, "fat": 2, "skull": 3, "csf": 4, "grey_matter": 5, "white_matter": 6, "sinus": 7}

# T1-like signal relative to white matter, and the CT value of the same tissue in HU.
T1_SIGNAL = {0: 0.0, 1: 0.6, 2: 1.3, 3: 0.06, 4: 0.2, 5: 0.68, 6: 1.0, 7: 0.0}
CT_HU = {0: -1000, 1: 40, 2: -90, 3: 1000, 4: 8, 5: 37, 6: 29, 7: -1000}

# Outer semi-axes of each shell in mm (left-right, front-back, up-down): a head of 150 x 190 x 180 mm.
_SHELLS = [
    ("skin", (75.0, 95.0, 90.0)),
    ("fat", (72.5, 92.5, 87.5)),
    ("skull", (68.5, 88.5, 83.5)),
    ("csf", (61.5, 81.5, 76.5)),
    ("grey_matter", (58.0, 78.0, 73.0)),
    ("white_matter", (52.0, 72.0, 67.0)),
]
_WHITE_MATTER_T1 = 400.0


def phantom_head(
    size: tuple[int, int, int] = (64, 72, 64),
    spacing: tuple[float, float, float] = (3.0, 3.0, 3.0),
    direction: tuple[float, ...] | None = None,
    origin: tuple[float, float, float] | None = None,
    seed: int = 0,
) -> tuple[sitk.Image, sitk.Image]:
    """A T1-like MR of an upright head (skin, fat, skull, CSF, brain, nose, frontal sinus) and its labels.

    The head stands in patient space (LPS, so the nose points to -y) around the centre of the grid, whatever the grid's
    direction: an oblique grid sees the same head obliquely. The seed varies the head by some per cent, the coil's field
    and the noise.

    size, spacing: voxels and mm along i, j, k. direction: 9 direction cosines, row by row; the identity if not given.
    origin: mm; if not given, the grid's centre lies at 0, 0, 0.
    Returns (mr float32 about 0..550 with Rician noise, labels uint8 with the values of LABELS), both on that grid.
    """
    rng = np.random.default_rng(seed)
    labels = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    labels.SetSpacing([float(s) for s in spacing])
    if direction is not None:
        labels.SetDirection([float(d) for d in direction])
    centre = np.array(labels.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in size]))
    labels.SetOrigin([float(o) for o in (-centre if origin is None else origin)])

    x, y, z = _millimetres_from_centre(labels)
    scale = 1.0 + rng.uniform(-0.02, 0.02, size=3)
    array = np.zeros(x.shape, np.uint8)
    nose = ((x / 13) ** 2 + ((y + 94) / 20) ** 2 + ((z + 20) / 20) ** 2) <= 1
    array[nose] = LABELS["skin"]
    for name, (a, b, c) in _SHELLS:
        inside = (x / (a * scale[0])) ** 2 + (y / (b * scale[1])) ** 2 + (z / (c * scale[2])) ** 2 <= 1
        array[inside] = LABELS[name]
    for side in (-1, 1):
        ventricle = ((x - side * 9) / 6) ** 2 + (y / 28) ** 2 + ((z - 8) / 12) ** 2 <= 1
        array[ventricle] = LABELS["csf"]
    sinus = (x / 16) ** 2 + ((y + 83) / 5) ** 2 + ((z - 5) / 9) ** 2 <= 1
    array[sinus & (array != LABELS["background"])] = LABELS["sinus"]

    signal = np.array([T1_SIGNAL[value] for value in range(len(LABELS))], np.float32)[array] * _WHITE_MATTER_T1
    # The receive coil's field, 10 % up and down across the head: without it all white matter has one value.
    tilt = rng.normal(size=3)
    tilt /= np.linalg.norm(tilt)
    signal *= (1.0 + 0.1 * (tilt[0] * x + tilt[1] * y + tilt[2] * z) / 80.0).astype(np.float32)
    sharp = _on_grid_of(sitk.GetImageFromArray(signal), labels)
    partial_volume = sitk.SmoothingRecursiveGaussian(sharp, [0.4 * float(s) for s in spacing])
    sigma = 0.012 * _WHITE_MATTER_T1
    real = sitk.GetArrayFromImage(partial_volume) + rng.normal(0, sigma, array.shape)
    imaginary = rng.normal(0, sigma, array.shape)
    mr = _on_grid_of(sitk.GetImageFromArray(np.hypot(real, imaginary).astype(np.float32)), labels)
    return mr, _on_grid_of(sitk.GetImageFromArray(array), labels)


def ct_of(labels: sitk.Image) -> sitk.Image:
    """The CT (int16 HU) that belongs to the labels of phantom_head()."""
    values = np.array([CT_HU[value] for value in range(len(LABELS))], np.int16)
    return _on_grid_of(sitk.GetImageFromArray(values[sitk.GetArrayFromImage(labels)]), labels)


def _on_grid_of(image: sitk.Image, reference: sitk.Image) -> sitk.Image:
    image.CopyInformation(reference)
    return image


def _millimetres_from_centre(image: sitk.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patient coordinates (L, P, S, arrays [k, j, i]) of every voxel, relative to the centre of the grid."""
    k, j, i = np.indices(image.GetSize()[::-1], dtype=np.float32)
    index = np.stack([i - (i.max() / 2), j - (j.max() / 2), k - (k.max() / 2)]).reshape(3, -1)
    matrix = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    x, y, z = (matrix.astype(np.float32) @ index).reshape(3, *i.shape)
    return x, y, z
