"""How much memory a finished child process needed, measured from the outside."""

import resource
import sys


def peak_memory_of_children_mb() -> int:
    """Largest resident set of any child process that has ended, as the operating system counts it.

    Linux counts what the parent held when it started the child as the child's too: this is then the least that is told.
    """
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))  # macOS counts bytes, Linux kilobytes
