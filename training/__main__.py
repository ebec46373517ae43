"""python -m training <verb>"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

from decnn.errors import DecnnError, InputError
from decnn.model import Model, load_model
from training.bank import add_measured, add_slices, entries_of, make_bank, open_pairs
from training.card import write_card
from training.experiments import ablate as ablation
from training.experiments.check_rates import calibrate
from training.experiments.check_rates import table as findings_table
from training.experiments.cross_validate import cross_validate
from training.experiments.ct_statistics import measure
from training.experiments.evaluate_heads import SIMULATIONS, evaluate
from training.experiments.evaluate_heads import table as heads_table
from training.experiments.evaluate_pairs import evaluate_pairs
from training.experiments.evaluate_pairs import table as pairs_table
from training.experiments.evaluate_slices import choose_patients, evaluate_slices
from training.experiments.evaluate_slices import table as slices_table
from training.experiments.paper import run_paper
from training.experiments.paper import table as paper_table
from training.experiments.quality import write_quality
from training.experiments.sensitivity import measure_sensitivity
from training.experiments.sensitivity import table as sensitivity_table
from training.export import export
from training.fit import entries, fit
from training.heads.catalog import NAMES
from training.heads.fetch import fetch
from training.measured_pairs.misfits import find_misfits, read_misfits
from training.measured_pairs.slices import find_patients, read_slices
from training.pictures import draw_curve, draw_preview
from training.provenance import made_by
from training.settings import DEFAULT_RECIPE, Settings, read_labels, read_settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True, help="folder with the heads (training/README.md)")
    bank = argparse.ArgumentParser(add_help=False)
    bank.add_argument("--bank", type=Path, required=True, help="folder of the simulated pairs")
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--device", default="cpu", help="cpu, or a CUDA device")
    ahead = argparse.ArgumentParser(add_help=False)
    ahead.add_argument("--workers", type=int, default=0, help="processes that make batches ahead, so a GPU is not idle")
    settings = argparse.ArgumentParser(add_help=False)
    settings.add_argument("--recipe", type=Path, default=DEFAULT_RECIPE, help="TOML file of the run, see recipes/")
    for setting in fields(Settings):
        if setting.type in (int, float) and setting.name != "fold":
            settings.add_argument(
                "--" + setting.name.replace("_", "-"), type=setting.type, help="instead of the recipe's"
            )
    settings.add_argument("--loss", choices=("l2", "l1"), help="squared or absolute error, instead of the recipe's")
    settings.add_argument("--init", help="a model (name or folder) to start from, of the same architecture")
    settings.add_argument(
        "--measured", nargs=2, action="append", default=[], metavar=("KIND", "SHARE"),
        help="a kind of measured pairs and its share of the patches, instead of the recipe's; once for each kind",
    )  # fmt: skip

    verb = verbs.add_parser("fetch", help="download, convert and check the files of sources.toml")
    verb.add_argument("--data", type=Path, required=True, help="folder to put them into")
    verb.add_argument("--sources", nargs="+", default=(), help="which ones; if not given, all that training needs")
    verb.add_argument("--check", action="store_true", help="download nothing, check what is there")
    verb = verbs.add_parser("simulate", parents=[data, bank], help="make the bank of pairs; goes on where it stopped")
    verb.add_argument("--recipe", type=Path, default=DEFAULT_RECIPE, help="TOML file that names the heads")
    verb.add_argument("--pairs", type=int, help="pairs of each head and kind of T1, instead of the recipe's")
    verb.add_argument("--seed", type=int, default=1)
    verb.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    verb = verbs.add_parser("add-pairs", parents=[bank], help="add measured pairs of T1 and CT to the bank")
    verb.add_argument(
        "--pairs", required=True, metavar="KIND:FOLDER", help="synthrad:FOLDER, folder:FOLDER or bids:FOLDER"
    )
    verb.add_argument("--variants", type=int, default=2, help="times that each is moved, deformed and acquired anew")
    verb.add_argument("--seed", type=int, default=1)
    verb = verbs.add_parser("find-misfits", help="list the real slices whose MR and CT do not lie on each other")
    verb.add_argument(
        "--slices", type=Path, required=True, help="folder of the real slices, PATIENT/axial_mr.nii.gz ..."
    )
    verb.add_argument("--json", type=Path, required=True, help="where to store the list")
    verb = verbs.add_parser("add-slices", parents=[bank], help="add real slices, MR and CT of one person, to the bank")
    verb.add_argument(
        "--slices", type=Path, required=True, help="folder of the real slices, PATIENT/axial_mr.nii.gz ..."
    )
    verb.add_argument("--misfits", type=Path, help="the list of find-misfits, to be left out")
    verb.add_argument("--seed", type=int, default=1)
    verb = verbs.add_parser("preview", parents=[bank], help="draw a sheet of the bank's pairs, to be looked at")
    verb.add_argument("--pairs", type=int, default=2, help="of each head and kind of T1")
    verb.add_argument("--png", type=Path, required=True)
    verb = verbs.add_parser(
        "fit", parents=[bank, settings, device, ahead], help="train a network; goes on where an interrupted run stopped"
    )
    verb.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    verb.add_argument("--hold-out", nargs="*", default=[], metavar="HEAD", help="heads to leave out, to be scored on")
    verb.add_argument("--fold", type=int, default=0, help="leave out this fold (1 to 5): patients and heads")
    verb = verbs.add_parser("curve", help="draw the learning curve of a run")
    verb.add_argument("--log", type=Path, nargs="+", required=True, help="its log, after those of what it started from")
    verb.add_argument("--png", type=Path, required=True)
    verb = verbs.add_parser(
        "cross-validate",
        parents=[data, bank, settings, device, ahead],
        help="five folds that leave out patients and heads; print the tables",
    )
    verb.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    verb.add_argument("--slices", type=Path, help="folder of the real slices; without it, only heads are scored")
    verb.add_argument("--folds", type=int, nargs="*", default=[], help="the folds to do, 1 to 5; all if none is named")
    verb.add_argument(
        "--simulations", type=int, default=SIMULATIONS, help="T1s simulated of each head without a measured one"
    )
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("ablate", parents=[bank, device], help="change one thing at a time; print the table")
    verb.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    verb.add_argument("--steps", type=int, default=400)
    verb.add_argument("--seeds", type=int, default=3)
    verb.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="only these rows of the table")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser(
        "paper", parents=[bank, device, ahead], help="the paper's experiment on real slices; print the table"
    )
    verb.add_argument("--slices", type=Path, required=True, help="folder of the real slices")
    verb.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    verb.add_argument("--steps", type=int, default=4000)
    verb.add_argument("--rows", nargs="+", default=[], metavar="NAME", help="only these rows of the table")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("measure-ct", parents=[data], help="HU per tissue and depth in the CTs of real heads")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("export", help="make a model folder of a run")
    verb.add_argument("--run", type=Path, required=True)
    verb.add_argument("--model", type=Path, required=True, help="the folder to write; its name names the model")
    verb.add_argument("--version", required=True)
    verb.add_argument("--recipe", type=Path, default=DEFAULT_RECIPE, help="TOML file with the model's title and terms")
    verb.add_argument("--best", action="store_true", help="the checkpoint with the least error in validation")
    verb = verbs.add_parser("evaluate", parents=[data], help="score a model on heads and print the table")
    verb.add_argument("--model", required=True, help="name of a bundled model, or the folder of any")
    verb.add_argument("--heads", nargs="+", required=True, help="heads that the model has not been trained on")
    verb.add_argument("--pictures", type=Path, help="folder for a picture per head: MR, both CTs, their difference")
    verb.add_argument(
        "--simulations", type=int, default=SIMULATIONS, help="T1s simulated of each head without a measured one"
    )
    verb.add_argument(
        "--repeated", action="store_true", help="each slice as its own neighbours: what the form of real slices costs"
    )
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("evaluate-pairs", parents=[device], help="score a model on measured pairs of T1 and CT")
    verb.add_argument("--model", required=True, help="name of a bundled model, or the folder of any")
    verb.add_argument(
        "--pairs", required=True, metavar="KIND:FOLDER", help="synthrad:FOLDER, folder:FOLDER or bids:FOLDER"
    )
    verb.add_argument(
        "--json", type=Path, help="where to store the figures; the names of the cases' folders are stored with them"
    )
    verb.add_argument("--pictures", type=Path, help="folder for a picture per case: the CT's bone on the MR")
    verb = verbs.add_parser("evaluate-slices", help="score a model on real slices, MR and CT of one person")
    verb.add_argument("--model", required=True, help="name of a bundled model, or the folder of any")
    verb.add_argument("--slices", type=Path, required=True, help="folder of the real slices")
    verb.add_argument("--fold", type=int, default=0, help="only the patients of this fold, 1 to 5")
    verb.add_argument("--patients", nargs="+", default=(), help="only these patients")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("sensitivity", parents=[data], help="what fat shift and thick slices cost the CT")
    verb.add_argument("--runs", type=Path, required=True, help="those of cross-validate")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser(
        "check-findings", parents=[data], help="count false alarms and detections of the findings on an input"
    )
    verb.add_argument("--seeds", type=int, default=3, help="simulated images per head and contrast")
    verb.add_argument("--json", type=Path, help="where to store the rates")
    verb = verbs.add_parser("quality", help="write docs/quality.md and the figures of README from stored figures")
    verb.add_argument("--results", type=Path, required=True, help="folder with slices.json and heads.json of a model")
    verb.add_argument("--page", type=Path, required=True, help="the page to write")
    verb.add_argument("--readme", type=Path, required=True, help="README with the marks between which figures stand")
    verb = verbs.add_parser("card", help="write a model's card from the stored figures")
    verb.add_argument("--model", type=Path, required=True, help="the model's folder")
    verb.add_argument(
        "--results", type=Path, nargs="+", required=True, help="JSON files of evaluate, evaluate-slices, cross-validate"
    )
    verb.add_argument("--limits", type=Path, required=True, help="Markdown list of known limits")
    return parser


def main() -> int:
    """Runs one verb; returns its exit code."""
    arguments = _parser().parse_args()
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
        make_bank(arguments.data, arguments.bank, heads, pairs, arguments.seed, arguments.workers)
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
        made, left_out = add_slices(arguments.bank, arguments.slices, misfits, arguments.seed)
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
        fit(arguments.bank, arguments.run, settings, arguments.device, init, arguments.workers)
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
        files = [path for patient in patients for path in (arguments.slices / patient).glob("*.nii.gz")]
        _show(result, slices_table(result), arguments.json, files)
    elif arguments.verb == "sensitivity":
        result = measure_sensitivity(arguments.runs, arguments.data)
        _show(result, sensitivity_table(result), arguments.json)
    elif arguments.verb == "check-findings":
        result = calibrate(arguments.data, arguments.seeds)
        _show(result, findings_table(result), arguments.json)
    elif arguments.verb == "quality":
        write_quality(arguments.results, arguments.page, arguments.readme)
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
