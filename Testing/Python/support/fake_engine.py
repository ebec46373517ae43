"""The engine as the actor of the self-tests plays it (MRtoCTLib/selftest/actor.py has the roles)."""

import sys
from pathlib import Path

ACTOR = Path(__file__).resolve().parents[3] / "MRtoCT/MRtoCTLib/selftest/actor.py"


def command(role: str) -> list[str]:
    """The command line up to the engine's verb."""
    return [sys.executable, str(ACTOR), role, "-"]
