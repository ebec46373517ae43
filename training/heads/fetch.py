"""Brings the sources into a folder of data: downloads the originals, converts them, and checks what lies there.

A file that is there is never overwritten: a right one needs no fetching, a wrong one may be somebody's work.
"""

import hashlib
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from decnn.errors import DecnnError, InputError, SetupError
from decnn.io.images import umask
from training.heads.convert import convert
from training.heads.source_files import SourceFile, fault_of, files_of, read_sources, unpacked_digest

_TIMEOUT_S = 30
_LARGEST_ORIGINAL = 200_000_000


def fetch(data: Path, names: Sequence[str] = (), download: bool = True) -> None:
    """Fetches what is missing and checks everything; prints a line per file.

    Args:
        data: the folder, made if need be.
        names: sources to fetch; if none are named, all that are not optional. Optional ones that are there are checked.
        download: False only checks.

    Raises:
        InputError: an unknown source, or (after all others were tried) a file that is missing or altered.
        SetupError: the folder cannot be written.
    """
    sources = read_sources(data)
    if unknown := set(names) - set(sources):
        raise InputError(f"Unknown sources {', '.join(sorted(unknown))}: choose from {', '.join(sources)}.")
    faulty = 0
    for name, source in sources.items():
        wanted = name in names or (not names and not source.get("optional", False))
        if wanted and "place" in source:
            print(f"{name}: cannot be fetched: {source['place']}. Terms: {source['terms']}.")
        for file in files_of(data, name, source):
            if not wanted and not os.path.lexists(file.path):
                continue
            problem = _bring(file, download and wanted)
            print(problem or f"{file.path}: right")
            faulty += problem is not None
    if faulty:
        raise InputError(f"{faulty} file(s) of the sources are missing or not the right ones: see the lines above.")


def _bring(file: SourceFile, download: bool) -> str | None:
    """What is wrong with the file after all was done to get it; None if it is right."""
    fault = fault_of(file)
    if fault is None or not download or os.path.lexists(file.path):
        return fault
    if not file.addresses:
        return f"{fault} It has no address to fetch it from: place it there yourself (training/sources.toml)."
    print(f"{file.path}: fetching {len(file.addresses)} original(s) from {file.addresses[0]}", flush=True)
    try:
        content = _converted(file, [_download(address) for address in file.addresses])
    except DecnnError as error:
        return str(error)
    _write(file.path, content)
    return None


def _download(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
            content: bytes = answer.read(_LARGEST_ORIGINAL + 1)
    except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
        reason = getattr(error, "reason", error)
        raise SetupError(
            f"{address} could not be downloaded ({reason}): try again, or place the file yourself."
        ) from error
    if len(content) > _LARGEST_ORIGINAL:
        raise InputError(f"{address} is larger than any original of the sources: it is another file by now.")
    return content


def _converted(file: SourceFile, originals: list[bytes]) -> bytes:
    """The content of the file, made of its originals and compared with its SHA-256."""
    digest = hashlib.sha256()
    for original in originals:
        digest.update(original)
    if digest.hexdigest() != file.original_sha256:
        raise InputError(
            f"What lies at {file.addresses[0]} is not the original any more (its SHA-256 differs): nothing was written."
        )
    content = convert(file.convert, originals)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        if file.unpacked_sha256 is None or unpacked_digest(content) != file.unpacked_sha256:
            raise InputError(
                f"Converting the original of {file.path} gave another file than it should (its SHA-256 differs): "
                "nothing was written; please report this with the versions of Python, numpy and SimpleITK."
            )
    return content


def _write(path: Path, content: bytes) -> None:
    """Under a temporary name first, so that nothing but a complete file ever has the name ``path``."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".fetch-", delete=False) as partial:
            temporary = Path(partial.name)
            partial.write(content)
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except OSError as error:
        raise SetupError(
            f"{path} cannot be written ({error.strerror}): make room, or give a folder that you may write to."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
