"""What a run depends on, read from a TOML file; ``recipes/`` has those of the bundled models."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from decnn.errors import InputError
from training.heads.catalog import NAMES

RECIPES = Path(__file__).with_name("recipes")
DEFAULT_RECIPE = RECIPES / "decnn-head-t1.toml"
HEAD_FOLDS = {
    1: ("cptac_head", "nyhead"),
    2: ("unc", "nmd_19y"),
    3: ("cranium", "colin27"),
    4: ("visible_female", "nmd_40y"),
    5: ("ernie", "thca_neck", "ge_head"),
}
"""The heads that each fold of the cross-validation leaves out, beside a fifth of the patients."""
_MODEL_KEYS = ("title", "summary", "terms")

Source = tuple[str, float, bool]
"""A head or a kind of measured pairs; its share of the patches, relative to the others; whether its MR is measured."""


def _default_sources() -> tuple[Source, ...]:
    return tuple(_head_sources(_read(DEFAULT_RECIPE).get("heads", {})))


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on, besides the bank of pairs.

    network: a name in decnn.network.NETWORKS. pyramid, dilations, batch_norm, blocks, features: see
    decnn.network.DECNN. neighbours, depth_channel: see decnn.views.view_input. tentative_weight: of each tentative CT's
    loss, next to the final one's 1. loss: "l2" or "l1". bone_weight: by how much more bone counts in the loss than
    other tissue (1: twice as much). area_weight: of the error of means over small squares in the loss, next to that of
    single pixels. views: array axes. average: decay of the averaged weights. pairs: of each kind in
    the bank. bfloat16: mixed precision, where the device has instructions for it. repeated, strength: see
    training.patches.PatchForm. fold: the fold of patients that is left out of every measured kind, 0 for none.
    validate_every: steps from one validation on the patients left out to the next, 0 for none. patience: validations
    without a better one after which a run (of one process) ends, 0 for never. init: SHA-256 of the model whose weights
    the run started from, "" for none. heads: what the patches come from. drawn_brains: see
    training.heads.catalog.read_heads.
    """

    network: str = "DECNN"
    features: int = 32
    blocks: int = 3
    dilations: tuple[int, ...] = ()
    pyramid: tuple[int, ...] = (48, 64, 96, 128)
    batch_norm: bool = True
    neighbours: int = 5
    depth_channel: bool = True
    views: tuple[int, ...] = (0, 1, 2)
    tentative_weight: float = 0.5
    loss: str = "l1"
    bone_weight: float = 1.0
    area_weight: float = 0.0
    bfloat16: bool = True
    patch: int = 128
    batch: int = 8
    steps: int = 10500
    learning_rate: float = 2e-3
    warm_up: int = 100
    average: float = 0.995
    pairs: int = 20
    repeated: float = 0.0
    strength: float = 1.0
    fold: int = 0
    validate_every: int = 0
    patience: int = 0
    seed: int = 1
    init: str = ""
    drawn_brains: bool = False
    heads: tuple[Source, ...] = field(default_factory=_default_sources)

    def __post_init__(self) -> None:
        least = {"features": 1, "neighbours": 1, "patch": 32, "batch": 1, "steps": 1, "pairs": 1}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type in (int, float) and not value >= least.get(item.name, 0):
                raise InputError(f"{item.name} is {value:g}: it must be {least.get(item.name, 0)} or more.")
        if self.neighbours % 2 == 0:
            raise InputError(f"neighbours is {self.neighbours}: it must be odd, the slice itself is in the middle.")
        if self.loss not in ("l1", "l2"):
            raise InputError(f"loss is {self.loss}: it must be l1 or l2.")
        if not self.heads:
            raise InputError("The recipe names no heads and no measured pairs: there is nothing to learn from.")

    def architecture(self) -> dict:
        """Arguments of the network's class. A U-Net has the widths of its levels in ``pyramid``."""
        if self.network == "UNet":
            return {"in_channels": self.neighbours + self.depth_channel, "widths": list(self.pyramid)}
        return {
            "in_channels": self.neighbours + self.depth_channel,
            "features": self.features,
            "blocks": self.blocks,
            "dilations": list(self.dilations),
            "batch_norm": self.batch_norm,
            "pyramid": list(self.pyramid),
        }

    def with_measured(self, shares: Mapping[str, float]) -> "Settings":
        """The same run with these shares of its patches (0 to 1) from these kinds of measured pairs.

        The others share what is left; InputError if they do not leave, or fill, the whole.
        """
        total = sum(shares.values())
        kept = tuple(entry for entry in self.heads if entry[0] not in shares)
        if not all(0.0 < share <= 1.0 for share in shares.values()) or total > 1.0 + 1e-6:
            raise InputError(
                f"The shares of the measured pairs ({', '.join(f'{share:g}' for share in shares.values())}) must be "
                "above 0, and make up 1 at most."
            )
        rest = sum(part for _, part, _ in kept)
        if total > 1.0 - 1e-6:
            kept = ()
        elif not kept:
            raise InputError(f"The measured pairs make up {total:g} of the patches, and there is nothing else.")
        heads = [(name, part / rest * (1.0 - total), measured) for name, part, measured in kept]
        return replace(self, heads=(*heads, *((kind, share, True) for kind, share in shares.items())))

    def without(self, head: str) -> "Settings":
        """The same run without anything of one head; InputError if it has none of it, or nothing else."""
        heads = tuple(entry for entry in self.heads if entry[0] != head)
        if not heads or heads == self.heads:
            names = ", ".join(sorted({name for name, _, _ in self.heads}))
            raise InputError(f"A run on {names} cannot leave out {head}.")
        return replace(self, heads=heads)

    def without_fold(self, fold: int) -> "Settings":
        """The same run without a fold: a fifth of the patients of every measured kind, and the fold's heads."""
        if fold not in HEAD_FOLDS:
            raise InputError(f"There is no fold {fold}: give a number from 1 to {len(HEAD_FOLDS)}.")
        settings = replace(self, fold=fold)
        for head in set(HEAD_FOLDS[fold]) & {name for name, _, _ in self.heads}:
            settings = settings.without(head)
        return settings


def read_settings(path: Path) -> Settings:
    """The settings of a recipe; what it does not name has its default. InputError says what is wrong in it.

    A recipe has the tables ``network`` and ``training``, whose keys are those of Settings; ``heads``, where each head
    has its share of the patches ``simulated``, with a simulated T1, and ``measured``, with its own; ``measured``, with
    the share (0 to 1) of each kind of measured pairs; and ``model`` (see read_labels()).
    """
    recipe = _read(path)
    if unknown := set(recipe) - {"network", "training", "heads", "measured", "model"}:
        raise InputError(f"{path.name} has the unknown table {sorted(unknown)[0]}: see training/recipes.")
    values = {**recipe.get("network", {}), **recipe.get("training", {})}
    known = {item.name: item for item in fields(Settings) if item.name not in ("heads", "init")}
    if unknown := set(values) - set(known):
        raise InputError(f"{path.name} has the unknown setting {sorted(unknown)[0]}: see training/settings.py.")
    for name, value in values.items():
        wanted = known[name].type
        if isinstance(value, list):
            values[name] = tuple(value)
        elif isinstance(wanted, type) and not isinstance(value, (int, float) if wanted is float else wanted):
            raise InputError(f"{path.name}: {name} is {value!r}, and must be of the kind {wanted.__name__}.")
    shares = recipe.get("measured", {})
    try:
        heads = tuple(_head_sources(recipe.get("heads", {}))) or tuple((kind, s, True) for kind, s in shares.items())
        settings = Settings(**values, heads=heads)
        return settings.with_measured(shares) if shares else settings
    except (AttributeError, TypeError) as error:
        raise InputError(f"{path.name} cannot be understood ({error}): see training/recipes.") from error


def read_labels(path: Path) -> dict[str, str]:
    """The table ``model`` of a recipe: title, summary and terms that the exported model bears."""
    table = _read(path).get("model", {})
    if unknown := set(table) - set(_MODEL_KEYS):
        raise InputError(f"{path.name} has the unknown key model.{sorted(unknown)[0]}: {', '.join(_MODEL_KEYS)} are.")
    return table


def settings_from(text: str) -> Settings:
    """Settings from their JSON."""
    values = json.loads(text)
    for name in ("dilations", "pyramid", "views"):
        values[name] = tuple(values[name])
    values["heads"] = tuple((name, weight, measured) for name, weight, measured in values["heads"])
    return Settings(**values)


def _head_sources(table: Mapping[str, Mapping[str, Any]]) -> list[Source]:
    """The sources in a recipe's table of heads; InputError for a head or a kind that there is not, or a bad share."""
    for name, shares in table.items():
        if name not in NAMES:
            raise InputError(f"There is no head {name}: {', '.join(NAMES)} are there.")
        if unknown := set(shares) - {"measured", "simulated"}:
            raise InputError(f"The head {name} has {sorted(unknown)[0]}: give the shares measured and simulated.")
        if not all(isinstance(share, int | float) and share > 0.0 for share in shares.values()):
            raise InputError(f"The shares of the head {name} must be numbers above 0.")
    return [
        (name, float(shares[kind]), kind == "measured")
        for name, shares in table.items()
        for kind in ("measured", "simulated")
        if kind in shares
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"The recipe {path} cannot be read ({error}).") from error
