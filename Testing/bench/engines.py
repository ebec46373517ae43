"""The engine as users run it: its own process, from command to file; this version and older ones."""

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def checkout(commit: str, folder: Path) -> Path:
    """The module folder of another commit, taken by ``git archive`` into ``folder``."""
    archive = folder / "engine.tar"
    command = ["git", "-C", str(ROOT), "archive", "--output", str(archive), commit, "MRtoCT"]
    subprocess.run(command, check=True)
    with tarfile.open(archive) as file:
        file.extractall(folder / commit, filter="data")
    archive.unlink()
    return folder / commit / "MRtoCT"


def synthesize(module: Path, mr: Path, output: Path, *options: str) -> dict[str, Any]:
    """One run of ``python -m decnn synthesize`` of a module folder.

    Returns:
        The engine's result, with wall_seconds, and stage_seconds by stage.

    Raises:
        SystemExit: the engine failed; its own message.
    """
    command = [sys.executable, "-m", "decnn", "synthesize", str(mr), str(output), "--device", "cpu"]
    started = time.perf_counter()
    engine = subprocess.Popen(
        [*command, "--progress", "json", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=module,
        env={**os.environ, "PYTHONPATH": str(module)},
    )
    assert engine.stdout is not None
    stages: list[tuple[str, float]] = []
    event: dict[str, Any] = {}
    for line in engine.stdout:
        event = json.loads(line)
        if event["event"] == "progress" and (not stages or stages[-1][0] != event["stage"]):
            stages.append((event["stage"], time.perf_counter() - started))
    engine.wait()
    wall = time.perf_counter() - started
    if engine.returncode != 0:
        raise SystemExit(f"The engine failed: {event.get('message', engine.returncode)}")
    ends = [*(begun for _, begun in stages[1:]), wall]
    seconds: dict[str, float] = {"Loading Python": stages[0][1]}
    for (stage, begun), end in zip(stages, ends, strict=True):
        seconds[stage] = seconds.get(stage, 0.0) + end - begun
    return {**event, "wall_seconds": wall, "stage_seconds": seconds}
