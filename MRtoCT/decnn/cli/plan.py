"""What a batch is to make of each of its inputs, and where: decided before any work."""

import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from decnn.catalog import SPEC_FILE, model_folder
from decnn.cli.summary import Outcome, Summary
from decnn.errors import DecnnError, InputError
from decnn.options import Options

if TYPE_CHECKING:
    from decnn.io.dicom_read import Choice

_CT, _CONFIDENCE = "_sCT.nrrd", "_confidence.nrrd"
# What is taken off an input's name; anything else after a dot belongs to the name (scan.1.2 may be a DICOM folder).
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Job:
    """One input, and what is to be made of it."""

    source: str
    output: Path
    confidence: Path | None
    options: Options
    choice: "Choice | None"
    weights_sha256: str
    """Of the model."""
    earlier: str = ""
    """Fingerprint of the input from which an earlier run made the outputs; "" if none did, or it does not count."""

    def known(self) -> str:
        """``earlier`` if the outputs are still there and by this model, else ""."""
        from decnn.io.provenance import weights_in

        outputs = [path for path in (self.output, self.confidence) if path is not None]
        try:
            there = bool(self.earlier) and all(path.is_file() for path in outputs)
            return self.earlier if there and weights_in(self.output) == self.weights_sha256 else ""
        except (OSError, RuntimeError):
            return ""

    def skipped(self) -> Outcome:
        """It was done in an earlier run."""
        return self._outcome(str(self.output), "skipped", 0, 0.0, "Done in an earlier run.", self.earlier)

    def done(self, findings: list[dict[str, str]], seconds: float, sha256: str) -> Outcome:
        message = " ".join(f"[{finding['code']}] {finding['message']}" for finding in findings)
        return self._outcome(str(self.output), "done", 0, seconds, message, sha256)

    def failed(self, error: DecnnError, seconds: float) -> Outcome:
        return self._outcome("", "failed", error.exit_code, seconds, f"[{error.code}] {error}", "")

    def _outcome(self, output: str, status: str, exit_code: int, seconds: float, message: str, sha256: str) -> Outcome:
        wanted = wish(self.options, self.choice)
        seconds = round(seconds, 2)
        return Outcome(self.source, output, status, exit_code, seconds, message, sha256, self.weights_sha256, wanted)


def wish(options: Options, choice: "Choice | None") -> str:
    """What is wanted of a CT besides the model, in words; where it is computed does not count."""
    words = [options.precision]
    words += ["confidence"] if options.confidence else []
    if choice is not None:
        words += [f"{what} {value}" for what, value in (("series", choice.series), ("echo", choice.echo)) if value]
    return ", ".join(words)


def plan(
    inputs: list[str], folder: str, options: Options, choice: "Choice | None" = None, overwrite: bool = False
) -> tuple[list[Job], Summary]:
    """The jobs of a batch, and the summary of its folder, which is made if need be.

    overwrite: what an earlier run has done does not count.

    Raises:
        InputError: two inputs want the same output, an output is one of the inputs, or ``folder`` cannot be written to,
            or holds another summary.csv.
    """
    outputs = plan_outputs(inputs, folder)
    maps = _plan_maps(inputs, outputs) if options.confidence else [None] * len(inputs)
    summary = Summary(outputs[0].parent)
    weights, wanted = _weights_of(options.model), wish(options, choice)
    jobs = []
    for source, output, confidence in zip(inputs, outputs, maps, strict=True):
        earlier = "" if overwrite or not weights else summary.made_of(source, weights, wanted)
        jobs.append(Job(source, output, confidence, options, choice, weights, earlier))
    return jobs, summary


def listed_inputs(path: str) -> list[str]:
    """The inputs that a text file names, one a line; InputError if it cannot be read."""
    try:
        return [line for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {path} cannot be read: give a text file (UTF-8) with one input a line.") from error


def plan_outputs(inputs: list[str], folder: str) -> list[Path]:
    """The output of each input, <name>_sCT.nrrd in ``folder``; makes the folder. Errors: see ``plan``."""
    from decnn.io.images import check_output

    target = Path(folder).absolute()
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be made ({error.strerror}): choose another one.") from error
    sources = {Path(os.path.realpath(name)): name for name in inputs}
    taken: dict[str, str] = {}
    given = Counter(inputs)
    outputs: list[Path] = []
    for name, stem in zip(inputs, _stems(inputs), strict=True):
        output = check_output(target / f"{stem}{_CT}", name, try_out=not outputs)
        # Some file systems do not tell upper from lower case.
        if (first := taken.setdefault(output.name.casefold(), name)) != name or given[name] > 1:
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


def _weights_of(model: str) -> str:
    """SHA-256 of a model's weights by its model.json; "" if that cannot be read, which loading it will tell."""
    try:
        return str(json.loads((model_folder(model) / SPEC_FILE).read_text(encoding="utf-8"))["weights"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _stems(inputs: list[str]) -> list[str]:
    """A name for the output of each input: its own; its folders before it, until they differ, where several have it."""
    stems = [_stem(name) for name in inputs]
    folders = [Path(os.path.abspath(name)).parent.parts[1:] for name in inputs]
    alike: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for stem, folder in zip(stems, folders, strict=True):
        alike[stem.casefold()].append(folder)
    depths = {key: _telling_apart(set(group)) if len(group) > 1 else {} for key, group in alike.items()}
    return [
        "_".join([*folder[-depth:], stem]) if (depth := depths[stem.casefold()].get(folder, 0)) else stem
        for stem, folder in zip(stems, folders, strict=True)
    ]


def _telling_apart(folders: set[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """How many of its last parts tell each folder from the others."""
    found: dict[tuple[str, ...], int] = {}
    for depth in range(1, max(map(len, folders)) + 1):
        counts = Counter("/".join(folder[-depth:]).casefold() for folder in folders)
        for folder in folders - found.keys():
            if counts["/".join(folder[-depth:]).casefold()] == 1 or depth == len(folder):
                found[folder] = depth
    return found


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
