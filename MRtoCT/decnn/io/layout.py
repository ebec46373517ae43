"""What the header of an image file says of its bytes, read before any voxel is loaded: NIfTI, NRRD and MetaImage.

ITK believes a header, and fills what is missing with zeros. So the header is read here first: what it claims can then
be compared with the bytes that are there (``decnn.io.integrity``). Sources: nifti1.h and nifti2.h (nifti.nimh.nih.gov),
NRRD (teem.sourceforge.net/nrrd/format.html), MetaImage (itk.org/Wiki/MetaIO/Documentation).
"""

import math
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from decnn.errors import InputError

MOST_HEADER_BYTES = 1 << 18
LARGEST_MM = 1e6
"""No number of a grid is larger: what is, is no millimetre."""

_NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8", 128: "u1", 256: "i1", 512: "u2", 768: "u4"}
_NIFTI_TYPES |= {1024: "i8", 1280: "u8", 1792: "c16", 2304: "u1"}
_NIFTI_CHANNELS = {128: 3, 2304: 4}  # RGB, RGBA
# http://teem.sourceforge.net/nrrd/format.html#space; the others are axes of the scanner, or of nothing.
_ANATOMICAL_SPACES = {
    *("ras", "las", "lps"),
    *("right-anterior-superior", "left-anterior-superior", "left-posterior-superior"),
}
_NRRD_TYPES = {
    "u1": "unsigned char|uchar|uint8|uint8_t",
    "i1": "signed char|int8|int8_t",
    "f4": "float",
    "f8": "double",
}
_NRRD_TYPES |= {
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "i4": "int|signed int|int32|int32_t",
}
_NRRD_TYPES |= {
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
}
_NRRD_TYPES |= {"i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t"}
_NRRD_TYPES |= {"u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t"}
_META_TYPES = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4"}
_META_TYPES |= {"ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}


@dataclass(frozen=True)
class Layout:
    """The claims of a header."""

    format: Literal["NIfTI", "NRRD", "MetaImage"]
    size: tuple[int, ...]
    """Voxels along each axis, components of a voxel left out."""
    channels: int
    dtype: np.dtype
    data: Path
    """The file that holds the voxels."""
    offset: int
    """Bytes before the voxels; of the unpacked file if ``packed`` is "file", from the end if it is negative."""
    packed: Literal["", "file", "gzip", "bzip2", "zlib", "text"]
    """How the voxels are packed; "file": the whole file is a gzip stream."""
    oriented: bool
    """Whether the header says where the patient's left, back and head are."""
    qform: np.ndarray | None = None
    sform: np.ndarray | None = None
    """NIfTI: voxel indices to RAS mm, 3 x 4; None where its code is 0."""

    @property
    def bytes(self) -> int:
        """How many bytes the voxels take when unpacked."""
        return math.prod(self.size) * self.channels * self.dtype.itemsize


def read_layout(path: Path) -> Layout | None:
    """The claims of the header of an image file; None if it is none of the three formats.

    Raises:
        InputError: the header is cut off, contradicts itself, or speaks of what cannot be.
        OSError: the file cannot be read.
    """
    head = _first_bytes(path)
    try:
        if head[:7] == b"NRRD000":
            return _nrrd(path, head)
        if re.match(rb"\s*(ObjectType|NDims|Comment|ObjectSubType|TransformType)\s*=", head):
            return _meta(path, head)
        header = path.with_name(path.name[: -len(".img")] + ".hdr") if path.suffix.lower() == ".img" else path
        if header != path and header.is_file():
            head = _first_bytes(header)
        if len(head) >= 4 and struct.unpack_from("<i", head)[0] in (348, 540, 1543569408, 469893120):
            return _nifti(path, head)
    except (KeyError, ValueError, IndexError, OverflowError, struct.error) as failure:
        raise damaged(path, f"its header cannot be understood ({failure})") from failure
    return None


def damaged(path: Path, how: str) -> InputError:
    """The error for a file whose bytes are not what they should be."""
    return InputError(f"{path} is damaged: {how}. Copy, export or convert it again.", code="damaged")


def _first_bytes(path: Path) -> bytes:
    """The first bytes of a file, unpacked if it is a gzip file."""
    with path.open("rb") as file:
        head = file.read(MOST_HEADER_BYTES)
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, MOST_HEADER_BYTES)
    except zlib.error as failure:
        raise damaged(path, f"it cannot be unpacked ({failure})") from failure


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _finite(path: Path, numbers: Iterable[float]) -> None:
    for number in numbers:
        if not abs(number) < LARGEST_MM:
            raise InputError(
                f"The grid in the header of {path} holds the number {number:g}, which is no length in mm: correct the "
                "spacing, origin and direction in the file, or export it again.",
                code="geometry",
            )


def _sizes(path: Path, sizes: list[int]) -> list[int]:
    if not 1 <= len(sizes) <= 7 or any(n < 1 for n in sizes):
        claimed = " x ".join(map(str, sizes)) if len(sizes) <= 7 else f"of {len(sizes)} dimensions"
        raise damaged(path, f"its header claims the size {claimed or '(none)'}")
    return sizes


def _nifti(path: Path, head: bytes) -> Layout:
    order = "<" if struct.unpack_from("<i", head)[0] in (348, 540) else ">"
    second = struct.unpack_from(f"{order}i", head)[0] == 540
    dim = struct.unpack_from(f"{order}8q" if second else f"{order}8h", head, 16 if second else 40)
    kind = struct.unpack_from(f"{order}h", head, 12 if second else 70)[0]
    pixdim = struct.unpack_from(f"{order}8d" if second else f"{order}8f", head, 104 if second else 76)
    offset = struct.unpack_from(f"{order}q" if second else f"{order}f", head, 168 if second else 108)[0]
    codes = struct.unpack_from(f"{order}2i" if second else f"{order}2h", head, 344 if second else 252)
    scale = struct.unpack_from(f"{order}2d" if second else f"{order}2f", head, 176 if second else 112)
    numbers = struct.unpack_from(f"{order}18d" if second else f"{order}18f", head, 352 if second else 256)
    magic = head[4:7] if second else head[344:347]
    analyze = magic[:2] not in (b"n+", b"ni")
    if kind not in _NIFTI_TYPES:
        raise damaged(path, f"its header names the unknown data type {kind}")
    if not np.isfinite(scale).all():
        raise damaged(path, f"its header scales the voxels by {scale[0]:g} and {scale[1]:g}")
    _finite(path, pixdim[1:4])
    if not analyze:
        _finite(path, [*(numbers[:6] if codes[0] > 0 else ()), *(numbers[6:] if codes[1] > 0 else ())])
    sizes = _sizes(path, list(dim[1 : dim[0] + 1]) if 1 <= dim[0] <= 7 else [])
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    data = path
    if magic[:2] != b"n+":
        data = next(
            (
                other
                for ending in (".img", ".img.gz", ".IMG")
                if (
                    other := path.with_name(re.sub(r"\.(hdr|img)(\.gz)?$", "", path.name, flags=re.I) + ending)
                ).is_file()
            ),
            path,
        )
        if data == path and path.suffix.lower() != ".img":
            raise damaged(path, "the .img file with its voxels is not beside it")
    if not 0 <= offset < LARGEST_MM * 1e3:
        raise damaged(path, f"its header claims that the voxels begin at byte {offset:g}")
    qform = _qform(numbers, pixdim) if codes[0] > 0 and not analyze else None
    sform = np.array(numbers[6:]).reshape(3, 4) if codes[1] > 0 and not analyze else None
    return Layout(
        "NIfTI",
        tuple(sizes),
        _NIFTI_CHANNELS.get(kind, 1),
        np.dtype(order + _NIFTI_TYPES[kind]),
        data,
        int(offset),
        "file" if _is_gzip(data) else "",
        qform is not None or sform is not None,
        qform,
        sform,
    )


def _qform(numbers: tuple[float, ...], pixdim: tuple[float, ...]) -> np.ndarray:
    """The matrix of a quaternion, as nifti1.h has it."""
    b, c, d = numbers[:3]
    a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    flip = -1.0 if pixdim[0] < 0 else 1.0
    return np.column_stack([rotation * np.array([pixdim[1], pixdim[2], flip * pixdim[3]]), numbers[3:6]])


def _nrrd(path: Path, head: bytes) -> Layout:
    match = re.search(rb"\r?\n\r?\n", head)
    detached = re.search(rb"^data ?file:", head, re.M | re.I)
    if match is None and not detached:
        raise damaged(path, f"its header does not end within {MOST_HEADER_BYTES // 1024} kB")
    text = head[: match.start()] if match else head
    fields = {}
    for line in text.decode("utf-8", "replace").splitlines()[1:]:
        key, separator, value = line.partition(":")
        if separator and not line.startswith("#") and not value.startswith("="):
            fields[re.sub(r"\s", "", key).lower()] = value.strip()
    sizes = _sizes(path, [int(n) for n in fields["sizes"].split()])
    if len(sizes) != int(fields["dimension"]):
        raise damaged(path, f"its header names {len(sizes)} sizes for {fields['dimension']} dimensions")
    kind = next((k for k, names in _NRRD_TYPES.items() if fields["type"].lower() in names.split("|")), None)
    if kind is None:
        raise damaged(path, f"its header names the unknown type {fields['type']!r}")
    _finite(path, _numbers(" ".join(fields.get(key, "") for key in ("spacedirections", "spaceorigin", "spacings"))))
    encodings = {"raw": "", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
    encodings |= dict.fromkeys(("ascii", "text", "txt"), "text")
    encoding = fields["encoding"].lower()
    data, offset = path, match.end() if match else 0
    if name := fields.get("datafile"):
        if name.upper().startswith("LIST") or "%" in name or encoding not in encodings:
            raise _unusual(path)
        data, offset = path.parent / name, 0
        if not data.is_file():
            raise damaged(path, f"the file {name} with its voxels is not beside it")
    if encoding not in encodings or int(fields.get("lineskip", 0)):
        raise _unusual(path)
    skip = int(fields.get("byteskip", 0))
    if skip and encodings[encoding] not in ("", "text"):
        raise _unusual(path)
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    # An axis without a direction ("none") holds the components of a voxel, or the volumes of a series.
    directions = re.findall(r"none|\([^)]*\)", fields.get("spacedirections", ""), re.I)
    spatial = [n for n, d in zip(sizes, directions, strict=False) if d.lower() != "none"] if directions else sizes
    return Layout(
        "NRRD",
        tuple(spatial),
        math.prod(sizes) // math.prod(spatial),
        np.dtype(order + kind),
        data,
        -1 if skip == -1 else offset + skip,
        encodings[encoding],  # type: ignore[arg-type]  # the values are these
        bool(directions) and fields.get("space", "").lower().removesuffix("-time") in _ANATOMICAL_SPACES,
    )


def _unusual(path: Path) -> InputError:
    return InputError(
        f"The voxels of {path} are stored in an unusual way (list of files, hexadecimal digits): save it as one .nrrd "
        "or .nii.gz file.",
        code="format",
    )


def _meta(path: Path, head: bytes) -> Layout:
    match = re.search(rb"^\s*ElementDataFile\s*=[^\n]*\n?", head, re.M)
    if match is None:
        raise damaged(path, "its header does not say where its voxels are")
    lines = head[: match.end()].decode("utf-8", "replace").splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    dimensions = int(fields["NDims"])
    sizes = _sizes(path, [int(n) for n in fields["DimSize"].split()])
    if dimensions != len(sizes):
        raise damaged(path, f"its header names {len(sizes)} sizes for {dimensions} dimensions")
    kind = _META_TYPES[fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")]
    matrix = next((fields[key] for key in ("TransformMatrix", "Rotation", "Orientation") if key in fields), "")
    places = (fields.get(key, "") for key in ("Offset", "Position", "Origin", "ElementSpacing", "ElementSize"))
    _finite(path, _numbers(" ".join([matrix, *places])))
    name = fields["ElementDataFile"]
    data, offset = path, match.end()
    if name.upper() not in ("LOCAL", "LOCAL "):
        if name.upper().startswith("LIST") or "%" in name:
            raise _unusual(path)
        data, offset = path.parent / name, 0
        if not data.is_file():
            raise damaged(path, f"the file {name} with its voxels is not beside it")
    compressed = fields.get("CompressedData", "False").lower() == "true"
    text = fields.get("BinaryData", "True").lower() == "false"
    skip = int(fields.get("HeaderSize", 0))
    order = (
        ">" if "true" in (fields.get(k, "").lower() for k in ("ElementByteOrderMSB", "BinaryDataByteOrderMSB")) else "<"
    )
    return Layout(
        "MetaImage",
        tuple(sizes),
        int(fields.get("ElementNumberOfChannels", 1)),
        np.dtype(order + kind),
        data,
        -1 if skip == -1 else offset + skip,
        "zlib" if compressed else "text" if text else "",
        bool(matrix),
    )


def _numbers(text: str) -> list[float]:
    return [float(word) for word in re.sub(r"[(),]|none", " ", text, flags=re.I).split()]
