"""The grid and the kind of voxels of an image, known before its voxels are loaded."""

import math
from dataclasses import dataclass

import SimpleITK as sitk


@dataclass(frozen=True)
class Header:
    """What the header of an image says; lengths in mm, axes in LPS."""

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    channels: int
    pixel_type: str
    """As SimpleITK names it, such as "16-bit signed integer"."""

    @property
    def dimension(self) -> int:
        return len(self.size)

    @property
    def voxels(self) -> int:
        return math.prod(self.size)


def header_of(image: sitk.Image) -> Header:
    """The header of an image in memory."""
    return Header(
        image.GetSize(),
        image.GetSpacing(),
        image.GetOrigin(),
        image.GetDirection(),
        image.GetNumberOfComponentsPerPixel(),
        image.GetPixelIDTypeAsString(),
    )


def read_header(path: str) -> Header:
    """The header of a file, by ITK; RuntimeError if ITK cannot read it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return Header(
        tuple(reader.GetSize()),
        tuple(reader.GetSpacing()),
        tuple(reader.GetOrigin()),
        tuple(reader.GetDirection()),
        reader.GetNumberOfComponents(),
        sitk.GetPixelIDValueAsString(reader.GetPixelIDValue()),
    )
