"""What every source is turned into: a head on the canonical 1 mm grid, from which pairs of MR and CT are simulated."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.errors import InputError


class Tissue(IntEnum):
    """Tissues that T1 or CT can tell apart."""

    AIR = 0
    CAVITY = 1  # air inside the head
    SOFT = 2  # fat or muscle, told apart by its HU
    SKIN = 3
    BONE = 4  # cortical or marrow, told apart by its HU
    CSF = 5
    GREY = 6
    WHITE = 7
    VESSEL = 8
    MUCOSA = 9
    DURA = 10  # between bone and CSF


@dataclass
class Head:
    """A head without an MR contrast yet, all arrays canonical [z, y, x] (LPS, 1 mm).

    ``brain_distance``: float32, mm outside of the cranial cavity.
    ``hu`` is a measured CT (int16) or None, then it is drawn from ``tissue`` for each simulated pair, with
    ``bone_depth`` and ``skin_depth`` (float32, mm below the surface of the bone, of the skin), and ``fat`` (float32,
    share of fat in the soft tissue), where the segmentation knows it; else fat is drawn, too.
    ``mr`` is a measured T1 of the same head, where there is one. ``has_vault``: whether the vertex is in view.
    """

    name: str
    tissue: np.ndarray
    brain_distance: np.ndarray
    hu: np.ndarray | None = None
    bone_depth: np.ndarray | None = None
    skin_depth: np.ndarray | None = None
    fat: np.ndarray | None = None
    mr: np.ndarray | None = None
    has_vault: bool = True


def read_canonical(path: Path, labels: bool = False) -> sitk.Image:
    """Reads a volume on the canonical grid: LPS axes, 1 mm, linear interpolation (nearest neighbour for labels)."""
    if not path.is_file():
        raise InputError(f"The source file {path} is missing: give the folder of the data with --data.")
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    if labels:
        image = sitk.Cast(image, sitk.sitkUInt8)
    if np.allclose(image.GetSpacing(), 1.0):
        return image
    size = [round(n * s) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    return sitk.Resample(
        image,
        size,
        sitk.Transform(),
        sitk.sitkNearestNeighbor if labels else sitk.sitkLinear,
        image.GetOrigin(),
        (1.0, 1.0, 1.0),
        image.GetDirection(),
        0.0 if labels else float(sitk.GetArrayViewFromImage(image).min()),
    )


def distance_inside(mask: np.ndarray) -> np.ndarray:
    """Distance in mm to the outermost voxels of ``mask``: 0 there, positive further inside, negative outside."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    )


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest connected component of a binary array."""
    components = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8))))
    return sitk.GetArrayFromImage(components) == 1


def opened(mask: np.ndarray, radius: int) -> np.ndarray:
    """Binary opening by a ball of so many mm: parts that are thinner are gone."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryMorphologicalOpening(image, [radius] * 3, sitk.sitkBall)) > 0


def closed(mask: np.ndarray, radius: int) -> np.ndarray:
    """Binary closing by a ball of so many mm: gaps that are thinner are filled, also at the border of the array."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(image, [radius] * 3, sitk.sitkBall)) > 0


def line_with_dura(tissue: np.ndarray) -> None:
    """Turns the outermost 1.5 mm of CSF under the bone into dura, in place: no segmentation has it, T1s show it."""
    tissue[(tissue == Tissue.CSF) & (distance_inside(tissue == Tissue.BONE) > -1.5)] = Tissue.DURA
