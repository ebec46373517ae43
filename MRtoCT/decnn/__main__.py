"""The engine's command line: python -m decnn synthesize | evaluate | info.

Exit codes: 0 done; 1 a defect; 2 the input or an argument cannot be used; 3 the machine or installation is at fault
(torch missing, weights changed, device not there, disk full); 130 cancelled. Errors are one sentence; --debug adds the
traceback. With ``--progress json`` stdout carries one JSON object a line and nothing else.
"""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

from decnn import __version__
from decnn.catalog import DEFAULT_MODEL, available_models, model_folder
from decnn.devices import check_device_name, import_torch, list_devices
from decnn.errors import Cancelled, DecnnError, InputError, SetupError
from decnn.findings import raise_errors
from decnn.progress import JsonReporter, Reporter, TextReporter

# Modules with numpy, SimpleITK or torch are imported where they are needed: the first line of progress must not wait.


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A file name that the console cannot print must not end the work.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    json_wanted = getattr(options, "json", False) or getattr(options, "progress", "") == "json"
    reporter: Reporter = JsonReporter() if json_wanted else TextReporter()
    stop = _Stop()
    try:
        options.run(options, reporter, stop)
        sys.stdout.flush()
        return 0
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if options.debug:
            traceback.print_exc()
        return _fail(error, reporter, stop)


def _synthesize(options: argparse.Namespace, reporter: Reporter, stop: "_Stop") -> None:
    start = time.monotonic()
    stop.listen()
    reporter.progress(0.0, "Starting")
    check_device_name(options.device)
    model_folder(options.model)
    from decnn.checks import check_image
    from decnn.images import check_output, read_image, write_image

    reporter.progress(0.01, "Reading the MR")
    image = read_image(options.input)
    output = check_output(options.output, options.input)
    findings = check_image(image)
    for finding in findings:
        reporter.finding(finding)
    raise_errors(findings)

    reporter.progress(0.02, "Loading PyTorch")
    import_torch()
    from decnn.model import load_model
    from decnn.synthesis import synthesize

    reporter.progress(0.05, "Loading the model")
    model = load_model(options.model)
    result = synthesize(
        image,
        model,
        options.device,
        report=lambda fraction, stage: reporter.progress(0.06 + 0.9 * fraction, stage),
        should_cancel=lambda: stop.requested,
        checked=findings,
    )
    for finding in result.findings[len(findings) :]:
        reporter.finding(finding)
    reporter.progress(0.97, "Writing the CT")
    write_image(result.image, output, before_publishing=stop.ignore)
    reporter.progress(1.0, "Done")
    reporter.result(
        {
            "output": str(output),
            "model": model.name,
            "model_version": model.version,
            "weights_sha256": model.weights_sha256,
            "decnn_version": __version__,
            "device": result.device,
            "seconds": round(time.monotonic() - start, 2),
            "peak_memory_mb": _peak_memory_mb(),
            "findings": [finding.as_dict() for finding in result.findings],
        }
    )


def _evaluate(options: argparse.Namespace, reporter: Reporter, stop: "_Stop") -> None:
    from decnn.images import read_image
    from decnn.metrics import evaluate

    stop.listen()
    mask = read_image(options.mask) if options.mask else None
    scores = evaluate(read_image(options.ct), read_image(options.reference), mask)
    if options.json:
        print(json.dumps(scores))
        return
    for region, values in scores.items():
        print(f"{region} mask")
        for name, value in values.items():
            print(f"  {name:22} {'not defined' if value is None else f'{value:.4g}'}")


def _info(options: argparse.Namespace, reporter: Reporter, stop: "_Stop") -> None:
    stop.listen()
    facts: dict[str, object] = {"version": __version__, "python": sys.version.split()[0], "models": _models()}
    try:
        facts["torch"] = import_torch().__version__
        facts["devices"] = list_devices()
    except SetupError as error:
        facts.update({"torch": None, "torch_missing": str(error), "devices": []})
    if options.json:
        print(json.dumps(facts))
        return
    print(f"decnn {facts['version']}, Python {facts['python']}, torch {facts['torch'] or '(missing)'}")
    if "torch_missing" in facts:
        print(facts["torch_missing"])
    for model in _models():
        print(f"model {model['name']} {model['version']}")
    for device in facts["devices"]:  # type: ignore[attr-defined]
        memory = f", {device['memory_gb']} GB" if device["memory_gb"] else ""
        print(f"device {device['name']}: {device['description']}{memory}")


def _models() -> list[dict[str, str]]:
    models = []
    for name in available_models():
        spec = json.loads((model_folder(name) / "model.json").read_text(encoding="utf-8"))
        models.append({"name": name, "version": spec["version"]})
    return models


class _Stop:
    """Turns SIGINT and SIGTERM into Cancelled, wherever the main thread is."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        self._handle_by(self._cancel)

    def ignore(self) -> None:
        """From here on it is too late to cancel: the result is about to appear."""
        self._handle_by(signal.SIG_IGN)

    def _cancel(self, number: int, frame: FrameType | None) -> None:
        # Raised once only, or a second signal would interrupt the tidying up after the first. The flag stays, because
        # an import in progress may swallow the exception.
        if not self.requested:
            self.requested = True
            raise Cancelled("The work was cancelled.")

    def _handle_by(self, handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), handler)


def _fail(error: BaseException, reporter: Reporter, stop: _Stop) -> int:
    """Reports an error and returns its exit code."""
    stop.ignore()
    if stop.requested or isinstance(error, KeyboardInterrupt | BrokenPipeError):
        # A broken pipe: whoever was listening has gone, nobody wants the result.
        error = Cancelled("The work was cancelled: no output was written.")
    elif isinstance(error, MemoryError):
        error = SetupError("The memory of this machine does not suffice: close other programs, or crop the image.")
    elif not isinstance(error, DecnnError):
        error = DecnnError(
            f"A defect of decnn ({type(error).__name__}: {error}): run again with --debug, and report what it prints."
        )
    code = {InputError: "bad-input", SetupError: "setup", Cancelled: "cancelled"}.get(type(error), "internal")
    try:
        reporter.error(code, error.exit_code, str(error))
    except OSError:
        # Python would complain once more when it closes a stdout that nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return error.exit_code


def _peak_memory_mb() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="decnn", description="Synthetic CT from T1-weighted MR of the head.")
    parser.add_argument("--version", action="version", version=__version__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(required=True, metavar="synthesize|evaluate|info")

    synthesize = verbs.add_parser("synthesize", parents=[common], help="make the synthetic CT of an MR")
    synthesize.add_argument("input", help="T1-weighted MR: NRRD, NIfTI, MHA, or a folder with one DICOM series")
    synthesize.add_argument("output", help="CT to write (.nrrd, .nii, .nii.gz, .mha): int16 HU on the grid of the MR")
    synthesize.add_argument("--model", default=DEFAULT_MODEL, help="name of a bundled model, or a model's folder")
    synthesize.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    synthesize.add_argument("--progress", choices=["text", "json"], default="text", help="bar, or JSON lines on stdout")
    synthesize.set_defaults(run=_synthesize)

    evaluate = verbs.add_parser("evaluate", parents=[common], help="compare a synthetic CT with a real one")
    evaluate.add_argument("ct", help="synthetic CT in HU")
    evaluate.add_argument("reference", help="real CT in HU on the same grid")
    evaluate.add_argument(
        "--mask", help="where to compare; if not given, masks of the reference's body, tight and wide"
    )
    evaluate.add_argument("--json", action="store_true", help="one JSON object on stdout")
    evaluate.set_defaults(run=_evaluate)

    info = verbs.add_parser("info", parents=[common], help="version, models, devices")
    info.add_argument("--json", action="store_true", help="one JSON object on stdout")
    info.set_defaults(run=_info)
    return parser


if __name__ == "__main__":
    sys.exit(main())
