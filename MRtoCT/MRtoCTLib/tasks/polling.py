"""Work that goes on in the background, looked after from Qt's event loop."""

from collections.abc import Callable

_POLL_MILLISECONDS = 50


def repeatUntilDone(poll: Callable[[], bool]) -> None:
    """Call poll() now and then, from Qt's event loop, until it returns True."""
    import qt  # here and not above: waiting for completion needs no Qt

    def tick() -> None:
        if not poll():
            qt.QTimer.singleShot(_POLL_MILLISECONDS, tick)

    qt.QTimer.singleShot(0, tick)
