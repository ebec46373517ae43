"""Plays the engine in the self-tests where the real one cannot be timed: python actor.py ROLE PULSE VERB MR CT ...

A real child process that speaks the engine's protocol. Roles: make (a CT that is -1000 HU everywhere), hang (until it
is killed; the file PULSE grows as long as its own child lives), fail, crash.
"""

import json
import subprocess
import sys
import time

_BEAT = "import sys, time\nwhile True: open(sys.argv[1], 'a').write('.'); time.sleep(0.02)"
_FACTS = {
    "model": "actor",
    "model_version": "1",
    "weights_sha256": "0" * 64,
    "decnn_version": "0",
    "device": "cpu",
    "seconds": 1.0,
}


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def main(role: str, pulse: str, verb: str, mr: str, ct: str, *options: str) -> int:
    say(event="progress", fraction=0.1, stage="Acting")
    if role == "hang":
        subprocess.Popen([sys.executable, "-c", _BEAT, pulse])
        time.sleep(600)
    elif role == "make":
        import SimpleITK as sitk

        say(event="finding", severity="warning", code="acted", message="This head is acted.")
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(mr) * 0 - 1000, sitk.sitkInt16), ct)
        say(event="result", output=ct, **_FACTS)
    elif role == "fail":
        print("a line of the log", file=sys.stderr)
        say(event="error", code="setup", exit_code=3, message="The actor forgot his text.")
        return 3
    elif role == "crash":
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
