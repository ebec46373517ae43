"""Files that are cut, damaged, believed too easily, or odd and right: NIfTI, NRRD, MetaImage, and others."""

import gzip
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from attack.case import REFUSED, TAKEN, Rows
from phantom import phantom_head

FORMATS = ("nii", "nii.gz", "nrrd", "raw.nrrd", "mha", "raw.mha", "mhd", "nhdr", "hdr")
PACKED = ("nii.gz", "nrrd", "mha")


@cache
def head() -> sitk.Image:
    """A whole head in 60,000 voxels, int16."""
    return sitk.Cast(phantom_head(size=(38, 44, 36), spacing=(5, 5, 5))[0], sitk.sitkInt16)


def written(folder: Path, format: str, image: sitk.Image | None = None) -> Path:
    """An image as a file of a format, and beside it what belongs to it."""
    path = folder / f"mr.{format}"
    sitk.WriteImage(image or head(), str(path), useCompression=format in PACKED)
    return path


def data_file(path: Path) -> Path:
    """The file with the voxels, which is another one for headers apart."""
    others = [path.with_suffix(ending) for ending in (".raw", ".zraw", ".img", ".raw.gz")]
    return next((other for other in others if other.is_file()), path)


def _edited(format: str, edit: Callable[[bytes], bytes], data: bool = False, image: sitk.Image | None = None):  # type: ignore[no-untyped-def]
    def make(folder: Path) -> Path:
        path = written(folder, format, image)
        target = data_file(path) if data else path
        content = target.read_bytes()
        if format == "nii.gz" and not data:
            content = gzip.compress(edit(gzip.decompress(content)))
        else:
            content = edit(content)
        target.write_bytes(content)
        return path

    return make


def _packed_edit(format: str, edit: Callable[[bytes], bytes]):  # type: ignore[no-untyped-def]
    def make(folder: Path) -> Path:
        path = written(folder, format)
        path.write_bytes(edit(path.read_bytes()))
        return path

    return make


def _flip(content: bytes, share: float) -> bytes:
    place = int(len(content) * share)
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def _nifti(offset: int, kind: str, *values: float):  # type: ignore[no-untyped-def]
    return lambda content: (
        content[:offset] + struct.pack("<" + kind, *values) + content[offset + struct.calcsize("<" + kind) :]
    )


def _text(old: str, new: str):  # type: ignore[no-untyped-def]
    def edit(content: bytes) -> bytes:
        lines = content.split(b"\n")
        for number, line in enumerate(lines):
            if line.startswith(old.encode()):
                lines[number] = new.encode()
                return b"\n".join(lines)
        raise AssertionError(f"no line {old}")

    return edit


def _spaced(*values: float) -> sitk.Image:
    image = sitk.Image(head())
    image.SetSpacing(values)
    return image


def _with(value: float) -> sitk.Image:
    image = sitk.Cast(head(), sitk.sitkFloat32)
    image[10, 10, 10] = value
    return image


def rows() -> Rows:
    yield from _damaged()
    yield from _claims()
    yield from _numbers()
    yield from _odd_and_right()
    yield from _no_images()


def _damaged() -> Rows:
    for format in FORMATS:
        for share in (0.0, 0.001, 0.3, 0.6, 0.9, 0.98, 0.9999):
            yield f"{format} cut off", _edited(format, lambda c, s=share: c[: int(len(c) * s)], data=True), REFUSED
    for format in PACKED:
        for share in (0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.99):
            yield f"{format} with a flipped bit", _packed_edit(format, lambda c, s=share: _flip(c, s)), REFUSED
        yield f"{format} followed by junk", _packed_edit(format, lambda c: c + b"junk" * 20_000), f"damaged|{TAKEN}"
    for format in ("nii", "raw.nrrd", "raw.mha", "mhd", "nhdr", "hdr"):
        yield f"{format} with more than it claims", _edited(format, lambda c: c + bytes(20_000), data=True), "damaged"
        yield f"{format} with some bytes behind", _edited(format, lambda c: c + b"\n", data=True), TAKEN


def _claims() -> Rows:
    for size in ((10_000, 10_000, 16), (500, 500, 500), (38, 44, 37), (38, 44, 20), (0, 44, 36), (-5, 44, 36)):
        text = " ".join(map(str, size))
        for format in ("nrrd", "raw.nrrd", "nhdr"):
            yield f"{format} that claims another size", _edited(format, _text("sizes:", f"sizes: {text}")), REFUSED
        for format in ("mha", "raw.mha", "mhd"):
            yield f"{format} that claims another size", _edited(format, _text("DimSize", f"DimSize = {text}")), REFUSED
        for format in ("nii", "nii.gz", "hdr"):
            yield f"{format} that claims another size", _edited(format, _nifti(42, "3h", *size)), REFUSED
    for format in ("nii", "nii.gz"):
        for offset in (-1.0, 1e9, float("nan")):
            yield f"{format} whose voxels begin elsewhere", _edited(format, _nifti(108, "f", offset)), REFUSED
        for kind in (0, 1, 3, 999, 1536):
            yield f"{format} of an unknown type", _edited(format, _nifti(70, "h", kind)), REFUSED
        for slope in (float("nan"), float("inf")):
            yield f"{format} scaled by no number", _edited(format, _nifti(112, "f", slope)), REFUSED
        for dimensions in (0, 8, 100, -1):
            yield f"{format} of many dimensions", _edited(format, _nifti(40, "h", dimensions)), REFUSED
    for dimensions in ("0", "1", "2", "100", "-3", "3.5", "three", ""):
        yield "mha of many dimensions", _edited("mha", _text("NDims", f"NDims = {dimensions}")), REFUSED
        yield "nrrd of many dimensions", _edited("nrrd", _text("dimension:", f"dimension: {dimensions}")), REFUSED
    for kind in ("MET_NONE", "MET_STRING", "MET_SHORTS", ""):
        yield "mha of an unknown type", _edited("mha", _text("ElementType", f"ElementType = {kind}")), REFUSED
    for kind in ("block", "shorty", ""):
        yield "nrrd of an unknown type", _edited("nrrd", _text("type:", f"type: {kind}")), REFUSED
    for encoding in ("hex", "zip", "", "bzip2"):
        yield "nrrd packed in another way", _edited("nrrd", _text("encoding:", f"encoding: {encoding}")), REFUSED
    yield "nrrd with a huge comment", _edited("nrrd", _text("dimension:", "dimension: 3\n#" + "x" * 1_000_000)), REFUSED
    for name in ("LIST", "none.raw", "%03d.raw 1 9 1", "/dev/zero"):
        yield (
            "mha with voxels elsewhere",
            _edited("mha", _text("ElementDataFile", f"ElementDataFile = {name}")),
            REFUSED,
        )


def _numbers() -> Rows:
    for value in ("0", "-1", "nan", "inf", "1e308", "0.001", "50", "wide"):
        spacing = f"{value} 5 5"
        yield (
            "mha with an impossible spacing",
            _edited("mha", _text("ElementSpacing", f"ElementSpacing = {spacing}")),
            (f"{REFUSED}" if value != "-1" else f"damaged|spacing|geometry|direction|unreadable|{TAKEN}"),
        )
        matrix = f"space directions: ({value},0,0) (0,5,0) (0,0,5)"
        yield (
            "nrrd with an impossible spacing",
            _edited("nrrd", _text("space directions:", matrix)),
            (REFUSED),
        )
    for value in (0.0, float("nan"), float("inf"), 1e30, 0.001, 50.0):
        for format in ("nii", "nii.gz"):
            both = lambda c, v=value: _nifti(280, "12f", v, 0, 0, 0, 0, 5, 0, 0, 0, 0, 5, 0)(  # noqa: E731
                _nifti(252, "2h", 0, 1)(_nifti(80, "f", v)(c))
            )
            yield f"{format} with an impossible spacing", _edited(format, both), REFUSED
    for value in ("nan", "inf", "1e308", "far"):
        yield "mha at an impossible place", _edited("mha", _text("Offset", f"Offset = {value} 0 0")), REFUSED
        yield (
            "nrrd at an impossible place",
            _edited("nrrd", _text("space origin:", f"space origin: ({value},0,0)")),
            REFUSED,
        )
        matrix = f"TransformMatrix = {value} 0 0 0 1 0 0 0 1"
        yield "mha with an impossible matrix", _edited("mha", _text("TransformMatrix", matrix)), REFUSED
    for matrix in ("0 0 0 0 0 0 0 0 0", "1 0 0 1 0 0 0 0 1", "1 0 0 0 1 0 0 0 0"):
        yield "mha with a flat matrix", _edited("mha", _text("TransformMatrix", f"TransformMatrix = {matrix}")), REFUSED
    for degrees, expected in (
        (0.001, TAKEN),
        (0.03, "straightened"),
        (0.1, "straightened"),
        (1.0, "sheared"),
        (20.0, "sheared"),
    ):
        shear = 5 * np.tan(np.deg2rad(degrees))
        edit = lambda c, s=shear: _nifti(280, "12f", -5, s, 0, 0, 0, -5, 0, 0, 0, 0, 5, 0)(_nifti(252, "2h", 0, 1)(c))  # noqa: E731
        for format in ("nii", "nii.gz"):
            yield f"{format} sheared by {degrees} degrees", _edited(format, edit), expected


def _odd_and_right() -> Rows:
    for kind in ("UInt8", "Int8", "UInt16", "Int16", "UInt32", "Int32", "Float32", "Float64"):
        image = sitk.Cast(head() / 5, getattr(sitk, f"sitk{kind}"))
        for format in ("nii.gz", "nrrd", "mha"):
            yield f"{format} of {kind}", _edited(format, lambda c: c, image=image), TAKEN
    for format in FORMATS:
        yield f"a good {format}", _edited(format, lambda c: c), TAKEN
    for name in ("mr with blanks.nii.gz", "Ärztin.nrrd", "MR.NII.GZ", "mr.v2.mha", "'quoted'.nrrd", "-mr.nrrd"):
        yield "an odd name", _named(name), TAKEN
    yield "a name that is no text", _named(b"mr-\xff\xfe.nrrd"), "bad-path"
    unknown = lambda c: _nifti(252, "2h", 0, 0)(c)  # noqa: E731
    for format in ("nii", "nii.gz"):
        yield f"{format} that does not say how the head lies", _edited(format, unknown), "orientation-unknown"
        moved = lambda c: _nifti(252, "2h", 1, 2)(_nifti(292, "f", 40.0)(c))  # noqa: E731
        yield f"{format} with two places", _edited(format, moved), "two-transforms"
    yield "nrrd without space", _edited("nrrd", _text("space:", "#")), REFUSED
    for space in ("scanner-xyz", "3D-right-handed", "3D-left-handed"):
        axes = lambda c, s=space: c.replace(b"left-posterior-superior", s.encode())  # noqa: E731
        yield f"nrrd in {space}", _edited("nrrd", axes), "orientation-unknown"
    matrix = lambda c: b"\n".join(line for line in c.split(b"\n") if not line.startswith(b"TransformMatrix"))  # noqa: E731
    yield "mha without a matrix", _edited("mha", matrix), "orientation-unknown"
    for value in (float("nan"), float("inf"), -float("inf")):
        for format in ("nii", "nii.gz", "nrrd", "mha", "hdr"):
            yield (
                f"{format} with a value that is no number",
                _edited(format, lambda c: c, image=_with(value)),
                "not-finite",
            )
    for format in ("nrrd", "mha", "nii.gz"):
        four = sitk.JoinSeries([head(), head()])
        yield f"{format} of two volumes", _edited(format, lambda c: c, image=four), "not-3d|not-scalar"
        yield (
            f"{format} of one volume in 4D",
            _edited(format, lambda c: c, image=sitk.JoinSeries([head()])),
            f"not-3d|{TAKEN}",
        )
        yield f"{format} of a slice", _edited(format, lambda c: c, image=head()[:, :, 18]), "not-3d"
        yield (
            f"{format} of colours",
            _edited(format, lambda c: c, image=sitk.Compose([head()] * 3)),
            "not-scalar|not-3d",
        )
        yield f"{format} of few slices", _edited(format, lambda c: c, image=head()[:, :, :10]), "few-slices"
        yield f"{format} in metres", _edited(format, lambda c: c, image=_spaced(0.005, 0.005, 0.005)), "spacing"
        yield f"{format} of a giant", _edited(format, lambda c: c, image=_spaced(20.0, 20.0, 20.0)), "spacing|extent"


def _named(name: str | bytes):  # type: ignore[no-untyped-def]
    import os

    def make(folder: Path) -> Path:
        text = name if isinstance(name, str) else os.fsdecode(name)
        path = folder / text
        format = next((f for f in ("nii.gz", "mha") if text.lower().endswith(f)), "nrrd")
        return written(folder, format).rename(path)

    return make


def _no_images() -> Rows:
    def file(name: str, content: bytes):  # type: ignore[no-untyped-def]
        def make(folder: Path) -> Path:
            (folder / name).write_bytes(content)
            return folder / name

        return make

    for name in ("mr.nii", "mr.nii.gz", "mr.nrrd", "mr.mha", "mr.dcm", "mr.txt", "mr"):
        yield "an empty file", file(name, b""), REFUSED
        yield "a letter", file(name, b"Dear reader,\n" * 50), REFUSED
        yield "random bytes", file(name, np.random.default_rng(1).bytes(5000)), REFUSED
    for name in ("a.png", "a.tif", "a.jpg", "a.bmp"):

        def make(folder: Path, name: str = name) -> Path:
            sitk.WriteImage(sitk.Cast(head()[:, :, 18] / 3, sitk.sitkUInt8), str(folder / name))
            return folder / name

        yield "a picture", make, REFUSED
    yield "an empty folder", lambda folder: folder, "no-dicom"
    yield "a path that is not there", lambda folder: folder / "none.nrrd", "bad-path"
    yield "a name of 300 letters", lambda folder: folder / ("x" * 300 + ".nrrd"), "bad-path"
