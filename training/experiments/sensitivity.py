"""What the acquisition of a T1 costs: on heads with a measured CT, one thing about the scan changed at a time.

The contrast is typical, the noise low, anatomy and CT are those of the person. Each head is scored by the network of
``cross_validate`` that has not seen it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from decnn.errors import InputError
from decnn.model import Model, load_model
from training.experiments.lattice import predict, scores
from training.heads import ct_heads
from training.heads.catalog import read_heads
from training.settings import HEAD_FOLDS
from training.simulation.acquisition import echo, rician_noise, thick_slices
from training.simulation.contrast import TYPICAL_CONTRAST, tissue_signal
from training.simulation.fields import gaussian
from training.simulation.simulate import as_pair, place_head

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


def measure_sensitivity(runs: Path, data: Path, names: Sequence[str] = ct_heads.NAMES) -> dict:
    """Rows of scores (see ``lattice.scores``), the mean over the heads, per acquisition.

    runs: those of ``cross_validate``. InputError if there is none without one of the heads.
    """
    found: dict[str, list[dict[str, float]]] = {acquisition: [] for acquisition in ACQUISITIONS}
    models = {name: _without(name, runs) for name in names}
    for head in read_heads(data, names):
        network, spec = models[head.name].network.eval(), models[head.name].spec
        form = spec["input"]["neighbours"], spec["input"]["depth_channel"], spec["output"]["scale_hu"]
        tissue, hu = place_head(head, np.random.default_rng(0), vary_anatomy=False)
        water, fat = tissue_signal(tissue, hu, TYPICAL_CONTRAST, np.random.default_rng(0))
        for acquisition, variants in ACQUISITIONS.items():
            for axis, shift_mm, phase, spacing_mm in variants:
                mr = gaussian(echo(water, fat, axis, shift_mm, phase), _BLUR_MM)
                if spacing_mm:
                    mr = thick_slices(mr, 0, spacing_mm, 0.8 * spacing_mm)
                pair = as_pair(rician_noise(mr, _NOISE, np.random.default_rng(0)), hu)
                prediction = predict(network, pair, *form, LATTICE_MM)
                found[acquisition].append(scores(prediction, "mean"))
    rows = [
        {"acquisition": acquisition} | {name: round(float(np.mean([s[name] for s in of])), 4) for name in _SCORES}
        for acquisition, of in found.items()
    ]
    weights = {name: model.weights_sha256 for name, model in models.items()}
    return {"weights_sha256": weights, "lattice_mm": LATTICE_MM, "rows": rows}


def _without(head: str, runs: Path) -> Model:
    """The network that has not seen ``head``."""
    run = runs / next((f"fold{fold}" for fold, heads in HEAD_FOLDS.items() if head in heads), head)
    model = load_model(run / "model")
    if head in model.spec["training"]["heads"]:
        raise InputError(f"The network in {run} has seen {head}: give the runs of cross-validate.")
    return model


def table(result: dict) -> str:
    """The result as a Markdown table."""
    lines = ["| " + " | ".join(["T1", *_SCORES]) + " |", "|" + " --- |" * (len(_SCORES) + 1)]
    for row in result["rows"]:
        figures = f"{row['mae_hu']:.0f} | {row['mae_bone_hu']:.0f} | {row['bone_dice']:.2f}"
        lines.append(f"| {row['acquisition']} | {figures} |")
    return "\n".join(lines)
