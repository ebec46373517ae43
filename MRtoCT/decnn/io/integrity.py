"""Are the bytes of an image file those that its header claims? All of them are read, and packed ones unpacked."""

import bz2
import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from decnn.errors import InputError
from decnn.io.layout import Layout, damaged

_CHUNK = 1 << 22  # a multiple of every voxel's size


class Readable(Protocol):
    """A file, packed or not."""

    def read(self, size: int, /) -> bytes: ...


def check_size(path: Path, layout: Layout) -> None:
    """Raises InputError if the file is smaller, or clearly larger, than its header claims; reads no voxel.

    Of packed voxels only what no packing can do is refused: deflate takes at least one byte for 1032.
    """
    there = layout.data.stat().st_size
    if layout.packed == "":
        if layout.offset >= 0:
            _compare(path, layout, there - layout.offset)
        elif there < layout.bytes:
            _compare(path, layout, there)
    elif layout.packed != "text" and layout.bytes > 1100 * there and layout.packed != "bzip2":
        raise damaged(path, f"its header claims {_megabytes(layout.bytes)}, which {there} packed bytes cannot hold")


def check_bytes(path: Path, layout: Layout) -> None:
    """Reads the voxels' bytes to their end.

    Raises:
        InputError: damaged: too few or too many, or a checksum that does not fit; a NIfTI file with NaN or infinite
            values, which ITK reads as 0.
    """
    if layout.packed == "":
        if layout.format == "NIfTI" and layout.dtype.kind == "f":
            with layout.data.open("rb") as file:
                file.seek(layout.offset)
                for chunk in _chunks(file, layout.bytes):
                    _check_finite(path, layout, chunk)
        return
    if layout.packed == "text":
        _count_words(path, layout)
        return
    try:
        count = 0
        for chunk in _unpacked(layout):
            count += len(chunk)
            if count > layout.bytes + _slack(layout):
                break
            if layout.format == "NIfTI" and layout.dtype.kind == "f":
                _check_finite(path, layout, chunk)
    except (EOFError, zlib.error, ValueError) as failure:
        raise damaged(path, f"its packed voxels cannot be unpacked ({failure})") from failure
    except OSError as failure:
        if failure.errno is not None:
            raise
        raise damaged(path, f"its packed voxels cannot be unpacked ({failure})") from failure  # BadGzipFile
    _compare(path, layout, count)


def _compare(path: Path, layout: Layout, there: int) -> None:
    if there < layout.bytes:
        raise damaged(
            path, f"{layout.bytes - max(there, 0)} of the {layout.bytes} bytes that its header claims are missing"
        )
    if there > layout.bytes + _slack(layout):
        raise damaged(path, f"it holds more than the {layout.bytes} bytes that its header claims")


def _slack(layout: Layout) -> int:
    """Bytes beyond the voxels that do not count: less than a slice."""
    return max(layout.channels * layout.dtype.itemsize * math.prod(layout.size[:2]) - 1, 64)


def opened(layout: Layout) -> IO[bytes]:
    """The file with the voxels, open for reading; unpacked, if the whole of it is a gzip stream."""
    return gzip.open(layout.data) if layout.packed == "file" else layout.data.open("rb")  # type: ignore[return-value]


def _unpacked(layout: Layout) -> Iterator[bytes]:
    with layout.data.open("rb") as raw:
        if layout.packed == "file":
            with gzip.open(raw) as file:
                _skip(file, layout.offset)
                yield from _chunks(file)
            return
        raw.seek(max(layout.offset, 0))
        if layout.packed == "gzip":
            with gzip.open(raw) as file:
                yield from _chunks(file)
        elif layout.packed == "bzip2":
            with bz2.open(raw) as file:
                yield from _chunks(file)
        else:
            unpack = zlib.decompressobj()
            for packed in _chunks(raw):
                while packed:
                    yield unpack.decompress(packed, _CHUNK)
                    packed = unpack.unconsumed_tail
            yield unpack.flush()
            if not unpack.eof:
                raise EOFError("the stream ends too early")


def _chunks(file: Readable, most: int | None = None) -> Iterator[bytes]:
    left = most
    while chunk := file.read(_CHUNK if left is None else min(_CHUNK, left)):
        yield chunk
        if left is not None:
            left -= len(chunk)


def _skip(file: Readable, count: int) -> None:
    while count > 0 and (chunk := file.read(min(count, _CHUNK))):
        count -= len(chunk)


def _check_finite(path: Path, layout: Layout, chunk: bytes) -> None:
    whole = len(chunk) // layout.dtype.itemsize * layout.dtype.itemsize
    if not np.isfinite(np.frombuffer(chunk[:whole], layout.dtype)).all():
        raise InputError(
            f"{path} holds NaN or infinite values, which cannot be interpolated: replace them (usually by 0).",
            code="not-finite",
        )


def _count_words(path: Path, layout: Layout) -> None:
    wanted = layout.bytes // layout.dtype.itemsize
    with layout.data.open("rb") as file:
        file.seek(max(layout.offset, 0))
        if (there := len(file.read().split())) < wanted:
            raise damaged(path, f"{wanted - there} of the {wanted} numbers that its header claims are missing")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
