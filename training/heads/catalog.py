"""All heads by name."""

from collections.abc import Sequence
from pathlib import Path

from decnn.errors import InputError
from training.heads import ct_heads, labelled_heads
from training.heads.head import Head
from training.heads.source_files import check_sources

NAMES = (*labelled_heads.NAMES, *ct_heads.NAMES)
# The brain that fills the cranial cavity of a CT: never one of the heads that a run may hold out with a measured T1.
_BRAINS = {"cranium": "nmd_40y", "unc": "nmd_40y", "visible_female": "nmd_19y"}


def read_heads(data: Path, names: Sequence[str]) -> list[Head]:
    """Reads heads from the folder of the data.

    Raises InputError for unknown names, and for files that are missing or are not those of sources.toml.
    """
    if unknown := set(names) - set(NAMES):
        raise InputError(f"Unknown heads {sorted(unknown)}: choose from {', '.join(NAMES)}.")
    check_sources(data, dict.fromkeys([*names, *(_BRAINS[name] for name in names if name in _BRAINS)]))
    labelled = {
        name: labelled_heads.read_head(data, name)
        for name in labelled_heads.NAMES
        if name in names or name in {_BRAINS.get(ct) for ct in names}
    }
    return [
        labelled[name] if name in labelled else ct_heads.read_head(data, name, labelled[_BRAINS[name]])
        for name in names
    ]
