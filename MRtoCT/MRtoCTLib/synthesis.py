"""One synthesis, from an MR node to a CT node: files out, engine, file in."""

import atexit
import enum
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from decnn import NOTICE

from . import review, volumes
from .errors import SynthesisCancelled, SynthesisError
from .worker import EngineProcess
from .workspace import Workspace

_LOG_LINES_OF_AN_ERROR = 30
# Only after this much work does the speed so far say something about the rest: the start is not like what follows.
_FRACTION_THAT_TELLS, _SECONDS_THAT_TELL = 0.1, 3.0


class State(enum.Enum):
    """Where a synthesis stands; the last three are final."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Synthesis:
    """Starts at once; call poll() until it returns True. Until then, and unless it ends DONE, the scene is untouched.

    Only one can run at a time in the application: ``Synthesis.current``.

    mrNode, model, device: as asked for. state, fraction (0..1), stage (text): the progress. findings: what the engine
    found about the MR (dicts with severity, code, message). outputNode: the CT, once DONE. error: why there is none,
    once FAILED or CANCELLED. onChanged: called with this object whenever one of these changes. onLog: called with each
    line of the engine's log.
    """

    current: "Synthesis | None" = None

    def __init__(
        self,
        engine: list[str],
        mrNode: Any,
        outputNode: Any,
        model: str | None,
        device: str,
        onChanged: Callable[["Synthesis"], None],
        onLog: Callable[[str], None],
    ) -> None:
        if Synthesis.current is not None:
            raise SynthesisError(_("A synthesis is already running: wait until it has ended, or cancel it."))
        problem = volumes.problemOfInput(mrNode) or volumes.problemOfOutput(outputNode, mrNode)
        if problem:
            raise SynthesisError(problem)
        self.mrNode = mrNode
        self.outputNode: Any = None
        self.model = model
        self.device = device
        self.state = State.RUNNING
        self.fraction = 0.0
        self.stage = _("Starting")
        self.findings: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.error: SynthesisError | None = None
        self._wantedOutputNode = outputNode
        self._onChanged = onChanged
        self._onLog = onLog
        self._lastLog: deque[str] = deque(maxlen=_LOG_LINES_OF_AN_ERROR)
        self._engineError = ""
        self._cancelReason = ""
        self._started = time.monotonic()
        self.workspace = Workspace()
        try:
            self._process = EngineProcess(self._prepare(engine, model, device), self._onEvent, self._onEngineLog)
        except OSError as error:
            self.workspace.remove()
            raise SynthesisError(
                _("The engine could not be started ({reason}): reinstall the extension.").format(reason=error)
            ) from error
        except BaseException:
            self.workspace.remove()
            raise
        Synthesis.current = self
        self._tellOfChange()

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
        elapsed = self.secondsElapsed
        if self.fraction <= _FRACTION_THAT_TELLS or elapsed < _SECONDS_THAT_TELL:
            return None
        return elapsed * (1 - self.fraction) / self.fraction

    def poll(self) -> bool:
        """Take in what the engine said. True once all is over and the CT, if there is one, is in the scene."""
        if not self.isRunning:
            return True
        if self._nodesAreGone():
            self.cancel(_("The MR or the output volume was removed, so the synthesis was cancelled."))
        try:
            if not self._process.poll():
                return False
            self._finish()
        except SynthesisError as error:
            self._end(State.FAILED, error)
        except Exception as error:  # whatever it is, it must not leave a synthesis that never ends
            self._process.stop()
            reason = f"{type(error).__name__}: {error}"
            self._end(State.FAILED, SynthesisError(_("The CT could not be loaded ({reason}).").format(reason=reason)))
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
            self._process.stop()
            self._end(State.CANCELLED, SynthesisCancelled(_("The synthesis was cancelled.")))

    def _prepare(self, engine: list[str], model: str | None, device: str) -> list[str]:
        """Write the MR; returns the engine's command line."""
        volumes.writeVolume(self.mrNode, self.workspace.path / "mr.nrrd")
        paths = [str(self.workspace.path / name) for name in ("mr.nrrd", "ct.nrrd")]
        options = ["--device", device, "--progress", "json"] + (["--model", str(model)] if model else [])
        return [*engine, "synthesize", *paths, *options]

    def _onEvent(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "progress":
            self.fraction = max(self.fraction, min(float(event.get("fraction", 0.0)), 1.0))
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
            self._engineError = str(event.get("message", ""))
        self._tellOfChange()

    def _onEngineLog(self, line: str) -> None:
        self._lastLog.append(line)
        self._onLog(line)

    def _tellOfChange(self) -> None:
        try:
            self._onChanged(self)
        except Exception:  # the caller's defect; the synthesis goes on
            logging.exception("The listener of a synthesis failed")

    def _nodesAreGone(self) -> bool:
        nodes = [self.mrNode] if self._wantedOutputNode is None else [self.mrNode, self._wantedOutputNode]
        return not all(slicer.mrmlScene.IsNodePresent(node) for node in nodes)

    def _finish(self) -> None:
        """The engine has ended: bring home what it made, or say why it made nothing."""
        if self.state is State.CANCELLING:
            reason = self._cancelReason or _("The synthesis was cancelled.")
            self._end(State.CANCELLED, SynthesisCancelled(reason))
            return
        code = self._process.exitCode
        if code != 0 or not self.facts:
            message = self._engineError or _(
                "The engine ended unexpectedly (exit code {code}): its last lines are in the log."
            ).format(code=code)
            raise SynthesisError(message, "\n".join(self._lastLog))
        voxels = volumes.readVoxels(self.workspace.path / "ct.nrrd")
        self.outputNode = volumes.putCt(voxels, self.mrNode, self._wantedOutputNode, self._provenance())
        review.applyPreset(self.outputNode, review.DEFAULT_PRESET)
        self.fraction = 1.0
        self._end(State.DONE, None)

    def _provenance(self) -> dict[str, str]:
        """Where the CT comes from, for its attributes. The MR by its ID: its name may be the patient's."""
        facts = self.facts
        return {
            volumes.MODEL_ATTRIBUTE: str(facts["model"]),
            "MRtoCT.ModelVersion": str(facts["model_version"]),
            "MRtoCT.WeightsSHA256": str(facts["weights_sha256"]),
            "MRtoCT.Version": str(facts["decnn_version"]),
            "MRtoCT.Device": str(facts["device"]),
            "MRtoCT.Seconds": "{:.1f}".format(facts["seconds"]),
            volumes.SOURCE_ATTRIBUTE: self.mrNode.GetID(),
            "MRtoCT.Notice": NOTICE,
        }

    def _end(self, state: State, error: SynthesisError | None) -> None:
        self.workspace.remove()
        Synthesis.current = None
        self.error = error
        self._change(state)

    def _change(self, state: State) -> None:
        self.state = state
        self._tellOfChange()


@atexit.register
def _abortCurrent() -> None:
    if Synthesis.current is not None:
        Synthesis.current.abort()
