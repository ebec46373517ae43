"""The arguments of ``python -m training <verb>``."""

import argparse
import os
from dataclasses import fields
from pathlib import Path

from training.experiments.evaluate_heads import SIMULATIONS
from training.settings import DEFAULT_RECIPE, Settings


def parser_of_verbs() -> argparse.ArgumentParser:
    """The parser, with one sub-parser a verb."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description="Trains the networks of MRtoCT, and measures them."
    )
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
    verb.add_argument(
        "--variants", type=int, default=2, help="times that each is moved, deformed and acquired once more"
    )
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
    verb.add_argument("--align", metavar="MODEL", help="deform each CT smoothly onto this model's, made of the MR")
    verb.add_argument("--seed", type=int, default=1)
    verb = verbs.add_parser("preview", parents=[bank], help="draw a sheet of the bank's pairs, to be looked at")
    verb.add_argument("--pairs", type=int, default=2, help="of each head and kind of T1")
    verb.add_argument("--png", type=Path, required=True)
    verb = verbs.add_parser(
        "fit", parents=[bank, settings, device, ahead], help="train a network; goes on where an interrupted run stopped"
    )
    verb.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    verb.add_argument("--tensorboard", action="store_true", help="write the log for TensorBoard as well")
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
    verb = verbs.add_parser("explain-error", help="what limits the scores on people: one cause at a time taken away")
    verb.add_argument("--model", required=True, help="name of a bundled model, or the folder of any")
    verb.add_argument("--slices", type=Path, required=True, help="folder of the real slices")
    verb.add_argument("--fold", type=int, required=True, help="the fold that the model has not seen, 1 to 5")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("compare-precisions", help="what bfloat16 changes in the synthetic CTs of T1s")
    verb.add_argument("--model", required=True, help="name of a bundled model, or the folder of any")
    verb.add_argument("--mr", type=Path, nargs="+", required=True, help="files of T1s")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser(
        "compare-simulation", parents=[bank], help="where simulated T1s and CTs differ from those of people"
    )
    verb.add_argument("--pairs", type=int, default=8, help="of each head and kind of T1")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("sensitivity", parents=[data], help="what fat shift and thick slices cost the CT")
    verb.add_argument("--runs", type=Path, required=True, help="those of cross-validate")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser(
        "check-findings", parents=[data], help="count false alarms and detections of the findings on an input"
    )
    verb.add_argument("--seeds", type=int, default=3, help="simulated images per head and contrast")
    verb.add_argument("--json", type=Path, help="where to store the rates")
    verb = verbs.add_parser("measure-people", help="how far the limits of the gate lie from what real people measure")
    verb.add_argument("--slices", type=Path, required=True, help="folder of the real slices")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser(
        "fit-orientation",
        parents=[data, bank],
        help="train the network that sees how a head lies; print its false alarms",
    )
    verb.add_argument("--slices", type=Path, required=True, help="folder of the real slices")
    verb.add_argument("--weights", type=Path, required=True, help="MRtoCT/decnn/checks/turn_weights.py, or another")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("quality", help="write docs/quality.md and the figures of README from stored figures")
    verb.add_argument("--results", type=Path, required=True, help="folder with the figures of a model")
    verb.add_argument("--others", type=Path, nargs="*", default=(), help="those of other models, to stand beside it")
    verb.add_argument("--page", type=Path, required=True, help="the page to write")
    verb.add_argument("--readme", type=Path, required=True, help="README with the marks between which figures stand")
    verb = verbs.add_parser("card", help="write a model's card from the stored figures")
    verb.add_argument("--model", type=Path, required=True, help="the model's folder")
    verb.add_argument(
        "--results", type=Path, nargs="+", required=True, help="JSON files of evaluate, evaluate-slices, cross-validate"
    )
    verb.add_argument("--limits", type=Path, required=True, help="Markdown list of known limits")
    return parser
