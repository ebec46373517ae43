"""A private folder on disk for one run of the engine. It holds a patient, so it never outlives the run."""

import atexit
import shutil
import tempfile
import time
from pathlib import Path

import slicer

# Long enough not to be the beginning of anybody's own folder.
_PREFIX = "MRtoCT-synthesis-"
# No synthesis takes as long as this: a folder that is older was left by a Slicer that was killed.
_STALE_AFTER_SECONDS = 24 * 3600
_openWorkspaces: set["Workspace"] = set()


class Workspace:
    """A new folder that only this user can enter (mode 0700). remove() it; at exit it is removed in any case."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_parentFolder()))
        _removeStale(self.path.parent)
        _openWorkspaces.add(self)

    def remove(self) -> None:
        """Delete the folder and all in it; may be called again."""
        for _attempt in range(10):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                _openWorkspaces.discard(self)
                return
            time.sleep(0.1)  # Windows frees the files of a killed process only a moment later
        # It stays in the list: atexit tries once more.


def openFolders() -> list[Path]:
    """The folders of this process that have not been removed."""
    return [workspace.path for workspace in _openWorkspaces]


def _parentFolder() -> str | None:
    """The folder for temporary files that the user chose in Slicer's settings; None for the system's own."""
    application = getattr(slicer, "app", None)
    folder = application.temporaryPath if application else ""
    return folder if folder and Path(folder).is_dir() else None


def _removeStale(parent: Path) -> None:
    """Remove what no exit handler could. Other users' folders are closed to us, and stay."""
    for path in parent.glob(f"{_PREFIX}*"):
        try:
            isStale = time.time() - path.stat().st_mtime > _STALE_AFTER_SECONDS
        except OSError:
            continue  # another Slicer has just removed it
        if isStale:
            shutil.rmtree(path, ignore_errors=True)


@atexit.register
def _removeAll() -> None:
    for workspace in list(_openWorkspaces):
        workspace.remove()
