"""python -m bench [--mr T1] [--json FILE] [--older COMMIT]: JSON on stdout, a table on stderr.

The head is the tests' phantom at 1 mm: time and memory depend on a head's size and not on whose it is. All that is
compared is measured in this one run, in turns, with nothing else on the machine.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from bench.arithmetic import SLICE, gflop_of, peak_gflops, seconds_of
from bench.engines import ROOT, checkout, synthesize
from decnn import __version__
from decnn.catalog import DEFAULT_MODEL
from decnn.devices import computes_in_bfloat16, list_devices
from decnn.inference import _without_batch_norm, for_inference
from decnn.model import load_model
from decnn.network import build_network
from phantom import phantom_head

HEAD_SIZE = (181, 217, 181)
RELEASE_0_9_0 = "8f55888"
# What these networks need for one head: slices of three views of it.
_SLICES = sum(HEAD_SIZE)
_NETWORK_STAGE = "Synthesizing"
_BEGIN, _END = "<!-- bench: made by `make bench`, do not edit -->", "<!-- /bench -->"


def networks() -> dict[str, Any]:
    """Seconds and GFLOP/s of the bundled network, as the engine runs it, and of the paper's own; slice by slice."""
    model = load_model(DEFAULT_MODEL)
    paper = build_network("DECNN", {"in_channels": 1, "features": 64, "blocks": 3})
    rows = {}
    for name, network in ((model.name, model.network), ("the paper's DECNN (F = 64, N = 3)", paper)):
        slices = torch.rand(1, network.in_channels, *SLICE)
        gflop = gflop_of(network.eval(), slices)
        row: dict[str, Any] = {"gflop_per_slice": round(gflop, 2)}
        for precision in precisions():
            fast = for_inference(network, getattr(torch, precision))
            peak = peak_gflops(getattr(torch, precision))
            seconds = seconds_of(lambda fast=fast, slices=slices: fast(slices))
            row[precision] = {
                "peak_gflops": round(peak, 1),
                "network_gflops": round(gflop / seconds, 1),
                "fraction_of_peak": round(gflop / seconds / peak, 3),
                "seconds_per_head": round(seconds * _SLICES, 2),
            }
        rows[name] = row
    return rows


def tried() -> dict[str, float]:
    """Milliseconds a slice of the bundled network in the fastest precision, made ready in several ways."""
    dtype = getattr(torch, precisions()[-1])
    network = load_model(DEFAULT_MODEL).network
    slices = torch.rand(1, network.in_channels, *SLICE).contiguous(memory_format=torch.channels_last)
    folded = _without_batch_norm(network).to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rounded = slices.to(dtype)
    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(folded, rounded, strict=False, check_trace=False).eval())
        fused = torch.jit.optimize_for_inference(frozen)
    ways: dict[str, Callable[[], object]] = {
        "eager, batch norm folded": lambda: folded(rounded),
        "traced and frozen": lambda: frozen(rounded),
        "traced, frozen and fused by oneDNN": lambda: fused(rounded),
        "kept: decnn.inference": (lambda fast: lambda: fast(slices))(for_inference(network, dtype)),
        "kept, four slices at a time": (lambda fast, four: lambda: fast(four))(
            for_inference(network, dtype), slices.repeat(4, 1, 1, 1)
        ),
    }
    per_slice = {"kept, four slices at a time": 4}
    return {name: round(1e3 * seconds_of(way) / per_slice.get(name, 1), 2) for name, way in ways.items()}


def precisions() -> list[str]:
    return ["float32", "bfloat16"] if computes_in_bfloat16("cpu") else ["float32"]


def heads(mr: Path, folder: Path, older: str) -> dict[str, Any]:
    """Whole heads from command to file: in each precision, and by an older commit."""
    runs: dict[str, list[dict[str, Any]]] = {}
    turns = [(precision, ROOT / "MRtoCT", ("--precision", precision)) for precision in precisions()]
    turns.append((older, checkout(older, folder), ()))
    for _ in range(2):
        for name, module, options in turns:
            runs.setdefault(name, []).append(synthesize(module, mr, folder / "ct.nrrd", *options))
    best = {name: min(found, key=lambda run: run["wall_seconds"]) for name, found in runs.items()}
    fastest = precisions()[-1]
    stages = best[fastest]["stage_seconds"]
    outside = sum(seconds for stage, seconds in stages.items() if not stage.startswith(_NETWORK_STAGE))
    wall = {name: run["wall_seconds"] for name, run in best.items()}
    return {
        "seconds_per_head": {name: round(seconds, 1) for name, seconds in wall.items()},
        "peak_memory_mb": {name: run.get("peak_memory_mb") for name, run in best.items()},
        "speedup_over_float32": round(wall["float32"] / wall[fastest], 2),
        "speedup_over_0_9_0": round(wall[older] / wall[fastest], 2),
        "speedup_over_0_9_0_in_float32": round(wall[older] / wall["float32"], 2),
        "outside_network_seconds": round(outside, 2),
        "stage_seconds": {stage: round(seconds, 2) for stage, seconds in stages.items()},
        "precision": best[fastest]["precision"],
    }


def table(result: dict[str, Any]) -> str:
    """The result for people, as Markdown."""
    lines = ["| network, slice by slice | precision | GFLOP/s | of the peak | s a head |", "|---|---|---|---|---|"]
    for name, row in result["networks"].items():
        for precision in (p for p in ("float32", "bfloat16") if p in row):
            r = row[precision]
            cells = (name, precision, r["network_gflops"], r["fraction_of_peak"], r["seconds_per_head"])
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "| the bundled network, made ready | ms a slice |", "|---|---|"]
    lines += [f"| {name} | {milliseconds} |" for name, milliseconds in result["tried_ms_per_slice"].items()]
    lines += ["", "| head, from command to file | s | peak MB |", "|---|---|---|"]
    for name, seconds in result["heads"]["seconds_per_head"].items():
        lines.append(f"| {name} | {seconds} | {result['heads']['peak_memory_mb'][name]} |")
    return "\n".join(lines)


def _about(result: dict[str, Any]) -> str:
    head, heads_ = result["head"], result["heads"]
    return (
        f"Head: {head['name']}, {' x '.join(map(str, head['size']))} voxels. Machine: {result['device']}, "
        f"{result['threads']} threads. torch {result['versions']['torch']}.\n\n"
        f"- {heads_['speedup_over_0_9_0']} times as fast as 0.9.0, {heads_['speedup_over_0_9_0_in_float32']} times in "
        f"float32.\n- {heads_['outside_network_seconds']} s outside of the network.\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--mr", type=Path, help="T1 of a head; if not given, the tests' phantom")
    parser.add_argument("--older", default=RELEASE_0_9_0, help="commit to compare with (default: that of 0.9.0)")
    parser.add_argument("--json", type=Path, help="where to store the figures, too")
    parser.add_argument("--page", type=Path, help="text whose block between two comments 'bench' takes the table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mr = arguments.mr
        if mr is None:
            mr = folder / "phantom.nrrd"
            sitk.WriteImage(phantom_head(HEAD_SIZE, (1.0, 1.0, 1.0))[0], str(mr))
        size = sitk.ReadImage(str(mr)).GetSize()
        result = {
            "head": {"name": mr.name, "size": size},
            "device": list_devices()[-1]["description"],
            "threads": torch.get_num_threads(),
            "networks": networks(),
            "tried_ms_per_slice": tried(),
            "heads": heads(mr.absolute(), folder, arguments.older),
            "versions": {"decnn": __version__, "torch": torch.__version__, "python": platform.python_version()},
        }
    text = json.dumps(result, indent=2)
    print(text)
    print(table(result), file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if arguments.page:
        page = arguments.page.read_text(encoding="utf-8")
        before, _, rest = page.partition(_BEGIN)
        arguments.page.write_text(
            f"{before}{_BEGIN}\n{_about(result)}\n{table(result)}\n{_END}{rest.partition(_END)[2]}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
