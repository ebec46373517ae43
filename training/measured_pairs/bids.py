"""BIDS folders with a T1 and a CT of each person: <root>/sub-*/[ses-*/]{anat/*_T1w, ct/*_ct}.nii[.gz].

The CT may lie on any grid and elsewhere in space: it is registered as that of a folder of one's own.
"""

from pathlib import Path

from decnn.errors import InputError
from training.measured_pairs.folder import registered_pair
from training.measured_pairs.pair import MeasuredPair


def find_cases(root: Path) -> tuple[list[Path], list[str]]:
    """The folders of the subjects, sorted by name, and no further sentences; InputError if there are none."""
    cases = sorted(path for path in root.glob("sub-*") if path.is_dir())
    if not cases:
        raise InputError(f"{root} holds no subjects of BIDS (folders sub-01, sub-02, ...): give its top folder.")
    return cases, []


def read_pair(case: Path) -> MeasuredPair:
    """The pair of a subject; raises InputError as ``folder.read_pair`` does."""
    return registered_pair(case.name, _only(case, "T1w"), _only(case, "ct"))


def _only(case: Path, suffix: str) -> Path:
    """The one image of a subject with this suffix; InputError if there is none, or several."""
    found = sorted(path for ending in ("nii", "nii.gz") for path in case.rglob(f"*_{suffix}.{ending}"))
    if not found:
        raise InputError(f"there is no *_{suffix}.nii.gz in it.")
    if len(found) > 1:
        raise InputError(f"it holds several images *_{suffix} ({', '.join(p.name for p in found)}): leave one.")
    return found[0]
