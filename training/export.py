"""Turns a run into a model folder that the engine can use."""

from collections.abc import Mapping
from pathlib import Path

from decnn.model import save_model
from training.fit import HU_SCALE, averaged_network
from training.settings import Settings

_HEADS = {
    "plain": "",
    "dilated": "the head's convolutions are dilated ({dilations}) for context, with ",
    "pyramid": "the head convolves at 1 mm and at {levels} coarser levels ({pyramid} maps) for context, with ",
}


def describe(settings: Settings) -> str:
    """What the network is, and how it differs from the paper's, in sentences."""
    if settings.network != "DECNN":
        return f"T1-weighted MR of the head to CT. {settings.network}, to compare DECNN with."
    kind = "pyramid" if settings.pyramid else "dilated" if set(settings.dilations) != {1} else "plain"
    head = _HEADS[kind].format(
        dilations=", ".join(map(str, settings.dilations)),
        levels=len(settings.pyramid),
        pyramid=", ".join(map(str, settings.pyramid)),
    )
    inputs = f"{settings.neighbours} neighbouring slices" + (
        " and the depth under the skin as input" if settings.depth_channel else " as input"
    )
    loss = {"l2": "squared", "l1": "absolute"}[settings.loss]
    bone = f", in which bone counts {1.0 + settings.bone_weight:g} times" if settings.bone_weight else ""
    areas = "; the mean HU of small squares counts as well" if settings.area_weight else ""
    norm = "batch norm, " if settings.batch_norm else ""
    return (
        f"T1-weighted MR of the head to CT. DECNN with {settings.blocks} embedding blocks and {settings.features} "
        f"feature maps; not exactly the paper's network: {head}{norm}{inputs}. "
        "One network for axial, coronal and sagittal slices; the CT is the mean of the three. "
        f"Trained for the least {loss} error{bone}{areas}."
    )


def export(run: Path, folder: Path, version: str, labels: Mapping[str, str] | None = None, best: bool = False) -> Path:
    """Writes the averaged network of the run's newest checkpoint as ``folder`` (its name is the model's name).

    labels: title, summary and terms, as ``training.settings.read_labels`` has them. best: the checkpoint with the least
    error in validation instead of the newest.
    """
    network, settings, step = averaged_network(run, best=best)
    spec = {
        "version": version,
        "title": "Head, T1",
        "summary": "T1-weighted MR of the head.",
        "terms": "Not stated: see the model's card for the terms of the training data.",
        **(labels or {}),
        "description": describe(settings),
        "network": {"name": settings.network, "arguments": settings.architecture()},
        "input": {
            "modality": "T1-weighted MR of the head",
            "neighbours": settings.neighbours,
            "depth_channel": settings.depth_channel,
            "normalization": "foreground median in the head mask = 1",
        },
        "views": ["axial", "coronal", "sagittal"],
        "fusion": "mean",
        "output": {"scale_hu": HU_SCALE},
        "training": {
            "steps": step,
            "patches": step * settings.batch,
            "patch": settings.patch,
            "seed": settings.seed,
            "pairs_per_kind": settings.pairs,
            # The weights that the run started from, "" if from random ones.
            "init_sha256": settings.init,
            "heads": sorted({name for name, _, _ in settings.heads}),
            # The fold of patients (training/measured_pairs/slices.py) that it has not seen, 0 if it has seen all.
            "fold": settings.fold,
        },
    }
    return save_model(folder, network, spec)
