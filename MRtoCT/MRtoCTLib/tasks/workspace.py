"""A private folder on disk for one run of the engine. It holds a patient, so it never outlives the run."""

import atexit
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO

import slicer

# Long enough not to be the beginning of anybody's own folder; the process ID follows.
_PREFIX = "MRtoCT-synthesis-"
# The owner holds a lock on this file, which the system gives back when the process ends, however it ends.
_OWNER = "owner.lock"
# A folder is made before its lock is held.
_YOUNG_SECONDS = 5.0
# A folder without a lock file is not of this version: no synthesis takes as long as this.
_STALE_AFTER_SECONDS = 24 * 3600
_openWorkspaces: set["Workspace"] = set()


class Workspace:
    """A new folder that only this user can enter (mode 0700). remove() it; at exit it is removed in any case.

    Raises:
        OSError: no folder can be made.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_parentFolder()))
        self._lock: IO[bytes] | None = (self.path / _OWNER).open("wb")
        _lock(self._lock)
        removeAbandoned()
        _openWorkspaces.add(self)

    def remove(self) -> None:
        """Delete the folder and all in it; may be called again."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        for _attempt in range(10):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                _openWorkspaces.discard(self)
                return
            time.sleep(0.1)  # Windows frees the files of a killed process only a moment later
        # It stays in the list: atexit tries once more.


def removeAbandoned() -> None:
    """Remove the folders whose owner is dead. Those of a running process stay, however old; other users' are closed."""
    for path in Path(_parentFolder() or tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if _isAbandoned(path):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # another Slicer has just removed it, or it is another user's


def openFolders() -> list[Path]:
    """The folders of this process that have not been removed."""
    return [workspace.path for workspace in _openWorkspaces]


def _isAbandoned(path: Path) -> bool:
    age = time.time() - path.stat().st_mtime
    if not (path / _OWNER).exists():
        return age > _STALE_AFTER_SECONDS
    if age < _YOUNG_SECONDS:
        return False
    with (path / _OWNER).open("r+b") as file:
        return _lock(file)


def _lock(file: IO[bytes]) -> bool:
    """Lock a file for this process; False if another one holds the lock."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _parentFolder() -> str | None:
    """The folder for temporary files that the user chose in Slicer's settings; None for the system's own."""
    application = getattr(slicer, "app", None)
    folder = application.temporaryPath if application else ""
    return folder if folder and Path(folder).is_dir() else None


@atexit.register
def _removeAll() -> None:
    for workspace in list(_openWorkspaces):
        workspace.remove()
