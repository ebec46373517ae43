"""Which models there are, without loading one: no torch here, so the panel and the checks before a run can ask."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decnn.errors import InputError

# In the extension the models lie among Slicer's resources, in an installed wheel inside the package.
_PACKAGED = Path(__file__).resolve().parent / "models"
MODELS_FOLDER = _PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parents[1] / "Resources" / "Models"
DEFAULT_MODEL = "decnn-head-t1"
SPEC_FILE = "model.json"


@dataclass(frozen=True)
class ModelEntry:
    """What a user should know of a model before using it; "" where its model.json does not say."""

    name: str
    version: str
    title: str
    summary: str
    """One sentence: what it is for."""
    terms: str
    """One sentence: for what its weights may be used."""


def available_models() -> list[str]:
    """Names of the bundled models, the default one first."""
    names = sorted(path.parent.name for path in MODELS_FOLDER.glob(f"*/{SPEC_FILE}"))
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def model_folder(name_or_folder: str | Path) -> Path:
    """The folder of a bundled model by its name, or of any model by its folder; InputError if there is none."""
    bundled = available_models()
    if str(name_or_folder) in bundled:
        return MODELS_FOLDER / str(name_or_folder)
    if (folder := Path(name_or_folder)).joinpath(SPEC_FILE).is_file():
        return folder
    raise InputError(
        f"There is no model {str(name_or_folder)!r}: choose one of {', '.join(bundled) or '(none installed)'}, "
        "or give the folder of a model."
    )


def model_entry(name_or_folder: str | Path) -> ModelEntry:
    """What the model.json of a model says to its users.

    Raises:
        InputError: there is no such model, or its model.json cannot be read.
    """
    path = model_folder(name_or_folder) / SPEC_FILE
    try:
        spec: Any = json.loads(path.read_text(encoding="utf-8"))
        texts = {key: str(spec.get(key, "")) for key in ("version", "title", "summary", "terms")}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}): reinstall the model.") from error
    return ModelEntry(path.parent.name, **{**texts, "title": texts["title"] or path.parent.name})
