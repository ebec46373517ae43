"""Gives the tests dciodvfy, the judge of DICOM files, without root: python Testing/tools/dicom_judge.py FOLDER

It is in Debian's package dicom3tools and needs nothing but the C++ library. Where it is installed nothing is done;
where it cannot be had, that is said, and the one test that asks it is skipped with the same reason.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAME = "dciodvfy"
MISSING = f"{NAME} is not installed (on Debian: apt-get install dicom3tools)"


def find() -> str | None:
    """The path of dciodvfy beside this Python, where `make` puts it, or installed; None where there is none."""
    return shutil.which(NAME, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))


def provide(folder: Path) -> bool:
    """Takes dciodvfy out of Debian's package into ``folder``; False if the package cannot be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return False
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run(["apt-get", "download", "dicom3tools"], cwd=temporary, capture_output=True)
        for archive in Path(temporary).glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive.name, "content"], cwd=temporary, check=True)
            shutil.copy2(Path(temporary, "content", "usr", "bin", NAME), folder / NAME)
    return (folder / NAME).is_file()


if __name__ == "__main__":
    if find() is None and not provide(Path(sys.argv[1])):
        print(f"{MISSING}: its test will be skipped", file=sys.stderr)
