"""Turns a run into a model folder that the engine can use."""

from pathlib import Path

from decnn.model import save_model
from training.fit import HU_SCALE, averaged_network

DESCRIPTION = (
    "T1-weighted MR of the head to CT. DECNN with {blocks} embedding blocks and {features} feature maps; not "
    "exactly the paper's network: the head's convolutions are dilated ({dilations}) for context, with batch norm, "
    "{neighbours} neighbouring slices and the depth under the skin as input. One network for axial, coronal and "
    "sagittal slices; the CT is the mean of the three."
)


def export(run: Path, folder: Path, version: str) -> Path:
    """Writes the averaged network of the run's newest checkpoint as ``folder`` (its name is the model's name)."""
    network, settings, step = averaged_network(run)
    spec = {
        "name": folder.name,
        "version": version,
        "description": DESCRIPTION.format(
            blocks=settings.blocks,
            features=settings.features,
            dilations=", ".join(map(str, settings.dilations)),
            neighbours=settings.neighbours,
        ),
        "architecture": settings.architecture(),
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
            "heads": sorted({name for name, _, _ in settings.heads}),
        },
    }
    return save_model(folder, network, spec)
