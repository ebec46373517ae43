"""An MR file in, a CT file out: read, make, write, each a step of its own; and all of them for one file.

A batch runs the same steps side by side (``decnn.cli.pipeline``), or on other machines (``decnn.cli.cluster``).
"""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decnn import __version__
from decnn.cli.cancel import Stop
from decnn.cli.progress import Reporter
from decnn.devices import import_torch
from decnn.errors import Finding, SetupError, blocks, raise_errors
from decnn.options import Options
from decnn.steps import Report

if TYPE_CHECKING:
    import SimpleITK as sitk

    from decnn.io.dicom_read import Choice
    from decnn.io.provenance import Origin
    from decnn.model import Model
    from decnn.preparation import Prepared
    from decnn.synthesis import SynthesisResult

# Modules with numpy, SimpleITK or torch are imported where they are needed: the first line of progress must not wait.


class ModelOnDemand:
    """A model that is loaded when the first input that is fit for it asks, and kept for the next."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Model | None = None
        self._import: threading.Thread | None = None

    def prepare(self) -> None:
        """Begins to import torch, which takes a second or two, beside what the caller goes on with."""
        if self._import is None:
            self._import = threading.Thread(target=_import_quietly, name="import torch")
            self._import.start()

    def get(self, report: Report) -> "Model":
        """Raises InputError or SetupError as ``decnn.model.load_model`` and ``decnn.devices.import_torch`` do."""
        if self._model is None:
            report(0.14, "Loading PyTorch")
            if self._import is not None:
                self._import.join()
            import_torch()
            from decnn.model import load_model

            report(0.15, "Loading the model")
            self._model = load_model(self._name)
        return self._model


def _import_quietly() -> None:
    try:
        import_torch()
    except SetupError:
        pass  # it comes again where somebody waits for it


@dataclass(frozen=True)
class Mr:
    """An MR that the gate has passed."""

    image: "sitk.Image"
    findings: list[Finding]
    origin: "Origin"


@dataclass(frozen=True)
class Ready:
    """A head that a network can have at once."""

    head: "Prepared"
    origin: "Origin"


@dataclass(frozen=True)
class Made:
    """A CT that is not in a file yet."""

    result: "SynthesisResult"
    model: "Model"
    origin: "Origin"


def read(
    source: str | Path, choice: "Choice | None" = None, accepted: Callable[[], None] = lambda: None
) -> tuple[Mr | None, list[Finding]]:
    """The MR in a file or DICOM folder, None if a finding blocks; and all findings.

    accepted: called once nothing in the header blocks, before the voxels are loaded. Raises as
    ``decnn.checks.gate.read_mr`` does.
    """
    from decnn.checks.gate import read_mr
    from decnn.io.provenance import Origin, hash_of

    reading, findings = read_mr(source, choice, accepted)
    if reading is None or blocks(findings):
        return None, findings
    origin = Origin(reading.origin.series_uid, reading.origin.voxels or hash_of(reading.image))
    return Mr(reading.image, findings, origin), findings


def make(
    ready: Ready, model: ModelOnDemand, options: Options, report: Report, should_cancel: Callable[[], bool]
) -> Made:
    """The synthetic CT of a head. Raises as ``decnn.synthesis.synthesize`` and ``ModelOnDemand.get`` do."""
    loaded = model.get(report)
    from decnn.synthesis import synthesize_prepared

    result = synthesize_prepared(ready.head, loaded, options, _most_of(report), should_cancel)
    return Made(result, loaded, ready.origin)


def _most_of(report: Report) -> Report:
    """Leaves room for reading and writing."""
    return lambda fraction, stage: report(0.02 + 0.94 * fraction, stage)


def write(
    made: Made, path: Path, confidence: Path | None, before_publishing: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Writes a CT, and its confidence map if there is one; returns the facts of the result, all but its seconds.

    Raises as ``decnn.io.images.write_images`` does; then no file was written.
    """
    from decnn.io.images import write_images
    from decnn.io.provenance import Maker, sign, sign_confidence

    result, model = made.result, made.model
    terms = str(model.spec.get("terms", ""))
    sign(result.image, Maker(model.name, model.version, model.weights_sha256, terms, result.precision), made.origin)
    images = [(result.image, path)]
    if result.confidence is not None and confidence is not None:
        sign_confidence(result.confidence)
        images.insert(0, (result.confidence, confidence))  # the CT comes last: once it is there, all is
    write_images(images, before_publishing)
    return {
        "output": str(path),
        "confidence": str(confidence) if confidence is not None else None,
        "model": model.name,
        "model_version": model.version,
        "weights_sha256": model.weights_sha256,
        "source_series_uid": made.origin.series_uid,
        "source_hash": made.origin.voxels,
        "decnn_version": __version__,
        "terms": terms,
        "device": result.device,
        "precision": result.precision,
        "peak_memory_mb": _peak_memory_mb(),
        "findings": [finding.as_dict() for finding in result.findings],
    }


def synthesize_file(
    source: str | Path,
    output: str | Path,
    model: ModelOnDemand,
    options: Options,
    reporter: Reporter,
    stop: Stop,
    confidence: str | Path | None = None,
    choice: "Choice | None" = None,
    source_series: str = "",
) -> None:
    """Makes the synthetic CT of one MR, and tells the reporter.

    confidence: the file for the confidence map, if ``options`` want one. choice: which of several DICOM series.
    source_series: SeriesInstanceUID of the MR, if its file does not say it.

    Raises:
        InputError, SetupError, Cancelled: see ``decnn.synthesis.synthesize`` and ``decnn.io.images``; then no file
            was written.
    """
    start = time.monotonic()
    stop.listen()
    reporter.progress(0.0, "Starting")
    from decnn.io.images import check_output

    reporter.progress(0.01, "Reading the MR")
    mr, findings = read(source, choice, accepted=model.prepare)
    path = check_output(output, source)
    confidence_path = check_confidence_output(confidence, path, source) if confidence is not None else None
    for finding in findings:
        reporter.finding(finding)
    raise_errors(findings)
    assert mr is not None  # it is where nothing blocks
    if source_series:
        mr = replace(mr, origin=replace(mr.origin, series_uid=source_series))

    from decnn.preparation import prepare

    def should_cancel() -> bool:
        return stop.requested

    ready = Ready(prepare(mr.image, findings, _most_of(reporter.progress), should_cancel), mr.origin)
    del mr  # its voxels are wanted no more
    made = make(ready, model, options, reporter.progress, should_cancel)
    for finding in made.result.findings[len(findings) :]:
        reporter.finding(finding)
    reporter.progress(0.97, "Writing the CT")
    facts = write(made, path, confidence_path, before_publishing=stop.hold)
    reporter.published()
    reporter.progress(1.0, "Done")
    facts["seconds"] = round(time.monotonic() - start, 2)
    reporter.result(facts, in_words(facts))


def check_confidence_output(confidence: str | Path, ct: Path, source: str | Path) -> Path:
    """The absolute path of a confidence map that can be written. Raises InputError as ``check_output`` does."""
    from decnn.errors import InputError
    from decnn.io.images import check_output, same_place

    path = check_output(confidence, source)
    if same_place(path, ct):
        raise InputError("The confidence map and the CT would have one name: give the map another one.")
    return path


def in_words(facts: dict[str, Any]) -> str:
    """The facts of a result for people."""
    memory = facts["peak_memory_mb"]
    return (
        f"Wrote {facts['output']}\n"
        + (f"Wrote {facts['confidence']} (disagreement in HU)\n" if facts["confidence"] else "")
        + f"model {facts['model']} {facts['model_version']} (SHA-256 {facts['weights_sha256'][:12]}...), "
        f"decnn {facts['decnn_version']}, {facts['device']}, {facts['precision']}, {facts['seconds']:.1f} s"
        + (f", {memory} MB of memory at most" if memory is not None else "")
    )


def _peak_memory_mb() -> int | None:
    """Of this process, in 2**20 bytes; None where the system does not tell.

    Linux's getrusage counts what the process that started this one held at that time; the high-water mark does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) // 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
