"""An MR file in, a CT file out, told to a reporter: what `synthesize` does to each of its inputs."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decnn import __version__
from decnn.cli.cancel import Stop
from decnn.cli.progress import Reporter
from decnn.devices import import_torch
from decnn.errors import raise_errors
from decnn.options import Options

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice
    from decnn.model import Model

# Modules with numpy, SimpleITK or torch are imported where they are needed: the first line of progress must not wait.


class ModelOnDemand:
    """A model that is loaded when the first input that is fit for it asks, and kept for the next."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._model: Model | None = None

    def get(self, reporter: Reporter) -> "Model":
        """Raises InputError or SetupError as ``decnn.model.load_model`` and ``decnn.devices.import_torch`` do."""
        if self._model is None:
            reporter.progress(0.02, "Loading PyTorch")
            import_torch()
            from decnn.model import load_model

            reporter.progress(0.05, "Loading the model")
            self._model = load_model(self._name)
        return self._model


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
) -> dict[str, Any]:
    """Makes the synthetic CT of one MR; returns the facts of the result, which the reporter was told, too.

    confidence: the file for the confidence map, if ``options`` want one. choice: which of several DICOM series.
    source_series: SeriesInstanceUID of the MR, if its file does not say it.

    Raises:
        InputError, SetupError, Cancelled: see ``decnn.synthesis.synthesize`` and ``decnn.io.images``; then no file
            was written.
    """
    start = time.monotonic()
    stop.listen()
    reporter.progress(0.0, "Starting")
    from decnn.checks.gate import read_mr
    from decnn.io.images import check_output, write_images
    from decnn.io.provenance import Maker, Origin, hash_of, sign, sign_confidence

    reporter.progress(0.01, "Reading the MR")
    reading, findings = read_mr(source, choice)
    path = check_output(output, source)
    confidence_path = check_confidence_output(confidence, path, source) if confidence is not None else None
    for finding in findings:
        reporter.finding(finding)
    raise_errors(findings)
    assert reading is not None  # it is where nothing blocks
    image = reading.image
    origin = Origin(source_series or reading.origin.series_uid, reading.origin.voxels or hash_of(image))

    loaded = model.get(reporter)
    from decnn.synthesis import synthesize

    result = synthesize(
        image,
        loaded,
        options,
        report=lambda fraction, stage: reporter.progress(0.06 + 0.9 * fraction, stage),
        should_cancel=lambda: stop.requested,
        checked=findings,
    )
    for finding in result.findings[len(findings) :]:
        reporter.finding(finding)
    reporter.progress(0.97, "Writing the CT")
    terms = str(loaded.spec.get("terms", ""))
    sign(result.image, Maker(loaded.name, loaded.version, loaded.weights_sha256, terms, result.precision), origin)
    written = [(result.image, path)]
    if result.confidence is not None and confidence_path is not None:
        sign_confidence(result.confidence)
        written.insert(0, (result.confidence, confidence_path))  # the CT comes last: once it is there, all is
    write_images(written, before_publishing=stop.hold)
    reporter.published()
    reporter.progress(1.0, "Done")
    facts = {
        "output": str(path),
        "confidence": str(confidence_path) if confidence_path is not None else None,
        "model": loaded.name,
        "model_version": loaded.version,
        "weights_sha256": loaded.weights_sha256,
        "source_series_uid": origin.series_uid,
        "source_hash": origin.voxels,
        "decnn_version": __version__,
        "terms": terms,
        "device": result.device,
        "precision": result.precision,
        "seconds": round(time.monotonic() - start, 2),
        "peak_memory_mb": _peak_memory_mb(),
        "findings": [finding.as_dict() for finding in result.findings],
    }
    reporter.result(facts, _in_words(facts))
    return facts


def check_confidence_output(confidence: str | Path, ct: Path, source: str | Path) -> Path:
    """The absolute path of a confidence map that can be written. Raises InputError as ``check_output`` does."""
    from decnn.errors import InputError
    from decnn.io.images import check_output, same_place

    path = check_output(confidence, source)
    if same_place(path, ct):
        raise InputError("The confidence map and the CT would have one name: give the map another one.")
    return path


def _in_words(facts: dict[str, Any]) -> str:
    memory = facts["peak_memory_mb"]
    return (
        f"Wrote {facts['output']}\n"
        + (f"Wrote {facts['confidence']} (disagreement in HU)\n" if facts["confidence"] else "")
        + f"model {facts['model']} {facts['model_version']} (SHA-256 {facts['weights_sha256'][:12]}...), "
        f"decnn {facts['decnn_version']}, {facts['device']}, {facts['precision']}, {facts['seconds']:.1f} s"
        + (f", {memory} MB of memory at most" if memory is not None else "")
    )


def _peak_memory_mb() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
