"""What each verb of the command line does: takes the options, returns the exit code, or raises a DecnnError."""

import argparse
import json
import sys

from decnn import __version__
from decnn.catalog import available_models, model_folder
from decnn.cli.cancel import Stop
from decnn.cli.progress import Reporter
from decnn.cli.single import ModelOnDemand, synthesize_file
from decnn.devices import check_device_name, import_torch, list_devices
from decnn.errors import InputError, SetupError

# Modules with numpy, SimpleITK or torch are imported where they are needed: the first line of progress must not wait.


def synthesize(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """One input and its output, or with --output-dir as many inputs as are given."""
    stop.listen()
    reporter.progress(0.0, "Starting")
    check_device_name(options.device)
    model_folder(options.model)
    model = ModelOnDemand(options.model)
    if options.output_dir is not None:
        from decnn.cli.batch import synthesize_all

        if options.confidence not in (None, options.output_dir):
            raise InputError("With --output-dir the confidence maps go to that folder too: give it to --confidence.")
        return synthesize_all(
            options.paths,
            options.output_dir,
            model,
            options.device,
            reporter,
            stop,
            debug=options.debug,
            confidence=options.confidence is not None,
        )
    if len(options.paths) != 2:
        raise InputError(
            f"synthesize was given {len(options.paths)} paths: give it INPUT and OUTPUT, "
            "or INPUT [INPUT ...] --output-dir FOLDER."
        )
    source, output = options.paths
    synthesize_file(source, output, model, options.device, reporter, stop, options.confidence)
    return 0


def check(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    """All findings on an MR; where one of them blocks, it is raised once all have been told."""
    stop.listen()
    if not options.json:
        reporter.progress(0.0, "Starting")
    from decnn.checks.head import examine
    from decnn.errors import raise_errors
    from decnn.io.images import read_image

    image = read_image(options.image)
    if options.json:
        findings = examine(image)
        print(json.dumps({"input": options.image, "findings": [finding.as_dict() for finding in findings]}))
        return InputError.exit_code if any(finding.severity == "error" for finding in findings) else 0
    findings = examine(image, reporter.progress)
    for finding in findings:
        reporter.finding(finding)
    raise_errors(findings)
    reporter.progress(1.0, "Done")
    facts = {"input": options.image, "findings": [finding.as_dict() for finding in findings]}
    reporter.result(facts, f"{len(findings) or 'No'} finding{'' if len(findings) == 1 else 's'}")
    return 0


def evaluate(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    stop.listen()
    tell = (lambda _fraction, _stage: None) if options.json else reporter.progress
    tell(0.0, "Starting")
    from decnn.evaluation.compare import compare
    from decnn.io.images import check_output, read_image, write_image

    output = None
    inputs = [options.ct, options.reference, *(path for path in (options.mask, options.register) if path)]
    if options.difference:
        for source in inputs:
            output = check_output(options.difference, source)
    tell(0.02, "Reading the CTs")
    ct, reference, *_ = (read_image(path) for path in inputs[:2])
    mask, mr = (read_image(path) if path else None for path in (options.mask, options.register))
    comparison = compare(ct, reference, mask, options.resample, mr, lambda done, stage: tell(0.1 + 0.8 * done, stage))
    if output is not None:
        tell(0.92, "Writing the difference")
        write_image(comparison.difference, output, before_publishing=stop.hold)
    facts = {"output": str(output) if output is not None else None, **comparison.as_dict()}
    if options.json:
        print(json.dumps(facts))
        return 0
    for finding in comparison.findings:
        reporter.finding(finding)
    tell(1.0, "Done")
    lines = []
    for region, values in comparison.scores.items():
        lines.append(f"{region} mask")
        lines += [f"  {name:22} {'not defined' if value is None else f'{value:.4g}'}" for name, value in values.items()]
    reporter.result(facts, "\n".join([*lines, comparison.placement()]))
    return 0


def export_dicom(options: argparse.Namespace, reporter: Reporter, stop: Stop) -> int:
    stop.listen()
    reporter.progress(0.0, "Starting")
    from decnn.io.dicom_ct import check_output_folder, export_series
    from decnn.io.dicom_mr import import_pydicom, listed_files, read_source
    from decnn.io.images import read_image
    from decnn.io.provenance import maker_of

    import_pydicom()
    output = check_output_folder(options.output)
    reporter.progress(0.05, "Reading the CT")
    ct = read_image(options.ct)
    maker = maker_of(ct, options.model_name, options.weights_sha256)
    reporter.progress(0.1, "Reading the MR series")
    source = None
    if options.reference or options.reference_list:
        source = read_source(options.reference or listed_files(options.reference_list))
    result = export_series(
        ct,
        output,
        maker,
        source,
        options.resample,
        options.allow_moved,
        report=lambda fraction, stage: reporter.progress(0.2 + 0.79 * fraction, stage),
        before_publishing=stop.hold,
    )
    for finding in result.findings:
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
        "findings": [finding.as_dict() for finding in result.findings],
    }
    reporter.result(facts, f"Wrote {result.files} files to {result.folder}\nseries {result.series_uid}")
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
