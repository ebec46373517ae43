"""Tells the outside what the engine is doing: a bar for people, JSON lines for programs."""

import json
import os
import sys
import time
from typing import Any, Protocol, TextIO

from decnn.cli.cancel import remove_workspace
from decnn.errors import Finding


def silence(stream: TextIO) -> None:
    """Sends what is left in a stream's buffer, and all that follows, to nowhere: nobody takes it."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
    except (OSError, ValueError):
        pass  # not a file, so nothing is left in it


class Reporter(Protocol):
    """What the engine tells, and whom. ``fraction`` is 0..1 and never decreases, whatever the caller says."""

    def enter(self, source: str, number: int, count: int) -> None:
        """From here on it is about one of ``count`` inputs; ``number`` came before it."""

    def about(self, source: str) -> None:
        """What is told from here on is about that input; progress stays with the one that was entered."""

    def progress(self, fraction: float, stage: str) -> None: ...

    def finding(self, finding: Finding) -> None: ...

    def result(self, facts: dict[str, Any], text: str) -> None:
        """A file is there: what programs and what people are told of it."""

    def summary(self, facts: dict[str, Any], text: str) -> None:
        """All inputs have had their turn."""

    def error(self, code: str, exit_code: int, message: str) -> None: ...

    def published(self) -> None:
        """The output is there: from here on, that nobody can be told of it is no failure."""


class JsonReporter:
    """One JSON object per line on ``stream``, each written out at once; at most ten a second within a stage."""

    _PAUSE_SECONDS = 0.1

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._fraction = 0.0
        self._stage = ""
        self._written = 0.0
        self._number, self._count = 0, 1
        self._about: dict[str, str | None] = {}
        self._published = False

    def published(self) -> None:
        self._published = True

    def enter(self, source: str, number: int, count: int) -> None:
        self._number, self._count = number, count
        self.about(source)

    def about(self, source: str) -> None:
        self._published = False
        self._about = {"input": source}

    def progress(self, fraction: float, stage: str) -> None:
        self._fraction = max(self._fraction, (self._number + min(fraction, 1.0)) / self._count)
        now = time.monotonic()
        if stage == self._stage and now - self._written < self._PAUSE_SECONDS:
            return
        self._stage, self._written = stage, now
        self._write({"event": "progress", "fraction": round(self._fraction, 4), "stage": stage})

    def finding(self, finding: Finding) -> None:
        self._write({"event": "finding", **finding.as_dict()})

    def result(self, facts: dict[str, Any], text: str) -> None:
        self._write({"event": "result", **facts})

    def summary(self, facts: dict[str, Any], text: str) -> None:
        self._about = {"input": None}
        self._write({"event": "summary", **facts})

    def error(self, code: str, exit_code: int, message: str) -> None:
        self._write({"event": "error", "code": code, "exit_code": exit_code, "message": message})

    def _write(self, event: dict[str, Any]) -> None:
        # ASCII only: a Windows pipe need not be UTF-8.
        try:
            self._stream.write(json.dumps({**event, **self._about}) + "\n")
            self._stream.flush()
        except OSError:
            remove_workspace()
            if not self._published:
                raise
            silence(self._stream)


class TextReporter:
    """A progress bar in a terminal, one line per stage elsewhere (stderr); the result on stdout.

    A stderr that takes nothing does not end the work.
    """

    _WIDTH = 30

    def __init__(self, stream: TextIO | None = None, output: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._output = output or sys.stdout
        self._terminal = self._stream.isatty()
        self._fraction = 0.0
        self._stage = ""
        self._bar_shown = False
        self._told: set[str] = set()
        self._published = False
        self._number, self._count = 0, 1

    def published(self) -> None:
        self._published = True

    def enter(self, source: str, number: int, count: int) -> None:
        self._number, self._count = number, count
        self.about(source)
        self._line(f"Input {number + 1} of {count}: {source}")

    def about(self, source: str) -> None:
        self._told.clear()
        self._published = False

    def progress(self, fraction: float, stage: str) -> None:
        self._fraction = max(self._fraction, (self._number + min(fraction, 1.0)) / self._count)
        if self._terminal:
            full = round(self._WIDTH * self._fraction)
            bar = "#" * full + "-" * (self._WIDTH - full)
            self._write(f"\r[{bar}] {self._fraction:4.0%} {stage:<40.40}")
            self._bar_shown = True
        elif stage != self._stage:
            self._write(f"{self._fraction:4.0%} {stage}\n")
        self._stage = stage

    def finding(self, finding: Finding) -> None:
        self._tell(finding.severity, finding.code, finding.message)

    def result(self, facts: dict[str, Any], text: str) -> None:
        self._end_bar()
        try:
            self._output.write(text + "\n")
            self._output.flush()
        except OSError:
            if not self._published:
                raise
            silence(self._output)

    def summary(self, facts: dict[str, Any], text: str) -> None:
        self.result(facts, text)

    def error(self, code: str, exit_code: int, message: str) -> None:
        self._tell("error", code, message)

    def _tell(self, severity: str, code: str, message: str) -> None:
        """A finding that blocks is raised as an error as well: it is printed once."""
        line = f"{severity.capitalize()} [{code}]: {message}"
        if line not in self._told:
            self._told.add(line)
            self._line(line)

    def _line(self, text: str) -> None:
        self._end_bar()
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            silence(self._stream)

    def _end_bar(self) -> None:
        if self._bar_shown:
            self._write("\n")
            self._bar_shown = False
