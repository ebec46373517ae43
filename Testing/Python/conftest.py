"""What the tests share: small models, a small head, data to train on, and the engine as a real child process."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from phantom import phantom_head

ENGINE_FOLDER = Path(__file__).resolve().parents[2] / "MRtoCT"
# The suite shares its cores with other work, and the networks are tiny.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slab of the head, thick enough for all checks: a third of the work of a whole head.
SLAB_SIZE = (60, 72, 24)


@pytest.fixture(scope="session")
def slab() -> sitk.Image:
    """T1-like MR of a slab of the phantom head, 3 mm, 180 x 216 x 72 mm."""
    return phantom_head(size=SLAB_SIZE)[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data for training, made of phantoms."""
    from source_folder import write_data

    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.fixture(scope="module")
def labelled(data: Path) -> Any:
    """A labelled head of that folder."""
    from training.heads.labelled_heads import read_head

    return read_head(data, "nmd_19y")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model with every feature (neighbours, depth, batch norm, dilation) and hardly any weights."""
    import torch

    from decnn.model import save_model
    from decnn.network import DECNN

    torch.manual_seed(0)
    spec = model_spec(in_channels=4, features=4, blocks=2, dilations=[1, 2], batch_norm=True, neighbours=3, depth=True)
    network = DECNN(**spec["network"]["arguments"])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # As after some training, or folding the batch norm would have nothing to get wrong.
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2.0)
    return save_model(tmp_path_factory.mktemp("models") / "test-model", network, spec)


@pytest.fixture(scope="session")
def mirror_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model whose "CT" is the normalized MR itself, minus 1 (0 signal is -1000 HU): it shows geometry."""
    import torch

    from decnn.model import save_model
    from decnn.network import DECNN

    spec = model_spec(in_channels=1, features=1, blocks=0, dilations=[], batch_norm=False, neighbours=1, depth=False)
    network = DECNN(**spec["network"]["arguments"])
    with torch.no_grad():
        network.final.weight.zero_()
        network.final.weight[0, 0, 1, 1] = 1.0
        network.final.bias.fill_(-1.0)
    return save_model(tmp_path_factory.mktemp("models") / "mirror", network, spec)


def model_spec(*, neighbours: int, depth: bool, **architecture: Any) -> dict[str, Any]:
    return {
        "version": "0.0.1",
        "title": "A model of the tests",
        "summary": "Makes a volume, and no CT.",
        "terms": "Any use.",
        "network": {"name": "DECNN", "arguments": architecture},
        "input": {"neighbours": neighbours, "depth_channel": depth, "normalization": "foreground-median"},
        "views": ["axial", "coronal", "sagittal"],
        "fusion": "mean",
        "output": {"scale_hu": 1000},
    }


def engine_environment(*extra_paths: Path) -> dict[str, str]:
    """Environment of a child process that finds decnn, and before it whatever is given."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in (*extra_paths, ENGINE_FOLDER))}


@pytest.fixture
def engine() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``python -m decnn ...`` to its end: engine("info", "--json") -> CompletedProcess."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            engine_command(arguments),
            **{"capture_output": True, "text": True, "timeout": 300, "env": engine_environment(), **options},
        )

    return run


def engine_command(arguments: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "decnn", *(str(argument) for argument in arguments)]
