"""`make demo` = python -m demo [--mr T1] [--output demo]: T1 -> MRML scene -> MRtoCTLogic -> CT, picture, figures."""

import argparse
import sys
from pathlib import Path

from decnn.options import DEFAULTS, Options
from demo.run import CT_FILE, PICTURE_FILE, SUMMARY_FILE, run
from demo.sources import DemoError, find_t1
from demo.summary import as_text
from MRtoCTLib.errors import SynthesisError

CACHE = Path(__file__).resolve().parents[2] / ".cache"


def main() -> int:
    arguments = _arguments()
    try:
        source = find_t1(arguments.mr, CACHE)
        print(f"T1: {source.name}, {source.path}" + (f"\n{source.note}" if source.note else ""), flush=True)
        summary = run(source, arguments.output, Options(arguments.model, arguments.device))
    except (DemoError, SynthesisError) as error:
        print(f"\nmake demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmake demo: stopped.", file=sys.stderr)
        return 130
    print(as_text(summary))
    for name in (PICTURE_FILE, CT_FILE, SUMMARY_FILE):
        print(f"written: {arguments.output / name}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description="A synthetic CT of a real head.")
    parser.add_argument("--mr", type=Path, help="T1 of a head; if not given, Colin27 from Debian, else Slicer's MRHead")
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for the results (default: demo)")
    parser.add_argument("--model", default=DEFAULTS.model, help="name of a bundled model, or a model's folder")
    parser.add_argument("--device", default=DEFAULTS.device, help="auto (default), cpu, cuda, cuda:N or mps")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
