"""One synthesis, from an MR node to a CT node."""

from collections.abc import Callable, Iterator
from typing import Any

from slicer.i18n import tr as _

from decnn import NOTICE
from decnn.hu import DEFAULT_WINDOW
from decnn.options import Options
from MRtoCTLib import nodes, validation
from MRtoCTLib.display import maps, overlay
from MRtoCTLib.errors import SynthesisCancelled, SynthesisError
from MRtoCTLib.tasks.base import EngineTask, State, ignore

__all__ = ["State", "Synthesis"]

_MR, _CT, _CONFIDENCE = "mr.nrrd", "ct.nrrd", "confidence.nrrd"


class Synthesis(EngineTask):
    """Starts at once; see EngineTask for how it goes on.

    Args:
        engine: the command that runs the engine.
        mrNode: scalar volume node, T1 MR.
        outputNode: volume node that takes the CT; None for a new one.
        options: what to compute, and where.
        onChanged, onLog: as in EngineTask.

    Attributes:
        outputNode: the CT, once DONE; this is the result.
        confidenceNode: the map of where the model disagrees with itself, once DONE, if it was asked for.

    Raises:
        SynthesisError: nodes that cannot be used, or another synthesis is running.
    """

    Error = SynthesisError
    Cancelled = SynthesisCancelled

    def __init__(
        self,
        engine: list[str],
        mrNode: Any,
        outputNode: Any,
        options: Options,
        onChanged: Callable[["Synthesis"], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> None:
        super().__init__(engine, onChanged, onLog)
        self.mrNode = mrNode
        self.outputNode: Any = None
        self.confidenceNode: Any = None
        self.options = options
        self._wantedOutputNode = outputNode
        self._stamp = ""
        self._start()

    def _problem(self) -> str:
        return validation.problemOfInput(self.mrNode) or validation.problemOfOutput(self._wantedOutputNode, self.mrNode)

    def _command(self) -> list[str]:
        folder = self.workspace.path
        self._stamp = nodes.stampOf(self.mrNode)
        nodes.writeVolume(self.mrNode, folder / _MR)
        command = [*self._engine, "synthesize", str(folder / _MR), str(folder / _CT)]
        command += [*self.options.as_arguments(), "--progress", "json"]
        series = nodes.seriesUidOf(self.mrNode)
        command += ["--source-series", series] if series else []
        return command + (["--confidence", str(folder / _CONFIDENCE)] if self.options.confidence else [])

    def _nodes(self) -> list[Any]:
        if self.outputNode is not None:  # it has the CT already
            return [self.outputNode]
        return [self.mrNode] if self._wantedOutputNode is None else [self.mrNode, self._wantedOutputNode]

    def _sentence(self, what: str) -> str:
        return {
            "busy": _("A synthesis is already running: wait until it has ended, or cancel it."),
            "delivering": _("Loading the CT"),
            "cancelled": _("The synthesis was cancelled."),
            "removed": _("The MR or the output volume was removed, so the synthesis was cancelled."),
            "undelivered": _("The CT could not be loaded ({reason})."),
        }[what]

    def _read(self) -> None:
        names = [_CT, _CONFIDENCE] if self.options.confidence else [_CT]
        self._images = [nodes.readImageData(self.workspace.path / name) for name in names]

    def _deliver(self) -> Iterator[None]:
        ct, *confidence = self._images
        del self._images  # or the panel would hold on to them, after the scene has been closed too
        if nodes.stampOf(self.mrNode) != self._stamp:
            raise SynthesisError(
                _("'{name}' was changed while its CT was made: synthesize it once more.").format(
                    name=self.mrNode.GetName()
                )
            )
        self.result = self.outputNode = nodes.putCt(ct, self.mrNode, self._wantedOutputNode, self._provenance())
        overlay.applyPreset(self.outputNode, DEFAULT_WINDOW)
        before = next(iter(maps.mapsOf(self.outputNode, "disagreement")), None) if confidence else None
        maps.detachOlder(self.outputNode, before)
        yield
        if confidence:
            name = _("{name} disagreement").format(name=self.outputNode.GetName())
            self.confidenceNode = maps.putMap("disagreement", confidence[0], self.outputNode, before, name)
            yield

    def _provenance(self) -> dict[str, str]:
        """Where the CT comes from, for its attributes. The MR by its ID: its name may be the patient's."""
        facts = self.facts
        return {
            nodes.MODEL_ATTRIBUTE: str(facts["model"]),
            "MRtoCT.ModelVersion": str(facts["model_version"]),
            nodes.WEIGHTS_ATTRIBUTE: str(facts["weights_sha256"]),
            "MRtoCT.Terms": str(facts.get("terms", "")),
            "MRtoCT.Version": str(facts["decnn_version"]),
            "MRtoCT.Device": str(facts["device"]),
            "MRtoCT.Precision": str(facts.get("precision", "")),
            "MRtoCT.Seconds": "{:.1f}".format(facts["seconds"]),
            nodes.SOURCE_ATTRIBUTE: self.mrNode.GetID(),
            nodes.SERIES_ATTRIBUTE: str(facts.get("source_series_uid", "")),
            nodes.HASH_ATTRIBUTE: str(facts.get("source_hash", "")),
            nodes.FINDINGS_ATTRIBUTE: "\n".join(finding["message"] for finding in self.findings) or "none",
            "MRtoCT.Notice": NOTICE,
        }
