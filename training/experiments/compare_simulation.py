"""Where simulated T1s and CTs differ from those of people: signal by tissue and depth, and the edge of bone.

Everything is measured in the plane, on the middle slices of the bank's pairs, as the network sees them: a real
slice has no neighbours. The MR is normalized (median of the head 1).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from decnn.evaluation.metrics import markdown
from decnn.hu import AIR_BELOW_HU, BONE_ABOVE_HU
from decnn.intensity import DEPTH_UNIT_MM
from training.bank import SLICES, entries_of, open_pairs, patients_of
from training.heads.catalog import NAMES
from training.heads.head import distance_inside
from training.measured_pairs.slices import centre_of
from training.simulation.simulate import Pair

# mm from the outermost pixels of bone: inside of it from 0 on.
_PROFILE_MM = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
_SCALP_MM, _BRAIN_MM = 4.0, 25.0
_FAT_HU, _BRAIN_HU = (-200.0, -30.0), (0.0, 100.0)
_PERCENTILES = (10, 50, 90)


def compare_simulation(bank: Path, pairs: int) -> dict:
    """Measures ``pairs`` pairs of each head and kind of T1 in the bank, and all real slices of each centre.

    Returns:
        {"kinds": [row]}: a row for each kind, with percentiles of the MR by tissue, and along the distance from the
        edge of bone the medians of MR and HU.

    Raises InputError if the bank has fewer pairs, or none.
    """
    groups: dict[str, list[Pair]] = {}
    for entry in entries_of(bank):
        if entry.head in NAMES:
            groups[entry.folder] = open_pairs(bank, entry, pairs)
        elif entry.head == SLICES:
            opened = open_pairs(bank, entry, 0)
            names = [
                patient for patient in patients_of(bank, SLICES) for _ in (bank / entry.folder / patient).glob("*")
            ]
            for name, pair in zip(names, opened, strict=True):
                groups.setdefault(f"people, {centre_of(name)}", []).append(pair)
    return {"kinds": [{"kind": kind, **_measure(members)} for kind, members in sorted(groups.items())]}


def table(result: dict) -> str:
    """Two Markdown tables: the MR by tissue, and the profile across the edge of bone."""
    tissues = [
        {"kind": row["kind"], "edge_hu_per_mm": row["edge_hu_per_mm"]}
        | {name: _span(values) for name, values in row["mr"].items()}
        for row in result["kinds"]
    ]
    profiles = [
        {"kind": f"{row['kind']}, {what}"} | dict(zip(map(str, _PROFILE_MM), row[f"profile_{what}"], strict=True))
        for what in ("hu", "mr")
        for row in result["kinds"]
    ]
    return "\n\n".join(
        [
            "Normalized MR, 10 / 50 / 90 %, and the steepness of the CT at the edge of bone:",
            markdown(tissues, list(tissues[0])),
            "Median by distance from the edge of bone (mm, inside from 0 on):",
            markdown(profiles, ("kind", *map(str, _PROFILE_MM))),
        ]
    )


def _measure(pairs: Sequence[Pair]) -> dict:
    regions: dict[str, list[np.ndarray]] = {}
    profiles: dict[tuple[str, int], list[np.ndarray]] = {}
    edges = []
    for mr, depth_mm, hu in (plane for pair in pairs for plane in _middle_planes(pair)):
        bone = hu > BONE_ABOVE_HU
        inside = distance_inside(bone)
        for name, region in _regions(hu, depth_mm, inside).items():
            regions.setdefault(name, []).append(mr[region])
        for at in _PROFILE_MM:
            near = (np.round(inside) == at) & (depth_mm > 0.0)
            profiles.setdefault(("mr", at), []).append(mr[near])
            profiles.setdefault(("hu", at), []).append(hu[near])
        edges.append(np.hypot(*np.gradient(hu))[bone & (inside < 0.5) & (depth_mm > 0.0)])
    return {
        "slices": len(edges),
        "edge_hu_per_mm": _rounded(np.median(np.concatenate(edges)), 0),
        "mr": {name: _percentiles(np.concatenate(values)) for name, values in regions.items()},
        "profile_hu": [_median(profiles["hu", at], 0) for at in _PROFILE_MM],
        "profile_mr": [_median(profiles["mr", at], 3) for at in _PROFILE_MM],
    }


def _middle_planes(pair: Pair) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """MR, depth under the skin (mm) and HU of the middle slice of each plane, or of the one that there is; float32."""
    shape = pair.mask.shape
    for axis in [shape.index(1)] if 1 in shape else range(3):
        middle = round(float(np.median(np.flatnonzero(pair.mask.any(axis=tuple({0, 1, 2} - {axis}))))))
        mr, depth, hu = (np.take(array, middle, axis).astype(np.float32) for array in (pair.mr, pair.depth, pair.hu))
        yield mr, depth * DEPTH_UNIT_MM, hu


def _regions(hu: np.ndarray, depth_mm: np.ndarray, inside_bone: np.ndarray) -> dict[str, np.ndarray]:
    away = inside_bone < -3.0
    return {
        "air_outside": (depth_mm < -5.0) & (hu < AIR_BELOW_HU),
        "scalp_fat": (depth_mm > 0.0) & (depth_mm < _SCALP_MM) & (hu > _FAT_HU[0]) & (hu < _FAT_HU[1]),
        "bone_edge": (inside_bone >= 0.0) & (inside_bone < 1.0) & (depth_mm > 0.0),
        "bone_deep": (inside_bone >= 2.0) & (depth_mm > 0.0),
        "brain": (depth_mm > _BRAIN_MM) & away & (hu > _BRAIN_HU[0]) & (hu < _BRAIN_HU[1]),
    }


def _percentiles(values: np.ndarray) -> list[float] | None:
    return [_rounded(value, 3) for value in np.percentile(values, _PERCENTILES)] if values.size else None


def _median(parts: Sequence[np.ndarray], digits: int) -> float | None:
    values = np.concatenate(parts)
    return _rounded(np.median(values), digits) if values.size else None


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits)


def _span(values: Sequence[float] | None) -> str:
    return " / ".join(f"{value:.2f}" for value in values) if values else "-"
