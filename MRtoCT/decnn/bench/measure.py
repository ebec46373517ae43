"""A head, from command to file, and the network against the machine's peak: one run, one set of figures."""

import platform
import tempfile
from pathlib import Path
from typing import Any

import torch

from decnn import __version__
from decnn.bench.arithmetic import SLICE, gflop_of, peak_gflops, seconds_of
from decnn.bench.engine import import_seconds, timed_synthesis
from decnn.devices import computes_in_bfloat16, describe, list_devices
from decnn.inference import for_inference
from decnn.model import load_model
from decnn.network import SliceNetwork
from decnn.options import Options
from decnn.runner import BATCH


def precisions(device: torch.device) -> list[str]:
    """Those in which a device computes, the fastest one last."""
    return ["float32", "bfloat16"] if computes_in_bfloat16(device.type) else ["float32"]


def network_speed(network: SliceNetwork, device: torch.device) -> dict[str, Any]:
    """GFLOP/s of a network as the engine runs it, and of one convolution, for each precision of the device."""
    batch = BATCH[device.type]
    slices = torch.rand(batch, network.in_channels, *SLICE)
    gflop = gflop_of(network.eval(), slices[:1])
    row: dict[str, Any] = {"gflop_per_slice": round(gflop, 2)}
    for precision in precisions(device):
        dtype = getattr(torch, precision)
        fast, there = for_inference(network, dtype).to(device), slices.to(device)
        peak = peak_gflops(dtype, device, batch)
        seconds = seconds_of(lambda fast=fast, there=there: fast(there)) / batch  # type: ignore[misc]
        row[precision] = {
            "peak_gflops": round(peak, 1),
            "network_gflops": round(gflop / seconds, 1),
            "fraction_of_peak": round(gflop / seconds / peak, 3),
            "milliseconds_per_slice": round(1e3 * seconds, 2),
        }
    return row


def measure(mr: Path, options: Options, device: torch.device) -> dict[str, Any]:
    """The figures of ``mrtoct bench`` for one head; raises as the engine does."""
    with tempfile.TemporaryDirectory() as folder:
        run = timed_synthesis(mr.absolute(), Path(folder) / "ct.nrrd", *options.as_arguments())
    network = network_speed(load_model(options.model).network, device)
    reached = network.get(run["precision"], network["float32"])
    return {
        "head": mr.name,
        **{key: reached[key] for key in ("peak_gflops", "network_gflops", "fraction_of_peak")},
        "seconds_per_head": round(run["wall_seconds"], 2),
        "cpu_seconds_per_head": round(run["cpu_seconds"], 2),
        "outside_network_seconds": round(run["outside_network_seconds"], 2),
        "stage_seconds": {stage: round(seconds, 2) for stage, seconds in run["stage_seconds"].items()},
        "peak_rss_gb": in_gb(run["peak_memory_mb"]),
        "import_seconds": {name: round(import_seconds(name), 2) for name in ("SimpleITK", "torch")},
        "network": network,
        "precision": run["precision"],
        **machine(device),
    }


def machine(device: torch.device) -> dict[str, Any]:
    """Where figures were measured, and by which versions."""
    processor = list_devices()[-1]["description"]
    return {
        "device": processor if device.type == "cpu" else f"{describe(device)}; {processor}",
        "threads": torch.get_num_threads(),
        "versions": {"decnn": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def in_gb(megabytes: int | None) -> float | None:
    """2**20 bytes in 2**30 bytes; None where the system does not tell."""
    return None if megabytes is None else round(megabytes / 1024, 2)


def in_words(facts: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{facts['head']} on {facts['device']}, {facts['threads']} threads, {facts['precision']}"]
    lines += [f"  {stage:32} {seconds:8.2f} s" for stage, seconds in facts["stage_seconds"].items()]
    lines += [
        f"  {'from command to file':32} {facts['seconds_per_head']:8.2f} s",
        f"  {'of it outside of the network':32} {facts['outside_network_seconds']:8.2f} s",
        f"  {'processor time':32} {facts['cpu_seconds_per_head']:8.2f} s",
        f"  {'memory at most':32} {facts['peak_rss_gb'] or '?':>8} GB",
    ]
    lines += [f"  import {name:25} {seconds:8.2f} s" for name, seconds in facts["import_seconds"].items()]
    for precision in ("float32", "bfloat16"):
        if precision in facts["network"]:
            row = facts["network"][precision]
            lines.append(
                f"  network in {precision:9} {row['network_gflops']:8.1f} GFLOP/s, {row['fraction_of_peak']:.0%} of "
                f"the {row['peak_gflops']:.1f} of one convolution"
            )
    return "\n".join(lines)
