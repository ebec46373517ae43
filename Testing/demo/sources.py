"""Where the demo's T1 comes from: a given file, else Colin27 from Debian, else Slicer's sample MRHead."""

import hashlib
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

DEBIAN_PACKAGE = "mricron-data"
DEBIAN_FILE = "usr/share/mricron/templates/ch2.nii.gz"
MRHEAD_SHA256 = "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93"
MRHEAD_ADDRESS = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
NETWORK_TIMEOUT_S = 30


class DemoError(Exception):
    """The demo cannot go on. The message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """A T1 on disk. note: what one has to know to judge the result."""

    path: Path
    name: str
    note: str = ""


def find_t1(given: Path | None, cache: Path) -> Source:
    """The file that was given, else Colin27, else MRHead; what was fetched once stays in `cache`.

    Raises DemoError if the given file does not exist, or if nothing can be had.
    """
    if given is not None:
        if not given.exists():
            raise DemoError(f"There is no file {given}: MR= takes the path of a T1 of a head (NRRD, NIfTI, MHA).")
        return Source(given.resolve(), given.name)
    failures = []
    for fetch in (colin27, mrhead):
        try:
            return fetch(cache)
        except DemoError as failure:
            failures.append(str(failure))
    raise DemoError("No T1 could be fetched. " + " ".join(failures) + " Give your own: make demo MR=/path/to/t1.nii.gz")


def colin27(cache: Path) -> Source:
    """Colin27 (27 scans of one head, averaged) from Debian's package mricron-data; nothing is installed."""
    source = Source(
        cache / "colin27.nii.gz",
        "Colin27",
        "Colin27 is the average of 27 scans of one head and ends at the skull base: smoother than a patient's T1, "
        "and without jaw and neck. The bundled model was trained on it, too: this shows the way, and no accuracy.",
    )
    if source.path.exists():
        return source
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise DemoError(f"Colin27 comes in a Debian package, and this system has no {tool}.")
    folder = cache / DEBIAN_PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    # apt checks the package against Debian's signed index.
    options = ["-o", f"Acquire::http::Timeout={NETWORK_TIMEOUT_S}", "-o", "Acquire::Retries=0"]
    _command(["apt-get", *options, "download", DEBIAN_PACKAGE], folder)
    packages = sorted(folder.glob(f"{DEBIAN_PACKAGE}_*.deb"))
    if not packages:
        raise DemoError(f"apt-get downloaded no {DEBIAN_PACKAGE}.")
    _command(["dpkg", "-x", packages[-1].name, "content"], folder)
    unpacked = folder / "content" / DEBIAN_FILE
    if not unpacked.exists():
        raise DemoError(f"Debian's {DEBIAN_PACKAGE} holds no {DEBIAN_FILE} any more.")
    unpacked.replace(source.path)
    shutil.rmtree(folder)
    return source


def mrhead(cache: Path, address: str = MRHEAD_ADDRESS) -> Source:
    """MRHead, the T1 of Slicer's Sample Data module, checked against its SHA-256."""
    source = Source(cache / "MRHead.nrrd", "MRHead")
    if source.path.exists():
        return source
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(address + MRHEAD_SHA256, timeout=NETWORK_TIMEOUT_S) as answer:
            content = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise DemoError(f"MRHead could not be downloaded ({getattr(error, 'reason', error)}).") from error
    if hashlib.sha256(content).hexdigest() != MRHEAD_SHA256:
        raise DemoError("What was downloaded as MRHead is another file (its SHA-256 differs).")
    partial = source.path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(source.path)
    return source


def _command(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise DemoError(f"Colin27 could not be had from Debian ({command[0]}: {reason}).")
