"""How often decnn.checks.head warns where it should, and where it should not: false alarms and detections, per finding.

The inputs are measured T1s, the same ones spoiled on purpose, and contrasts simulated from labels and CTs. A rate from
spoiled or simulated images says that the check sees what it is made for, not how often it will see it in a hospital.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.checks.head import findings_of
from decnn.checks.measures import HeadMeasures, measure_head
from decnn.intensity import head_mask
from training.heads.catalog import NAMES, read_heads
from training.heads.head import Head, Tissue, read_canonical
from training.simulation.acquisition import acquire, random_echo
from training.simulation.contrast import random_contrast, tissue_signal
from training.simulation.simulate import place_head, simulate

_MEASURED = ("colin27/t1", "ernie/t1", "unlabelled/otsu_t1", "unlabelled/mni152_t1")
# Ranges of these signals in each contrast, white matter 1. T1 with fat suppression as in simulation.contrast; T2, FLAIR
# and PD by the order of the tissues at 1.5 T and 3 T.
_SIGNALS = ("csf", "grey", "fat", "muscle", "mucosa")
_CONTRASTS = {
    "T1 fat-suppressed": ((0.1, 0.35), (0.55, 0.8), (0.1, 0.4), (0.42, 0.72), (0.4, 0.85)),
    "T2": ((2.2, 4.0), (1.2, 1.6), (1.0, 2.5), (0.35, 0.7), (1.5, 3.0)),
    "FLAIR": ((0.05, 0.3), (1.15, 1.45), (0.3, 2.0), (0.35, 0.7), (1.0, 2.0)),
    "PD": ((1.0, 1.5), (1.12, 1.35), (1.0, 1.7), (0.5, 0.8), (1.0, 1.6)),
}
Case = tuple[str, str, sitk.Image]
"""Name of the head, what was done to it, the image on a grid of 1 mm."""
# The findings that each kind of input should give; an input that is not named here should give none.
EXPECTED = {
    **dict.fromkeys(("T2", "FLAIR", "PD"), "contrast"),
    "T1 fat-suppressed": "fat-suppressed",
    "brain only": "skull-stripped",
    "face removed": "defaced",
    **{f"{mm} mm cut off, {side}": "cut" for mm in (10, 20) for side in ("front", "top", "left")},
    "turned by 35 degrees": "tilted",
    "leaning by 35 degrees": "tilted",
    "bias field of 4": "bias-field",
    "bias field of 8": "bias-field",
    "void of 12 mm": "void",
    "void of 20 mm": "void",
}
# (input, finding) that is neither right nor wrong: the simulation may cut a head, and turn it; a measured T1 may be
# fat-suppressed; a head that leans leaves the image; a brain alone has neither face nor fat.
_OPEN = {(kind, "cut") for kind in ("simulated T1", *_CONTRASTS, "turned by 35 degrees", "leaning by 35 degrees")}
_OPEN |= {(kind, "fat-suppressed") for kind in ("simulated T1", "T2", "FLAIR", "PD", "brain only")}
_OPEN |= {("brain only", "contrast"), ("brain only", "defaced"), ("10 mm cut off, front", "defaced")}
# Measured T1s that reach the edge of their image by themselves, and one whose scalp is dark.
_OPEN_HEADS = {("colin27", "cut"), ("mni152_t1", "cut"), ("ernie", "fat-suppressed")}


def calibrate(data: Path, seeds: int) -> dict:
    """Measures every case and judges it; ``seeds``: simulated images per head and contrast."""
    cases = []
    for head, kind, image in _cases(data, seeds):
        mask = head_mask(image)
        measures = measure_head(image, image, mask)
        cases.append({"head": head, "input": kind, "findings": _codes(measures)})
        print(f"{head}: {kind}: {', '.join(cases[-1]['findings']) or '-'}", flush=True)
    return {"seeds": seeds, "rates": rates(cases)}


def rates(cases: list[dict]) -> dict:
    """For each finding: in how many of how many inputs it was given, of those it should be and of the others."""
    counts: dict = defaultdict(lambda: {"false alarms": [0, 0], "detected": defaultdict(lambda: [0, 0])})
    for case in cases:
        kind = case["input"]
        for code in sorted(set(EXPECTED.values())):
            given = int(code in case["findings"])
            if EXPECTED.get(kind) == code:
                row = counts[code]["detected"][kind]
            elif (kind, code) in _OPEN or (case["head"], code) in _OPEN_HEADS:
                continue
            else:
                row = counts[code]["false alarms"]
            row[0] += given
            row[1] += 1
    return json.loads(json.dumps(counts))


def table(result: dict) -> str:
    """The rates as a Markdown table."""
    lines = ["| finding | false alarms | detected |", "| --- | --- | --- |"]
    for code, row in result["rates"].items():
        detected = "; ".join(f"{kind} {given} of {count}" for kind, (given, count) in row["detected"].items())
        lines.append(f"| {code} | {row['false alarms'][0]} of {row['false alarms'][1]} | {detected} |")
    return "\n".join(lines)


def _codes(measures: HeadMeasures) -> list[str]:
    return [finding.code for finding in findings_of(measures)]


def _cases(data: Path, seeds: int) -> Iterator[Case]:
    brains = {head.name: head for head in read_heads(data, ["colin27", "ernie"])}
    for name in _MEASURED:
        image = sitk.Cast(read_canonical(data / f"{name}.nii.gz"), sitk.sitkFloat32)
        short = name.partition("/")[0] if name.endswith("/t1") else name.partition("/")[2]
        yield short, "measured T1", image
        for kind, spoiled in _spoiled(image, np.random.default_rng(0)):
            yield short, kind, spoiled
        if short in brains:
            mr, tissue = brains[short].mr, brains[short].tissue
            assert mr is not None
            brain = np.isin(tissue, (Tissue.CSF, Tissue.GREY, Tissue.WHITE))
            yield short, "brain only", sitk.GetImageFromArray(mr * brain)
    for name in NAMES:
        (head,) = read_heads(data, [name])
        for seed in range(seeds):
            pair = simulate(head, np.random.default_rng([seed, 1]))
            yield name, "simulated T1", sitk.GetImageFromArray(pair.mr.astype(np.float32))
            for number, contrast in enumerate(_CONTRASTS):
                rng = np.random.default_rng([seed, 2 + number])
                yield name, contrast, sitk.GetImageFromArray(_simulated(head, contrast, rng))


def _spoiled(image: sitk.Image, rng: np.random.Generator) -> Iterator[tuple[str, sitk.Image]]:
    array = sitk.GetArrayFromImage(image)
    head = sitk.GetArrayFromImage(head_mask(image)) > 0
    (_, front, _), (top, _, left) = (end(np.argwhere(head), axis=0) for end in (np.min, np.max))
    # Signal where the face and the neck are says nothing of where the brain is.
    upper = np.argwhere(head & (np.arange(len(array))[:, None, None] > top - 85))
    centre = upper.mean(axis=0)
    for mm in (10, 20):
        yield f"{mm} mm cut off, front", image[:, int(front) + mm :, :]
        yield f"{mm} mm cut off, top", image[:, :, : int(top) - mm]
        yield f"{mm} mm cut off, left", image[: int(left) - mm, :, :]
    faceless = array.copy()
    faceless[: int(top) - 85, : int(front) + 50] = 0
    yield "face removed", _with_array(image, faceless)
    for degrees in (10, 35):
        turns: dict[str, tuple[float, float, float]] = {"turned": (0, 0, degrees), "leaning": (0, degrees, 0)}
        turns |= {"nodding back": (degrees / 2, 0, 0), "nodding forward": (-degrees / 2, 0, 0)}
        for kind, angles in turns.items():
            transform = sitk.Euler3DTransform()
            transform.SetCenter(image.TransformContinuousIndexToPhysicalPoint([float(c) for c in centre[::-1]]))
            transform.SetRotation(*np.deg2rad(angles).tolist())
            padded = sitk.ConstantPad(image, [30] * 3, [30] * 3, 0.0)
            turned = sitk.Resample(padded, padded, transform, sitk.sitkLinear, 0.0)
            yield f"{kind} by {np.abs(angles).max():g} degrees", turned
    for ratio in (1.5, 4.0, 8.0):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        along = np.indices(array.shape).transpose(1, 2, 3, 0) @ direction
        low, high = np.percentile(along[head], [2, 98])
        field = ratio ** ((along - low) / (high - low))
        yield f"bias field of {ratio:g}", _with_array(image, (array * field).astype(np.float32))
    for radius in (12, 20):
        spot = upper[rng.integers(len(upper))] * 0.5 + centre * 0.5
        distance = np.sqrt(((np.indices(array.shape).transpose(1, 2, 3, 0) - spot) ** 2).sum(axis=-1))
        yield f"void of {radius} mm", _with_array(image, np.where(distance < radius, 0.0, array).astype(np.float32))


def _simulated(head: Head, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Another contrast than T1, warped and acquired as the T1s of ``training.simulation.simulate`` are."""
    tissue, hu = place_head(head, rng, vary_anatomy=False)
    signals = {name: rng.uniform(*limits) for name, limits in zip(_SIGNALS, _CONTRASTS[kind], strict=True)}
    contrast = replace(
        random_contrast(rng), **signals, skin=0.7 * max(signals["fat"], 0.7), vessel=rng.uniform(0.1, 0.6)
    )
    return acquire(random_echo(*tissue_signal(tissue, hu, contrast, rng), rng), rng)


def _with_array(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array)
    result.CopyInformation(image)
    return result
