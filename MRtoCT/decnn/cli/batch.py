"""Many MR files in, as many CT files out, and a table of how each one went."""

import json
import os
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from decnn.catalog import SPEC_FILE, model_folder
from decnn.cli.cancel import Stop
from decnn.cli.guarded import Guard
from decnn.cli.progress import Reporter
from decnn.cli.single import ModelOnDemand, synthesize_file
from decnn.cli.summary import Outcome, Summary
from decnn.errors import Cancelled, InputError, SetupError, explain
from decnn.options import Options

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice

_CT, _CONFIDENCE = "_sCT.nrrd", "_confidence.nrrd"
# What is taken off an input's name; anything else after a dot belongs to the name (scan.1.2 may be a DICOM folder).
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


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

    Where ``options`` want confidence maps, each goes to <name>_confidence.nrrd. However it ends, ``folder``/summary.csv
    tells what became of each input; what an earlier run has done there by the same model is skipped. Each input is read
    in a child first (``decnn.cli.guarded``), as some damaged files end the process that reads them.

    Returns:
        0 if all went well, else the exit code of the first failure.

    Raises:
        InputError: two inputs want the same output, an output is one of the inputs, or ``folder`` cannot be written to,
            or holds another summary.csv.
        SetupError: the summary cannot be written.
        Cancelled: a signal ended it.
    """
    outputs = plan_outputs(inputs, folder)
    maps = _plan_maps(inputs, outputs) if options.confidence else [None] * len(inputs)
    summary = Summary(outputs[0].parent)
    outcomes: list[Outcome] = []
    try:
        with Guard() as guard:
            for number, (source, output) in enumerate(zip(inputs, outputs, strict=True)):
                reporter.enter(source, number, len(inputs))
                if summary.was_done(source) and _is_of_now(source, [output, maps[number]], options.model):
                    outcomes.append(Outcome(source, str(output), "skipped", 0, 0.0, "Done in an earlier run."))
                else:
                    job = _Job(source, output, maps[number], model, options, choice)
                    outcomes.append(_synthesize_one(job, guard, reporter, stop, debug))
                summary.add(outcomes[-1])
                _try_to_write(summary)
    finally:
        stop.hold()
        for name in inputs[len(outcomes) :]:
            summary.add(Outcome(name, "", "cancelled", Cancelled.exit_code, 0.0, ""))
        summary.write()
    reporter.published()
    reporter.progress(1.0, "Done")
    failures = [outcome for outcome in outcomes if outcome.exit_code]
    skipped = sum(outcome.status == "skipped" for outcome in outcomes)
    facts = {"summary": str(summary.path), "inputs": len(inputs), "failures": len(failures), "skipped": skipped}
    worked = f"{len(inputs) - len(failures)} of {len(inputs)} worked"
    reporter.summary(facts, f"{worked}{f' ({skipped} in an earlier run)' if skipped else ''}; see {summary.path}")
    return failures[0].exit_code if failures else 0


def _try_to_write(summary: Summary) -> None:
    try:
        summary.write()
    except SetupError:
        pass  # it is tried again after the next input, and at the end it counts


def _is_of_now(source: str, outputs: list[Path | None], model: str) -> bool:
    """Whether all outputs are there, none older than the input, and the CT is of this model."""
    from decnn.io.provenance import weights_in

    try:
        newest = max((path.stat().st_mtime for path in _files_of(Path(source))), default=0.0)
        there = [path for path in outputs if path is not None]
        if any(path.stat().st_mtime < newest for path in there):
            return False
        spec = json.loads((model_folder(model) / SPEC_FILE).read_text(encoding="utf-8"))
        return weights_in(there[0]) == spec["weights"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return False


def _files_of(source: Path) -> list[Path]:
    return [path for path in source.iterdir() if path.is_file()] if source.is_dir() else [source]


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
    for name, stem in zip(inputs, _stems(inputs), strict=True):
        output = check_output(target / f"{stem}{_CT}", name)
        # Some file systems do not tell upper from lower case.
        if (first := taken.setdefault(output.name.casefold(), name)) != name or inputs.count(name) > 1:
            raise InputError(
                f"The inputs {first} and {name} would both be written to {output.name}: rename one of them, "
                "or give them in two runs with two folders.",
                code="bad-path",
            )
        if Path(os.path.realpath(output)) in sources:
            raise InputError(
                f"The output of {name} would replace the input {output.name}: choose another folder for the outputs.",
                code="bad-path",
            )
        outputs.append(output)
    return outputs


def _stems(inputs: list[str]) -> list[str]:
    """A name for the output of each input: its own; where several have it, that of its folder before it."""
    stems = [_stem(name) for name in inputs]
    counts = Counter(stem.casefold() for stem in stems)
    return [
        f"{Path(os.path.abspath(name)).parent.name}_{stem}" if counts[stem.casefold()] > 1 else stem
        for name, stem in zip(inputs, stems, strict=True)
    ]


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


@dataclass(frozen=True)
class _Job:
    """One input, and what is to be made of it."""

    source: str
    output: Path
    confidence: Path | None
    model: ModelOnDemand
    options: Options
    choice: "Choice | None"


def _synthesize_one(job: _Job, guard: Guard, reporter: Reporter, stop: Stop, debug: bool) -> Outcome:
    start = time.monotonic()
    try:
        stop.listen()
        reporter.progress(0.0, "Starting")
        guard.check(job.source, job.choice)
        facts = synthesize_file(
            job.source, job.output, job.model, job.options, reporter, stop, job.confidence, job.choice
        )
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
        return Outcome(job.source, "", "failed", failure.exit_code, seconds, f"[{failure.code}] {failure}")
    message = " ".join(f"[{finding['code']}] {finding['message']}" for finding in facts["findings"])
    return Outcome(job.source, str(job.output), "done", 0, facts["seconds"], message)
