"""python -m training <verb>"""

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "MRtoCT"))

from decnn.errors import DecnnError
from decnn.model import load_model
from training.card import write_card
from training.evaluate import evaluate, table, write
from training.export import export
from training.findings import calibrate, judge_again
from training.findings import table as findings_table
from training.fit import Settings, fit


def main() -> int:
    """Runs one verb; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("fit", help="train a network; goes on where an interrupted run stopped")
    verb.add_argument("--data", type=Path, required=True, help="folder with the heads (training/README.md)")
    verb.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    verb.add_argument("--device", default="cpu")
    verb.add_argument("--workers", type=int, default=1, help="processes that simulate pairs")
    for setting in fields(Settings):
        if setting.type in (int, float):
            verb.add_argument("--" + setting.name.replace("_", "-"), type=setting.type, default=setting.default)
    verb = verbs.add_parser("export", help="make a model folder of a run")
    verb.add_argument("--run", type=Path, required=True)
    verb.add_argument("--model", type=Path, required=True, help="the folder to write; its name names the model")
    verb.add_argument("--version", required=True)
    verb = verbs.add_parser("evaluate", help="score a model on heads and print the table")
    verb.add_argument("--model", required=True, help="name of a bundled model, or the folder of any")
    verb.add_argument("--data", type=Path, required=True)
    verb.add_argument("--heads", nargs="+", required=True, help="heads that the model has not been trained on")
    verb.add_argument("--json", type=Path, help="where to store the figures")
    verb = verbs.add_parser("check-findings", help="count false alarms and detections of the findings on an input")
    verb.add_argument("--data", type=Path, help="measure anew, from the folder with the heads (a quarter of an hour)")
    verb.add_argument("--seeds", type=int, default=3, help="simulated images per head and contrast")
    verb.add_argument("--json", type=Path, required=True, help="where the measures are stored; without --data, read")
    verb = verbs.add_parser("card", help="write a model's card from the stored figures")
    verb.add_argument("--model", type=Path, required=True, help="the model's folder")
    verb.add_argument("--results", type=Path, required=True, help="JSON written by evaluate")
    verb.add_argument("--limits", type=Path, required=True, help="Markdown list of known limits")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "fit":
            given = {s.name: getattr(arguments, s.name) for s in fields(Settings) if s.type in (int, float)}
            fit(arguments.data, arguments.run, Settings(**given), arguments.workers, arguments.device)
        elif arguments.verb == "export":
            print(export(arguments.run, arguments.model, arguments.version))
        elif arguments.verb == "evaluate":
            result = evaluate(load_model(arguments.model), arguments.data, arguments.heads)
            print(table(result))
            if arguments.json:
                write(result, arguments.json)
        elif arguments.verb == "check-findings":
            if arguments.data is None:
                counted = judge_again(json.loads(arguments.json.read_text(encoding="utf-8")))
            else:
                counted = calibrate(arguments.data, arguments.seeds)
            write(counted, arguments.json)
            print(findings_table(counted))
        elif arguments.verb == "card":
            print(write_card(arguments.model, arguments.results, arguments.limits))
    except DecnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
