"""Errors, by who can mend them, and findings on an input. Each is one sentence for the user, with what to do."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal


class DecnnError(Exception):
    """An error with a message for the user, an exit code for the command line and a code for programs."""

    exit_code = 1
    code = "internal"


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


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raises InputError with the message of the first finding that blocks, if there is one."""
    for finding in findings:
        if finding.severity == "error":
            raise InputError(finding.message)


def explain(error: BaseException) -> DecnnError:
    """The error that the user is told of: ``error`` itself if it is made for that, else a sentence about it."""
    if isinstance(error, DecnnError):
        return error
    if isinstance(error, MemoryError):
        return SetupError("The memory of this machine does not suffice: close other programs, or crop the image.")
    return DecnnError(
        f"A defect of decnn ({type(error).__name__}: {error}): run again with --debug, and report what it prints."
    )
