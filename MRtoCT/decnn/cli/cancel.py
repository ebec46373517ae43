"""Cancelling: what SIGINT and SIGTERM do to a run, and what is left to do when nobody listens any more."""

import os
import shutil
import signal
from collections.abc import Callable
from types import FrameType

from decnn.errors import Cancelled

WORKSPACE_VARIABLE = "MRTOCT_WORKSPACE"
"""Environment variable: the private folder of the process that started the engine. It holds a patient's MR."""


def remove_workspace() -> None:
    """Removes that folder, if there is one; for when its owner is dead."""
    folder = os.environ.get(WORKSPACE_VARIABLE)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


class Stop:
    """Turns SIGINT and SIGTERM into Cancelled, wherever the main thread is."""

    def __init__(self) -> None:
        self.requested = False
        self.left = "no output was written"
        """What a cancelled run leaves, for the sentence that tells of it."""

    def listen(self) -> None:
        """From here on a signal raises Cancelled; one that came while signals were held back does so now."""
        self._handle_by(self._cancel)
        if self.requested:
            raise Cancelled("The work was cancelled.")

    def hold(self) -> None:
        """From here on a signal interrupts nothing and is only remembered: a result is about to appear."""
        self._handle_by(self._remember)

    def finish(self) -> None:
        """From here on signals do nothing: the work is over, and the exit code has to tell how it ended."""
        self._handle_by(signal.SIG_IGN)

    def _cancel(self, number: int, frame: FrameType | None) -> None:
        # Raised once only, or a second signal would interrupt the tidying up after the first. The flag stays, because
        # an import in progress may swallow the exception.
        if not self.requested:
            self.requested = True
            raise Cancelled("The work was cancelled.")

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def _handle_by(self, handler: "Callable[[int, FrameType | None], None] | signal.Handlers") -> None:
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), handler)
