"""Writes a model's card from what is stored: model.json, the figures of ``evaluate``, and the terms of the sources."""

import json
import tomllib
from pathlib import Path

from decnn.errors import InputError
from training.evaluate import table

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
| training | {steps} steps, {patches} patches of {patch} x {patch} mm, seed {seed} |

## Data

Trained on simulated pairs of these heads (see training/README.md):

{heads}

The weights are subject to the strictest of these terms: if a source asks for non-commercial research use, so do they.

## Figures

Measured on heads that the model has not been trained on, by `python -m training evaluate`; stored in
`{results}`.
Metrics follow SynthRAD2023 where the name says so; "tight" and "wide" are the body masks of `decnn/metrics.py`.

{table}

Where the reference is labels, bone Dice compares CT > 250 HU with the labels' bone, and the CT behind the other columns
is drawn from the labels: its HU are assumed, not measured. Where the MR is simulated, the CT is a real one.

**Not measured:** the error in HU on a T1 and a CT of one person (no such pair is among the data); the error in dose.

## Known limits

{limits}

## Intended use

Research on MR-only workflows, and review beside the MR. Not for treatment without the department's own validation.
"""


def write_card(folder: Path, results: Path, limits: Path) -> Path:
    """Writes MODEL_CARD.md into a model folder.

    Args:
        folder: the model.
        results: JSON of ``evaluate``; must belong to these very weights.
        limits: Markdown list of known limits, seen in the model's pictures.

    Raises:
        InputError: the figures were measured with other weights.
    """
    spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    figures = json.loads(results.read_text(encoding="utf-8"))
    if figures["weights_sha256"] != spec["weights"]["sha256"]:
        raise InputError(f"The figures in {results} belong to other weights: run evaluate again.")
    sources = tomllib.loads(_SOURCES.read_text(encoding="utf-8"))
    heads = "\n".join(
        f"- {name}: {sources[name]['use']}. Terms as found: {sources[name]['terms']}"
        for name in spec["training"]["heads"]
    )
    training = {key: spec["training"][key] for key in ("steps", "patches", "patch", "seed")}
    card = folder / "MODEL_CARD.md"
    card.write_text(
        _TEXT.format(
            name=spec["name"],
            version=spec["version"],
            description=spec["description"],
            modality=spec["input"]["modality"],
            normalization=spec["input"]["normalization"],
            architecture=json.dumps(spec["architecture"]),
            **spec["weights"],
            **training,
            heads=heads,
            results=results.as_posix(),
            table=table(figures),
            limits=limits.read_text(encoding="utf-8").strip(),
        ),
        encoding="utf-8",
    )
    return card
