"""Random damage to files of each format, read through the guard: whatever a file does, its reader's caller goes on."""

import itertools
import random
import time
from collections import Counter
from pathlib import Path

from attack.images import FORMATS, data_file, written
from decnn.cli.guarded import Guard
from decnn.errors import DecnnError


def fuzz(guard: Guard, folder: Path, seconds: float, seed: int = 0) -> Counter[str]:
    """How many files met which end: "taken", or the code that refused them."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    originals = []
    for format in (*FORMATS, "dcm"):
        place = folder / f"fuzz-{format}"
        place.mkdir()
        path = _dicom(place) if format == "dcm" else written(place, format)
        originals.append((path, path.read_bytes(), data_file(path)))
    end = time.monotonic() + seconds
    for number in itertools.count():
        if time.monotonic() > end:
            return outcomes
        path, content, _ = originals[number % len(originals)]
        path.write_bytes(damaged(content, rng))
        try:
            guard.check(path)
            outcomes["taken"] += 1
        except DecnnError as error:
            outcomes[error.code] += 1
        path.write_bytes(content)
    return outcomes


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A copy with some bytes changed, taken out, doubled or cut off; most often in the header, where it hurts."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        limit = len(data) if rng.random() < 0.3 else min(len(data), 600)
        if limit < 4:
            break
        place = rng.randrange(limit)
        kind = rng.randrange(6)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place] = rng.choice((0, 1, 127, 128, 255, 32, 45, 57))
        elif kind == 2:
            del data[place : place + rng.randrange(1, 40)]
        elif kind == 3:
            data[place:place] = data[place : place + rng.randrange(1, 40)]
        elif kind == 4:
            data[place : place + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\0\0\x80\x7f", b"9999", b"nan ", b"-1  "))
        else:
            del data[rng.randrange(len(data)) :]
    return bytes(data)


def _dicom(folder: Path) -> Path:
    from attack.images import head
    from dicom_phantom import write_enhanced_mr

    return write_enhanced_mr(folder / "mr.dcm", head())


def report(outcomes: Counter[str]) -> str:
    """One sentence."""
    words = ", ".join(f"{code} {count}" for code, count in outcomes.most_common())
    return f"Fuzzed {sum(outcomes.values())} files through the guarded read: {words}. The caller never crashed."
