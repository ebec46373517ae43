"""Errors, by who can mend them, and findings on an input. Each is one sentence for the user, with what to do.

Every error and every finding has a stable code. ``decnn.codes`` lists them all.
"""

import errno
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal


class DecnnError(Exception):
    """An error with a message for the user, an exit code for the command line and a code for programs.

    Args:
        message: one sentence: what is wrong, and what to do.
        code: see ``decnn.codes``; if not given, that of the class.
    """

    exit_code = 1
    code = "internal"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class InputError(DecnnError):
    """The given image, path or argument cannot be used."""

    exit_code = 2
    code = "bad-input"


class SetupError(DecnnError):
    """The installation or the machine is at fault: weights, torch, device, disk."""

    exit_code = 3
    code = "setup"


class Cancelled(DecnnError):
    """The user stopped the work."""

    exit_code = 130
    code = "cancelled"


@dataclass(frozen=True)
class Finding:
    """Something about an input or a run that the user should know; one sentence with its reason and consequence."""

    severity: Literal["warning", "error"]
    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def error(code: str, message: str) -> Finding:
    """A finding that blocks."""
    return Finding("error", code, message)


def warning(code: str, message: str) -> Finding:
    """A finding that does not block."""
    return Finding("warning", code, message)


def about(what: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings with the name of the image that they are about, where there are several."""
    return [Finding(finding.severity, finding.code, f"{what}: {finding.message}") for finding in findings]


def blocks(findings: Iterable[Finding]) -> bool:
    """Whether one of the findings is an error."""
    return any(finding.severity == "error" for finding in findings)


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raises InputError with the code and message of the first finding that blocks, if there is one."""
    for finding in findings:
        if finding.severity == "error":
            raise InputError(finding.message, code=finding.code)


def explain(error: BaseException) -> DecnnError:
    """The error that the user is told of: ``error`` itself if it is made for that, else a sentence about it."""
    if isinstance(error, DecnnError):
        return error
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return SetupError(
            "The memory of this machine does not suffice: close other programs, or crop the image.", code="memory"
        )
    if isinstance(error, ImportError) or _while_importing(error):
        return SetupError(
            f"A package that decnn needs cannot be loaded ({error}): install it again (numpy, SimpleITK, torch).",
            code="installation",
        )
    if isinstance(error, OSError):
        return _of_system(error)
    return DecnnError(
        f"A defect of decnn ({type(error).__name__}: {error}): run again with --debug, and report what it prints."
    )


def _while_importing(error: BaseException) -> bool:
    """Whether a module was being imported: packages that do not fit each other raise anything."""
    return any(frame.f_code.co_name == "<module>" for frame, _ in traceback.walk_tb(error.__traceback__))


_REMEDIES = {
    errno.ENOSPC: "free some space, or write elsewhere",
    errno.EDQUOT: "free some space, or write elsewhere",
    errno.EFBIG: "write elsewhere, as this disk or account allows no file so large",
    errno.EACCES: "choose files and folders that you may read and write",
    errno.EPERM: "choose files and folders that you may read and write",
    errno.EROFS: "write elsewhere, as this disk is read-only",
    errno.ENOENT: "it was there a moment ago, so start again once it is back",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "close other programs",
    errno.ENFILE: "close other programs",
}


def _of_system(error: OSError) -> DecnnError:
    """A sentence about an error of the file system."""
    where = f"{error.filename}: " if error.filename else ""
    why = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0, "check the disk and the network, and try again")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"{where}{why}: {remedy}.", code="bad-path")
    return SetupError(f"{where}{why}: {remedy}.", code="file-system")
