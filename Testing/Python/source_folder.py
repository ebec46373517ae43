"""A folder of data of the tests' own: its sources.toml says that the small files in it are the right ones."""

import hashlib
from pathlib import Path

from training.pairs.sources import NAMES


def write_sources(folder: Path, **entries: str) -> Path:
    """Writes folder/sources.toml: every head of training/ with the NIfTI files that lie in its folder.

    entries: lines (TOML) to add to each file of a head, by name of the head, such as its address.
    """
    lines = []
    for name in NAMES:
        lines.append(f'[{name}]\nuse = "test"\nterms = "none"\n')
        for path in sorted(folder.glob(f"{name}/*.nii.gz")) or [folder / name / "ct.nii.gz"]:
            digest = hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()
            lines.append(f'[{name}.files."{name}/{path.name}"]\nsha256 = "{digest}"\n{entries.get(name, "")}\n')
    path = folder / "sources.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
