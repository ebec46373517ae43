"""MRML nodes in, MRML nodes out: what the panel, the Python console and scripts call."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from decnn import catalog
from decnn.errors import InputError
from MRtoCTLib import dependencies
from MRtoCTLib.display import overlay
from MRtoCTLib.errors import SynthesisError
from MRtoCTLib.parameters import MRtoCTParameterNode
from MRtoCTLib.tasks.base import EngineTask
from MRtoCTLib.tasks.comparison import Comparison
from MRtoCTLib.tasks.polling import repeatUntilDone
from MRtoCTLib.tasks.process import EngineProcess, engineCommand
from MRtoCTLib.tasks.synthesis import State, Synthesis

_MODEL_CARD = "MODEL_CARD.md"
# What the engine can compute on, by its command and the version of torch.
_devices: dict[tuple[str, ...], list[dict[str, Any]]] = {}


class MRtoCTLogic(ScriptedLoadableModuleLogic):
    """Makes synthetic CTs. Needs no panel, and no Qt as long as it waits for completion.

    engine: the command that runs the engine, a list.

    Example::

      logic = MRtoCTLogic()
      ct = logic.synthesize(slicer.util.getNode("MRHead"))
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.engine = engineCommand()
        self._devicesQuery: EngineProcess | None = None

    def getParameterNode(self) -> MRtoCTParameterNode:
        return MRtoCTParameterNode(super().getParameterNode())

    @staticmethod
    def modelNames() -> list[str]:
        """Names of the bundled models, the default one first."""
        return catalog.available_models()

    @staticmethod
    def modelCard(model: str) -> Path | None:
        """The file that tells what a model was trained on and where it fails; None if it has none.

        model: name of a bundled model, or path of a model's folder; "" for the default one.
        """
        try:
            card = catalog.model_folder(model or catalog.DEFAULT_MODEL) / _MODEL_CARD
        except InputError:  # there is no such model
            return None
        return card if card.is_file() else None

    def synthesize(
        self,
        mrNode: Any,
        outputNode: Any = None,
        model: str | None = None,
        device: str = "auto",
        waitForCompletion: bool = True,
        onChanged: Callable[[Synthesis], None] = lambda _synthesis: None,
        onLog: Callable[[str], None] = lambda _line: None,
        opacity: float = 0.5,
        confidence: bool = False,
    ) -> Any:
        """Make a synthetic CT of a T1 MR of the head, and show it over the MR.

        mrNode: scalar volume node, T1 MR. outputNode: volume node that takes the CT; if None, a new one: "<MR> sCT".
        model: name of a bundled model, or path of a model's folder; the default one if None.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps". opacity: of the CT over the MR, 0..1.
        confidence: also make a map of where the model disagrees with itself, a volume in HU named after the CT.
        waitForCompletion: if True, return the CT's node. If False, return None at once and go on in the background
        (this needs Qt's event loop): onChanged is called with the Synthesis, whose state at last is DONE (its
        outputNode is the CT), FAILED or CANCELLED (its error says why). onLog is called with each line of the log.
        Raises SynthesisError with a sentence for the user; SynthesisCancelled if stopped. The scene is then as before.
        """
        if not dependencies.torchInstalled():
            raise SynthesisError(dependencies.instructions())

        def changed(synthesis: Synthesis) -> None:
            if synthesis.state is State.DONE:
                overlay.showOverlay(synthesis.mrNode, synthesis.outputNode, opacity)
            onChanged(synthesis)

        synthesis = Synthesis(self.engine, mrNode, outputNode, model, device, changed, onLog, confidence)
        _run(synthesis, waitForCompletion)
        return synthesis.outputNode

    def compare(
        self,
        ctNode: Any,
        referenceNode: Any,
        mrNode: Any = None,
        waitForCompletion: bool = True,
        onChanged: Callable[[Comparison], None] = lambda _comparison: None,
        onLog: Callable[[str], None] = lambda _line: None,
    ) -> Any:
        """Compare a synthetic CT with a real CT of the same head, on any grid and under linear transforms.

        mrNode: if given, the reference is first registered rigidly to this MR (the nodes stay where they are).
        Returns comparisonnodes.Results: the nodes of a table of metrics, of the map synthetic - reference in HU, and of
        a chart of the histograms. A comparison of the same two volumes before is replaced.
        waitForCompletion, onChanged, onLog: as in synthesize(). Raises ComparisonError with a sentence for the user;
        ComparisonCancelled if stopped. The scene is then as before.
        """
        comparison = Comparison(self.engine, ctNode, referenceNode, mrNode, onChanged, onLog)
        _run(comparison, waitForCompletion)
        return comparison.results

    @property
    def isRunning(self) -> bool:
        """Whether a synthesis is running anywhere in this application."""
        return Synthesis.current is not None

    def cancel(self) -> None:
        """Stop the running synthesis, if any; it ends within two seconds."""
        if Synthesis.current is not None:
            Synthesis.current.cancel()

    def requestDevices(self, onDevices: Callable[[list[dict[str, Any]]], None]) -> None:
        """Ask the engine, in the background, what it can compute on. Needs Qt's event loop.

        onDevices gets a list of dicts: name (for synthesize()), description, memory_gb (or None). It is not called if
        the engine cannot tell. The engine is asked once per version of torch; what it said is kept until Slicer ends.
        """
        key = (*self.engine, dependencies.torchVersion())
        if key in _devices:
            onDevices(_devices[key])
            return
        if self._devicesQuery is not None:
            return  # it has been asked already
        lines: list[str] = []
        query = EngineProcess([*self.engine, "info", "--json"], lambda _event: None, lines.append)
        self._devicesQuery = query

        def poll() -> bool:
            if not query.poll():
                return False
            if self._devicesQuery is query:
                self._devicesQuery = None
                for line in lines if query.exitCode == 0 else []:
                    if line.startswith("{") and (devices := json.loads(line)["devices"]):
                        _devices[key] = devices
                        onDevices(devices)
            return True

        repeatUntilDone(poll)

    def cleanup(self) -> None:
        """End everything that runs; for when the panel or the application goes away."""
        if self._devicesQuery is not None:
            self._devicesQuery.stop()
            self._devicesQuery = None
        for task in (Synthesis.current, Comparison.current):
            if task is not None:
                task.abort()


def _run(task: EngineTask, waitForCompletion: bool) -> None:
    """Look after a task: here until it is done, or else from Qt's event loop. Raises its error in the first case."""
    if not waitForCompletion:
        repeatUntilDone(task.poll)
        return
    try:
        while not task.poll():
            _letTheApplicationWork()
    except BaseException:  # such as Ctrl-C in a console
        task.abort()
        raise
    if task.error is not None:
        raise task.error


def _letTheApplicationWork() -> None:
    application = getattr(slicer, "app", None)
    if application is not None:
        application.processEvents()
    time.sleep(0.02)
