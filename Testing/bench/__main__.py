"""python -m bench [--json FILE] [--page FILE] [--older COMMIT]: JSON on stdout, progress on stderr.

The head is the tests' phantom at 1 mm: time and memory depend on a head's size and not on whose it is. All that is
compared is measured in this one run, with nothing else on the machine, on the CPU.
"""

import argparse
import json
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from bench import heads, page
from bench.on_paper import on_paper
from bench.peers import peers
from bench.tried import tried
from decnn.bench.measure import machine, network_speed, precisions
from decnn.catalog import DEFAULT_MODEL
from decnn.model import load_model
from decnn.network import build_network
from training.provenance import made_by

RELEASE_0_9_0 = "8f55888"
OTHERS = (
    *("monai", "dynamic-network-architectures", "segmentation-models-pytorch", "timm"),
    *("onnxruntime", "openvino", "dask"),
)
"""Packages of the peers and runtimes whose versions are told."""
CPU = torch.device("cpu")
PAPER = "the paper's DECNN (F = 64, N = 3), three views"


def networks() -> dict[str, dict[str, Any]]:
    """The bundled network and the paper's own, as the engine runs them, on the slices of three views."""
    model = load_model(DEFAULT_MODEL)
    rows = {
        model.name: network_speed(model.network, CPU),
        PAPER: network_speed(build_network("DECNN", {"in_channels": 1, "features": 64, "blocks": 3}), CPU),
    }
    for row in rows.values():
        for precision in precisions(CPU):
            milliseconds = row[precision]["milliseconds_per_slice"]
            row[precision]["seconds_per_head"] = round(sum(heads.SIZE) * milliseconds / 1e3, 2)
    return rows


def measure(folder: Path, older: str) -> dict[str, Any]:
    """Everything, one after another."""
    fastest = precisions(CPU)[-1]
    mr = heads.write_head(folder / "phantom.nrrd")
    result: dict[str, Any] = {"head": {"name": "the tests' phantom", "size": heads.SIZE}, **machine(CPU)}
    result["made"] = made_by(sys.argv[1:], program="python -m bench")
    result["versions"] |= {name: version(name) for name in OTHERS if find_spec(name.replace("-", "_"))}
    steps = {
        "networks": networks,
        "tried": lambda: tried(fastest),
        "peers": peers,
        "heads": lambda: heads.against_older(mr, folder, older, precisions(CPU)),
        "by_volume": lambda: heads.by_volume(folder),
        "by_field": lambda: heads.by_field(folder),
        "heads_an_hour": lambda: heads.heads_an_hour(mr, folder),
    }
    for name, step in steps.items():
        started = time.perf_counter()
        result[name] = step()
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    whole, ours = result["heads"], result["networks"][DEFAULT_MODEL]
    others = {PAPER: result["networks"][PAPER], **result["peers"]}
    seconds = whole["seconds_per_head"][fastest]
    result |= {key: ours[fastest][key] for key in ("peak_gflops", "network_gflops", "fraction_of_peak")}
    result |= {key: whole[key] for key in whole if key.startswith(("speedup", "outside", "precision"))}
    result |= {
        "seconds_per_head": seconds,
        "peak_rss_gb": result["by_field"]["256^3 of 1 mm"]["peak_rss_gb"],
        "speedup_over_peers": {
            name: round(best(row) / best(ours), 2) for name, row in others.items() if "missing" not in row
        },
        "on_paper": on_paper(seconds, result["heads_an_hour"], whole["megabytes"]),
    }
    return result


def best(row: dict[str, Any]) -> float:
    """Seconds a head in the faster precision."""
    return min(float(row[precision]["seconds_per_head"]) for precision in precisions(CPU))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--older", default=RELEASE_0_9_0, help="commit to compare with (default: that of 0.9.0)")
    parser.add_argument("--json", type=Path, help="where to store the figures, too")
    parser.add_argument("--page", type=Path, help="text whose block between two comments 'bench' takes the tables")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), arguments.older)
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if arguments.page:
        page.write(arguments.page, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
