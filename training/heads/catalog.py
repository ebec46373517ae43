"""All heads by name."""

from collections.abc import Sequence
from pathlib import Path

from decnn.errors import InputError
from training.heads import ct_heads, labelled_heads
from training.heads.head import Head
from training.heads.source_files import check_sources

# The place of a name here is part of the seed of its simulated pairs: a new one goes to the end.
NAMES = (
    "colin27", "ernie", "nmd_19y", "nmd_40y", "cranium", "unc", "visible_female",
    "cptac_head", "thca_neck", "ge_head", "nyhead",
)  # fmt: skip
# The brain that fills the cranial cavity of a CT: never one of the heads that a run may hold out with a measured T1.
_BRAINS = {
    "cranium": "nmd_40y", "unc": "nmd_40y", "visible_female": "nmd_19y", "cptac_head": "nmd_19y",
    "thca_neck": "nmd_40y", "ge_head": "nmd_40y",
}  # fmt: skip


def check_heads(data: Path, names: Sequence[str], drawn_brains: bool = False) -> None:
    """Raises InputError for unknown heads, and for files of theirs that are missing or altered."""
    if unknown := set(names) - set(NAMES):
        raise InputError(f"Unknown heads {sorted(unknown)}: choose from {', '.join(NAMES)}.")
    check_sources(data, dict.fromkeys([*names, *_brains(names, drawn_brains).values()]))


def read_heads(data: Path, names: Sequence[str], drawn_brains: bool = False) -> list[Head]:
    """Reads heads from the folder of the data.

    drawn_brains: CTs get a brain that is drawn, not that of a labelled head, whose terms may be stricter.

    Raises InputError for unknown names, and for files that are missing or are not those of sources.toml.
    """
    check_heads(data, names, drawn_brains)
    brains = _brains(names, drawn_brains)
    labelled = {
        name: labelled_heads.read_head(data, name)
        for name in labelled_heads.NAMES
        if name in names or name in brains.values()
    }
    return [
        labelled[name] if name in labelled else ct_heads.read_head(data, name, labelled.get(brains.get(name, "")))
        for name in names
    ]


def _brains(names: Sequence[str], drawn: bool) -> dict[str, str]:
    """The labelled head that gives each CT its brain."""
    return {} if drawn else {name: _BRAINS[name] for name in names if name in _BRAINS}
