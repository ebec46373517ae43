"""Runs the engine in a child process: its progress, its log, its end. Knows nothing of MRML nodes and nothing of Qt.

slicer.util.launchConsoleProcess() is not used: it merges stderr into stdout, where our JSON lines would drown in the
log, and it gives the child neither a session nor a group of its own, without which it cannot be killed whole:
PythonSlicer is a launcher, and the real interpreter is its child.
"""

import atexit
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from decnn.cli.cancel import WORKSPACE_VARIABLE

# The engine may take this long to end after it was asked to; then it is killed. Cancel promises 2 s in all, on a busy
# machine too. Nothing is lost by it: all that the engine could tidy up lies in the folder that is removed anyway.
KILL_AFTER_SECONDS = 0.5
# After the launcher has ended, the interpreter below it has this long to close its pipes.
DRAIN_SECONDS = 1.0
# An engine, or a library in it, that talks without end must not hold the application up.
HAND_OUT_SECONDS = 0.05
_MOST_WAITING_LINES = 10_000
# Slicer's exit does not wait longer than this for a process that the system cannot kill (a hanging disk or driver).
STOP_SECONDS = 5.0

_MODULE_FOLDER = Path(__file__).resolve().parents[2]
_running: "weakref.WeakSet[EngineProcess]" = weakref.WeakSet()


def engineCommand() -> list[str]:
    """The command that runs the engine, to be followed by its arguments: Slicer's own Python, module decnn."""
    # Inside the application sys.executable may name the application itself.
    python = shutil.which("PythonSlicer") if hasattr(slicer, "app") else None
    return [python or sys.executable, "-m", "decnn"]


def engineEnvironment(workspace: Path | None) -> dict[str, str]:
    """The child's environment: Slicer's own, as slicer.util.executePythonModule() does it, so that the child finds what
    Slicer finds (PythonSlicer then puts its own settings in front). UTF-8 on every platform, lines sent at once.

    Args:
        workspace: the folder that the engine removes if this process dies; None for none.
    """
    environment = dict(os.environ)
    if workspace is not None:
        environment[WORKSPACE_VARIABLE] = str(workspace)
    environment["PYTHONIOENCODING"] = "utf-8"
    environment["PYTHONUNBUFFERED"] = "1"
    # decnn is found because the child starts in its folder; this variable would switch that off.
    environment.pop("PYTHONSAFEPATH", None)
    return environment


class EngineProcess:
    """One run of the engine. Call poll() now and then, from the thread that owns the callbacks, until it returns True.

    Args:
        command: the whole command line.
        onEvent: called with each JSON object of its stdout (a dict with "event").
        onLog: called with every other line of its stdout and stderr.
        workspace: see engineEnvironment.
    """

    def __init__(
        self,
        command: list[str],
        onEvent: Callable[[dict[str, Any]], None],
        onLog: Callable[[str], None],
        workspace: Path | None = None,
    ) -> None:
        self._onEvent = onEvent
        self._onLog = onLog
        self._lines: queue.Queue[tuple[str, str | None]] = queue.Queue(_MOST_WAITING_LINES)
        self._openStreams = 2
        self._killAt: float | None = None  # when patience with a cancelled engine ends (time.monotonic)
        self._drainedAt: float | None = None  # when patience with its pipes ends
        self._finished = False
        # A session of its own (POSIX) or a hidden console of its own (Windows).
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            options = {"creationflags": subprocess.CREATE_NO_WINDOW}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_MODULE_FOLDER,
            env=engineEnvironment(workspace),
            **options,
        )
        _running.add(self)
        for name in ("stdout", "stderr"):
            threading.Thread(target=self._read, args=(name,), name=f"MRtoCT engine {name}", daemon=True).start()

    @property
    def exitCode(self) -> int | None:
        """The exit code of the command; None while it runs."""
        return self._process.poll()

    def poll(self) -> bool:
        """Hand out what the engine said since the last call. True once it has ended, wholly, and all was handed out."""
        if self._finished:
            return True
        self._handOut()
        now = time.monotonic()
        if self._process.poll() is None:
            if self._killAt is not None and now >= self._killAt:
                self._killTree()
            return False
        if self._openStreams:  # the launcher has ended, something below it has not
            self._drainedAt = self._drainedAt or now + DRAIN_SECONDS
            patienceEnds = self._drainedAt if self._killAt is None else min(self._drainedAt, self._killAt)
            if now < patienceEnds:
                return False
        self._killTree()
        self._handOut()
        self._finished = True
        _running.discard(self)
        return True

    def cancel(self) -> None:
        """Ask the engine to stop. Later poll()s kill what does not."""
        if self._finished or self._killAt is not None:
            return
        self._killAt = time.monotonic() + KILL_AFTER_SECONDS
        if os.name == "nt":
            self._killTree()  # Windows cannot ask a process without a window
        else:
            self._signalTree(signal.SIGTERM)

    def stop(self) -> None:
        """End the engine now and wait for it; what it still says is dropped."""
        self._onEvent = lambda _event: None
        self._onLog = lambda _line: None
        self.cancel()
        patienceEnds = time.monotonic() + STOP_SECONDS
        while not self.poll() and time.monotonic() < patienceEnds:
            time.sleep(0.02)

    def _read(self, name: str) -> None:
        """Thread: pass a stream on line by line, then None."""
        stream = getattr(self._process, name)
        with stream:
            for line in stream:
                self._lines.put((name, line.decode("utf-8", errors="replace").rstrip("\r\n")))
        self._lines.put((name, None))

    def _handOut(self) -> None:
        """Hand out what is waiting, for a short time at most; the rest waits for the next poll."""
        end = time.monotonic() + HAND_OUT_SECONDS
        while time.monotonic() < end:
            try:
                name, line = self._lines.get_nowait()
            except queue.Empty:
                return
            if line is None:
                self._openStreams -= 1
                continue
            event = _asEvent(line) if name == "stdout" else None
            if event is not None:
                self._onEvent(event)
            elif line.strip():
                self._onLog(line)

    def _killTree(self) -> None:
        if sys.platform != "win32":
            self._signalTree(signal.SIGKILL)
        elif self._process.poll() is None:
            subprocess.run(
                ["taskkill", "/T", "/F", "/PID", str(self._process.pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
                check=False,
            )

    def _signalTree(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # nobody is left (macOS says PermissionError when only a zombie is)


def _asEvent(line: str) -> dict[str, Any] | None:
    """The line as an engine event, or None: libraries print to stdout too."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # the latter: a thousand brackets
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


@atexit.register
def _stopAll() -> None:
    for engine in list(_running):
        engine.stop()
