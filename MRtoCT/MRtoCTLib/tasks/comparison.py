"""A synthetic CT compared with a reference CT of the scene: files out, engine, results into the scene."""

from collections.abc import Callable, Iterator
from typing import Any

from slicer.i18n import tr as _

from MRtoCTLib import nodes, validation
from MRtoCTLib.display import results
from MRtoCTLib.errors import ComparisonCancelled, ComparisonError
from MRtoCTLib.tasks.base import EngineTask, ignore


class Comparison(EngineTask):
    """Starts at once; see EngineTask for how it goes on.

    Args:
        engine: the command that runs the engine.
        ctNode, referenceNode: what is compared.
        mrNode: the MR to which the reference is registered; None for no registration.
        onChanged, onLog: as in EngineTask.

    Attributes:
        result: the display.results.Results, once DONE.

    Raises:
        ComparisonError: nodes that cannot be compared, or another comparison is running.
    """

    Error = ComparisonError
    Cancelled = ComparisonCancelled

    def __init__(
        self,
        engine: list[str],
        ctNode: Any,
        referenceNode: Any,
        mrNode: Any = None,
        onChanged: Callable[["Comparison"], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> None:
        super().__init__(engine, onChanged, onLog)
        self.ctNode = ctNode
        self.referenceNode = referenceNode
        self.mrNode = mrNode
        self._stamps: list[str] = []
        self._start()

    def _problem(self) -> str:
        return validation.problemOfComparison(self.ctNode, self.referenceNode, self.mrNode)

    def _command(self) -> list[str]:
        """All images in the coordinates of the CT's node, so that no transform is left to be considered."""
        folder = self.workspace.path
        self._stamps = [nodes.stampOf(node) for node in self._compared()]
        for node, name in ((self.ctNode, "ct"), (self.referenceNode, "reference"), (self.mrNode, "mr")):
            if node is not None:
                nodes.writeVolume(node, folder / f"{name}.nrrd", toWorld=nodes.matrixBetween(node, self.ctNode))
        how = ["--register", str(folder / "mr.nrrd")] if self.mrNode is not None else ["--resample"]
        files = [str(folder / name) for name in ("ct.nrrd", "reference.nrrd")]
        difference = ["--difference", str(folder / "difference.nrrd")]
        return [*self._engine, "evaluate", *files, *how, *difference, "--progress", "json"]

    def _nodes(self) -> list[Any]:
        return [node for node in (self.ctNode, self.referenceNode, self.mrNode) if node is not None]

    def _compared(self) -> list[Any]:
        return [self.ctNode, self.referenceNode]

    def _sentence(self, what: str) -> str:
        return {
            "busy": _("A comparison is already running: wait until it has ended, or cancel it."),
            "delivering": _("Loading the results"),
            "cancelled": _("The comparison was cancelled."),
            "removed": _("A volume was removed, so the comparison was cancelled."),
            "undelivered": _("The result of the comparison could not be loaded ({reason})."),
        }[what]

    def _read(self) -> None:
        self._image = nodes.readImageData(self.workspace.path / "difference.nrrd")

    def _deliver(self) -> Iterator[None]:
        image = self._image
        del self._image  # or the panel would hold on to them, after the scene has been closed too
        for node, stamp in zip(self._compared(), self._stamps, strict=True):
            if nodes.stampOf(node) != stamp:  # such as by a synthesis into the same volume
                raise ComparisonError(
                    _("'{name}' was changed while it was compared: compare once more.").format(name=node.GetName())
                )
        self.result = results.putResults(self.ctNode, self.referenceNode, image, self.facts)
        return iter(())
