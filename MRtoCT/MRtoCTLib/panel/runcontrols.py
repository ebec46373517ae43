"""The button that starts and cancels an engine task, and its progress bar: alike in every section of the panel."""

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRtoCTLib.errors import TaskError
from MRtoCTLib.tasks.base import EngineTask, State


def showRun(
    button: Any, bar: Any, task: EngineTask | None, start: str, hint: str, cancelHint: str, problem: str
) -> None:
    """Bring button and bar up to date.

    Args:
        button, bar: the two controls.
        task: the last task that the button has started, or None.
        start, hint: the button's text and tooltip while nothing runs.
        cancelHint: its tooltip while the task runs.
        problem: why the task cannot be started, "" if it can; takes the place of the hint.
    """
    if task is None or not task.isRunning:
        text, toolTip, enabled, fraction = start, problem or hint, not problem, None
    elif task.state is State.CANCELLING:
        text, toolTip, enabled, fraction = _("Cancelling"), _("The engine is being stopped."), False, task.fraction
    else:
        text, toolTip, enabled, fraction = _("Cancel"), cancelHint, True, task.fraction
    button.text, button.toolTip, button.enabled = text, toolTip, enabled
    bar.visible = fraction is not None
    bar.value = round(100 * (fraction or 0.0))


def startOrCancel(task: EngineTask | None, failure: str, start: Callable[[], Any]) -> None:
    """What a click on the button does.

    Args:
        task: as above.
        failure: what is said, before the reason, if start() raises an error.
        start: starts another task.
    """
    if task is not None and task.isRunning:
        task.cancel()
        return
    with slicer.util.tryWithErrorDisplay(failure, waitCursor=True):
        start()


def showError(error: TaskError) -> None:
    """Show a task's error in a message box, with the last lines of the engine's log as its details."""
    slicer.util.errorDisplay(str(error), **({"detailedText": error.log} if error.log else {}))
