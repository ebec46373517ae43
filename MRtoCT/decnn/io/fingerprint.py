"""Are the bytes of an input those of an earlier run? It may be a file, two that belong together, or a folder."""

import hashlib
from pathlib import Path

from decnn.io.dicom_read import is_dicom
from decnn.io.layout import read_layout


def fingerprint(source: str | Path) -> str:
    """SHA-256 of the names and bytes of all files that an input is read from.

    Raises:
        InputError: its header is damaged.
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    for path in _files_of(Path(source)):
        digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0" + path.stat().st_size.to_bytes(8, "little"))
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _files_of(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(path for path in source.iterdir() if path.is_file())
    layout = None if is_dicom(source) else read_layout(source)
    beside = [] if layout is None else [layout.data, source.with_suffix(".hdr")]  # the pair .hdr and .img
    return [source, *(path for path in beside if path != source and path.is_file())]
