"""One run of the engine for nodes of the scene: files out, engine, files in; progress, cancel, and a clear end."""

import atexit
import enum
import logging
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, ClassVar

import slicer
from slicer.i18n import tr as _

from MRtoCTLib.errors import TaskError
from MRtoCTLib.tasks.process import EngineProcess
from MRtoCTLib.tasks.workspace import Workspace

_LOG_LINES_OF_AN_ERROR = 30
# Reading, checking and loading are not like what follows: the speed is measured from this share of the work on, and
# tells something after so many seconds.
_FRACTION_THAT_TELLS, _SECONDS_THAT_TELL = 0.2, 3.0
_SECONDS_TO_READ = 0.03  # in one poll
_running: "weakref.WeakSet[EngineTask]" = weakref.WeakSet()


class State(enum.Enum):
    """Where a task stands; the last three are final."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


def ignore(_argument: Any) -> None:
    """A listener for those who want none."""


class EngineTask:
    """One run of the engine. Call poll() until it returns True; unless the task ends DONE, the scene is untouched.

    Subclasses say what speaks against it (_problem), what is asked of the engine (_command), which nodes must stay
    (_nodes), and what is done with its answer (_read, _deliver). They keep their arguments, and call _start().

    Args:
        engine: the command that runs the engine.
        onChanged: called with this object whenever one of its attributes changes.
        onLog: called with each line of the engine's log.

    Attributes:
        state, fraction (0..1), stage (text): the progress.
        findings: what the engine found, dicts with severity, code and message.
        facts: the engine's result, a dict.
        result: what the verb of MRtoCTLogic returns, once DONE.
        error: why there is no result, once FAILED or CANCELLED.
    """

    current: "ClassVar[Any]" = None
    """The one that runs, if there is one."""
    isAlone = True
    """Whether only one of the class can run at a time in the application."""
    Error: type[TaskError] = TaskError
    """What is raised, and kept as error, where the task fails."""
    Cancelled: type[TaskError] = TaskError
    """What is kept as error where it is cancelled."""
    answers: tuple[int, ...] = (0,)
    """Exit codes with which the engine has given an answer."""

    def __init__(self, engine: list[str], onChanged: Callable[[Any], None], onLog: Callable[[str], None]) -> None:
        self.state = State.RUNNING
        self.fraction = 0.0
        self.stage = _("Starting")
        self.findings: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.result: Any = None
        self.error: TaskError | None = None
        self._engine = engine
        self._onChanged = onChanged
        self._onLog = onLog
        self._lastLog: deque[str] = deque(maxlen=_LOG_LINES_OF_AN_ERROR)
        self._engineError: dict[str, Any] = {}
        self._cancelReason = ""
        self._reading: futures.Future[None] | None = None
        self._pieces: Iterator[None] | None = None
        self._isTooLate = False  # what was asked for is there already, so a cancel comes too late
        self._started = time.monotonic()
        self._pace: tuple[float, float] | None = None  # when the work was at which fraction, once it goes evenly

    def _start(self) -> None:
        """Write the files and start the engine; at the end of a subclass's __init__().

        Raises:
            TaskError: of the subclass's kind, if there is a problem, another one runs, the files cannot be written or
                the engine not be started.
        """
        if self.isAlone and type(self).current is not None:
            raise self.Error(self._sentence("busy"))
        problem = self._problem()
        if problem:
            raise self.Error(problem)
        try:
            self.workspace = Workspace()
        except OSError as error:
            raise self.Error(
                _(
                    "No folder for temporary files can be made ({reason}): choose another one in the application "
                    "settings, and see that the disk is not full."
                ).format(reason=error.strerror or error)
            ) from error
        try:
            command = self._asked()
            try:
                self._process = EngineProcess(command, self._onEvent, self._onEngineLog, self.workspace.path)
            except OSError as error:
                raise self.Error(
                    _("The engine could not be started ({reason}): reinstall the extension.").format(reason=error)
                ) from error
        except BaseException:
            self.workspace.remove()
            raise
        type(self).current = self
        _running.add(self)
        self._tellOfChange()

    def _asked(self) -> list[str]:
        """_command(), whose every failure is one of this kind of task."""
        try:
            return self._command()
        except self.Error:
            raise
        except TaskError as error:
            raise self.Error(str(error)) from error
        except (OSError, RuntimeError) as error:
            raise self.Error(
                _("The volumes could not be handed to the engine ({reason}).").format(reason=error)
            ) from error

    def _problem(self) -> str:
        """Why this cannot be done with these arguments, as a sentence; "" if nothing is obviously wrong."""
        raise NotImplementedError

    def _command(self) -> list[str]:
        """Write what the engine needs into the workspace; returns the engine's command line."""
        raise NotImplementedError

    def _nodes(self) -> list[Any]:
        """The nodes of the scene without which the task has no sense."""
        raise NotImplementedError

    def _read(self) -> None:
        """Take what the engine has made out of the workspace, for _deliver().

        Done in a thread, so that a large file does not hold the application up: it must not touch a node.
        """

    def _deliver(self) -> Iterator[None]:
        """Bring what the engine made into the scene, and return what is left to do.

        Each poll() takes one piece of that, so that none holds the application up for long. Raises Error, before
        anything is changed, if the result cannot be brought in.
        """
        raise NotImplementedError

    def _sentence(self, what: str) -> str:
        """What is said of this kind of task when another is "busy", it is "delivering", was "cancelled", its nodes were
        "removed", or its result "undelivered".
        """
        raise NotImplementedError

    @property
    def isRunning(self) -> bool:
        return self.state in (State.RUNNING, State.CANCELLING)

    @property
    def secondsElapsed(self) -> float:
        """Time since the start, in seconds."""
        return time.monotonic() - self._started

    @property
    def secondsLeft(self) -> float | None:
        """Time to the end, in seconds, if it goes on as until now; None while too little is done to tell."""
        if self._pace is None:
            return None
        since, before = time.monotonic() - self._pace[0], self._pace[1]
        if since < _SECONDS_THAT_TELL or self.fraction <= before:
            return None
        return since * (1 - self.fraction) / (self.fraction - before)

    def poll(self) -> bool:
        """Take in what the engine said. True once all is over and the result, if there is one, is in the scene."""
        if not self.isRunning:
            return True
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in self._nodes()):
            self._isTooLate = False
            self.cancel(self._sentence("removed"))
        try:
            if not self._process.poll() or not self._hasRead():
                return False
            # While a scene is being loaded or closed, nodes get new IDs, or go.
            if slicer.mrmlScene.IsBatchProcessing():
                return False
            return self._finish()
        except Exception as error:  # whatever it is, it must not leave a task that never ends
            self._fail(error)
        return True

    def cancel(self, reason: str = "") -> None:
        """Stop the engine; poll() then returns True within two seconds. reason: a sentence, if it is not the user."""
        if self.state is not State.RUNNING:
            return
        self._cancelReason = reason
        self._process.cancel()
        self._change(State.CANCELLING)

    def abort(self) -> None:
        """Stop the engine and wait for its end; for when there will be nobody to poll()."""
        if self.isRunning:
            self.state = State.CANCELLING
            self._process.stop()
            if self._reading is not None:
                futures.wait([self._reading])
            try:
                while not self._finish():
                    pass
            except Exception as error:
                self._fail(error)

    def _onEvent(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            self.fraction = max(self.fraction, min(float(event.get("fraction", 0.0)), 1.0))
            if self._pace is None and self.fraction >= _FRACTION_THAT_TELLS:
                self._pace = (time.monotonic(), self.fraction)
            stage = str(event.get("stage", ""))
            if stage != self.stage:
                self._onEngineLog(f"{self.secondsElapsed:6.1f} s  {stage}")
            self.stage = stage
        elif kind == "finding":
            self.findings.append(event)
            self._onEngineLog(f"{event.get('severity', '').capitalize()}: {event.get('message', '')}")
        elif kind == "result":
            self.facts = event
        elif kind == "error":
            self._engineError = event
        self._tellOfChange()

    def _onEngineLog(self, line: str) -> None:
        self._lastLog.append(line)
        self._onLog(line)

    def _tellOfChange(self) -> None:
        try:
            self._onChanged(self)
        except Exception:  # the caller's defect; the task goes on
            logging.exception("The listener of a task failed")

    def _hasRead(self) -> bool:
        """Let the engine's files, if it has made any, be read; True once that is done."""
        made = self.state is State.RUNNING and self._process.exitCode in self.answers and self.facts
        if made and self._reading is None:
            executor = futures.ThreadPoolExecutor(1, "MRtoCT reader")
            self._reading = executor.submit(self._read)
            executor.shutdown(wait=False)  # the thread ends with its work
            self.stage = self._sentence("delivering")
            self._tellOfChange()
        if self._reading is None:
            return True
        # Qt's event loop holds Python's lock between two polls: the thread works while it is waited for.
        futures.wait([self._reading], timeout=_SECONDS_TO_READ)
        return self._reading.done()

    def _finish(self) -> bool:
        """The engine has ended: bring home what it made, or say why it made nothing. True once that is over."""
        if self.state is State.CANCELLING and not self._isTooLate:
            self._end(State.CANCELLED, self.Cancelled(self._cancelReason or self._sentence("cancelled")))
            return True
        code = self._process.exitCode
        if code not in self.answers or not self.facts:
            said = self._engineError
            message = str(said.get("message", "")) or _(
                "The engine ended unexpectedly (exit code {code}): its last lines are in the log."
            ).format(code=code)
            raise self.Error(message, "\n".join(self._lastLog), str(said.get("code", "")))
        if self._pieces is None:
            if self._reading is not None:
                self._reading.result()  # raises what _read() has raised
            self._pieces = self._deliver()  # of a generator nothing is done yet
        for _piece in self._pieces:
            self._isTooLate = True
            return False
        self.fraction = 1.0
        self._end(State.DONE, None)
        return True

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, TaskError):
            logging.exception("The result of the engine could not be delivered")
            self._process.stop()
            reason = f"{type(error).__name__}: {error}"
            error = self.Error(self._sentence("undelivered").format(reason=reason))
        self._end(State.FAILED, error)

    def _end(self, state: State, error: TaskError | None) -> None:
        self.workspace.remove()
        type(self).current = None
        _running.discard(self)
        self.error = error
        self._change(state)

    def _change(self, state: State) -> None:
        self.state = state
        self._tellOfChange()


@atexit.register
def _abortAll() -> None:
    for task in list(_running):
        task.abort()
