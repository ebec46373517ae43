"""Gives Qt the system libraries that a bare Debian lacks, without root: python Testing/tools/qt_libraries.py FOLDER

PySide6 links against libGL, libEGL, fontconfig and others even where it draws off-screen, and a server or container has
none of them. What is missing is taken from Debian's packages (apt-get download, dpkg -x) and its libraries are put into
FOLDER, which the Makefile has on LD_LIBRARY_PATH. Where nothing is missing, nothing is done.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

# What Testing/host and the tests load of Qt.
QT_FILES = (
    "QtCore.abi3.so",
    "QtGui.abi3.so",
    "QtWidgets.abi3.so",
    "QtUiTools.abi3.so",
    "Qt/plugins/platforms/libqoffscreen.so",
)
# Libraries beyond those that Debian itself cannot do without.
PACKAGE_OF = {
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libGLdispatch.so.0": "libglvnd0",
    "libOpenGL.so.0": "libopengl0",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libxcb.so.1": "libxcb1",
    "libXau.so.6": "libxau6",
    "libXdmcp.so.6": "libxdmcp6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libpng16.so.16": "libpng16-16",
    "libbrotlidec.so.1": "libbrotli1",
    "libbrotlicommon.so.1": "libbrotli1",
    "libexpat.so.1": "libexpat1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libbsd.so.0": "libbsd0",
}


def missing_libraries(files: list[Path], folder: Path) -> set[str]:
    """Names of the libraries that these files need and that neither the system nor `folder` has (Linux)."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder), "LC_ALL": "C"}
    listing = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, env=environment).stdout
    return {line.split()[0] for line in listing.splitlines() if line.rstrip().endswith("=> not found")}


def provide(files: list[Path], folder: Path) -> None:
    """Fills `folder` until nothing is missing, or raises SystemExit with what to install."""
    missing = missing_libraries(files, folder)
    while missing:  # a library that has just come may need others: every round brings one at least, or ends
        for package in sorted({PACKAGE_OF[name] for name in missing if name in PACKAGE_OF}):
            _unpack(package, folder)
        still = missing_libraries(files, folder)
        if still & missing:
            raise SystemExit(
                f"Qt needs libraries that this system lacks ({', '.join(sorted(still))}), and Debian's packages could "
                "not be had: install them (on Debian: apt-get install libgl1 libegl1 libxkbcommon0 libdbus-1-3 "
                "libfontconfig1 libglib2.0-0), and run make again."
            )
        missing = still


def _unpack(package: str, folder: Path) -> None:
    """Puts the shared libraries of a Debian package into the folder; does nothing if the package cannot be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run(["apt-get", "download", package], cwd=temporary, capture_output=True)
        for archive in Path(temporary).glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive.name, "content"], cwd=temporary, check=True)
        for library in Path(temporary, "content").rglob("lib*.so.*"):
            if library.parent.name.endswith("-linux-gnu"):
                shutil.copy2(library, folder / library.name)  # follows links: the name that is asked for is a file


def main() -> None:
    package = find_spec("PySide6")
    if sys.platform != "linux" or package is None or not package.submodule_search_locations:
        return
    root = Path(package.submodule_search_locations[0])
    provide([root / name for name in QT_FILES], Path(sys.argv[1]))


if __name__ == "__main__":
    main()
