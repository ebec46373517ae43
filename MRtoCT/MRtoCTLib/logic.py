"""MRML nodes in, MRML nodes out: what the panel, the Python console and scripts call."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

import decnn.options
from decnn import catalog
from decnn.errors import InputError
from MRtoCTLib import dependencies, files, validation
from MRtoCTLib.display import overlay
from MRtoCTLib.errors import SaveError, SynthesisError
from MRtoCTLib.parameters import MRtoCTParameterNode
from MRtoCTLib.tasks.base import EngineTask, State, ignore
from MRtoCTLib.tasks.check import Check
from MRtoCTLib.tasks.comparison import Comparison
from MRtoCTLib.tasks.export import Export
from MRtoCTLib.tasks.polling import repeatUntilDone
from MRtoCTLib.tasks.process import EngineProcess, engineCommand
from MRtoCTLib.tasks.synthesis import Synthesis
from MRtoCTLib.tasks.workspace import removeAbandoned

_MODEL_CARD = "MODEL_CARD.md"
# What the engine can compute on, by its command and the version of torch.
_devices: dict[tuple[str, ...], list[dict[str, Any]]] = {}


class MRtoCTLogic(ScriptedLoadableModuleLogic):
    """Checks MRs, makes synthetic CTs, compares and exports them. Needs no panel, and no Qt while it waits.

    The four verbs check(), synthesize(), compare() and exportDicom() have the same shape. With waitForCompletion they
    return their result, or raise an error of their own kind with a sentence for the user; the scene is then as before.
    Without, they return the running task at once and go on from Qt's event loop: onChanged is called with the task
    whenever its state, fraction, stage or findings change; at last its state is DONE (its result is there), FAILED or
    CANCELLED (its error says why). onLog is called with each line of the engine's log.

    Attributes:
        engine: the command that runs the engine, a list.

    Example::

      logic = MRtoCTLogic()
      ct = logic.synthesize(slicer.util.getNode("MRHead"), options=logic.Options(device="cpu"))
    """

    Options = decnn.options.Options

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.engine = engineCommand()
        removeAbandoned()  # a patient must not stay on the disk until the next synthesis
        self._devicesQuery: EngineProcess | None = None

    def getParameterNode(self) -> MRtoCTParameterNode:
        wrapper: Any = MRtoCTParameterNode  # Slicer's decorator gives it a constructor
        node: MRtoCTParameterNode = wrapper(super().getParameterNode())
        return node

    def check(
        self,
        mrNode: Any,
        waitForCompletion: bool = True,
        onChanged: Callable[[Check], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> Any:
        """Find out what speaks against making a synthetic CT of an MR.

        Args:
            mrNode: scalar volume node, T1 MR.
            waitForCompletion, onChanged, onLog: see the class.

        Returns:
            A list of dicts with severity ("warning" or "error"), code and message; an error blocks a synthesis.

        Raises:
            CheckError: the MR could not be checked.
        """
        return _run(Check(self.engine, mrNode, onChanged, onLog), waitForCompletion)

    def synthesize(
        self,
        mrNode: Any,
        outputNode: Any = None,
        options: decnn.options.Options = decnn.options.DEFAULTS,
        waitForCompletion: bool = True,
        onChanged: Callable[[Synthesis], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> Any:
        """Make a synthetic CT of a T1 MR of the head, and show it over the MR.

        Args:
            mrNode: scalar volume node, T1 MR.
            outputNode: volume node that takes the CT; if None, a new one: "<MR> sCT".
            options: model, device and what else is computed; see decnn.options.Options.
            waitForCompletion, onChanged, onLog: see the class.

        Returns:
            The CT's node.

        Raises:
            SynthesisError: no CT could be made; SynthesisCancelled if it was stopped.
        """
        if not dependencies.torchInstalled():
            raise SynthesisError(dependencies.instructions())

        def changed(synthesis: Synthesis) -> None:
            if synthesis.state is State.DONE:
                isThere = slicer.mrmlScene.IsNodePresent(synthesis.mrNode)
                overlay.showOverlay(synthesis.mrNode if isThere else None, synthesis.outputNode)
            onChanged(synthesis)

        return _run(Synthesis(self.engine, mrNode, outputNode, options, changed, onLog), waitForCompletion)

    def compare(
        self,
        ctNode: Any,
        referenceNode: Any,
        mrNode: Any = None,
        waitForCompletion: bool = True,
        onChanged: Callable[[Comparison], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> Any:
        """Compare a synthetic CT with a real CT of the same head, on any grid and under linear transforms.

        Args:
            ctNode: the synthetic CT.
            referenceNode: the real CT.
            mrNode: if given, the reference is first registered rigidly to this MR (the nodes stay where they are).
            waitForCompletion, onChanged, onLog: see the class.

        Returns:
            display.results.Results: the nodes of a table of metrics, of the map synthetic - reference in HU, and of a
            chart of the histograms. A comparison of the same two volumes before is replaced.

        Raises:
            ComparisonError: they could not be compared; ComparisonCancelled if it was stopped.
        """
        return _run(Comparison(self.engine, ctNode, referenceNode, mrNode, onChanged, onLog), waitForCompletion)

    def exportDicom(
        self,
        ctNode: Any,
        folder: Any,
        resample: bool = False,
        unverifiedReference: bool = False,
        waitForCompletion: bool = True,
        onChanged: Callable[[Export], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> Any:
        """Write a synthetic CT as a DICOM CT series, in the study of its MR if that came from DICOM.

        Args:
            ctNode: a CT that this module made.
            folder: path of a folder that does not exist yet, or is empty.
            resample: bring an oblique, sheared or transformed CT to axial slices of 1 mm; else it is refused.
            unverifiedReference: let a CT that does not say which MR it was made from (of version 0.9.0, or loaded from
                a NIfTI file) take over the patient of its MR; else it is refused.
            waitForCompletion, onChanged, onLog: see the class.

        Returns:
            The folder, a Path.

        Raises:
            ExportError: nothing was written; ExportCancelled if it was stopped.
        """
        task = Export(self.engine, ctNode, Path(folder), resample, unverifiedReference, onChanged, onLog)
        return _run(task, waitForCompletion)

    @staticmethod
    def save(ctNode: Any, path: Any) -> None:
        """Write a CT to a file that an export takes again; what Slicer itself saves does not say who made it.

        Args:
            ctNode: a CT that this module made.
            path: of a .nrrd or .mha file.

        Raises:
            SaveError: it is no CT of this module, or cannot be written.
        """
        problem = validation.problemOfCt(ctNode)
        if problem:
            raise SaveError(problem)
        files.save(ctNode, Path(path))

    @property
    def isRunning(self) -> bool:
        """Whether a synthesis is running anywhere in this application."""
        return Synthesis.current is not None

    def cancel(self) -> None:
        """Stop the running synthesis, if any; it ends within two seconds."""
        if Synthesis.current is not None:
            Synthesis.current.cancel()

    @staticmethod
    def models() -> list[catalog.ModelEntry]:
        """The bundled models, the default one first: name, version, title, summary, terms."""
        return [catalog.model_entry(name) for name in catalog.available_models()]

    @staticmethod
    def modelCard(model: str) -> Path | None:
        """The file that tells what a model was trained on and where it fails.

        Args:
            model: name of a bundled model, or path of a model's folder; "" for the default one.

        Returns:
            None if the model has no card, or there is no such model.
        """
        try:
            card = catalog.model_folder(model or catalog.DEFAULT_MODEL) / _MODEL_CARD
        except InputError:
            return None
        return card if card.is_file() else None

    def requestDevices(self, onDevices: Callable[[list[dict[str, Any]]], None]) -> None:
        """Ask the engine, in the background, what it can compute on. Needs Qt's event loop.

        The engine is asked once per version of torch; what it said is kept until Slicer ends.

        Args:
            onDevices: gets a list of dicts: name (for Options.device), description, memory_gb (or None). It is not
                called if the engine cannot tell.
        """
        key = (*self.engine, dependencies.torchVersion())
        if key in _devices:
            onDevices(_devices[key])
            return
        if self._devicesQuery is not None:
            return  # it has been asked already
        lines: list[str] = []
        query = EngineProcess([*self.engine, "info", "--json"], ignore, lines.append)
        self._devicesQuery = query

        def poll() -> bool:
            if not query.poll():
                return False
            if self._devicesQuery is query:
                self._devicesQuery = None
                devices = _devicesIn(lines) if query.exitCode == 0 else []
                if devices:
                    _devices[key] = devices
                    onDevices(devices)
            return True

        repeatUntilDone(poll)

    def cleanup(self) -> None:
        """End everything that runs; for when the panel or the application goes away."""
        if self._devicesQuery is not None:
            self._devicesQuery.stop()
            self._devicesQuery = None
        for task in (Synthesis.current, Comparison.current, Export.current):
            if task is not None:
                task.abort()


def _devicesIn(lines: list[str]) -> list[dict[str, Any]]:
    """What the engine's answer to "info" says of devices; libraries print to stdout, too."""
    for line in lines:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and isinstance(said.get("devices"), list):
            return said["devices"]
    return []


def _run(task: EngineTask, waitForCompletion: bool) -> Any:
    """Look after a task: here until it is done, or else from Qt's event loop."""
    if not waitForCompletion:
        repeatUntilDone(task.poll)
        return task
    try:
        while not task.poll():
            _letTheApplicationWork()
    except BaseException:  # such as Ctrl-C in a console
        task.abort()
        raise
    if task.error is not None:
        raise task.error
    return task.result


def _letTheApplicationWork() -> None:
    application = getattr(slicer, "app", None)
    if application is not None:
        application.processEvents()
    time.sleep(0.02)
