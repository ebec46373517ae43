"""The module panel scrolls: what comes of a click is brought into view."""

from typing import Any

import qt

# A label gets the height of its new text only after the layout has been at work.
_PATIENCE_MILLISECONDS = 50


def bringIntoView(*controls: Any) -> None:
    """Scroll the panel so far that these controls can be seen; the last one of them for certain."""

    def scroll() -> None:
        for control in controls:
            area = control.parentWidget()
            while area is not None and not hasattr(area, "ensureWidgetVisible"):
                area = area.parentWidget()
            if area is not None and control.visible:
                area.ensureWidgetVisible(control, 0, 0)

    qt.QTimer.singleShot(_PATIENCE_MILLISECONDS, scroll)
