"""What each verb of the command line does: takes its arguments, returns the exit code, or raises a DecnnError."""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from decnn import __version__
from decnn.catalog import available_models, model_entry, model_folder
from decnn.cli.cancel import Stop
from decnn.cli.progress import Reporter, silence
from decnn.cli.single import ModelOnDemand, synthesize_file
from decnn.devices import check_device_name, import_torch, list_devices, select_device
from decnn.errors import InputError, SetupError, about, blocks
from decnn.options import Options
from decnn.steps import silent

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice

# Modules with numpy, SimpleITK or torch are imported where they are needed: the first line of progress must not wait.


def synthesize(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """One input and its output; with --output-dir it is ``batch`` by another name."""
    if arguments.output_dir is not None:
        return batch(arguments, reporter, stop)
    stop.listen()
    reporter.progress(0.0, "Starting")
    options = _options(arguments)
    if len(arguments.paths) != 2:
        raise InputError(
            f"synthesize was given {len(arguments.paths)} paths: give it INPUT and OUTPUT, "
            "or INPUT [INPUT ...] --output-dir FOLDER."
        )
    source, output = arguments.paths
    synthesize_file(
        source,
        output,
        ModelOnDemand(options.model),
        options,
        reporter,
        stop,
        arguments.confidence,
        choice_of(arguments),
        arguments.source_series or "",
    )
    return 0


def batch(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """As many inputs as are given, on this machine or on those of a scheduler."""
    stop.listen()
    reporter.progress(0.0, "Starting")
    options = _options(arguments)
    from decnn.cli.batch import synthesize_all
    from decnn.cli.plan import listed_inputs

    if arguments.confidence not in (None, True, arguments.output_dir):
        raise InputError("With --output-dir the confidence maps go to that folder too: give it to --confidence.")
    inputs = [*arguments.paths, *(listed_inputs(arguments.input_list) if arguments.input_list else [])]
    if not inputs:
        raise InputError("No input was given: name some, or a file that lists them (--input-list).")
    return synthesize_all(
        inputs,
        arguments.output_dir,
        options,
        reporter,
        stop,
        debug=arguments.debug,
        choice=choice_of(arguments),
        overwrite=arguments.overwrite,
        scheduler=arguments.scheduler,
    )


def _options(arguments: argparse.Namespace) -> Options:
    options = Options.from_arguments(arguments)
    check_device_name(options.device)
    model_folder(options.model)
    return options


def bench(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """How fast the engine is on this machine with this MR."""
    stop.listen()
    options = Options(arguments.model, check_device_name(arguments.device), precision=arguments.precision)
    import_torch()
    from decnn.bench.measure import in_words, measure

    facts = measure(Path(arguments.image), options, select_device(options.device))
    if arguments.json:
        _print(json.dumps(facts, indent=2))
    else:
        reporter.result(facts, in_words(facts))
    return 0


def check(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """All findings on an MR; the exit code is that of a bad input where one of them blocks."""
    stop.listen()
    if not arguments.json:
        reporter.progress(0.0, "Starting")
    from decnn.checks.gate import examine_file

    findings = examine_file(arguments.image, choice_of(arguments), silent if arguments.json else reporter.progress)
    facts = {"input": arguments.image, "findings": [finding.as_dict() for finding in findings]}
    blocked = blocks(findings)
    exit_code = InputError.exit_code if blocked else 0
    if arguments.json:
        _print(json.dumps(facts))
        return exit_code
    for finding in findings:
        reporter.finding(finding)
    reporter.progress(1.0, "Done")
    count = f"{len(findings) or 'No'} finding{'' if len(findings) == 1 else 's'}"
    reporter.result(facts, f"{count}: no CT can be made of this MR" if blocked else count)
    return exit_code


def choice_of(arguments: argparse.Namespace) -> "Choice":
    """Which of several DICOM series and echoes of the MR the user wants."""
    from decnn.io.dicom_read import Choice

    return Choice(arguments.series or "", arguments.echo or "")


def evaluate(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    stop.listen()
    tell = silent if arguments.json else reporter.progress
    tell(0.0, "Starting")
    from decnn.checks.gate import accepted_mr, read_mask
    from decnn.evaluation.compare import compare
    from decnn.evaluation.metrics import cell
    from decnn.io.dicom_read import Choice
    from decnn.io.images import check_output, read, write_image

    output = None
    inputs = [arguments.ct, arguments.reference, *(path for path in (arguments.mask, arguments.register) if path)]
    if arguments.difference:
        for source in inputs:
            output = check_output(arguments.difference, source)
    tell(0.02, "Reading the CTs")
    of_mr = Choice(arguments.mr_series or "", arguments.echo or "", option="--mr-series")
    readings = {
        "Synthetic CT": read(arguments.ct, choice=Choice(option="")),
        "Reference CT": read(arguments.reference, choice=Choice(arguments.series or "")),
    }
    if arguments.mask:
        readings["Mask"] = read_mask(arguments.mask)
    if arguments.register:
        readings["MR"] = accepted_mr(arguments.register, of_mr)
    images = {what: reading.image for what, reading in readings.items()}
    comparison = compare(
        images["Synthetic CT"],
        images["Reference CT"],
        images.get("Mask"),
        arguments.resample,
        images.get("MR"),
        lambda done, stage: tell(0.1 + 0.8 * done, stage),
    )
    of_reading = [finding for what, reading in readings.items() for finding in about(what, reading.findings)]
    comparison = replace(comparison, findings=[*of_reading, *comparison.findings])
    if output is not None:
        tell(0.92, "Writing the difference")
        write_image(comparison.difference, output, before_publishing=stop.hold)
        reporter.published()
    facts = {"output": str(output) if output is not None else None, **comparison.as_dict()}
    if arguments.json:
        _print(json.dumps(facts), published=output is not None)
        return 0
    for finding in comparison.findings:
        reporter.finding(finding)
    tell(1.0, "Done")
    lines = []
    for region, values in comparison.scores.items():
        lines.append(f"{region} mask")
        lines += [f"  {key:22} {'not defined' if value is None else cell(key, value)}" for key, value in values.items()]
    reporter.result(facts, "\n".join([*lines, comparison.placement()]))
    return 0


def export_dicom(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    stop.listen()
    reporter.progress(0.0, "Starting")
    from decnn.io.dicom_ct import export_series
    from decnn.io.dicom_mr import listed_files, read_source
    from decnn.io.dicom_read import import_pydicom
    from decnn.io.folders import check_output_folder
    from decnn.io.images import read
    from decnn.io.provenance import maker_of

    import_pydicom()
    output = check_output_folder(arguments.output)
    reporter.progress(0.05, "Reading the CT")
    reading = read(arguments.ct)
    ct = reading.image
    maker = maker_of(ct, arguments.model_name, arguments.weights_sha256)
    reporter.progress(0.1, "Reading the MR series")
    source = None
    if arguments.reference or arguments.reference_list:
        files = arguments.reference or listed_files(arguments.reference_list)
        source = read_source(files, choice_of(arguments))
    result = export_series(
        ct,
        output,
        maker,
        source,
        arguments.resample,
        arguments.allow_moved,
        arguments.unverified_reference,
        report=lambda fraction, stage: reporter.progress(0.2 + 0.79 * fraction, stage),
        before_publishing=stop.hold,
        should_cancel=lambda: stop.requested,
    )
    reporter.published()
    findings = [*about("CT", reading.findings), *result.findings]
    for finding in findings:
        reporter.finding(finding)
    reporter.progress(1.0, "Done")
    facts = {
        "output": str(result.folder),
        "files": result.files,
        "study_instance_uid": result.study_uid,
        "series_instance_uid": result.series_uid,
        "frame_of_reference_uid": result.frame_of_reference_uid,
        "model": maker.name,
        "weights_sha256": maker.weights_sha256,
        "findings": [finding.as_dict() for finding in findings],
    }
    reporter.result(facts, f"Wrote {result.files} files to {result.folder}\nseries {result.series_uid}")
    return 0


def info(arguments: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    stop.listen()
    models = [model_entry(name) for name in available_models()]
    facts: dict[str, object] = {"version": __version__, "python": sys.version.split()[0]}
    facts["models"] = [asdict(model) for model in models]
    try:
        facts["torch"] = import_torch().__version__
        facts["devices"] = list_devices()
    except SetupError as error:
        facts.update({"torch": None, "torch_missing": str(error), "devices": []})
    if arguments.json:
        _print(json.dumps(facts))
        return 0
    print(f"decnn {facts['version']}, Python {facts['python']}, torch {facts['torch'] or '(missing)'}")
    if "torch_missing" in facts:
        print(facts["torch_missing"])
    for model in models:
        print(f"model {model.name} {model.version}: {model.title}. {model.summary} Terms: {model.terms}")
    for device in facts["devices"]:  # type: ignore[attr-defined]
        memory = f", {device['memory_gb']} GB" if device["memory_gb"] else ""
        print(f"device {device['name']}: {device['description']}{memory}")
    return 0


def _print(text: str, published: bool = False) -> None:
    """An answer on stdout. published: an output file is there, so that nobody takes the answer is no failure."""
    try:
        print(text, flush=True)
    except OSError:
        if not published:
            raise
        silence(sys.stdout)
