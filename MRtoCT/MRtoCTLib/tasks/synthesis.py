"""One synthesis, from an MR node to a CT node."""

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from decnn import NOTICE
from decnn.hu import DEFAULT_WINDOW
from MRtoCTLib import nodes, validation
from MRtoCTLib.display import maps, overlay
from MRtoCTLib.errors import SynthesisCancelled, SynthesisError
from MRtoCTLib.tasks.base import EngineTask, State

__all__ = ["State", "Synthesis"]


class Synthesis(EngineTask):
    """Starts at once; see EngineTask for how it goes on.

    mrNode, model, device: as asked for. outputNode: the CT, once DONE. confidenceNode: the map of where the model
    disagrees with itself, once DONE, if it was asked for.
    """

    Error = SynthesisError
    Cancelled = SynthesisCancelled

    def __init__(
        self,
        engine: list[str],
        mrNode: Any,
        outputNode: Any,
        model: str | None,
        device: str,
        onChanged: Callable[["Synthesis"], None],
        onLog: Callable[[str], None],
        confidence: bool = False,
    ) -> None:
        if Synthesis.current is not None:
            raise SynthesisError(_("A synthesis is already running: wait until it has ended, or cancel it."))
        problem = validation.problemOfInput(mrNode) or validation.problemOfOutput(outputNode, mrNode)
        if problem:
            raise SynthesisError(problem)
        super().__init__(onChanged, onLog)
        self.mrNode = mrNode
        self.outputNode: Any = None
        self.confidenceNode: Any = None
        self.model = model
        self.device = device
        self._confidence = confidence
        self._engine = engine
        self._wantedOutputNode = outputNode
        self._start()

    def _command(self) -> list[str]:
        nodes.writeVolume(self.mrNode, self.workspace.path / "mr.nrrd")
        paths = [str(self.workspace.path / name) for name in ("mr.nrrd", "ct.nrrd")]
        options = ["--device", self.device, "--progress", "json"]
        if self.model:
            options += ["--model", str(self.model)]
        if self._confidence:
            options += ["--confidence", str(self.workspace.path / "confidence.nrrd")]
        return [*self._engine, "synthesize", *paths, *options]

    def _nodes(self) -> list[Any]:
        return [self.mrNode] if self._wantedOutputNode is None else [self.mrNode, self._wantedOutputNode]

    def _sentence(self, what: str) -> str:
        return {
            "cancelled": _("The synthesis was cancelled."),
            "removed": _("The MR or the output volume was removed, so the synthesis was cancelled."),
            "undelivered": _("The CT could not be loaded ({reason})."),
        }[what]

    def _read(self) -> None:
        names = ["ct.nrrd", "confidence.nrrd"] if self._confidence else ["ct.nrrd"]
        self._voxels = [nodes.readVoxels(self.workspace.path / name) for name in names]

    def _deliver(self) -> None:
        voxels, *confidence = self._voxels
        del self._voxels  # or the panel would hold on to them, after the scene has been closed too
        self.outputNode = nodes.putCt(voxels, self.mrNode, self._wantedOutputNode, self._provenance())
        overlay.applyPreset(self.outputNode, DEFAULT_WINDOW)
        if confidence:
            name = _("{name} disagreement").format(name=self.outputNode.GetName())
            before = next(iter(maps.mapsOf(self.outputNode, "disagreement")), None)
            self.confidenceNode = maps.putMap("disagreement", confidence[0], self.outputNode, before, name)
        maps.outdate(self.outputNode, self.confidenceNode)

    def _provenance(self) -> dict[str, str]:
        """Where the CT comes from, for its attributes. The MR by its ID: its name may be the patient's."""
        facts = self.facts
        return {
            nodes.MODEL_ATTRIBUTE: str(facts["model"]),
            "MRtoCT.ModelVersion": str(facts["model_version"]),
            nodes.WEIGHTS_ATTRIBUTE: str(facts["weights_sha256"]),
            "MRtoCT.Version": str(facts["decnn_version"]),
            "MRtoCT.Device": str(facts["device"]),
            "MRtoCT.Seconds": "{:.1f}".format(facts["seconds"]),
            nodes.SOURCE_ATTRIBUTE: self.mrNode.GetID(),
            nodes.FINDINGS_ATTRIBUTE: "\n".join(finding["message"] for finding in self.findings) or "none",
            "MRtoCT.Notice": NOTICE,
        }
