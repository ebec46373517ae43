"""The table of a batch: one row an input, kept from run to run, written as the batch goes on."""

import csv
import os
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from decnn.errors import InputError, SetupError

NAME = "summary.csv"
STATUSES = ("done", "failed", "cancelled", "skipped")
# A long table takes long to write: this many times as long nothing is written.
_SHARE = 20


@dataclass(frozen=True)
class Outcome:
    """A row of the summary. ``message`` is the error, or the findings."""

    input: str
    output: str
    status: str
    """One of STATUSES; skipped: done in an earlier run."""
    exit_code: int
    seconds: float
    """Of reading, making and writing it; in a batch they run side by side with those of other inputs."""
    message: str
    input_sha256: str = ""
    """``decnn.io.fingerprint`` of the input."""
    weights_sha256: str = ""
    options: str = ""
    """What was wanted of the CT, as ``decnn.cli.plan`` puts it."""


_COLUMNS = [field.name for field in fields(Outcome)]


class Summary:
    """The rows of summary.csv in a folder: those of earlier runs, and the newest of each input.

    Raises:
        InputError: a summary.csv is there that is another table.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._rows: dict[str, dict[str, str]] = {}
        self._written, self._cost = 0.0, 0.0
        if not self.path.exists():
            return
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                table = csv.DictReader(file)
                rows, columns = list(table), table.fieldnames
        except (OSError, UnicodeDecodeError, csv.Error):
            rows, columns = [], None
        if columns != _COLUMNS or any(None in row or None in row.values() for row in rows):
            raise InputError(
                f"{self.path} is there already and is another table: choose another folder for the outputs, or move "
                "it.",
                code="bad-path",
            )
        self._rows = {_key(row["input"]): row for row in rows}

    def made_of(self, source: str, weights_sha256: str, options: str) -> str:
        """Fingerprint of the input from which an earlier run made this very CT; "" if none did."""
        row = self._rows.get(_key(source))
        if row is None or row["status"] not in ("done", "skipped"):
            return ""
        same = (row["weights_sha256"], row["options"]) == (weights_sha256, options)
        return row["input_sha256"] if same else ""

    def add(self, outcome: Outcome) -> None:
        """Takes the place of the input's earlier row."""
        self._rows.pop(_key(outcome.input), None)
        self._rows[_key(outcome.input)] = {key: str(value) for key, value in asdict(outcome).items()}

    def keep(self) -> None:
        """Writes the table unless that would take a good part of the time; what fails is tried again later."""
        if time.monotonic() - self._written < _SHARE * self._cost:
            return
        try:
            self.write()
        except SetupError:
            pass  # at the end it counts

    def write(self) -> None:
        """Raises SetupError if the file cannot be replaced."""
        start = time.monotonic()
        try:
            self._replace()
        finally:
            self._written = time.monotonic()
            self._cost = self._written - start

    def _replace(self) -> None:
        from decnn.io.images import umask

        name = None
        try:
            handle, name = tempfile.mkstemp(prefix=".decnn-", suffix=".csv", dir=self.path.parent)
            # A file name need not be valid text.
            with open(handle, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                table = csv.DictWriter(file, _COLUMNS)
                table.writeheader()
                table.writerows(self._rows.values())
            os.chmod(name, 0o666 & ~umask())
            os.replace(name, self.path)
        except OSError as error:
            raise SetupError(
                f"{self.path} cannot be written ({error.strerror}): free the disk, or close the file.",
                code="file-system",
            ) from error
        finally:
            if name is not None:
                Path(name).unlink(missing_ok=True)


def _key(source: str) -> str:
    return os.path.realpath(source).encode("utf-8", "backslashreplace").decode()
