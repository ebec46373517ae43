"""A folder of files in its place: whole or not at all, on real disks, mount points and closed folders."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import engine_environment

from decnn.errors import Cancelled
from decnn.io.folders import check_output_folder, publish

COUNT = 5
# Publishes the folder "files" beside the script as argv[1], as a process of its own.
SCRIPT = """
import sys
from pathlib import Path
from decnn.io.folders import check_output_folder, publish
publish(Path("files"), check_output_folder(sys.argv[1]))
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"{number}.dcm").write_bytes(bytes([number]) * 40_000)
    return folder


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder to which nothing from tmp_path can be renamed."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def is_whole(folder: Path) -> bool:
    names = sorted(path.name for path in folder.iterdir())
    return names == [f"{number}.dcm" for number in range(COUNT)] and all(
        (folder / name).read_bytes() == bytes([number]) * 40_000 for number, name in enumerate(names)
    )


@pytest.mark.parametrize("exists", [False, True])
def test_on_one_disk_it_is_renamed(files: Path, tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "out").mkdir()
    publish(files, tmp_path / "out", should_cancel=lambda: pytest.fail("nothing is copied"))
    assert is_whole(tmp_path / "out") and not files.exists()


@pytest.mark.parametrize("exists", [False, True])
def test_from_another_disk_it_appears_in_one_step(files: Path, other_disk: Path, exists: bool) -> None:
    out = other_disk / "out"
    if exists:
        out.mkdir()

    def look() -> bool:
        assert not out.exists() or not any(out.iterdir())
        return False

    publish(files, out, look)
    assert is_whole(out) and os.listdir(other_disk) == ["out"]
    assert out.stat().st_mode == files.stat().st_mode


@pytest.mark.parametrize("after", range(COUNT))
def test_a_cancelled_copy_leaves_nothing(files: Path, other_disk: Path, after: int) -> None:
    asked = iter([False] * after + [True])
    with pytest.raises(Cancelled):
        publish(files, other_disk / "out", lambda: next(asked))
    assert os.listdir(other_disk) == [] and is_whole(files)


def test_what_somebody_put_there_meanwhile_stays(files: Path, other_disk: Path) -> None:
    for out in (other_disk / "out", files.parent / "out"):
        check_output_folder(out).mkdir()
        (out / "0.dcm").write_text("mine")
        with pytest.raises(FileExistsError):
            publish(files, out)
        assert os.listdir(out) == ["0.dcm"] and (out / "0.dcm").read_text() == "mine"


def in_namespace(files: Path, prepare: str, *, root: bool) -> subprocess.CompletedProcess[str]:
    """Publish to "place/out" after a shell has prepared "place", where this user may mount, or is nobody's root."""
    (files.parent / "publish.py").write_text(SCRIPT)
    command = f"{prepare} && {sys.executable} publish.py place/out; code=$?; ls -A place place/out; exit $code"
    return subprocess.run(
        ["unshare", "-Urm" if root else "-U", "sh", "-c", command],
        cwd=files.parent,
        env=engine_environment(),
        capture_output=True,
        text=True,
    )


@pytest.fixture
def namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"]).returncode:
        pytest.skip("this user may not mount anything")


@pytest.mark.parametrize(
    ("prepare", "root"),
    [
        ("mkdir -p place/out && mount -t tmpfs none place/out", True),
        (
            "mkdir place && mount -t tmpfs none place && mkdir place/out && mount -t tmpfs none place/out"
            " && mount -o remount,ro place",
            True,
        ),
        ("mkdir -p place/out && chmod 555 place", False),
    ],
    ids=["mount point", "mount point in a read-only one", "empty folder in a closed one"],
)
def test_an_empty_folder_of_ones_own(files: Path, namespaces: None, prepare: str, root: bool) -> None:
    done = in_namespace(files, prepare, root=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["place:", "out", "place/out:", *(f"{number}.dcm" for number in range(COUNT))]


def test_a_disk_that_is_full_stays_empty(files: Path, namespaces: None) -> None:
    done = in_namespace(files, "mkdir -p place/out && mount -t tmpfs -o size=100k none place/out", root=True)
    assert done.returncode != 0 and "No space left on device" in done.stderr
    assert done.stdout.split() == ["place:", "out", "place/out:"]
