"""Heads known by a measured CT: tissues from its HU, and a brain, which CT hardly shows, of labels or drawn."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.hu import BODY_ABOVE_HU, BONE_ABOVE_HU
from decnn.morphology import dilate_by_two
from training.heads.drawn_brain import draw_brain
from training.heads.head import (
    Head,
    Tissue,
    closed,
    distance_inside,
    largest_component,
    line_with_dura,
    opened,
    read_canonical,
)

NAMES = ("cranium", "unc", "visible_female", "cptac_head", "thca_neck", "ge_head")
# Without a vault there is no cavity to be filled: what is left of the brain stays soft tissue.
_WITHOUT_VAULT = ("thca_neck",)
# Below this slice lie the shoulders.
_LOWEST_SLICE = {"thca_neck": 60}
_FAR_MM = 100.0
# Half the width of the widest opening of the cranial cavity (the foramen magnum), mm: what is deeper is inside.
_CAVITY_SEED_MM = 17.0


def read_head(data: Path, name: str, brain: Head | None) -> Head:
    """Reads a CT and fills its cranial cavity with the brain of a labelled head, or with a drawn one if None is given.

    Raises InputError when a file is missing.
    """
    ct = read_canonical(data / name / "ct.nii.gz")
    hu = np.clip(sitk.GetArrayFromImage(ct), -1000, 3071).astype(np.int16)[_LOWEST_SLICE.get(name, 0) :]
    body = _body(hu)
    hu[~body] = -1000
    bone = hu > BONE_ABOVE_HU
    tissue = np.full(hu.shape, Tissue.SOFT, np.uint8)
    tissue[body & (hu < BODY_ABOVE_HU)] = Tissue.CAVITY
    depth = distance_inside(body)
    tissue[(depth < 2.0) & (hu > -150)] = Tissue.SKIN
    near_cavity = distance_inside(tissue == Tissue.CAVITY) > -2.5
    tissue[near_cavity & (tissue == Tissue.SOFT)] = Tissue.MUCOSA
    inside = np.zeros_like(body) if name in _WITHOUT_VAULT else _cranial_cavity(bone, body)
    # Spongy bone below the threshold lies in the pores of the closed bone, outside the cranial cavity.
    pores = closed(bone, 2) & ~inside & (hu > 0) & (tissue == Tissue.SOFT)
    tissue[bone | pores] = Tissue.BONE
    tissue[~body] = Tissue.AIR
    if not inside.any():
        return Head(name, tissue, hu=hu, brain_distance=np.full(hu.shape, _FAR_MM, np.float32), has_vault=False)
    tissue[inside] = (draw_brain(inside) if brain is None else _warped_brain(brain, inside))[inside]
    line_with_dura(tissue)
    return Head(name, tissue, hu=hu, brain_distance=-distance_inside(inside))


def _body(hu: np.ndarray) -> np.ndarray:
    """The head without table and head holder, air cavities included."""
    solid = hu > BODY_ABOVE_HU
    head = largest_component(opened(solid, 3))
    # What the opening took off the skin comes back, the holder, which is further away, does not.
    head = dilate_by_two(head) & solid
    filled = closed(head, 8).astype(np.uint8)
    for plane in filled:
        plane[:] = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(plane)))
    # The closing bridges the grooves of the skin; what it adds there is air outside.
    added = (filled > 0) & ~head
    shallow = distance_inside(filled > 0) < 8.0
    return (filled > 0) & ~(added & shallow)


def _cranial_cavity(bone: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Everything inside the skull; the openings of the skull base are closed by size."""
    distance = -distance_inside(bone)
    soft = body & ~bone
    seed = largest_component((distance > _CAVITY_SEED_MM) & soft & (distance_inside(body) > 20.0))
    grown = (distance_inside(seed) > -(_CAVITY_SEED_MM + 1.5)) & soft & (distance > 1.0)
    cavity = largest_component(grown)
    return (distance_inside(cavity) > -1.5) & soft


def _warped_brain(brain: Head, inside: np.ndarray) -> np.ndarray:
    """Tissues of ``brain`` fitted (affinely, by the distance maps of both cavities) into the cavity ``inside``."""
    source = np.isin(brain.tissue, (Tissue.CSF, Tissue.DURA, Tissue.GREY, Tissue.WHITE))
    fixed = _coarse_distance(inside)
    moving = _coarse_distance(source)
    transform = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform)
    fitted = method.Execute(fixed, moving)
    labels = np.where(source & (brain.tissue != Tissue.DURA), brain.tissue, Tissue.CSF).astype(np.uint8)
    reference = sitk.GetImageFromArray(inside.astype(np.uint8))
    return sitk.GetArrayFromImage(
        sitk.Resample(sitk.GetImageFromArray(labels), reference, fitted, sitk.sitkNearestNeighbor, float(Tissue.CSF))
    )


def _coarse_distance(mask: np.ndarray) -> sitk.Image:
    """Distance map on a 4 mm grid, non-negative so that its moments say where the cavity lies."""
    return sitk.BinShrink(
        sitk.GetImageFromArray(np.clip(distance_inside(mask), 0.0, 60.0).astype(np.float32)), [4, 4, 4]
    )
