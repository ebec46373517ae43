"""What the gate measures of real people: the measures that a single slice allows, and how far its limits lie from them.

A slice stands for a head: it is repeated, and its depth is that in the plane. The coronal slice gives the layers under
the skin, the sagittal one the likeness and how the head lies.
"""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.checks import head as limits
from decnn.checks.measures import depth_under_skin, halved, measure_layers
from decnn.checks.orientation import likeness
from decnn.intensity import head_mask
from decnn.views import AXES
from training.measured_pairs.slices import find_patients, read_slice, stacked

# Measure: its limits, and the side on which a finding is given.
LIMITS = {
    "ring": ("below", limits.LEAST_RING, "skull-stripped, no-skull"),
    "skull": ("above", limits.LEAST_BRIGHT_SKULL, "no-skull, looks-like-ct"),
    "likeness": ("below", limits.LEAST_LIKENESS, "unlike-a-head"),
    "scalp": ("below", limits.LEAST_SCALP, "fat-suppressed"),
    "depth_contrast": ("below", limits.LEAST_DEPTH_CONTRAST, "contrast"),
    "bright_tail": ("above", limits.MOST_BRIGHT_TAIL, "contrast"),
}


def measure_people(root: Path) -> dict:
    """Quantiles of each measure over the patients, and how many lie beyond the gate's limit.

    root: a folder as ``training.measured_pairs.slices`` reads it.
    """
    values: dict[str, list[float]] = {name: [] for name in LIMITS}
    patients = find_patients(root)
    for patient in patients:
        layers, like = _layers(root, patient), _likeness(root, patient)
        for name, value in {**layers, "likeness": like}.items():
            if name in values and value is not None:
                values[name].append(value)
    rows = {}
    for name, (side, limit, finding) in LIMITS.items():
        found = np.array(values[name])
        beyond = found < limit if side == "below" else found > limit
        quantiles = np.percentile(found, [0, 5, 50, 95, 100]).round(3).tolist()
        rows[name] = {
            "finding": finding, "side": side, "limit": limit, "patients": len(found),
            "beyond": int(beyond.sum()), "least_5_50_95_most": quantiles,
        }  # fmt: skip
    return {"patients": len(patients), "measures": rows}


def table(result: dict) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| measure | finding | limit | people beyond it | least | 5 % | median | 95 % | most |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in result["measures"].items():
        quantiles = " | ".join(f"{value:g}" for value in row["least_5_50_95_most"])
        beyond = f"{row['beyond']} of {row['patients']}"
        lines.append(f"| {name} | {row['finding']} | {row['side']} {row['limit']:g} | {beyond} | {quantiles} |")
    return "\n".join(lines)


def _halved(root: Path, patient: str, plane: str) -> tuple[np.ndarray, np.ndarray]:
    image = sitk.GetImageFromArray(stacked(read_slice(root, patient, plane).mr, AXES[plane]))
    return halved(image, head_mask(image))


def _layers(root: Path, patient: str) -> dict[str, float | None]:
    axis = AXES["coronal"]
    mr, head = _halved(root, patient, "coronal")
    thickness = head.shape[axis]
    alike = np.repeat(np.take(head, [thickness // 2], axis), thickness, axis)  # so that the depth is that in the plane
    return measure_layers(mr, head, depth_under_skin(alike))


def _likeness(root: Path, patient: str) -> float:
    mr, head = _halved(root, patient, "sagittal")
    wide = (np.repeat(part, 3, axis=AXES["sagittal"]) for part in (mr, head))  # thick enough to be looked at
    return likeness(*wide)[0]
