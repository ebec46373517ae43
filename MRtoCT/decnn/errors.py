"""What can go wrong, sorted by who can mend it. Every message is one sentence: what is wrong, and what to do."""


class DecnnError(Exception):
    """An error with a message for the user and an exit code for the command line."""

    exit_code = 1


class InputError(DecnnError):
    """The given image, path or argument cannot be used."""

    exit_code = 2


class SetupError(DecnnError):
    """The installation or the machine is at fault: weights, torch, device, disk."""

    exit_code = 3


class Cancelled(DecnnError):
    """The user stopped the work."""

    exit_code = 130
