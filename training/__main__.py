"""python -m training <verb>"""

import argparse
import json
import signal
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

from decnn.errors import DecnnError, InputError
from decnn.model import Model, load_model
from training.arguments import parser_of_verbs
from training.bank import add_measured, add_slices, entries_of, make_bank, open_pairs
from training.card import write_card
from training.experiments import ablate as ablation
from training.experiments.check_rates import calibrate
from training.experiments.check_rates import table as findings_table
from training.experiments.compare_precisions import compare_precisions
from training.experiments.compare_precisions import table as precisions_table
from training.experiments.compare_simulation import compare_simulation
from training.experiments.compare_simulation import table as simulation_table
from training.experiments.cross_validate import cross_validate
from training.experiments.ct_statistics import measure
from training.experiments.evaluate_heads import evaluate
from training.experiments.evaluate_heads import table as heads_table
from training.experiments.evaluate_pairs import evaluate_pairs
from training.experiments.evaluate_pairs import table as pairs_table
from training.experiments.evaluate_slices import choose_patients, evaluate_slices, slice_predictor
from training.experiments.evaluate_slices import table as slices_table
from training.experiments.explain_error import explain_error
from training.experiments.explain_error import table as error_table
from training.experiments.paper import run_paper
from training.experiments.paper import table as paper_table
from training.experiments.quality import write_quality
from training.experiments.sensitivity import measure_sensitivity
from training.experiments.sensitivity import table as sensitivity_table
from training.experiments.slice_findings import measure_people
from training.experiments.slice_findings import table as people_table
from training.export import export
from training.fit import entries, fit
from training.heads.catalog import NAMES
from training.heads.fetch import fetch
from training.measured_pairs.misfits import find_misfits, read_misfits
from training.measured_pairs.slices import FOLDS, find_patients, read_slices
from training.orientation import fit_orientation, learned_pictures, unseen_pictures, write_weights
from training.orientation import table as orientation_table
from training.pictures import draw_curve, draw_preview
from training.provenance import made_by
from training.settings import Settings, read_labels, read_settings


def main() -> int:
    """Runs one verb; returns its exit code."""
    arguments = parser_of_verbs().parse_args()
    try:
        _run(arguments)
    except DecnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: simulate, fit, cross-validate and ablate go on if given the same command", file=sys.stderr)
        return 130
    return 0


def _run(arguments: argparse.Namespace) -> None:
    if arguments.verb == "fetch":
        fetch(arguments.data, arguments.sources, download=not arguments.check)
    elif arguments.verb == "simulate":
        settings = read_settings(arguments.recipe)
        heads = [entry for entry in entries(settings) if entry.head in NAMES]
        pairs = settings.pairs if arguments.pairs is None else arguments.pairs
        make_bank(
            arguments.data, arguments.bank, heads, pairs, arguments.seed, arguments.workers, settings.drawn_brains
        )
    elif arguments.verb == "add-pairs":
        made = add_measured(arguments.bank, arguments.pairs, arguments.variants, arguments.seed)
        print(f"{made} pairs were added to {arguments.bank}")
    elif arguments.verb == "find-misfits":
        patients = find_patients(arguments.slices)
        result = find_misfits(read_slices(arguments.slices, patients))
        result["slices"] = len(result["slices"])
        files = arguments.slices.glob("*/*.nii.gz")
        _show(result, json.dumps(result["misfits"], indent=2), arguments.json, files)
    elif arguments.verb == "add-slices":
        misfits = read_misfits(arguments.misfits) if arguments.misfits else frozenset()
        synthesize = slice_predictor(load_model(arguments.align)) if arguments.align else None
        made, left_out = add_slices(arguments.bank, arguments.slices, misfits, arguments.seed, synthesize)
        print("\n".join([*(f"left out: {sentence}" for sentence in left_out), f"{made} slices were added"]))
    elif arguments.verb == "preview":
        shown = [
            (f"{entry.folder} {number}", pair)
            for entry in entries_of(arguments.bank)
            for number, pair in enumerate(open_pairs(arguments.bank, entry, arguments.pairs)[: arguments.pairs])
        ]
        draw_preview(shown, arguments.png)
    elif arguments.verb == "fit":
        settings, init = _settings(arguments)
        if arguments.fold:
            settings = settings.without_fold(arguments.fold)
        for head in arguments.hold_out:
            settings = settings.without(head)
        fit(arguments.bank, arguments.run, settings, arguments.device, init, arguments.workers, arguments.tensorboard)
    elif arguments.verb == "curve":
        draw_curve(arguments.log, arguments.png)
    elif arguments.verb == "cross-validate":
        a = arguments
        settings, init = _settings(a)
        result = cross_validate(
            a.data, a.bank, a.runs, settings, a.simulations, a.device, a.slices, a.folds, a.workers, init
        )
        text = heads_table(result) + ("\n\n" + slices_table(result["slices"]) if "slices" in result else "")
        _show(result, text, arguments.json)
    elif arguments.verb == "ablate":
        result = ablation.ablate(
            arguments.bank, arguments.runs, arguments.steps, arguments.seeds, arguments.device, arguments.rows
        )
        _show(result, ablation.table(result), arguments.json)
    elif arguments.verb == "paper":
        a = arguments
        result = run_paper(a.slices, a.bank, a.runs, a.steps, a.device, a.rows, a.workers)
        _show(result, paper_table(result), a.json, a.slices.glob("*/*.nii.gz"))
    elif arguments.verb == "measure-ct":
        result = measure(arguments.data)
        _show(result, json.dumps(result, indent=2), arguments.json)
    elif arguments.verb == "export":
        labels = read_labels(arguments.recipe)
        print(export(arguments.run, arguments.model, arguments.version, labels, arguments.best))
    elif arguments.verb == "evaluate":
        a = arguments
        result = evaluate(load_model(a.model), a.data, a.heads, a.simulations, a.pictures, a.repeated)
        _show(result, heads_table(result), arguments.json)
    elif arguments.verb == "evaluate-pairs":
        model = load_model(arguments.model)
        result = evaluate_pairs(model, arguments.pairs, arguments.pictures, arguments.device)
        _show(result, pairs_table(result), arguments.json)
    elif arguments.verb == "evaluate-slices":
        patients = choose_patients(arguments.slices, arguments.fold, arguments.patients)
        result = evaluate_slices(load_model(arguments.model), arguments.slices, patients)
        del result["halves"]  # their means are in by_half
        files = [path for patient in patients for path in (arguments.slices / patient).glob("*.nii.gz")]
        _show(result, slices_table(result), arguments.json, files)
    elif arguments.verb == "explain-error":
        other = arguments.fold % FOLDS + 1
        groups = {
            f"fold {fold}, {what}": choose_patients(arguments.slices, fold)
            for fold, what in ((arguments.fold, "not seen"), (other, "learned from"))
        }
        result = explain_error(load_model(arguments.model), arguments.slices, groups)
        files = [path for names in groups.values() for name in names for path in (arguments.slices / name).glob("*.gz")]
        _show(result, error_table(result), arguments.json, files)
    elif arguments.verb == "compare-precisions":
        result = compare_precisions(load_model(arguments.model), arguments.mr)
        _show(result, precisions_table(result), arguments.json, arguments.mr)
    elif arguments.verb == "compare-simulation":
        result = compare_simulation(arguments.bank, arguments.pairs)
        _show(result, simulation_table(result), arguments.json)
    elif arguments.verb == "sensitivity":
        result = measure_sensitivity(arguments.runs, arguments.data)
        _show(result, sensitivity_table(result), arguments.json)
    elif arguments.verb == "check-findings":
        result = calibrate(arguments.data, arguments.seeds)
        _show(result, findings_table(result), arguments.json)
    elif arguments.verb == "measure-people":
        result = measure_people(arguments.slices)
        _show(result, people_table(result), arguments.json, arguments.slices.glob("*/*_mr.nii.gz"))
    elif arguments.verb == "fit-orientation":
        network, result = fit_orientation(
            learned_pictures(arguments.bank, arguments.data), unseen_pictures(arguments.data, arguments.slices)
        )
        write_weights(network, arguments.weights)
        files = arguments.slices.glob("*/sagittal_mr.nii.gz")
        _show(result, orientation_table(result), arguments.json, files)
    elif arguments.verb == "quality":
        write_quality(arguments.results, arguments.page, arguments.readme, arguments.others)
    elif arguments.verb == "card":
        print(write_card(arguments.model, arguments.results, arguments.limits))


def _settings(arguments: argparse.Namespace) -> tuple[Settings, Model | None]:
    """The recipe's settings with what was given instead, and the model to start from."""
    settings = read_settings(arguments.recipe)
    init = load_model(arguments.init) if arguments.init else None
    numbers = [item.name for item in fields(Settings) if item.type in (int, float) and item.name != "fold"]
    given = {name: value for name in (*numbers, "loss") if (value := getattr(arguments, name)) is not None}
    settings = replace(settings, **given, init=init.weights_sha256 if init else "")
    kinds = [kind for kind, _ in arguments.measured]
    if repeated := {kind for kind in kinds if kinds.count(kind) > 1}:
        raise InputError(f"--measured {repeated.pop()} is given twice: give each kind once.")
    if arguments.measured:
        settings = settings.with_measured({kind: _share(share) for kind, share in arguments.measured})
    return settings, init


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{text} is no share of the patches: give a number between 0 and 1.") from None


def _show(result: dict, text: str, path: Path | None, data: Iterable[Path] = ()) -> None:
    """Prints the figures, and stores them, with how they were made and of which files, if a file is named."""
    print(text)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        result = {"made": made_by(sys.argv[1:], data), **result}
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a kill, too, ends the workers of simulate
    sys.exit(main())
