"""A hostile input, what must become of it, and what became of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from decnn.cli.guarded import Guard
from decnn.errors import InputError, SetupError, explain
from decnn.io.dicom_read import Choice

TAKEN, REFUSED = "taken", "refused"
# Refused, but not by a judgement: the reader did not survive, or nobody had thought of it.
_NO_JUDGEMENT = {"internal", "endless"}


@dataclass(frozen=True)
class Case:
    """One attempt.

    Attributes:
        corpus: such as "images".
        kind: what is wrong; several cases share it.
        attempt: does it in an empty folder; raises what the engine raises, returns the codes of its warnings.
        expected: TAKEN, REFUSED (by any code that names a reason), or one or more codes, "a|b".
    """

    corpus: str
    kind: str
    attempt: Callable[[Path], list[str] | None]
    expected: str


@dataclass(frozen=True)
class Outcome:
    """What became of a case: the code of the error, or "taken" and the codes of the warnings."""

    case: Case
    code: str
    warnings: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        if self.case.expected == REFUSED:
            return self.code != TAKEN and self.code not in _NO_JUDGEMENT
        wanted = self.case.expected.split("|")
        return self.code in wanted or (self.code == TAKEN and any(code in wanted for code in self.warnings))


def run(case: Case, folder: Path) -> Outcome:
    """Tries a case; no exception but those of a defect in the corpus itself leaves it."""
    try:
        warnings = case.attempt(folder) or []
    except Exception as error:
        return Outcome(case, explain(error).code)
    return Outcome(case, TAKEN, tuple(warnings))


Maker = Callable[[Path], Path]
Rows = Iterator[tuple[str, Maker, str]]
"""(kind, makes the file in a folder, expected)."""


def readings(corpus: str, rows: Rows, guard: Guard | None, choice: Choice | None = None) -> Iterator[Case]:
    """Cases of files that the gate has to judge: in the guard's child, or in this process if there is none."""
    for kind, make, expected in rows:

        def attempt(folder: Path, make: Maker = make) -> list[str]:
            return judged(make(folder), guard, choice)

        yield Case(corpus, kind, attempt, expected)


def judged(path: Path, guard: Guard | None, choice: Choice | None = None) -> list[str]:
    """The codes of the warnings; raises the error that refuses the file."""
    from decnn.checks.gate import read_mr
    from decnn.errors import raise_errors

    if guard is not None:
        guard.check(path, choice)
        return []
    _, findings = read_mr(path, choice or Choice())
    raise_errors(findings)
    return [finding.code for finding in findings]


__all__ = [
    "REFUSED",
    "TAKEN",
    "Case",
    "InputError",
    "Maker",
    "Outcome",
    "Rows",
    "SetupError",
    "judged",
    "readings",
    "run",
]
