"""What can go wrong in the Slicer floor. Every message is for the user: what is wrong, and what to do."""


class TaskError(RuntimeError):
    """The engine's work came to nothing. ``log`` holds its last lines, for the details of a message box."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class SynthesisError(TaskError):
    """No CT was made."""


class SynthesisCancelled(SynthesisError):
    """The synthesis was stopped before it made a CT."""


class RestartNeeded(SynthesisError):
    """Something was installed that works only once Slicer was started anew."""


class ComparisonError(TaskError):
    """A CT was not compared with its reference."""


class ComparisonCancelled(ComparisonError):
    """The comparison was stopped."""


class ExportError(TaskError):
    """A CT was not exported."""


class ExportCancelled(ExportError):
    """The export was stopped before anything was written."""
