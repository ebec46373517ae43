"""Measured pairs: the T1 and the CT of one person, from SynthRAD, a BIDS folder or a folder of one's own.

None of them is part of this project. A case that cannot be used is left out, with a sentence that says why.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from decnn.errors import InputError, SetupError
from training.measured_pairs import bids, folder, synthrad
from training.measured_pairs.pair import MeasuredPair
from training.pictures import draw_pair

__all__ = ["MeasuredPair", "each_pair", "kind_of"]

_Finder = Callable[[Path], tuple[list[Path], list[str]]]
_Reader = Callable[[Path], MeasuredPair]
_KINDS: dict[str, tuple[_Finder, _Reader]] = {
    "synthrad": (synthrad.find_cases, synthrad.read_pair),
    "folder": (folder.find_cases, folder.read_pair),
    "bids": (bids.find_cases, bids.read_pair),
}


def each_pair(spec: str, pictures: Path | None = None) -> Iterator[MeasuredPair | str]:
    """One after the other, sorted by name: a pair, or the sentence on a case that was left out.

    spec: "synthrad:ROOT", "folder:ROOT" or "bids:ROOT". pictures: a folder (made if need be) for a PNG per pair that
    shows how its CT lies on its MR.

    Raises:
        InputError: no such kind or folder, or no case in it.
        SetupError: the pictures cannot be written.
    """
    kind, root = _parsed(spec)
    find, read = _KINDS[kind]
    cases, notes = find(root)
    yield from notes
    for case in cases:
        try:
            pair = read(case)
        except InputError as error:
            # No paths of this machine: the sentences are stored with the figures.
            yield f"{case.name}: {str(error).replace(f'{case}{os.sep}', '').replace(str(case), case.name)}"
            continue
        if pictures is not None:
            try:
                pictures.mkdir(parents=True, exist_ok=True)
                draw_pair(pair, pictures / f"{case.name}.png")
            except OSError as error:
                raise SetupError(
                    f"The picture of {case.name} cannot be written ({error.strerror}): give a folder that you may "
                    "write to, with room."
                ) from error
        yield pair


def kind_of(spec: str) -> str:
    """The kind (synthrad, folder, bids); InputError if the specification names none, or there is no such folder."""
    return _parsed(spec)[0]


def _parsed(spec: str) -> tuple[str, Path]:
    kind, colon, root = spec.partition(":")
    if kind not in _KINDS or not colon or not root:
        raise InputError(f"{spec} names no pairs: give synthrad:FOLDER, folder:FOLDER or bids:FOLDER.")
    if not Path(root).is_dir():
        raise InputError(f"There is no folder {root}: check the path of the pairs.")
    return kind, Path(root)
