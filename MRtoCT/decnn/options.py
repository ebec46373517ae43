"""What a user may choose for a synthesis: one object, from the panel or the command line down to the network."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from decnn.catalog import DEFAULT_MODEL

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Options:
    """What a synthesis computes, and where. How the CT is shown, and in which files it lands, is none of it."""

    model: str = DEFAULT_MODEL
    """Name of a bundled model, or path of a model's folder."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps (``decnn.devices``)."""
    confidence: bool = False
    """Also make the map of where the model disagrees with itself (``decnn.confidence``)."""

    precision: str = "auto"
    """auto, float32 or bfloat16; auto takes bfloat16 where the device computes in it."""

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> "Options":
        """The options of a parsed command line; ``confidence`` is wanted where a file is named for it."""
        return cls(arguments.model, arguments.device, arguments.confidence is not None, arguments.precision)

    def as_arguments(self) -> Iterator[str]:
        """What gives these options to ``decnn synthesize``; the confidence map's file is for the caller to add."""
        yield from ("--model", self.model, "--device", self.device, "--precision", self.precision)


DEFAULTS = Options()
"""The bundled model, on the best device there is."""
