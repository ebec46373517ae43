"""What each verb of the command line does: takes the options, returns the exit code, or raises a DecnnError."""

import argparse
import json
import sys

from decnn import __version__
from decnn.catalog import available_models, model_folder
from decnn.devices import check_device_name, import_torch, list_devices
from decnn.errors import InputError, SetupError
from decnn.files import ModelOnDemand, synthesize_file
from decnn.progress import Reporter
from decnn.stop import Stop

# Modules with numpy, SimpleITK or torch are imported where they are needed: the first line of progress must not wait.


def synthesize(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """One input and its output, or with --output-dir as many inputs as are given."""
    stop.listen()
    reporter.progress(0.0, "Starting")
    check_device_name(options.device)
    model_folder(options.model)
    model = ModelOnDemand(options.model)
    if options.output_dir is not None:
        from decnn.batch import synthesize_all

        return synthesize_all(
            options.paths, options.output_dir, model, options.device, reporter, stop, debug=options.debug
        )
    if len(options.paths) != 2:
        raise InputError(
            f"synthesize was given {len(options.paths)} paths: give it INPUT and OUTPUT, "
            "or INPUT [INPUT ...] --output-dir FOLDER."
        )
    source, output = options.paths
    synthesize_file(source, output, model, options.device, reporter, stop)
    return 0


def evaluate(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    from decnn.images import read_image
    from decnn.metrics import evaluate as scores_of

    stop.listen()
    mask = read_image(options.mask) if options.mask else None
    scores = scores_of(read_image(options.ct), read_image(options.reference), mask)
    if options.json:
        print(json.dumps(scores))
        return 0
    for region, values in scores.items():
        print(f"{region} mask")
        for name, value in values.items():
            print(f"  {name:22} {'not defined' if value is None else f'{value:.4g}'}")
    return 0


def info(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    stop.listen()
    facts: dict[str, object] = {"version": __version__, "python": sys.version.split()[0], "models": _models()}
    try:
        facts["torch"] = import_torch().__version__
        facts["devices"] = list_devices()
    except SetupError as error:
        facts.update({"torch": None, "torch_missing": str(error), "devices": []})
    if options.json:
        print(json.dumps(facts))
        return 0
    print(f"decnn {facts['version']}, Python {facts['python']}, torch {facts['torch'] or '(missing)'}")
    if "torch_missing" in facts:
        print(facts["torch_missing"])
    for model in _models():
        print(f"model {model['name']} {model['version']}")
    for device in facts["devices"]:  # type: ignore[attr-defined]
        memory = f", {device['memory_gb']} GB" if device["memory_gb"] else ""
        print(f"device {device['name']}: {device['description']}{memory}")
    return 0


def _models() -> list[dict[str, str]]:
    models = []
    for name in available_models():
        spec = json.loads((model_folder(name) / "model.json").read_text(encoding="utf-8"))
        models.append({"name": name, "version": spec["version"]})
    return models
