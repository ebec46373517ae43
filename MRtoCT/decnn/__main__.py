"""The engine's command line: mrtoct, or python -m decnn, synthesize | batch | check | export-dicom | evaluate |
bench | info.

Exit codes: 0 done; 1 a defect; 2 the input or an argument cannot be used; 3 the machine or installation is at fault
(torch missing, weights changed, device not there, disk full); 130 cancelled; of many inputs, the code of the first
failure. Errors are one sentence; --debug adds the traceback. With ``--progress json`` stdout carries one JSON object a
line and nothing else.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from decnn import __version__
from decnn.cli import commands
from decnn.cli.cancel import Stop
from decnn.cli.progress import JsonReporter, Reporter, TextReporter, silence
from decnn.errors import Cancelled, explain
from decnn.options import DEFAULTS, PRECISIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    # A stream that was closed by the caller is None.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A file name that the console cannot print must not end the work.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    json_wanted = getattr(options, "json", False) or getattr(options, "progress", "") == "json"
    reporter: Reporter = JsonReporter() if json_wanted else TextReporter()
    stop = Stop()
    try:
        exit_code = options.run(options, reporter, stop)
        if arguments is None:
            stop.finish()  # or a signal between here and the end of the process would change its exit code
        sys.stdout.flush()
        return exit_code
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if options.debug:
            traceback.print_exc()
        return _fail(error, reporter, stop)


def _fail(error: BaseException, reporter: Reporter, stop: Stop) -> int:
    """Reports an error and returns its exit code."""
    stop.hold()
    if stop.requested or isinstance(error, KeyboardInterrupt | BrokenPipeError):
        # A broken pipe: nobody listens any more, or wants the result.
        error = Cancelled(f"The work was cancelled: {stop.left}.")
    failure = explain(error)
    try:
        reporter.error(failure.code, failure.exit_code, str(failure))
    except OSError:
        pass
    try:
        sys.stdout.flush()
    except OSError:
        silence(sys.stdout)  # Python would complain once more when it closes a stdout that nobody reads
    return failure.exit_code


def _program() -> str:
    """As which the user has called it: the command of the installed package, or the module."""
    return "mrtoct" if Path(sys.argv[0]).stem == "mrtoct" else "python -m decnn"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_program(), description="Synthetic CT from T1-weighted MR of the head.")
    parser.add_argument("--version", action="version", version=__version__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    progress = argparse.ArgumentParser(add_help=False)
    progress.add_argument("--progress", choices=["text", "json"], default="text", help="bar, or JSON lines on stdout")
    choice = argparse.ArgumentParser(add_help=False)
    choice.add_argument(
        "--series", metavar="NUMBER", help="DICOM: the number or UID of the MR series, if there are several"
    )
    choice.add_argument("--echo", metavar="TIME", help="DICOM: the echo time in ms, if the series has several echoes")
    making = argparse.ArgumentParser(add_help=False)
    making.add_argument("--model", default=DEFAULTS.model, help="name of a bundled model, or a model's folder")
    making.add_argument("--device", default=DEFAULTS.device, help="auto (default), cpu, cuda, cuda:N or mps")
    making.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=DEFAULTS.precision,
        help="auto (default) computes in bfloat16 where the device has instructions for it, and checks the difference",
    )
    verbs = parser.add_subparsers(required=True, metavar="synthesize|batch|check|export-dicom|evaluate|bench|info")

    synthesize = verbs.add_parser(
        "synthesize",
        parents=[common, progress, choice, making],
        help="make the synthetic CT of an MR, or of many",
        usage="%(prog)s INPUT OUTPUT [options]\n       %(prog)s INPUT [INPUT ...] --output-dir FOLDER [options]",
    )
    synthesize.add_argument(
        "paths",
        nargs="+",
        help="INPUT: T1-weighted MR as NRRD, NIfTI, MHA, or a folder with one DICOM series. "
        "OUTPUT: CT to write (.nrrd, .nii, .nii.gz, .mha): int16 HU on the grid of the MR",
    )
    synthesize.add_argument(
        "--output-dir",
        metavar="FOLDER",
        help="every path is an input, as for batch",
    )
    synthesize.add_argument(
        "--confidence",
        metavar="FILE",
        help="also write where the model disagrees with itself (views, and successive CTs), in HU: no calibrated "
        "error. With --output-dir: that same folder, for <name of the input>_confidence.nrrd",
    )
    synthesize.add_argument(
        "--source-series",
        metavar="UID",
        help="SeriesInstanceUID of the MR, where its file does not say it (not NRRD or MHA): the CT carries it, and "
        "export-dicom compares it",
    )
    synthesize.set_defaults(run=commands.synthesize, input_list=None, overwrite=False, scheduler=None)

    batch = verbs.add_parser(
        "batch",
        parents=[common, progress, choice, making],
        help="make the synthetic CT of each of many MRs; one that fails does not stop the others",
    )
    batch.add_argument("paths", nargs="*", metavar="INPUT", help="MR, as for synthesize")
    batch.add_argument("--input-list", metavar="FILE", help="a text file (UTF-8) that names inputs, one a line")
    batch.add_argument(
        "--output-dir",
        metavar="FOLDER",
        required=True,
        help="each CT goes to FOLDER/<name of the input>_sCT.nrrd, how each input went to FOLDER/summary.csv",
    )
    batch.add_argument(
        "--confidence", action="store_const", const=True, help="also write <name of the input>_confidence.nrrd"
    )
    batch.add_argument(
        "--overwrite",
        action="store_true",
        help="make every CT anew, also where an earlier run has made it of the same input by the same model and "
        "options",
    )
    batch.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="hand the inputs to the workers of a Dask scheduler, such as tcp://host:8786 (pip install "
        "mrtoct[cluster]); workers must see the same paths",
    )
    batch.set_defaults(run=commands.batch)

    check = verbs.add_parser(
        "check",
        parents=[common, progress, choice],
        help="say what speaks against making a synthetic CT of an MR (a few seconds)",
    )
    check.add_argument("image", help="MR as NRRD, NIfTI, MHA, or a folder with one DICOM series")
    check.add_argument("--json", action="store_true", help="one JSON object on stdout, and no progress")
    check.set_defaults(run=commands.check)

    export = verbs.add_parser(
        "export-dicom",
        parents=[common, progress, choice],
        help="write a synthetic CT as a DICOM CT series, for research",
    )
    export.add_argument("ct", help="synthetic CT in HU; the .nrrd or .mha of synthesize names its model, too")
    export.add_argument("output", help="folder for the series: a new one, or an empty one")
    reference = export.add_mutually_exclusive_group()
    reference.add_argument(
        "--reference",
        metavar="MR_FOLDER",
        help="folder with the DICOM series of the MR: patient, study and frame of reference are kept; "
        "without it they are generated",
    )
    reference.add_argument(
        "--reference-list",
        metavar="FILE",
        help="instead of a folder: a text file (UTF-8) with the paths of the series' files, one a line",
    )
    export.add_argument(
        "--resample", action="store_true", help="bring an oblique or sheared CT to axial slices of 1 mm, else refused"
    )
    export.add_argument(
        "--allow-moved",
        action="store_true",
        help="take a CT that was moved off the grid of the MR, with a new frame of reference, else refused",
    )
    export.add_argument(
        "--unverified-reference",
        action="store_true",
        help="take a CT that does not say which MR series it was made from, else refused: you have checked that the "
        "reference is of the same patient",
    )
    export.add_argument("--model-name", help="the model that made the CT, if its file does not say")
    export.add_argument("--weights-sha256", help="SHA-256 of the model's weights, if the CT's file does not say")
    export.set_defaults(run=commands.export_dicom)

    evaluate = verbs.add_parser("evaluate", parents=[common, progress], help="compare a synthetic CT with a real one")
    evaluate.add_argument("ct", help="synthetic CT in HU")
    evaluate.add_argument("reference", help="real CT in HU; on another grid only with --resample or --register")
    evaluate.add_argument(
        "--mask", help="where to compare; if not given, masks of the reference's body, tight and wide"
    )
    evaluate.add_argument("--resample", action="store_true", help="bring the reference to the grid of the synthetic CT")
    evaluate.add_argument(
        "--register",
        metavar="MR",
        help="register the reference rigidly to the MR that the synthetic CT was made from, then resample it",
    )
    evaluate.add_argument("--difference", metavar="FILE", help="write the volume synthetic - reference (int16, HU)")
    evaluate.add_argument(
        "--series", metavar="NUMBER", help="DICOM: the number or UID of the real CT's series, if there are several"
    )
    evaluate.add_argument(
        "--mr-series",
        metavar="NUMBER",
        help="DICOM: the number or UID of the series of --register, if there are several",
    )
    evaluate.add_argument(
        "--echo", metavar="TIME", help="DICOM: the echo time in ms of --register, if there are several"
    )
    evaluate.add_argument("--json", action="store_true", help="one JSON object on stdout, and nothing else")
    evaluate.set_defaults(run=commands.evaluate)

    bench = verbs.add_parser(
        "bench", parents=[common, making], help="measure speed and memory on this machine, which should do nothing else"
    )
    bench.add_argument("image", help="MR, as for synthesize")
    bench.add_argument("--json", action="store_true", help="one JSON object on stdout")
    bench.set_defaults(run=commands.bench)

    info = verbs.add_parser("info", parents=[common], help="version, models, devices")
    info.add_argument("--json", action="store_true", help="one JSON object on stdout")
    info.set_defaults(run=commands.info)
    return parser


if __name__ == "__main__":
    sys.exit(main())
