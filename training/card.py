"""Writes a model's card from what is stored: model.json, the figures of ``evaluate``, and the terms of the sources."""

import json
import tomllib
from pathlib import Path

from decnn.errors import InputError
from decnn.network import build_network
from training.experiments.evaluate_heads import table
from training.settings import settings_from

_SOURCES = Path(__file__).with_name("sources.toml")
_TEXT = """# {name} {version}

**Not a medical device. A synthetic CT is not a planning CT until the department's own acceptance test says so.**

{description}

| | |
| --- | --- |
| in | {modality}, any grid; {normalization} |
| out | HU on the grid of the MR, int16 in [-1024, 3071], -1000 outside the head |
| architecture | `{architecture}` |
| weights | {file}, SHA-256 `{sha256}` |
| training | {steps} steps, {patches} patches of {patch} x {patch} mm, seed {seed}{start} |
| parameters | {parameters} |

## Data

Trained on pairs made from these heads (see training/README.md):

{heads}

The weights are subject to the strictest of these terms: if a source asks for non-commercial research use, so do they.

## Figures

{measured}; stored in
`{results}`.
Metrics follow SynthRAD2023 where the name says so; "tight" and "wide" are the body masks of
`decnn/evaluation/metrics.py`.

{table}

Bone is what lies above 250 HU in a CT; bone_dice_vault counts the uppermost 75 mm of it. Where the reference is labels,
its CT is drawn from them: its HU are assumed, not measured. Where it is a measured CT, the MR is simulated from it.

**Not measured:** the error in HU on a T1 and a CT of one person (no such pair is among the data); the error in dose.

## Known limits

{limits}

## Intended use

Research on MR-only workflows, and review beside the MR. Not for treatment without the department's own validation.
"""


_OF_THIS_MODEL = "Measured on heads that the model has not been trained on, by `python -m training evaluate`"
_OF_ITS_KIND = (
    "Not of these very weights, which have seen all heads, but of networks of this architecture, each trained, "
    "for {steps} steps of {batch} patches of {patch} x {patch} mm, without the head that they are scored on, by "
    "`python -m training cross-validate`"
)
_MEASURED = {
    "synthrad": "measured T1 and CT of SynthRAD2023, Task 1, brain. Terms: CC BY-NC 4.0, non-commercial",
    "folder": "measured T1 and CT of your own. Terms: yours to state",
}


def write_card(folder: Path, results: Path, limits: Path) -> Path:
    """Writes MODEL_CARD.md into a model folder.

    Args:
        folder: the model.
        results: JSON of ``evaluate``, which must belong to these very weights, or of ``cross_validate``, which must
            belong to this architecture.
        limits: Markdown list of known limits, seen in the model's pictures.

    Raises:
        InputError: the figures were measured with other weights, or another architecture.
    """
    spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    figures = json.loads(results.read_text(encoding="utf-8"))
    measured = _OF_THIS_MODEL
    if "settings" in figures:
        settings = settings_from(json.dumps(figures["settings"]))
        measured = _OF_ITS_KIND.format(steps=settings.steps, batch=settings.batch, patch=settings.patch)
        belongs = settings.architecture() == spec["network"]["arguments"]
    else:
        belongs = figures["weights_sha256"] == spec["weights"]["sha256"]
    if not belongs:
        raise InputError(f"The figures in {results} belong to another model: run evaluate or cross-validate again.")
    sources = tomllib.loads(_SOURCES.read_text(encoding="utf-8"))
    heads = "\n".join(
        f"- {name}: {_MEASURED[name]}"
        if name in _MEASURED
        else f"- {name}: {sources[name]['use']}. Terms as found: {sources[name]['terms']}"
        for name in spec["training"]["heads"]
    )
    training = {key: spec["training"][key] for key in ("steps", "patches", "patch", "seed")}
    init = spec["training"]["init_sha256"]
    start = f", going on from weights of SHA-256 `{init}` (training/README.md)" if init else ""
    card = folder / "MODEL_CARD.md"
    card.write_text(
        _TEXT.format(
            name=spec["name"],
            version=spec["version"],
            description=spec["description"],
            modality=spec["input"]["modality"],
            normalization=spec["input"]["normalization"],
            architecture=json.dumps(spec["network"]),
            **spec["weights"],
            **training,
            start=start,
            heads=heads,
            parameters=f"{sum(p.numel() for p in build_network(**spec['network']).parameters()):,}",
            measured=measured,
            results=results.as_posix(),
            table=table(figures),
            limits=limits.read_text(encoding="utf-8").strip(),
        ),
        encoding="utf-8",
    )
    return card
