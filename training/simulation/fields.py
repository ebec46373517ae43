"""Random smooth fields, resampling and blur: what the parts of the simulation share."""

import numpy as np
import SimpleITK as sitk
import torch
import torch.nn.functional as functional


def smooth_field(shape: tuple[int, ...], scale_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Random field of about zero mean and unit variance that changes over ``scale_mm``, float32."""
    coarse = [max(2, round(n / scale_mm) + 2) for n in shape]
    field = torch.from_numpy(rng.standard_normal(coarse, dtype=np.float32))[None, None]
    field = functional.interpolate(field, size=list(shape), mode="trilinear", align_corners=True)[0, 0]
    return (field / field.std().clamp_min(1e-6)).numpy()


def sample(volumes: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    """Volumes [c, z, y, x] at ``grid``; outside the field of view each has its lowest value."""
    floor = volumes.amin(dim=(1, 2, 3), keepdim=True)
    return (
        functional.grid_sample((volumes - floor)[None], grid, mode=mode, padding_mode="zeros", align_corners=True)[0]
        + floor
    )


def sample_labels(labels: np.ndarray, grid: torch.Tensor) -> np.ndarray:
    """Labels [z, y, x], uint8, at ``grid``, by the nearest neighbour."""
    return sample(torch.from_numpy(labels[None].astype(np.float32)), grid, "nearest").numpy()[0].astype(np.uint8)


def gaussian(array: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred by a Gaussian of ``sigma`` mm."""
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(array), sigma))
