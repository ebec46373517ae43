"""`make bench`: time and peak memory of the engine on a whole head at 1 mm, on this machine, as JSON on stdout.

The engine runs as users run it: its own process, the bundled model, every core. The head is the tests' phantom, for
time and memory depend on the head's size and not on whose it is;
`python Testing/tools/bench.py T1.nii.gz` takes another.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk

from peak_memory import peak_memory_of_children_mb
from phantom import phantom_head

HEAD_SIZE = (181, 217, 181)


def run(mr: Path, output: Path) -> dict:
    """Runs `python -m decnn synthesize` once. Returns its result event, and what the outside measured.

    Raises SystemExit with the engine's own message if it fails.
    """
    started = time.monotonic()
    engine = subprocess.run(
        [sys.executable, "-m", "decnn", "synthesize", str(mr), str(output), "--progress", "json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.monotonic() - started
    events = [json.loads(line) for line in engine.stdout.splitlines()]
    if engine.returncode != 0:
        raise SystemExit(f"The engine failed: {events[-1].get('message', events[-1]) if events else engine.returncode}")
    return events[-1] | {"wall_seconds": round(seconds, 1), "peak_memory_mb": peak_memory_of_children_mb()}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            mr = Path(sys.argv[1])
        else:
            mr = Path(folder, "phantom.nrrd")
            sitk.WriteImage(phantom_head(HEAD_SIZE, (1.0, 1.0, 1.0))[0], str(mr))
        image = sitk.ReadImage(str(mr))
        size, spacing = image.GetSize(), image.GetSpacing()
        del image  # what is held here would count as the engine's
        result = run(mr, Path(folder, "ct.nrrd"))
    print(
        json.dumps(
            {
                "input": {"name": mr.name, "size": size, "spacing_mm": [round(s, 4) for s in spacing]},
                "machine": {"cores": os.cpu_count(), "processor": platform.machine()},
                **{key: value for key, value in result.items() if key not in ("event", "output", "findings")},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
