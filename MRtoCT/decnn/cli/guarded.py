"""Reads images in a child process: a file that crashes ITK, or never comes to an end, costs the child and nothing else.

The child is this module. It takes one JSON object a line, reads and judges the MR that it names, prepares it for the
network if that is wanted, and answers by one pickle. So all this is done once, and beside what its parent does.
"""

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from decnn.errors import DecnnError, InputError, SetupError, explain, raise_errors

if TYPE_CHECKING:
    from decnn.cli.single import Ready
    from decnn.io.dicom_read import Choice

LIMIT_S = 300.0
"""A read that takes longer counts as endless."""


@dataclass(frozen=True)
class Answer:
    """What became of a read."""

    ready: "Ready | None" = None
    """None where it was known already, or only to be checked."""
    sha256: str = ""
    """``decnn.io.fingerprint`` of the input."""
    seconds: float = 0.0
    error: DecnnError | None = None


class Guard:
    """A child that reads images, started when it is needed and again when it is gone. Use it as a context.

    Args:
        limit_s: how long a read may take, in seconds.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[Answer | None] = queue.Queue()
        self._closed = False

    def __enter__(self) -> "Guard":
        return self

    def __exit__(self, *_: object) -> None:
        """Also ends a read that another thread waits for."""
        with self._lock:
            self._closed = True
            self._end()

    def check(self, path: str | Path, choice: "Choice | None" = None) -> None:
        """Reads an MR in the child, and judges it as ``decnn.checks.gate.read_mr`` does.

        Raises:
            InputError: what the gate says, or that the file crashes the reader or takes too long.
            SetupError: the reader cannot work.
        """
        self._answered(path, choice, {"known": None})

    def prepare(self, path: str | Path, choice: "Choice | None" = None, known: str = "") -> Answer:
        """As ``check``, and as ``decnn.preparation.prepare`` after it.

        known: a fingerprint; an input that has it is not read.
        """
        return self._answered(path, choice, {"known": known})

    def _answered(self, path: str | Path, choice: "Choice | None", more: dict[str, str | None]) -> Answer:
        question = {
            "path": os.fspath(path),
            "series": choice.series if choice else "",
            "echo": choice.echo if choice else "",
            **more,
        }
        endless = False
        answer = None
        try:
            answers = self._ask(json.dumps(question) + "\n")
            answer = answers.get(timeout=self._limit_s)
        except queue.Empty:
            endless = True
        except OSError:
            pass  # it is gone
        if answer is None:
            with self._lock:
                lost = self._lost(path, endless)
                self._end()
            raise lost
        if answer.error is not None:
            raise answer.error
        return answer

    def _lost(self, path: str | Path, endless: bool) -> DecnnError:
        """What is said of a read that came to nothing, by how the child ended."""
        if endless:
            return InputError(
                f"Reading {path} took longer than {self._limit_s:.0f} s, so its header is damaged or its disk does not "
                "answer: convert or copy it.",
                code="endless",
            )
        if self._exit_code() == -signal.SIGKILL:
            return SetupError(
                f"Reading {path} was ended by the system, as a rule for lack of memory: close other programs, or crop "
                "the image.",
                code="memory",
            )
        return InputError(
            f"Reading {path} crashed the reader, so the file is damaged: convert it with another program, or "
            "export it again.",
            code="crashed",
        )

    def _exit_code(self) -> int | None:
        try:
            return self._child.wait(timeout=5.0) if self._child is not None else None
        except subprocess.TimeoutExpired:
            return None

    def _ask(self, question: str) -> "queue.Queue[Answer | None]":
        """Sends a question; returns where the answer will be. OSError if the child is gone, or the guard closed."""
        with self._lock:
            if self._closed:
                raise OSError("the guard is closed")
            if self._child is None or self._child.poll() is not None:
                self._start()
            assert self._child is not None and self._child.stdin is not None
            self._child.stdin.write(question.encode())
            self._child.stdin.flush()
            return self._answers

    def _start(self) -> None:
        self._end()
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "decnn.cli.guarded"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        except OSError as error:
            raise explain(error) from error  # the machine's fault, not that of the file
        self._answers = queue.Queue()
        assert self._child.stdout is not None
        threading.Thread(target=_listen, args=(self._child.stdout, self._answers), daemon=True).start()

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for stream in (self._child.stdin, self._child.stdout):
                try:
                    if stream is not None:
                        stream.close()
                except OSError:
                    pass  # what was not sent is wanted no longer
            self._child = None


def _listen(stream: IO[bytes], answers: "queue.Queue[Answer | None]") -> None:
    try:
        while True:
            answers.put(pickle.load(stream))
    except Exception:
        answers.put(None)  # it has ended, perhaps in the middle of an answer


def _serve() -> None:
    """Answers each line of stdin until it ends, which it does when the parent does."""
    # ITK may print to stdout, where only answers belong.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin:
        pickle.dump(_answer(json.loads(line)), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _answer(question: dict[str, Any]) -> Answer:
    # Under its own name: as __main__ its classes would be others than those of the parent.
    from decnn.cli import guarded

    start = time.monotonic()
    try:
        from decnn.cli.single import Ready, read
        from decnn.io.dicom_read import Choice
        from decnn.io.fingerprint import fingerprint
        from decnn.preparation import prepare

        path, known = question["path"], question["known"]
        sha256 = fingerprint(path) if known is not None and os.path.exists(path) else ""
        if known and sha256 == known:
            return guarded.Answer(None, sha256, time.monotonic() - start)
        mr, findings = read(path, Choice(question["series"], question["echo"]))
        raise_errors(findings)
        if mr is None or known is None:
            return guarded.Answer()
        ready = Ready(prepare(mr.image, findings), mr.origin)
        return guarded.Answer(ready, sha256, time.monotonic() - start)
    except Exception as error:
        return guarded.Answer(error=explain(error))


if __name__ == "__main__":
    _serve()
