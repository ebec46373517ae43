"""How far a piece of work is, and whether it should go on: what long functions take, and what they make of it."""

from collections.abc import Callable

from decnn.errors import Cancelled

Report = Callable[[float, str], None]
"""Called with (fraction 0..1, stage)."""


def silent(_fraction: float, _stage: str) -> None:
    """A Report for those who want none."""


class Steps:
    """Reports each step, and ends the work between two of them when asked to.

    Args:
        report: called at each step.
        should_cancel: asked at each step.
    """

    def __init__(self, report: Report = silent, should_cancel: Callable[[], bool] = lambda: False) -> None:
        self._report = report
        self._should_cancel = should_cancel

    def enter(self, fraction: float, stage: str) -> None:
        """A step begins. Raises Cancelled if the work is no longer wanted."""
        if self._should_cancel():
            raise Cancelled("The synthesis was cancelled.")
        self._report(fraction, stage)
