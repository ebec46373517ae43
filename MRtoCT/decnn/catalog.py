"""Which models there are, without loading one: no torch here, so the panel and the checks before a run can ask."""

from pathlib import Path

from decnn.errors import InputError

MODELS_FOLDER = Path(__file__).resolve().parent.parent / "Resources" / "Models"
DEFAULT_MODEL = "decnn-head-t1"
SPEC_FILE = "model.json"


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
