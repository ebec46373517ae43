"""Where a figure comes from: what is stored beside it in every JSON file."""

import hashlib
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def made_by(arguments: Sequence[str], data: Iterable[Path] = (), program: str = "python -m training") -> dict[str, str]:
    """Command, commit, data and date of a result.

    Folders are named by their last part: where they lie on a machine is no part of a figure.

    Args:
        arguments: of ``program``.
        data: files that the figures were measured on; the digest is of folder, name and content of each.
    """
    command = " ".join([program, *(_without_folder(argument) for argument in arguments)])
    facts = {"command": command, "commit": _commit(), "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    files = sorted(set(data))
    if files:
        digest = hashlib.sha256()
        for path in files:
            digest.update("/".join(path.parts[-2:]).encode())
            digest.update(path.read_bytes())
        facts["data"] = f"{len(files)} files, SHA-256 {digest.hexdigest()}"
    return facts


def _without_folder(argument: str) -> str:
    """An absolute path as its last part, also behind a kind (folder:/data/pairs)."""
    kind, colon, rest = argument.rpartition(":")
    return f"{kind}{colon}{Path(rest).name}" if rest.startswith("/") else argument


def _commit() -> str:
    """The commit of this checkout, with a mark if files of it are changed; "unknown" outside of a clone."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=_ROOT, capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()
