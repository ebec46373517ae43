"""The files that sources.toml names: where each one lies in the folder of the data, and whether it is the right one."""

import gzip
import hashlib
import tomllib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from decnn.errors import InputError

SOURCES = Path(__file__).resolve().parents[1] / "sources.toml"


@dataclass(frozen=True)
class SourceFile:
    """One file of a source, as sources.toml describes it."""

    source: str
    path: Path
    addresses: tuple[str, ...]
    original_sha256: str
    convert: str
    sha256: str
    unpacked_sha256: str | None


def read_sources(data: Path) -> dict[str, dict]:
    """The tables of sources.toml by name of the source.

    A folder of data that has a sources.toml of its own (other heads, with their own hashes) is checked against that.
    """
    own = data / "sources.toml"
    path = own if own.is_file() else SOURCES
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}): mend it, or remove it.") from error


def files_of(data: Path, name: str, source: dict) -> list[SourceFile]:
    """The files of one source; none for data that everybody has to place as they like."""
    files = []
    for relative, entry in source.get("files", {}).items():
        path = data / relative
        if not path.resolve().is_relative_to(data.resolve()):
            raise InputError(f"sources.toml names {relative}, which lies outside the folder of the data: mend it.")
        address = entry.get("address", "")
        first, last = entry.get("numbers", (0, 0))
        addresses = tuple(address.replace("{number}", str(number)) for number in range(first, last + 1))
        files.append(
            SourceFile(
                name,
                path,
                addresses if address else (),
                entry.get("original_sha256", ""),
                entry.get("convert", "none"),
                entry["sha256"],
                entry.get("unpacked_sha256"),
            )
        )
    return files


def fault_of(file: SourceFile) -> str | None:
    """What is wrong with a file as it lies on disk, in a sentence; None if it is the right one."""
    if not file.path.exists():
        return f"{file.path} is missing: run `python -m training fetch`, or give the folder of the data with --data."
    if not file.path.is_file():
        return f"{file.path} is not a file: move it away, and run `python -m training fetch`."
    try:
        stat = file.path.stat()
        if _is_right(file, stat.st_size, stat.st_mtime_ns):
            return None
    except OSError as error:
        return f"{file.path} cannot be read ({error.strerror}): make it readable."
    return (
        f"{file.path} is not the file that sources.toml describes (its SHA-256 differs): move it away, and run "
        "`python -m training fetch`."
    )


def check_sources(data: Path, names: Iterable[str]) -> None:
    """Raises InputError when a file of the named sources is missing or altered; hashes a file once per process."""
    sources = read_sources(data)
    faults = []
    for name in names:
        if name not in sources:
            raise InputError(f"{data / 'sources.toml'} does not name the head {name}: add it with its SHA-256.")
        faults += [fault for file in files_of(data, name, sources[name]) if (fault := fault_of(file))]
    if faults:
        raise InputError(" ".join(faults))


def unpacked_digest(content: bytes) -> str | None:
    """SHA-256 of what a gzip file holds; None if it is none, or damaged."""
    try:
        return hashlib.sha256(gzip.decompress(content)).hexdigest()
    except (OSError, EOFError, zlib.error):
        return None


@lru_cache(maxsize=256)
def _is_right(file: SourceFile, size: int, time: int) -> bool:
    """Size and time of the last change are there to tell a changed file from the one that was hashed before."""
    content = file.path.read_bytes()
    if hashlib.sha256(content).hexdigest() == file.sha256:
        return True
    # Packed by another zlib, the content is the same.
    return file.unpacked_sha256 is not None and unpacked_digest(content) == file.unpacked_sha256
