"""What can go wrong in the Slicer floor. Every message is for the user: what is wrong, and what to do."""


class SynthesisError(RuntimeError):
    """No CT was made. ``log`` holds the engine's last lines, for the details of a message box."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class SynthesisCancelled(SynthesisError):
    """The synthesis was stopped before it made a CT."""
