"""Turns the originals of the sources, as they are downloaded, into the very volumes that training reads.

Each converter takes the originals (bytes, in the order of sources.toml) and gives back voxels [x, y, z] in RAS+ order,
with the affine that places them. What it does is what "converted" in sources.toml says.
"""

import base64
import gzip
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

Volume = tuple[np.ndarray, np.ndarray]  # voxels [x, y, z], affine 3x4 (RAS, mm)
_COLIN27 = (-90.0, -125.0, -71.0)  # the voxel (0, 0, 0) of Colin27 in MNI space


def convert(kind: str, originals: Sequence[bytes]) -> bytes:
    """The volume as a .nii.gz file; ``kind`` as in sources.toml ("none": the original as it is).

    Raises ValueError, KeyError, OSError, RuntimeError and others as the libraries do where an original is damaged; the
    caller has compared its SHA-256 before.
    """
    if kind == "none":
        return originals[0]
    return packed(nifti(*CONVERTERS[kind](originals)))


def nifti(voxels: np.ndarray, affine: np.ndarray) -> bytes:
    """A NIfTI-1 file, not packed; uint8 or int16 voxels [x, y, z], axes near RAS+ as ``affine`` (3x4, mm) says."""
    datatype, bits = {"uint8": (2, 8), "int16": (4, 16)}[voxels.dtype.name]
    spacing = np.linalg.norm(affine[:, :3], axis=0)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, datatype, bits)
    struct.pack_into("<8f", header, 76, 1.0, *spacing, 1.0, 1.0, 1.0, 1.0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)
    header[123] = 2  # mm
    struct.pack_into("<hh", header, 252, 0, 2)
    struct.pack_into("<6f", header, 256, *_quaternion(affine[:, :3] / spacing), *affine[:, 3])
    struct.pack_into("<12f", header, 280, *affine.ravel())
    header[344:348] = b"n+1\0"
    return bytes(header) + voxels.astype(voxels.dtype.newbyteorder("<")).tobytes(order="F")


def packed(content: bytes) -> bytes:
    """Packed by gzip without name and time, so that the same content gives the same file with the same zlib."""
    buffer = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=1, fileobj=buffer, mtime=0) as file:
        file.write(content)
    return buffer.getvalue()


def _placed(spacing: Sequence[float], origin: Sequence[float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    return np.column_stack([np.diag(spacing), origin])


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """b, c, d of a rotation by less than 180 degrees."""
    a = 0.5 * np.sqrt(1.0 + np.trace(rotation))
    difference = rotation - rotation.T
    return np.array([difference[2, 1], difference[0, 2], difference[1, 0]]) / (4.0 * a)


def _nifti(originals: Sequence[bytes]) -> Volume:
    """A NIfTI file of any axis order: axes swapped and flipped to RAS+, no interpolation."""
    content = gzip.decompress(originals[0])
    shape = struct.unpack_from("<8h", content, 40)[1:4]
    start = int(struct.unpack_from("<f", content, 108)[0])
    voxels = np.frombuffer(content, np.uint8, int(np.prod(shape)), start).reshape(shape, order="F")
    affine = np.array(struct.unpack_from("<12f", content, 280)).reshape(3, 4)
    order = np.abs(affine[:, :3]).argmax(axis=1)
    voxels, columns, origin = voxels.transpose(order), affine[:, order], affine[:, 3].copy()
    for axis in range(3):
        if columns[axis, axis] < 0:
            origin += columns[:, axis] * (voxels.shape[axis] - 1)
            voxels, columns[:, axis] = np.flip(voxels, axis), 0.0 - columns[:, axis]
    return voxels, np.column_stack([columns, origin])


def _mcx(originals: Sequence[bytes]) -> Volume:
    return _matlab(originals[0], "colin27"), _placed((1, 1, 1), _COLIN27)


def _brainweb(originals: Sequence[bytes]) -> Volume:
    """One voxel less than Colin27's grid along each axis, at its lower end."""
    return np.pad(_matlab(originals[0], "BRAIN"), ((0, 1),) * 3), _placed((1, 1, 1), _COLIN27)


def _matlab(original: bytes, name: str) -> np.ndarray:
    from scipy.io import loadmat  # needed for these files alone

    return loadmat(io.BytesIO(original), variable_names=[name])[name]


def _nmd(originals: Sequence[bytes]) -> Volume:
    """Six maps of probability in JNIfTI files: the most probable tissue, 1 to 6."""
    maps = []
    for original in originals:
        data = json.loads(original, strict=False)["NIFTIData"]
        content = gzip.decompress(base64.b64decode(data["_ArrayZipData_"]))
        maps.append(np.frombuffer(content, data["_ArrayType_"]).reshape(data["_ArraySize_"]))
    return (np.argmax(maps, axis=0) + 1).astype(np.uint8), _placed((1, 1, 1))


def _cranium(originals: Sequence[bytes]) -> Volume:
    """The matrix in an InVesalius project in a Debian package."""
    with tarfile.open(fileobj=io.BytesIO(_member_of_ar(originals[0], "data.tar"))) as package:
        project = package.extractfile("./usr/share/doc/invesalius-examples/examples/Cranium.inv3")
        assert project is not None
        with tarfile.open(fileobj=io.BytesIO(project.read()), mode="r:gz") as archive:
            name = next(name for name in archive.getnames() if name.endswith("/matrix.dat"))
            matrix = archive.extractfile(name)
            assert matrix is not None
            voxels = np.frombuffer(matrix.read(), "<i2").reshape(108, 256, 256)
    return voxels.transpose(2, 1, 0).astype(np.int16), _placed((0.9570312, 0.9570312, 1.5))


def _member_of_ar(archive: bytes, prefix: str) -> bytes:
    """The member of an ar archive (a Debian package) whose name starts with ``prefix``."""
    position = len(b"!<arch>\n")
    while position < len(archive):
        name = archive[position : position + 16].decode().strip()
        size = int(archive[position + 48 : position + 58])
        if name.startswith(prefix):
            return archive[position + 60 : position + 60 + size]
        position += 60 + size + size % 2
    raise ValueError(f"no {prefix} in the Debian package")


def _unc(originals: Sequence[bytes]) -> Volume:
    """113 axial slices of 256 x 256, int16 in big-endian order, from the vertex down, the front first."""
    voxels = np.frombuffer(b"".join(originals), ">i2").reshape(113, 256, 256)[::-1, ::-1] - 1024
    return voxels.transpose(2, 1, 0).astype(np.int16), _placed((1, 1, 2))


def _visible_female(originals: Sequence[bytes]) -> Volume:
    """234 axial slices of 8 bits as PNG, the front first; cropped to the head."""
    slices = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slice.png")
        for original in originals:
            path.write_bytes(original)
            slices.append(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[::-1][90:380, 120:380])
    hu = np.rint(np.stack(slices).astype(np.float32) * np.float32(16.06) - 1024).astype(np.int16)
    return hu.transpose(2, 1, 0), _placed((0.9375, 0.9375, 1))


CONVERTERS: dict[str, Callable[[Sequence[bytes]], Volume]] = {
    "nifti": _nifti,
    "mcx": _mcx,
    "brainweb": _brainweb,
    "nmd": _nmd,
    "cranium": _cranium,
    "unc": _unc,
    "visible_female": _visible_female,
}
