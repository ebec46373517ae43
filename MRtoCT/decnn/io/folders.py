"""A folder of files as a result: where it may go, and how it gets there whole or not at all."""

import contextlib
import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from decnn.errors import Cancelled, InputError


def check_output_folder(output: str | Path) -> Path:
    """The absolute path of a folder that can be made, or that is empty; InputError if it is neither."""
    path = Path(output).absolute()
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise InputError(f"The output {output} exists already and is no empty folder: give the name of a new folder.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} of the output does not exist: create it first.")
    try:
        # An empty folder is enough: the one above it may be closed.
        with tempfile.TemporaryDirectory(dir=path if path.is_dir() else path.parent, prefix=".decnn-"):
            pass
    except OSError as error:
        raise InputError(f"The output {output} cannot be written: choose a folder that you may write to.") from error
    return path


def publish(files: Path, output: Path, should_cancel: Callable[[], bool] = lambda: False) -> None:
    """Moves a folder of files to ``output``, in one step where the place allows it.

    From another disk the files are copied beside the output first. Where that cannot be (a mount point, an empty folder
    in one that must not be written to), they are copied into it, and taken away again if it comes to nothing.

    Args:
        files: a folder without folders in it.
        output: see ``check_output_folder``.
        should_cancel: asked before each file that has to be copied.

    Raises:
        Cancelled, OSError: nothing of it is in ``output``, as far as the disk lets files be removed.
    """
    if _moved(files, output):
        return
    beside = output.with_name(f".decnn-{uuid.uuid4().hex}")
    try:
        beside.mkdir()
    except OSError:
        _fill(files, output, should_cancel)
        return
    try:
        _copy(files, beside, should_cancel, [])
        shutil.copymode(files, beside)
        if not _moved(beside, output):
            _fill(files, output, should_cancel)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _moved(files: Path, output: Path) -> bool:
    """Whether a folder could be renamed to one that is not there, or is empty."""
    existed = output.exists()
    try:
        if existed and os.name == "nt":  # elsewhere a folder takes the place of an empty one
            output.rmdir()
        files.rename(output)
    except OSError:
        if existed and not output.exists():
            output.mkdir()
        return False
    return True


def _fill(files: Path, output: Path, should_cancel: Callable[[], bool]) -> None:
    existed = output.exists()
    if existed and any(output.iterdir()):
        raise FileExistsError(errno.EEXIST, "Somebody has put files into it meanwhile", str(output))
    if not existed:
        output.mkdir()
    copied: list[Path] = []
    try:
        _copy(files, output, should_cancel, copied)
    except BaseException:
        with contextlib.suppress(OSError):
            for path in copied:
                path.unlink(missing_ok=True)
            if not existed:
                output.rmdir()
        raise


def _copy(files: Path, folder: Path, should_cancel: Callable[[], bool], copied: list[Path]) -> None:
    """Copies all files into a folder, over no other; ``copied`` takes the copies, whole or not."""
    for file in sorted(files.iterdir()):
        if should_cancel():
            raise Cancelled("The work was cancelled: no output was written.")
        with file.open("rb") as source, (folder / file.name).open("xb") as target:
            copied.append(folder / file.name)
            shutil.copyfileobj(source, target)
