"""Qt's system libraries on a bare Debian: fetched without root, or named in a message."""

import os
from pathlib import Path

import pytest

import qt_libraries

# Says that libGL.so.1 is missing until it lies in LD_LIBRARY_PATH, and then that libGLX.so.0 is, which it needs.
LDD = """
for name in libGL.so.1 libGLX.so.0; do
  if [ ! -e "$LD_LIBRARY_PATH/$name" ]; then echo "	$name => not found"; break; fi
done
echo "	libc.so.6 => /lib/libc.so.6 (0x1)"
"""
DPKG = """
folder=$3/usr/lib/x86_64-linux-gnu; mkdir -p $folder
case $2 in libgl1_*) touch $folder/libGL.so.1;; libglx0_*) touch $folder/libGLX.so.0;; esac
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A function that puts a script of that name in front of the system's own tools."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    def put(name: str, script: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    put("ldd", LDD)
    return put


def test_what_is_missing_is_fetched_and_so_is_what_that_needs(tmp_path, tools):
    tools("apt-get", "touch $2_1_amd64.deb")
    tools("dpkg", DPKG)
    folder = tmp_path / "libraries"
    assert qt_libraries.missing_libraries([Path("QtGui.so")], folder) == {"libGL.so.1"}
    qt_libraries.provide([Path("QtGui.so")], folder)
    assert sorted(path.name for path in folder.iterdir()) == ["libGL.so.1", "libGLX.so.0"]
    assert qt_libraries.missing_libraries([Path("QtGui.so")], folder) == set()


def test_what_cannot_be_fetched_is_named(tmp_path, tools):
    tools("apt-get", "exit 100")
    with pytest.raises(SystemExit, match=r"libGL\.so\.1.*apt-get install"):
        qt_libraries.provide([Path("QtGui.so")], tmp_path / "libraries")


def test_nothing_is_fetched_where_nothing_is_missing(tmp_path, tools):
    tools("ldd", "echo '	libc.so.6 => /lib/libc.so.6 (0x1)'")
    tools("apt-get", f"touch {tmp_path}/called")
    qt_libraries.provide([Path("QtGui.so")], tmp_path / "libraries")
    assert not (tmp_path / "called").exists() and not (tmp_path / "libraries").exists()
