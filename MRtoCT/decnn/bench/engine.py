"""The engine as users run it: its own process, from command to file, stage by stage."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decnn.errors import SetupError

MODULE = Path(__file__).resolve().parents[2]
"""The folder from which this very decnn is imported."""
# What the network does, by the first word of a stage.
_NETWORK = ("Synthesizing", "Comparing")


def timed_synthesis(
    mr: Path, output: Path, *options: str, module: Path = MODULE, variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One run of ``python -m decnn synthesize``.

    Args:
        mr: T1 of a head.
        output: file for its CT.
        options: more of the command line.
        module: the folder of another version of decnn.
        variables: more of its environment.

    Returns:
        The engine's result, with wall_seconds, cpu_seconds (where the system tells), stage_seconds by stage, and
        outside_network_seconds.

    Raises:
        SetupError: the engine failed; its own message.
    """
    command = [sys.executable, "-m", "decnn", "synthesize", str(mr), str(output), "--progress", "json", *options]
    before = _cpu_seconds()
    started = time.perf_counter()
    surroundings = {**environment(module), **(variables or {})}
    engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=module, env=surroundings)
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
        raise SetupError(f"The engine failed: {event.get('message', engine.returncode)}", code="bench")
    ends = [*(begun for _, begun in stages[1:]), wall]
    seconds: dict[str, float] = {"Loading Python": stages[0][1]}
    for (stage, begun), end in zip(stages, ends, strict=True):
        seconds[stage] = seconds.get(stage, 0.0) + end - begun
    outside = sum(spent for stage, spent in seconds.items() if not stage.startswith(_NETWORK))
    return {
        **event,
        "wall_seconds": wall,
        "cpu_seconds": _cpu_seconds() - before,
        "stage_seconds": seconds,
        "outside_network_seconds": outside,
    }


def environment(module: Path = MODULE, threads: int = 0) -> dict[str, str]:
    """That of a process which imports decnn from ``module``; threads: of torch, 0: as it likes."""
    found = {**os.environ, "PYTHONPATH": os.pathsep.join([str(module), os.environ.get("PYTHONPATH", "")])}
    return {**found, "OMP_NUM_THREADS": str(threads)} if threads else found


def import_seconds(module: str) -> float:
    """How long a fresh Python takes to import a module, its own start included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started


def _cpu_seconds() -> float:
    """Of all children that have ended; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
