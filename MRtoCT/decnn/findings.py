"""What the engine found out about an input, in sentences."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from decnn.errors import InputError


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
