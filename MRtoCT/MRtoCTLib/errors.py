"""What can go wrong in the Slicer floor. Every message is for the user: what is wrong, and what to do."""


class TaskError(RuntimeError):
    """The engine's work came to nothing.

    Attributes:
        log: the last lines that the engine said, for the details of a message box.
        code: the engine's code of the error (docs/troubleshooting.md); "" if it has none.
    """

    def __init__(self, message: str, log: str = "", code: str = "") -> None:
        super().__init__(message)
        self.log = log
        self.code = code


class CheckError(TaskError):
    """An MR could not be checked."""


class CheckCancelled(CheckError):
    """The check was stopped."""


class SynthesisError(TaskError):
    """No CT was made."""


class SynthesisCancelled(SynthesisError):
    """The synthesis was stopped before it made a CT."""


class RestartNeeded(SynthesisError):
    """Something was installed that works only after a restart of Slicer."""


class ComparisonError(TaskError):
    """A CT was not compared with its reference."""


class ComparisonCancelled(ComparisonError):
    """The comparison was stopped."""


class ExportError(TaskError):
    """A CT was not exported."""


class ExportCancelled(ExportError):
    """The export was stopped, and nothing was written."""


class SaveError(TaskError):
    """A CT was not written into a file of its own."""
