"""Plays the engine where the real one cannot be timed: python fake_engine.py ROLE VERB [INPUT OUTPUT ...].

A real child process that speaks the engine's protocol. Roles: make (a CT that is -1000 HU everywhere, findings,
an empty folder for a series), hang (until it
is told to stop), stubborn (not even then, nor its own child), orphan (dies, but its child does not), fail, lie (claims
a CT that is not there), nonsense (then as hang), chatter, devices.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FACTS = {
    "model": "fake",
    "model_version": "1",
    "weights_sha256": "0" * 64,
    "decnn_version": "0",
    "device": "cpu",
    "seconds": 1.0,
}


def command(role: str) -> list[str]:
    """The command line up to the engine's verb."""
    return [sys.executable, str(Path(__file__).resolve()), role]


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main(role: str, verb: str, *arguments: str) -> int:
    say(event="progress", fraction=0.25, stage="Acting")
    if role == "make" and verb == "check":
        say(event="finding", severity="warning", code="thick", message="The slices are thick.")
        say(event="result", input=arguments[0], findings=[])
    elif role == "make" and verb == "export-dicom":
        Path(arguments[1]).mkdir()
        say(event="finding", severity="warning", code="new", message="All identifiers are new.")
        say(event="result", output=arguments[1], files=3, arguments=arguments)
    elif role == "make":
        import SimpleITK as sitk

        mr = sitk.ReadImage(arguments[0])
        say(event="finding", severity="warning", code="thick", message="The slices are thick.")
        sitk.WriteImage(sitk.Cast(mr * 0 - 1000, sitk.sitkInt16), arguments[1])
        if "--confidence" in arguments:
            path = arguments[arguments.index("--confidence") + 1]
            sitk.WriteImage(sitk.Cast(mr * 0 + 70, sitk.sitkInt16), path)
        say(event="progress", fraction=1.0, stage="Done")
        say(event="result", output=arguments[1], **FACTS)
    elif role == "hang":
        time.sleep(600)
    elif role == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # children inherit it
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        time.sleep(600)
    elif role == "orphan":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        os._exit(9)
    elif role == "fail":
        print("the reason, at length", file=sys.stderr)
        say(event="error", code="setup", exit_code=3, message="The disk is full: free some space.")
        return 3
    elif role == "nonsense":
        say(event="progress", fraction="soon")
        time.sleep(600)
    elif role == "lie":
        say(event="result", output=arguments[1], **FACTS)
    elif role == "chatter":
        sys.stdout.buffer.write('a library says: \u00fcber\n[1, 2]\n{"no": "event"}\n'.encode())
        sys.stdout.buffer.write(b"\xff broken\n")
        print("on stderr", file=sys.stderr)
    elif role == "devices":
        card = {"name": "cuda:0", "description": "NVIDIA Example", "memory_gb": 24.0}
        print(json.dumps({"devices": [card, {"name": "cpu", "description": "Some CPU, 8 cores", "memory_gb": None}]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
