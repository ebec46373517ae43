"""Writes docs/quality.md, and the figures in README, from the stored figures of the bundled model: nothing by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from decnn.errors import InputError
from decnn.evaluation.metrics import cell, markdown
from decnn.hu import BONE_ABOVE_HU
from training.experiments.compare_precisions import table as precisions_table
from training.experiments.evaluate_heads import LABELS, MEASURED_T1
from training.experiments.evaluate_heads import table as heads_table
from training.experiments.evaluate_slices import SHOWN
from training.experiments.evaluate_slices import table as slices_table
from training.experiments.explain_error import table as error_table

FOLDS = "folds.json"
"""Of cross-validate: networks of the model's architecture that have not seen what they are scored on."""
FIGURES = ("slices", "heads", "error", "repeated", "precisions")
"""JSON files of evaluate-slices, evaluate, explain-error, evaluate --repeated and compare-precisions."""
BEGIN, END = "<!-- quality: made by `make quality`, do not edit -->", "<!-- /quality -->"
_HEAD = "<!-- made by `make quality` from {folder}: do not edit -->\n\n# Quality of {model} {version}\n\n"
_PAGE = """{head}The figures belong to the bundled weights, SHA-256 `{sha256}`. Bone is what lies above {bone} HU.

## Networks that have not seen the people and heads

{folds_text}

{folds_slices_table}

{folds_heads_table}

## The bundled weights on real people

MR and CT of {patients} patients of three hospitals, which the model has not seen: {slices} slices, the middle ones of
each plane. A slice stands in for its own neighbours, and one view makes the CT. The masks are those of SynthRAD
(`mae_hu_mask`) and the body of the CT (`mae_hu_tight`). The spread is the standard deviation over patients.

{slices_table}

The lower halves hold skull base and face, the upper ones the vault. `wet_error_mm` is the error of the water-equivalent
thickness for protons, along parallel beams through the body from 36 directions, by the curve of Schneider et al.
(1996). These people were in sight when the training was designed.

## The bundled weights on whole heads

Three views, averaged, as users run it. The vault lies 0 to 80 mm below the vertex, the base 80 to 150 mm.
The column `seen` says whether the model was trained on pairs made from the head. Where the reference is a measured CT,
the MR is simulated from it. Where it is labels, the CT is drawn from them: its HU are assumed.

{heads_table}

## What limits it

The same scores on slices, with one possible cause at a time taken away. The masks reach beyond what the MR shows: a
removed face, the end of the field of view. What the synthetic CT has there is a guess, and air beyond 8 mm. Blurring
the CT takes away its sharpness. Deforming it smoothly onto the synthetic CT takes away what is left of MR and CT not
lying on each other, and some of the network's own errors: a bound, not a figure of the model.

`me_bone_hu` is the mean error where the CT has bone, `me_synthetic_bone_hu` where the synthetic CT has bone. Edges that
lie elsewhere make the first negative and the second positive. Bone that is too soft makes both negative.

{error_table}

## What the form of a slice costs

Whole heads as above, with each slice as its own neighbours, as real slices are given. Compare with the tables above.

{repeated_table}

## What bfloat16 changes

The CTs of measured T1s in bfloat16, against those in float32. Changes are absolute.

{precisions_table}

{others}## What was not measured

- The error in HU on whole volumes of one person.
- The error in dose.
- Children, and people with metal in the skull.

## How it was measured

{commands}
"""

_FOLDS = """{runs} networks of this architecture were trained, each for {steps} steps of {batch} patches of {patch} mm,
without a part of the patients and heads, and scored on that part: {patients} patients in all. {start}
The bundled weights are of a longer training, and their own figures follow below. The brain in a CT head is that of a
labelled head, so where a labelled head was left out, its brain had been seen in another skull."""
_START = """They started from
{name} {version}, which had seen no patient, but the heads with `by its start` in the column `seen`."""
_ANEW = "They started\nfrom random weights."
_OTHER = """## {name} {version}

Another bundled model, weights SHA-256 `{sha256}`. [Its card]({card}) says what it was trained on, and its terms.
On the same patients, none of whom it has seen, beside {default}:

{comparison}

On whole heads:

{heads_table}

"""
_CARD = "../MRtoCT/Resources/Models/{name}/MODEL_CARD.md"


def write_quality(results: Path, page: Path, readme: Path, others: Sequence[Path] = ()) -> None:
    """Writes the page, and what stands between the two marks in README.

    Args:
        results: folder with the files of FIGURES, of one model, and FOLDS, of networks like it.
        others: such folders of other models; of each the first two files, of the same patients, are shown beside it.

    Raises:
        InputError: a file is missing or no result, they belong to different models, or README has no marks.
    """
    found = {name: _read(results / f"{name}.json") for name in FIGURES}
    slices, heads = found["slices"], found["heads"]
    for name, measured in found.items():
        if measured["weights_sha256"] != slices["weights_sha256"]:
            raise InputError(
                f"slices.json and {name}.json in {results.name} belong to different models: measure one model."
            )
    text = readme.read_text(encoding="utf-8")
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 or end < start:
        raise InputError(f"{readme.name} lacks the marks {BEGIN} and {END}: put them where the figures shall stand.")
    beside = [{name: _read(folder / f"{name}.json") for name in FIGURES[:2]} for folder in others]
    for other in beside:
        if {row["patient"] for row in other["slices"]["cases"]} != {row["patient"] for row in slices["cases"]}:
            raise InputError(f"The models {other['slices']['model']} and {slices['model']} saw different patients.")
    folds = _read(results / FOLDS, "settings")
    page.write_text(page_of(found, folds, results.name, beside), encoding="utf-8")
    figures = "\n".join(["", *figures_of(slices, heads, folds), ""])
    readme.write_text(text[: start + len(BEGIN)] + figures + text[end:], encoding="utf-8")


def page_of(
    found: dict[str, dict[str, Any]],
    folds: dict[str, Any],
    folder: str,
    beside: Sequence[dict[str, dict[str, Any]]] = (),
) -> str:
    """The page as Markdown."""
    slices, heads = found["slices"], found["heads"]
    results = [folds, *(result for figures in (found, *beside) for result in figures.values())]
    commands = (f"- `{r['made']['command']}` (commit {r['made']['commit']}, {r['made']['date']})" for r in results)
    return _PAGE.format(
        head=_HEAD.format(folder=f"training/results/{folder}", model=slices["model"], version=slices["version"]),
        sha256=slices["weights_sha256"],
        bone=BONE_ABOVE_HU,
        patients=slices["patients"],
        slices=slices["slices"],
        folds_text=_folds_text(folds),
        folds_slices_table=slices_table(folds["slices"]),
        folds_heads_table=heads_table(folds),
        slices_table=slices_table(slices),
        heads_table=heads_table(heads),
        error_table=error_table(found["error"]),
        repeated_table=heads_table(found["repeated"]),
        precisions_table=precisions_table(found["precisions"]),
        others="".join(_section(slices, other["slices"], other["heads"]) for other in beside),
        commands="\n".join(commands),
    )


def _folds_text(folds: dict[str, Any]) -> str:
    init, slices = folds["init"], folds["slices"]
    numbers = {key: folds["settings"][key] for key in ("steps", "batch", "patch")}
    start = _START.format(**init) if init else _ANEW
    return _FOLDS.format(runs=len(slices["by_fold"]), patients=slices["patients"], start=start, **numbers)


def _section(default: dict[str, Any], slices: dict[str, Any], heads: dict[str, Any]) -> str:
    means = [(result["model"], {"all": result["mean"], **result["by_plane"]}) for result in (default, slices)]
    rows = [{"": f"{model}, {what}", **found[what]} for what in means[0][1] for model, found in means]
    name = slices["model"]
    return _OTHER.format(
        name=name, version=slices["version"], sha256=slices["weights_sha256"], card=_CARD.format(name=name),
        default=default["model"], comparison=markdown(rows, ("", *SHOWN)), heads_table=heads_table(heads),
    )  # fmt: skip


def figures_of(slices: dict[str, Any], heads: dict[str, Any], folds: dict[str, Any]) -> list[str]:
    """The figures of README, as a Markdown table."""
    planes, mean = slices["by_plane"], slices["mean"]
    mae, axial = (_shown(row, "mae_hu_mask") for row in (mean, planes["axial"]))
    vault, base = (_over(heads, f"bone_dice_{part}") for part in ("vault", "base"))
    seen = sum(row["seen"] == "yes" for row in heads["heads"])
    others = folds["slices"]
    people = f"{slices['slices']} middle slices of {slices['patients']} people that it has not seen"
    drawn = sum(row["reference"] == LABELS for row in heads["heads"])
    simulated = sum(row["mr"] != MEASURED_T1 for row in heads["heads"])
    values = {
        f"mean absolute error in SynthRAD's mask, {people}": f"{mae} HU (axial {axial} HU)",
        "bone overlap (Dice), the same people": _shown(mean, "bone_dice"),
        "mean error in bone, the same people": f"{_shown(mean, 'me_bone_hu')} HU",
        f"mean absolute error, {others['patients']} people, by {len(others['by_fold'])} shorter trained networks that "
        "have not seen them": f"{_shown(others['mean'], 'mae_hu_mask')} HU",
        f"bone overlap in vault and base of {len(heads['heads'])} whole heads ({seen} seen, {simulated} with "
        f"a T1 simulated from the CT, {drawn} with a CT drawn from labels)": f"{vault} and {base}",
    }
    return [markdown([{"what": what, "value": value} for what, value in values.items()], ("what", "value"))]


def _shown(row: dict[str, Any], key: str) -> str:
    return cell(key, row[key])


def _over(heads: dict[str, Any], key: str) -> str:
    values = [row[key] for row in heads["heads"] if row.get(key) is not None]
    return cell(key, sum(values) / len(values)) if values else "-"


def _read(path: Path, key: str = "weights_sha256") -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        if key in result and "made" in result:
            return result
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} cannot be read ({error}): see training/README.md.") from error
    raise InputError(f"{path.name} holds no figures of a model: see training/README.md.")
