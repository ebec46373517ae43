"""Lays the CT of a real slice onto what its MR shows, where the registration of the two has left a difference.

The CT is deformed smoothly onto a synthetic CT of the MR: two images of one kind fit better than MR and CT do. Only for
training; a score is always taken on the CT as it is.
"""

import numpy as np
import SimpleITK as sitk

from decnn.hu import AIR_HU

# Smooth over 6 mm: a deformation that a registration may have left, not one that draws bone.
_STEPS, _SMOOTH_MM = 60, 6.0


def deform_onto(ct: np.ndarray, synthetic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A CT (HU, a plane [h, w] of 1 mm pixels), smoothly deformed onto a synthetic one.

    Returns:
        The deformed CT, float32, and by how many mm each pixel moved. By Thirion's demons (Med Image Anal 2, 1998).
    """
    fixed, moving = (sitk.GetImageFromArray(plane.astype(np.float32)) for plane in (synthetic, ct))
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(_STEPS)
    demons.SetSmoothDisplacementField(True)
    demons.SetStandardDeviations(_SMOOTH_MM)
    field = sitk.Cast(demons.Execute(fixed, moving), sitk.sitkVectorFloat64)
    shift = np.linalg.norm(sitk.GetArrayFromImage(field), axis=-1)
    transform = sitk.DisplacementFieldTransform(field)
    return sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, float(AIR_HU))), shift
