"""A model on disk: a folder with weights.pt (a state_dict) and model.json (what it is and how to feed it)."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from decnn.catalog import DEFAULT_MODEL, MODELS_FOLDER, SPEC_FILE, available_models, model_folder
from decnn.errors import InputError, SetupError
from decnn.network import SliceNetwork, build_network
from decnn.views import AXES

WEIGHTS_FILE = "weights.pt"
FUSIONS = ("mean", "median")

__all__ = [
    "DEFAULT_MODEL",
    "MODELS_FOLDER",
    "Model",
    "available_models",
    "load_model",
    "save_model",
]


@dataclass(frozen=True)
class Model:
    """A network ready for use, and what is known of it."""

    name: str
    version: str
    network: SliceNetwork
    spec: dict[str, Any]
    weights_sha256: str
    folder: Path


def load_model(name_or_folder: str | Path, device: str | torch.device = "cpu") -> Model:
    """Loads a bundled model by name, or any model by its folder, in evaluation mode.

    Raises:
        InputError: there is no such model.
        SetupError: the model's files are missing, unreadable, or not what model.json says (SHA-256).
    """
    folder = model_folder(name_or_folder)
    try:
        spec = json.loads((folder / SPEC_FILE).read_text(encoding="utf-8"))
        _check_spec(spec)
        expected = spec["weights"]["sha256"]
        weights = folder / spec["weights"]["file"]
        with torch.device("meta"):  # its size, without its memory
            described = build_network(spec["network"]["name"], spec["network"]["arguments"])
        name, version = spec["name"], spec["version"]
        _check_feeding(spec, described)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, InputError) as error:
        raise SetupError(
            f"The description of the model in {folder} cannot be read ({error}): reinstall MRtoCT.", code="model"
        ) from error
    if name != folder.resolve().name:
        raise SetupError(
            f"The folder {folder.resolve().name} holds a model that calls itself {name}: give the folder that name.",
            code="model",
        )
    if not weights.is_file():
        raise SetupError(f"The weights of model {name} are missing ({weights}): reinstall MRtoCT.", code="model")
    if (found := sha256(weights)) != expected:
        raise SetupError(
            f"The weights of model {name} were changed (SHA-256 {found[:12]}..., expected {expected[:12]}...): "
            "reinstall MRtoCT, do not use this file.",
            code="weights-changed",
        )
    unfit = SetupError(f"The weights of model {name} do not fit its description: reinstall MRtoCT.", code="model")
    if 2 * sum(parameter.numel() for parameter in described.parameters()) > weights.stat().st_size:
        raise unfit  # not even at two bytes each
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        if not all(torch.isfinite(value).all() for value in state.values()):
            raise unfit
        network = build_network(spec["network"]["name"], spec["network"]["arguments"])
        network.load_state_dict(state)
    except SetupError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # the unpickler raises what a crafted file makes it stumble upon
        raise unfit from error
    return Model(name, version, network.to(device).eval(), spec, found, folder)


def save_model(folder: str | Path, network: SliceNetwork, spec: dict[str, Any]) -> Path:
    """Writes a network as a model folder.

    Args:
        folder: the folder to write; its name becomes the model's name.
        network: as ``spec["network"]`` describes it.
        spec: what goes into model.json, without ``name`` and ``weights``.

    Returns:
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FILE
    torch.save({key: value.detach().cpu() for key, value in network.state_dict().items()}, weights)
    own = {"name": folder.resolve().name, "weights": {"file": WEIGHTS_FILE, "sha256": sha256(weights)}}
    described = {"name": "", **spec, **own}
    (folder / SPEC_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return folder


def _check_spec(spec: Any) -> None:
    """Raises KeyError, TypeError or ValueError where model.json is of another shape than save_model() gives it."""

    def check(value: object, kind: type | tuple[type, ...], what: str) -> None:
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise TypeError(f"{what} is {str(value)[:40]!r}")

    check(spec, dict, "its content")
    for section in ("weights", "network", "input", "output"):
        check(spec[section], dict, section)
    for key in ("name", "version", "fusion"):
        check(spec[key], str, key)
        if not spec[key].isprintable() or not spec[key].isascii() or len(spec[key]) > 200:
            raise ValueError(f"{key} is {spec[key][:40]!r}")
    for key in ("file", "sha256"):
        check(spec["weights"][key], str, f"weights.{key}")
    if Path(spec["weights"]["file"]).name != spec["weights"]["file"]:
        raise ValueError("the weights are not in its folder")
    check(spec["input"]["neighbours"], int, "input.neighbours")
    check(spec["input"]["depth_channel"], bool, "input.depth_channel")
    check(spec["output"]["scale_hu"], (int, float), "output.scale_hu")
    check(spec["views"], list, "views")
    if len(set(spec["views"])) != len(spec["views"]):
        raise ValueError("a view is named twice")


def _check_feeding(spec: dict[str, Any], network: SliceNetwork) -> None:
    """Raises KeyError, TypeError or ValueError where the engine would not know how to feed or read the network."""
    channels = spec["input"]["neighbours"] + bool(spec["input"]["depth_channel"])
    if channels != network.in_channels or spec["input"]["neighbours"] % 2 == 0:
        raise ValueError(f"{network.in_channels} input channels cannot be made of its input")
    if not spec["views"] or (unknown := set(spec["views"]) - set(AXES)):
        raise ValueError(f"unknown views {sorted(unknown)}" if spec["views"] else "no views")
    if spec["fusion"] not in FUSIONS:
        raise ValueError(f"unknown fusion {spec['fusion']!r}")
    if not 0 < float(spec["output"]["scale_hu"]) < 1e5:
        raise ValueError("the unit of its output is not positive, or no scale of HU")


def sha256(path: Path) -> str:
    """SHA-256 of a file as a hexadecimal string."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
