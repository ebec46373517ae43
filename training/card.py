"""Writes a model's card from what is stored: model.json, the figures of the scorers, and the terms of the sources."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from decnn.errors import InputError
from decnn.network import build_network
from training.experiments.evaluate_heads import table as heads_table
from training.experiments.evaluate_pairs import table as pairs_table
from training.experiments.evaluate_slices import table as slices_table
from training.settings import HEAD_FOLDS, settings_from

_SOURCES = Path(__file__).with_name("sources.toml")
_TEXT = """# {name} {version}

**Not a medical device. A synthetic CT is not a planning CT until the department's own acceptance test says so.**

Terms of the weights: {terms}.

{description}

| | |
| --- | --- |
| in | {modality}, any grid; {normalization} |
| out | HU on the grid of the MR, int16 in [-1024, 3071], -1000 outside the head |
| network | `{network}` |
| weights | {file}, SHA-256 `{sha256}` |
| training | {steps} steps, {patches} patches of {patch} x {patch} mm, seed {seed}{start} |
| parameters | {parameters} |

## Data

{heads}

The weights are subject to the strictest of these terms: if a source asks for non-commercial research use, so do they.

## Figures

{figures}

Metrics follow SynthRAD2023 where the name says so. "tight" and "wide" are the body masks of
`decnn/evaluation/masks.py`, "mask" is the one that comes with a case. Bone is what lies above 250 HU. The vault lies
0 to 80 mm below the vertex, the base 80 to 150 mm. `wet_error_mm` is the error of the water-equivalent thickness for
protons, along parallel beams through the body from 36 directions, by the curve of Schneider et al., Phys Med Biol 41
(1996) 111. Where the reference is labels, its CT is drawn from them: its HU are assumed, not measured.

**Not measured:** the error in dose.

## Known limits

{limits}

## Intended use

Research on MR-only workflows, and review beside the MR. Not for treatment without the department's own validation.
"""
_OF_THIS_MODEL = "Of these very weights"
_OF_ITS_KIND = (
    "Not of these very weights, but of networks of this architecture, each trained, for {steps} steps of {batch} "
    "patches of {patch} x {patch} mm, without the patients and heads that it is scored on"
)
_MEASURED = {
    "synthrad": "measured MR and CT of SynthRAD2023 or 2025, Task 1. Terms: CC BY-NC 4.0, non-commercial",
    "folder": "measured T1 and CT of your own. Terms: yours to state",
    "bids": "measured T1 and CT of your own. Terms: yours to state",
}
_OTHER_NAMES = {"slices": "real_slices"}


def write_card(folder: Path, results: Sequence[Path], limits: Path) -> Path:
    """Writes MODEL_CARD.md into a model folder.

    Args:
        folder: the model.
        results: JSON files of ``evaluate``, ``evaluate-slices`` and ``evaluate-pairs``, which must belong to these very
            weights, and of ``cross-validate``, which must belong to this network.
        limits: Markdown list of known limits, seen in the model's pictures.

    Raises:
        InputError: a file cannot be read, is none of these, or its figures belong to another model.
    """
    spec = _json(folder / "model.json")
    sources = tomllib.loads(_SOURCES.read_text(encoding="utf-8"))
    training = {key: spec["training"][key] for key in ("steps", "patches", "patch", "seed")}
    init = spec["training"]["init_sha256"]
    parameters = build_network(spec["network"]["name"], spec["network"]["arguments"]).parameters()
    card = folder / "MODEL_CARD.md"
    card.write_text(
        _TEXT.format(
            name=spec["name"],
            version=spec["version"],
            terms=spec["terms"],
            description=spec["description"],
            modality=spec["input"]["modality"],
            normalization=spec["input"]["normalization"],
            network=json.dumps(spec["network"]),
            **spec["weights"],
            **training,
            start=f", going on from weights of SHA-256 `{init}`" if init else "",
            heads="\n".join(
                _source(name, sources, spec["training"].get("fold", 0)) for name in spec["training"]["heads"]
            ),
            parameters=f"{sum(p.numel() for p in parameters):,}",
            figures="\n\n".join(_figures(path, spec) for path in results),
            limits=_text(limits).strip(),
        ),
        encoding="utf-8",
    )
    return card


def _figures(path: Path, spec: dict[str, Any]) -> str:
    """The tables of one file, and how they were measured."""
    result = _json(path)
    if "settings" in result:
        settings = settings_from(json.dumps(result["settings"]))
        belongs = {"name": settings.network, "arguments": settings.architecture()} == spec["network"]
        whose = _OF_ITS_KIND.format(steps=settings.steps, batch=settings.batch, patch=settings.patch)
    else:
        belongs = result.get("weights_sha256") == spec["weights"]["sha256"]
        whose = _OF_THIS_MODEL
    tables = []
    if result.get("heads"):
        tables.append(heads_table(result))
    if "by_plane" in result or "slices" in result and isinstance(result["slices"], dict):
        tables.append(slices_table(result if "by_plane" in result else result["slices"]))
    if "pairs" in result:
        tables.append(pairs_table(result))
    if not tables:
        raise InputError(
            f"{path.name} holds no figures of evaluate, evaluate-slices, evaluate-pairs or cross-validate."
        )
    if not belongs:
        raise InputError(f"The figures in {path.name} belong to another model: measure this one.")
    made = result.get("made", {})
    by = f" by `{made['command']}` (commit {made['commit']}, {made['date']})" if made else ""
    return "\n\n".join([f"{whose}{by}; stored in `{path.name}`:", *tables])


def _source(name: str, sources: dict[str, Any], fold: int) -> str:
    """One line on a source of the training. fold: of the patients that were left out, 0 for none."""
    without = f"; fold {fold} of {len(HEAD_FOLDS)}, a fifth of the patients, was left out"
    if name in _MEASURED:
        return f"- {name}: {_MEASURED[name]}{without if fold else ''}"
    source = sources[_OTHER_NAMES.get(name, name)]
    left_out = without if fold and name in _OTHER_NAMES else ""
    return f"- {name}: {source['use']}{left_out}. Terms as found: {source['terms']}"


def _json(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"{path.name} is no JSON ({error}).") from error
    if not isinstance(result, dict):
        raise InputError(f"{path.name} is no JSON file of figures.")
    return result


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
