"""Reads images in a child process: a file that crashes ITK, or never comes to an end, costs the child and nothing else.

The child is this module: it takes one JSON object a line, judges the MR that it names, and answers by one line.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from decnn.errors import InputError, explain

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice

LIMIT_S = 300.0
"""A read that takes longer counts as endless."""


class Guard:
    """A child that reads images, started when it is needed and again when it is gone. Use it as a context.

    Args:
        limit_s: how long a read may take, in seconds.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str] = queue.Queue()

    def __enter__(self) -> "Guard":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def check(self, path: str | Path, choice: "Choice | None" = None) -> None:
        """Reads an MR in the child, and judges it as ``decnn.checks.gate.read_mr`` does.

        Raises:
            InputError: what the gate says, or that the file crashes the reader or takes too long.
        """
        if self._child is None or self._child.poll() is not None:
            self._start()
        assert self._child is not None and self._child.stdin is not None
        question = {
            "path": os.fspath(path),
            "series": choice.series if choice else "",
            "echo": choice.echo if choice else "",
        }
        try:
            self._child.stdin.write(json.dumps(question) + "\n")
            self._child.stdin.flush()
            answer = self._answers.get(timeout=self._limit_s)
        except (queue.Empty, OSError):
            answer = None
        if answer is None:
            self._end()
            raise InputError(
                f"Reading {path} took longer than {self._limit_s:.0f} s, so its header is damaged or its disk does not "
                "answer: convert or copy it.",
                code="endless",
            )
        if not answer:
            self._end()
            raise InputError(
                f"Reading {path} crashed the reader, so the file is damaged: convert it with another program, or "
                "export it again.",
                code="crashed",
            )
        said = json.loads(answer)
        if said["code"]:
            error = type("GuardedError", (InputError,), {"exit_code": said["exit_code"]})(said["message"])
            error.code = said["code"]
            raise error

    def _start(self) -> None:
        self._end()
        package = str(Path(__file__).resolve().parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._child = subprocess.Popen(
            [sys.executable, "-m", "decnn.cli.guarded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
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


def _listen(stream: IO[str], answers: "queue.Queue[str]") -> None:
    try:
        for line in stream:
            answers.put(line)
    except (OSError, ValueError):
        pass  # closed by _end()
    answers.put("")


def _serve() -> None:
    """Answers each line of stdin until it ends, which it does when the parent does."""
    # ITK may print to stdout, where only answers belong.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(json.loads(line))) + "\n")
        answers.flush()


def _answer(question: dict[str, str]) -> dict[str, object]:
    from decnn.checks.gate import accepted_mr
    from decnn.io.dicom_read import Choice

    try:
        accepted_mr(question["path"], Choice(question["series"], question["echo"]))
    except Exception as error:
        failure = explain(error)
        return {"code": failure.code, "exit_code": failure.exit_code, "message": str(failure)}
    return {"code": "", "exit_code": 0, "message": ""}


if __name__ == "__main__":
    _serve()
