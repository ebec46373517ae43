"""Whole heads, from command to file: against 0.9.0, by the head's volume, by the field of view, and many of them."""

import contextlib
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from decnn.bench.engine import MODULE, environment, timed_synthesis
from decnn.bench.measure import in_gb
from phantom import phantom_head

ROOT = Path(__file__).resolve().parents[2]
SIZE = (181, 217, 181)
"""Voxels of 1 mm of the head that all is measured on: the tests' phantom, 2.7 litres."""
# Spacing of its voxels in mm that makes the phantom a head of 2, 5 and 12 litres.
_SCALES = {"2": 0.9, "5": 1.25, "12": 1.64}
# Edge in voxels: (spacing in mm, voxels of air added on each side of a field of view of 256 mm).
_FIELDS = {"128^3 of 2 mm": (2.0, 0), "256^3 of 1 mm": (1.0, 0), "384^3 of 1 mm": (1.0, 64)}
# Enough that the start of the workers does not count much.
_HEADS = 6
_AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
_ON_AVX2 = "float32, AVX2 alone"
_PATIENCE_S = 300


def write_head(path: Path, size: tuple[int, int, int] = SIZE, spacing: float = 1.0) -> Path:
    sitk.WriteImage(sitk.Cast(phantom_head(size, (spacing,) * 3)[0], sitk.sitkInt16), str(path), useCompression=True)
    return path


def against_older(mr: Path, folder: Path, older: str, precisions: list[str]) -> dict[str, Any]:
    """Each precision and an older commit, in turns; the best of two runs of each.

    Both also as on a processor with AVX2 alone, which has nothing for bfloat16 and shorter registers.
    """
    runs: dict[str, list[dict[str, Any]]] = {}
    before, exact = _checkout(older, folder), ("--precision", "float32")
    turns: list[tuple[str, Path, tuple[str, ...], dict[str, str]]] = []
    turns += [(precision, MODULE, ("--precision", precision), {}) for precision in precisions]
    turns += [(older, before, (), {}), (_ON_AVX2, MODULE, exact, _AVX2), (f"{older}, AVX2 alone", before, (), _AVX2)]
    for _ in range(2):
        for name, module, options, variables in turns:
            run = timed_synthesis(
                mr, folder / "ct.nrrd", "--device", "cpu", *options, module=module, variables=variables
            )
            runs.setdefault(name, []).append(run)
    best = {name: min(found, key=lambda run: run["wall_seconds"]) for name, found in runs.items()}
    fastest = best[precisions[-1]]
    wall = {name: run["wall_seconds"] for name, run in best.items()}
    return {
        "seconds_per_head": {name: round(seconds, 1) for name, seconds in wall.items()},
        "peak_rss_gb": {name: in_gb(best[name]["peak_memory_mb"]) for name in precisions},
        "speedup_over_float32": round(wall["float32"] / fastest["wall_seconds"], 2),
        "speedup_over_0_9_0": round(wall[older] / fastest["wall_seconds"], 2),
        "speedup_over_0_9_0_in_float32": round(wall[older] / wall["float32"], 2),
        "speedup_over_0_9_0_on_avx2": round(wall[f"{older}, AVX2 alone"] / wall[_ON_AVX2], 2),
        "outside_network_seconds": round(fastest["outside_network_seconds"], 2),
        "cpu_seconds": round(fastest["cpu_seconds"], 1),
        "stage_seconds": {stage: round(seconds, 2) for stage, seconds in fastest["stage_seconds"].items()},
        "precision": fastest["precision"],
        "megabytes": {"mr": _megabytes(mr), "ct": _megabytes(folder / "ct.nrrd")},
    }


def by_volume(folder: Path) -> dict[str, dict[str, Any]]:
    """Litres: seconds and memory of one head."""
    rows = {}
    for litres, spacing in _SCALES.items():
        mr = write_head(folder / "scaled.nrrd", spacing=1.0)
        image = sitk.ReadImage(str(mr))
        image.SetSpacing([spacing] * 3)
        sitk.WriteImage(image, str(mr), useCompression=True)
        rows[f"{litres} litres"] = _row(mr, folder)
    return rows


def by_field(folder: Path) -> dict[str, dict[str, Any]]:
    """Voxels of the MR: seconds and memory of one head."""
    rows = {}
    for name, (spacing, around) in _FIELDS.items():
        edge = round(256 / spacing)
        mr = write_head(folder / "field.nrrd", (edge,) * 3, spacing)
        if around:
            wide = sitk.ConstantPad(sitk.ReadImage(str(mr)), [around] * 3, [around] * 3, 0)
            sitk.WriteImage(wide, str(mr), useCompression=True)
        rows[name] = _row(mr, folder)
    return rows


def heads_an_hour(mr: Path, folder: Path, *options: str) -> dict[str, float]:
    """Of ``mrtoct batch`` with one worker of Dask that has all cores, and with two that share them.

    options: more of the command line.
    """
    sources = [folder / f"head{number}.nrrd" for number in range(_HEADS)]
    for source in sources:
        source.write_bytes(mr.read_bytes())
    rates = {}
    for workers in (1, 2):
        with _workers(folder, workers) as address:
            target = folder / f"by{workers}"
            where = ["--output-dir", str(target), "--device", "cpu", "--scheduler", address]
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "decnn", "batch", *map(str, sources), *where, *options],
                check=True,
                env=environment(),
                capture_output=True,
            )
            rates[str(workers)] = round(3600 * _HEADS / (time.perf_counter() - started), 1)
    return rates


def _row(mr: Path, folder: Path) -> dict[str, Any]:
    run = timed_synthesis(mr, folder / "ct.nrrd", "--device", "cpu")
    return {
        "seconds": round(run["wall_seconds"], 1),
        "outside_network_seconds": round(run["outside_network_seconds"], 1),
        "peak_rss_gb": in_gb(run["peak_memory_mb"]),
    }


@contextlib.contextmanager
def _workers(folder: Path, count: int) -> Iterator[str]:
    """A Dask scheduler with workers on this machine; its address."""
    place = folder / f"scheduler{count}.json"
    start = [sys.executable, "-m", "dask"]
    threads = max(1, torch.get_num_threads() // count)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    scheduler = [*start, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*start, "worker", "--nworkers", str(count), "--nthreads", "2", "--no-dashboard"]
    with (
        subprocess.Popen([*scheduler, "--scheduler-file", str(place)], **quiet) as first,
        subprocess.Popen(
            [*worker, "--scheduler-file", str(place)], env=environment(threads=threads), **quiet
        ) as second,
    ):
        try:
            from distributed import Client

            with Client(scheduler_file=str(place), set_as_default=False, timeout=_PATIENCE_S) as client:
                client.wait_for_workers(count, timeout=_PATIENCE_S)
                address = str(client.scheduler.address)
            yield address
        finally:
            second.terminate()
            second.wait()
            first.terminate()


def _checkout(commit: str, folder: Path) -> Path:
    """The module folder of another commit, taken by ``git archive`` into ``folder``."""
    archive = folder / "engine.tar"
    command = ["git", "-C", str(ROOT), "archive", "--output", str(archive), commit, "MRtoCT"]
    subprocess.run(command, check=True)
    with tarfile.open(archive) as file:
        file.extractall(folder / commit, filter="data")
    archive.unlink()
    return folder / commit / "MRtoCT"


def _megabytes(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 2)
