"""The button that starts and cancels an engine task, and its progress bar: alike in every section of the panel."""

from typing import Any

from slicer.i18n import tr as _

from MRtoCTLib.tasks.base import EngineTask, State


def showRun(
    button: Any, bar: Any, task: EngineTask | None, start: str, hint: str, cancelHint: str, problem: str
) -> None:
    """Bring button and bar up to date.

    start, hint: the button's text and tooltip while nothing runs. problem: why the task cannot be started, "" if it
    can; takes the place of the hint.
    """
    running = task is not None and task.isRunning
    if running and task.state is State.CANCELLING:
        text, toolTip, enabled = _("Cancelling"), _("The engine is being stopped."), False
    elif running:
        text, toolTip, enabled = _("Cancel"), cancelHint, True
    else:
        text, toolTip, enabled = start, problem or hint, not problem
    button.text, button.toolTip, button.enabled = text, toolTip, enabled
    bar.visible = running
    bar.value = round(100 * task.fraction) if running else 0
