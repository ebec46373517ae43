"""Many MR files in, as many CT files out, and a table of how each one went."""

import csv
import os
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from decnn.cli.cancel import Stop
from decnn.cli.progress import Reporter
from decnn.cli.single import ModelOnDemand, synthesize_file
from decnn.errors import Cancelled, InputError, SetupError, explain
from decnn.options import Options

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice

SUMMARY = "summary.csv"
_CT, _CONFIDENCE = "_sCT.nrrd", "_confidence.nrrd"
# What is taken off an input's name; anything else after a dot belongs to the name (scan.1.2 may be a DICOM folder).
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Outcome:
    """A row of the summary. ``message`` is the error, or the findings."""

    input: str
    output: str
    status: str
    exit_code: int
    seconds: float
    message: str


def synthesize_all(
    inputs: list[str],
    folder: str,
    model: ModelOnDemand,
    options: Options,
    reporter: Reporter,
    stop: Stop,
    debug: bool,
    choice: "Choice | None" = None,
) -> int:
    """Makes the synthetic CT of each input in ``folder`` (made if need be); one that fails does not stop the others.

    Where ``options`` want confidence maps, each goes to <name>_confidence.nrrd.
    However it ends, ``folder``/summary.csv tells what became of each input.

    Returns:
        0 if all went well, else the exit code of the first failure.

    Raises:
        InputError: two inputs want the same output, an output is one of the inputs, or ``folder`` cannot be written to.
        SetupError: the summary cannot be written.
        Cancelled: a signal ended it.
    """
    outputs = plan_outputs(inputs, folder)
    maps = _plan_maps(inputs, outputs) if options.confidence else [None] * len(inputs)
    outcomes: list[Outcome] = []
    try:
        for number, (source, output) in enumerate(zip(inputs, outputs, strict=True)):
            reporter.enter(source, number, len(inputs))
            outcomes.append(
                _synthesize_one(source, output, maps[number], model, options, reporter, stop, debug, choice)
            )
    finally:
        stop.hold()
        left = [Outcome(name, "", "cancelled", Cancelled.exit_code, 0.0, "") for name in inputs[len(outcomes) :]]
        summary = outputs[0].parent / SUMMARY
        _write_summary(outcomes + left, summary)
    reporter.progress(1.0, "Done")
    failures = [outcome for outcome in outcomes if outcome.exit_code]
    facts = {"summary": str(summary), "inputs": len(inputs), "failures": len(failures)}
    reporter.summary(facts, f"{len(inputs) - len(failures)} of {len(inputs)} worked; see {summary}")
    return failures[0].exit_code if failures else 0


def plan_outputs(inputs: list[str], folder: str) -> list[Path]:
    """The output of each input, <name>_sCT.nrrd in ``folder``; makes the folder. Errors: see ``synthesize_all``."""
    from decnn.io.images import check_output

    target = Path(folder).absolute()
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made ({error.strerror}): choose another one.") from error
    sources = {Path(os.path.realpath(name)): name for name in inputs}
    taken: dict[str, str] = {}
    outputs = []
    for name in inputs:
        output = check_output(target / f"{_stem(name)}{_CT}", name)
        # Some file systems do not tell upper from lower case.
        if (first := taken.setdefault(output.name.casefold(), name)) != name or inputs.count(name) > 1:
            raise InputError(
                f"The inputs {first} and {name} would both be written to {output.name}: rename one of them, "
                "or give them in two runs with two folders."
            )
        if Path(os.path.realpath(output)) in sources:
            raise InputError(
                f"The output of {name} would replace the input {output.name}: choose another folder for the outputs."
            )
        outputs.append(output)
    return outputs


def _plan_maps(inputs: list[str], outputs: list[Path]) -> list[Path | None]:
    """The confidence map of each output, beside it. Raises InputError if one would replace an input."""
    maps: list[Path | None] = []
    sources = {Path(os.path.realpath(name)) for name in inputs}
    for output in outputs:
        path = output.with_name(output.name.removesuffix(_CT) + _CONFIDENCE)
        if Path(os.path.realpath(path)) in sources:
            raise InputError(
                f"A confidence map would replace the input {path.name}: choose another folder for the outputs."
            )
        maps.append(path)
    return maps


def _stem(name: str) -> str:
    """The name of a file without its format, or of a folder as it is."""
    last = Path(os.path.abspath(name)).name
    suffix = next((suffix for suffix in _SUFFIXES if last.lower().endswith(suffix) and last.lower() != suffix), "")
    return last[: len(last) - len(suffix)]


def _synthesize_one(
    source: str,
    output: Path,
    confidence: Path | None,
    model: ModelOnDemand,
    options: Options,
    reporter: Reporter,
    stop: Stop,
    debug: bool,
    choice: "Choice | None",
) -> Outcome:
    start = time.monotonic()
    try:
        facts = synthesize_file(source, output, model, options, reporter, stop, confidence, choice)
    except Exception as error:
        # A signal from here on stops the next input: this one has failed, not been cancelled.
        stop.hold()
        if stop.requested or isinstance(error, Cancelled | BrokenPipeError):
            raise
        if debug:
            traceback.print_exc()
        failure = explain(error)
        reporter.error(failure.code, failure.exit_code, str(failure))
        seconds = round(time.monotonic() - start, 2)
        return Outcome(source, "", "failed", failure.exit_code, seconds, str(failure))
    message = " ".join(finding["message"] for finding in facts["findings"])
    return Outcome(source, str(output), "done", 0, facts["seconds"], message)


def _write_summary(outcomes: list[Outcome], path: Path) -> None:
    from decnn.io.images import umask

    handle, name = tempfile.mkstemp(prefix=".decnn-", suffix=".csv", dir=path.parent)
    try:
        # A file name need not be valid text.
        with open(handle, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Outcome)])
            table.writeheader()
            table.writerows(asdict(outcome) for outcome in outcomes)
        os.chmod(name, 0o666 & ~umask())
        os.replace(name, path)
    except OSError as error:
        raise SetupError(f"{path} cannot be written ({error.strerror}): free the disk, or close the file.") from error
    finally:
        Path(name).unlink(missing_ok=True)
