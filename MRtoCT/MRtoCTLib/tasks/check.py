"""What the engine has to say against an MR, before a synthesis."""

from collections.abc import Callable, Iterator
from typing import Any

from slicer.i18n import tr as _

from MRtoCTLib import nodes, validation
from MRtoCTLib.errors import CheckCancelled, CheckError
from MRtoCTLib.tasks.base import EngineTask, ignore


class Check(EngineTask):
    """Starts at once; see EngineTask. Several may run at a time.

    Args:
        engine: the command that runs the engine.
        mrNode: scalar volume node, T1 MR.
        onChanged, onLog: as in EngineTask.

    Attributes:
        result: the findings, once DONE; those of severity "error" block a synthesis.

    Raises:
        CheckError: the node cannot be used.
    """

    Error = CheckError
    Cancelled = CheckCancelled
    isAlone = False
    answers = (0, 2)  # 2: something blocks, which is an answer

    def __init__(
        self,
        engine: list[str],
        mrNode: Any,
        onChanged: Callable[["Check"], None] = ignore,
        onLog: Callable[[str], None] = ignore,
    ) -> None:
        super().__init__(engine, onChanged, onLog)
        self.mrNode = mrNode
        self._start()

    def _problem(self) -> str:
        return validation.problemOfInput(self.mrNode)

    def _command(self) -> list[str]:
        path = self.workspace.path / "mr.nrrd"
        nodes.writeVolume(self.mrNode, path)
        return [*self._engine, "check", str(path), "--progress", "json"]

    def _nodes(self) -> list[Any]:
        return [self.mrNode]

    def _deliver(self) -> Iterator[None]:
        self.result = self.findings
        return iter(())

    def _sentence(self, what: str) -> str:
        return {
            "busy": "",
            "delivering": "",
            "cancelled": _("The check was cancelled."),
            "removed": _("The MR was removed, so it was not checked."),
            "undelivered": _("The MR was not checked ({reason})."),
        }[what]
