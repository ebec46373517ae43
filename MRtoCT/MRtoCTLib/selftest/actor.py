"""Plays the engine where the real one cannot be timed: python actor.py ROLE PULSE VERB [INPUT OUTPUT ...].

A real child process that speaks the engine's protocol; for the self-tests and for Testing/Python. PULSE is a file that
grows as long as the child of "hang" lives; "-" for no such child. Roles:

make      a CT that is -1000 HU everywhere, findings, an empty folder for a series
hang      until it is killed
stubborn  not even then, nor its own child
orphan    dies, but its child does not
fail      an error event and exit code 3
crash     dies without a word
lie       claims a CT that is not there
nonsense  a progress that is no number; then as hang
chatter   lines that are no events
flood     200,000 events at once
devices   the answer to "info"
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_BEAT = "import sys, time\nwhile True: open(sys.argv[1], 'a').write('.'); time.sleep(0.02)"
_SLEEP = "import time; time.sleep(600)"
FACTS = {
    "model": "actor",
    "model_version": "1",
    "weights_sha256": "0" * 64,
    "decnn_version": "0",
    "device": "cpu",
    "seconds": 1.0,
}


def say(**event: object) -> None:
    """One event, on stdout."""
    print(json.dumps(event), flush=True)


def main(role: str, pulse: str, verb: str, *arguments: str) -> int:
    """Plays a role; returns the exit code."""
    say(event="progress", fraction=0.25, stage="Acting")
    if role == "make":
        _make(verb, arguments)
    elif role == "hang":
        if pulse != "-":
            subprocess.Popen([sys.executable, "-c", _BEAT, pulse])
        time.sleep(600)
    elif role in ("stubborn", "orphan"):
        if role == "stubborn":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # children inherit it
        child = subprocess.Popen([sys.executable, "-c", _SLEEP])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        if role == "orphan":
            os._exit(9)
        time.sleep(600)
    elif role == "fail":
        print("the reason, at length", file=sys.stderr)
        say(event="error", code="disk-full", exit_code=3, message="The disk is full: free some space.")
        return 3
    elif role == "crash":
        return 70
    elif role == "lie":
        say(event="result", output=arguments[1], **FACTS)
    elif role == "nonsense":
        say(event="progress", fraction="soon")
        time.sleep(600)
    elif role == "chatter":
        sys.stdout.buffer.write('a library says: \u00fcber\n[1, 2]\n{"no": "event"}\n'.encode())
        sys.stdout.buffer.write(b"\xff broken\n" + b"[" * 1000 + b"\n")
        print("on stderr", file=sys.stderr)
    elif role == "flood":
        line = json.dumps({"event": "progress", "fraction": 0.5, "stage": "Flooding"}) + "\n"
        sys.stdout.write(line * 200_000)
        sys.stdout.flush()
        time.sleep(600)
    elif role == "devices":
        card = {"name": "cuda:0", "description": "NVIDIA Example", "memory_gb": 24.0}
        print(json.dumps({"devices": [card, {"name": "cpu", "description": "Some CPU, 8 cores", "memory_gb": None}]}))
    return 0


def _make(verb: str, arguments: tuple[str, ...]) -> None:
    if verb == "export-dicom":
        Path(arguments[1]).mkdir()
        say(event="finding", severity="warning", code="new", message="All identifiers are new.")
        say(event="result", output=arguments[1], files=3, arguments=arguments)
        return
    say(event="finding", severity="warning", code="thick", message="The slices are thick.")
    if verb == "check":
        say(event="result", input=arguments[0], findings=[])
        return
    import SimpleITK as sitk

    mr = sitk.ReadImage(arguments[0])
    sitk.WriteImage(sitk.Cast(mr * 0 - 1000, sitk.sitkInt16), arguments[1])
    if "--confidence" in arguments:
        sitk.WriteImage(sitk.Cast(mr * 0 + 70, sitk.sitkInt16), arguments[arguments.index("--confidence") + 1])
    say(event="progress", fraction=1.0, stage="Done")
    say(event="result", output=arguments[1], **FACTS)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
