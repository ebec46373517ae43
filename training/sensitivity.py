"""What the acquisition of a T1 costs: a model on heads with a measured CT, one thing about the scan changed at a time.

The contrast is typical, the noise low, anatomy and CT are those of the person. On heads that the model was trained on,
the figures tell by how much each change makes the CT worse, not how good it is on a head that it has not seen.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from decnn.model import Model
from training.acquisition import echo, rician_noise, thick_slices
from training.contrast import TYPICAL_CONTRAST, tissue_signal
from training.fields import gaussian
from training.lattice import predict, scores
from training.pairs.sources import read_heads
from training.simulate import as_pair, posed

HEADS = ("cranium", "visible_female")
LATTICE_MM = 14
_SCORES = ("mae_hu", "mae_bone_hu", "bone_dice")
_NOISE, _BLUR_MM = 0.03, 0.5
# Axis and mm of fat's displacement, its phase, mm from slice to slice (0.8 of it is thickness); several are averaged.
ACQUISITIONS = {
    "1 mm": [(0, 0.0, 0.0, 0.0)],
    "1 mm, fat shifted by 2 mm": [(axis, mm, 0.0, 0.0) for axis in range(3) for mm in (-2.0, 2.0)],
    "1 mm, fat opposed to water": [(0, 0.0, np.pi, 0.0)],
    "axial slices, 4 mm": [(0, 0.0, 0.0, 4.0)],
    "axial slices, 7 mm": [(0, 0.0, 0.0, 7.0)],
    "axial slices, 7 mm, fat shifted by 1.5 mm": [(axis, mm, 0.0, 7.0) for axis in (1, 2) for mm in (-1.5, 1.5)],
}


def measure_sensitivity(model: Model, data: Path, names: Sequence[str] = HEADS) -> dict:
    """Rows of scores (see ``lattice.scores``), the mean over the heads, per acquisition."""
    found: dict[str, list[dict[str, float]]] = {acquisition: [] for acquisition in ACQUISITIONS}
    network = model.network.eval()
    neighbours, depth_channel = model.spec["input"]["neighbours"], model.spec["input"]["depth_channel"]
    scale_hu = model.spec["output"]["scale_hu"]
    for head in read_heads(data, names):
        tissue, hu = posed(head, np.random.default_rng(0), vary_anatomy=False)
        water, fat = tissue_signal(tissue, hu, TYPICAL_CONTRAST, np.random.default_rng(0))
        for acquisition, variants in ACQUISITIONS.items():
            for axis, shift_mm, phase, spacing_mm in variants:
                mr = gaussian(echo(water, fat, axis, shift_mm, phase), _BLUR_MM)
                if spacing_mm:
                    mr = thick_slices(mr, 0, spacing_mm, 0.8 * spacing_mm)
                pair = as_pair(rician_noise(mr, _NOISE, np.random.default_rng(0)), hu)
                prediction = predict(network, pair, neighbours, depth_channel, scale_hu, LATTICE_MM)
                found[acquisition].append(scores(prediction, "mean"))
    rows = [
        {"acquisition": acquisition} | {name: round(float(np.mean([s[name] for s in of])), 4) for name in _SCORES}
        for acquisition, of in found.items()
    ]
    return {
        "model": model.name, "version": model.version, "weights_sha256": model.weights_sha256,
        "heads": list(names), "lattice_mm": LATTICE_MM, "rows": rows,
    }  # fmt: skip


def table(result: dict) -> str:
    """The result as a Markdown table."""
    lines = ["| " + " | ".join(["T1", *_SCORES]) + " |", "|" + " --- |" * (len(_SCORES) + 1)]
    for row in result["rows"]:
        figures = f"{row['mae_hu']:.0f} | {row['mae_bone_hu']:.0f} | {row['bone_dice']:.2f}"
        lines.append(f"| {row['acquisition']} | {figures} |")
    return "\n".join(lines)
