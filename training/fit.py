"""Trains a DECNN on simulated pairs, with checkpoints from which an interrupted run goes on unchanged."""

import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from decnn.errors import InputError, SetupError
from decnn.model import Model
from decnn.network import SliceNetwork, build_network
from training import patches
from training.bank import Entry, open_pairs
from training.simulation.simulate import Pair

HU_SCALE = 1000.0
LOG_EVERY = 50
CHECKPOINT_EVERY = 200
# Where bone_weight begins and where it counts in full: bone's edges are in between, by partial volume.
_BONE_FROM_HU, _BONE_HU = 100.0, 300.0
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
# As torch names them: of x86, x86 and ARM.
_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


HEADS = (
    ("ernie", 0.16, True),
    ("ernie", 0.08, False),
    ("unc", 0.14, False),
    ("cranium", 0.20, False),
    ("colin27", 0.08, True),
    ("colin27", 0.04, False),
    ("visible_female", 0.20, False),
    ("nmd_19y", 0.05, False),
    ("nmd_40y", 0.05, False),
)
"""(head, share of the patches, with its measured T1). Real CTs and real T1s count most."""


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on, besides the bank of pairs.

    network: a name in decnn.network.NETWORKS. pyramid, dilations, batch_norm, blocks, features: see
    decnn.network.DECNN. neighbours, depth_channel: see
    decnn.views.view_input. tentative_weight: of each tentative CT's loss, next to the final one's 1. loss: "l2" or
    "l1". bone_weight: by how much more bone counts in the loss than other tissue (1: twice as much). views: array axes.
    average: decay of the averaged weights. pairs: of each kind in the bank. bfloat16: mixed precision, where the device
    has instructions for it. repeated, strength: see training.patches.PatchForm. fold: the fold of patients that is left
    out of every measured kind, 0 for none. init: SHA-256 of the model whose weights the run started from, "" for none.
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
    seed: int = 1
    init: str = ""
    heads: tuple[tuple[str, float, bool], ...] = HEADS

    def architecture(self) -> dict:
        """Arguments of the network's class."""
        return {
            "in_channels": self.neighbours + self.depth_channel,
            "features": self.features,
            "blocks": self.blocks,
            "dilations": list(self.dilations),
            "batch_norm": self.batch_norm,
            "pyramid": list(self.pyramid),
        }

    def entries(self) -> list[Entry]:
        """What the bank must hold."""
        return [Entry(name, measured) for name, _, measured in self.heads]

    def with_measured(self, kind: str, share: float) -> "Settings":
        """The same run with a share of its patches (0 to 1) from measured pairs of a kind; InputError if it is none."""
        if not 0.0 < share < 1.0:
            raise InputError(f"{share:g} is no share of the patches: give a number between 0 and 1.")
        total = sum(part for _, part, _ in self.heads)
        return replace(self, heads=(*self.heads, (kind, total * share / (1.0 - share), True)))

    def without(self, head: str) -> "Settings":
        """The same run without anything of one head; InputError if it has none of it, or nothing else."""
        heads = tuple(entry for entry in self.heads if entry[0] != head)
        if not heads or heads == self.heads:
            names = ", ".join(sorted({name for name, _, _ in self.heads}))
            raise InputError(f"A run on {names} cannot leave out {head}.")
        return replace(self, heads=heads)


class _Batches(Dataset):
    """The batch of each step, which depends on bank, settings and step alone: workers may make them ahead."""

    def __init__(self, bank: Path, settings: Settings) -> None:
        self.bank, self.settings = bank, settings

    @cached_property
    def groups(self) -> list[list[Pair]]:
        """Opened by the process that needs them: a memory map that is sent to a worker would be read whole."""
        return [
            open_pairs(self.bank, entry, self.settings.pairs, self.settings.fold) for entry in self.settings.entries()
        ]

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        s = self.settings
        form = patches.PatchForm(s.patch, s.neighbours, s.depth_channel, s.views, s.repeated, s.strength)
        rng = np.random.default_rng([s.seed, 1, step])
        return patches.batch(self.groups, [share for _, share, _ in s.heads], form, s.batch, rng)


def fit(
    bank: Path, run: Path, settings: Settings, device: str = "cpu", init: Model | None = None, workers: int = 0
) -> None:
    """Trains until ``settings.steps``; leaves checkpoint.pt and log.jsonl in the folder ``run``, and resumes from them.

    Args:
        bank: folder made by ``training.bank.make_bank``.
        run: folder of the run.
        settings: see Settings.
        device: "cpu" or a CUDA device.
        init: a model of the same architecture to start from, whose SHA-256 is ``settings.init``.
        workers: processes that make batches ahead, which a GPU would otherwise wait for; the batches are the same.

    Raises:
        InputError: the bank lacks pairs, or ``run`` holds a run with other settings.
        SetupError: the device is not there, or the checkpoint cannot be written.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SetupError(f"There is no {device} on this machine: use --device cpu.")
    for entry in settings.entries():
        open_pairs(bank, entry, settings.pairs, settings.fold)  # what is missing is said before anything is written
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = build_network(settings.network, settings.architecture())
    if init is not None:
        network.load_state_dict(init.network.state_dict())
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average), use_buffers=True
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    step = _resume(run, settings, network, average, optimizer)
    mixed = settings.bfloat16 and has_bfloat16(device)
    batches = iter(
        DataLoader(_Batches(bank, settings), batch_size=None, sampler=range(step, settings.steps), num_workers=workers)
    )
    losses: list[torch.Tensor] = []
    waited, started = 0.0, time.perf_counter()
    while step < settings.steps:
        before = time.perf_counter()
        mr, hu, weight = (part.to(device) for part in next(batches))
        waited += time.perf_counter() - before
        optimizer.param_groups[0]["lr"] = _learning_rate(step, settings)
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=mixed):
            final, tentative_cts = network(mr.contiguous(memory_format=torch.channels_last))
        loss = _loss(final, tentative_cts, hu, weight, settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.update_parameters(network)
        losses.append(loss.detach())
        step += 1
        _show_progress(step, settings.steps, (time.perf_counter() - started) / len(losses))
        if step % LOG_EVERY == 0 or step == settings.steps:
            seconds = time.perf_counter() - started
            _log(run, step, torch.stack(losses).tolist(), optimizer.param_groups[0]["lr"], seconds, waited)
            losses, waited, started = [], 0.0, time.perf_counter()
        if step % CHECKPOINT_EVERY == 0 or step == settings.steps:
            _save(run, settings, step, network, average, optimizer)


def has_bfloat16(device: str) -> bool:
    """Whether the device computes in bfloat16; where it is emulated, a step takes longer than in float32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(torch.cpu.get_capabilities().get(name, False) for name in _BFLOAT16_INSTRUCTIONS)


def averaged_network(run: Path, device: str = "cpu") -> tuple[SliceNetwork, Settings, int]:
    """The averaged network of a run's newest checkpoint, its settings and the number of steps it has seen.

    Raises InputError if there is no checkpoint.
    """
    if not (run / CHECKPOINT).is_file():
        raise InputError(f"The folder {run} holds no checkpoint: give that of a run, and let it train first.")
    checkpoint = torch.load(run / CHECKPOINT, map_location=device, weights_only=True)
    settings = settings_from(checkpoint["settings"])
    network = build_network(settings.network, settings.architecture())
    state = {key.removeprefix("module."): value for key, value in checkpoint["average"].items() if key != "n_averaged"}
    network.load_state_dict(state)
    return network.to(device).eval(), settings, checkpoint["step"]


def settings_from(text: str) -> Settings:
    """Settings from their JSON."""
    values = json.loads(text)
    for name in ("dilations", "pyramid", "views"):
        values[name] = tuple(values[name])
    values["heads"] = tuple((name, weight, measured) for name, weight, measured in values["heads"])
    return Settings(**values)


def _loss(
    final: torch.Tensor,
    tentative_cts: list[torch.Tensor],
    hu: torch.Tensor,
    weight: torch.Tensor,
    settings: Settings,
) -> torch.Tensor:
    """Error of the final CT and, with ``tentative_weight`` each, of every tentative CT."""
    target = hu / HU_SCALE
    weight = weight * (1.0 + settings.bone_weight * ((hu - _BONE_FROM_HU) / (_BONE_HU - _BONE_FROM_HU)).clamp(0.0, 1.0))
    share = weight / weight.sum()
    total = torch.zeros((), device=hu.device)
    for ct, factor in ((final, 1.0), *((ct, settings.tentative_weight) for ct in tentative_cts)):
        error = ct.float() - target
        total = total + factor * ((error.square() if settings.loss == "l2" else error.abs()) * share).sum()
    return total


def _learning_rate(step: int, settings: Settings) -> float:
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def _resume(
    run: Path, settings: Settings, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    path = run / CHECKPOINT
    if not path.is_file():
        return 0
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)  # a run may go on on another device
    stored = settings_from(checkpoint["settings"])
    # A run may be made longer or shorter; anything else would be another run.
    if asdict(stored) | {"steps": 0} != asdict(settings) | {"steps": 0}:
        raise InputError(f"{run} holds a run with other settings: choose another folder, or delete it.")
    network.load_state_dict(checkpoint["network"])
    average.load_state_dict(checkpoint["average"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    return int(checkpoint["step"])


def _save(
    run: Path, settings: Settings, step: int, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    partial = run / (CHECKPOINT + ".partial")
    try:
        torch.save(
            {
                "settings": json.dumps(asdict(settings)),
                "step": step,
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
            },
            partial,
        )
        os.replace(partial, run / CHECKPOINT)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise SetupError(f"The checkpoint cannot be written to {run} ({error}): make room and start again.") from error


def _show_progress(step: int, steps: int, seconds_per_step: float) -> None:
    """A line that renews itself, for whoever watches; a file gets the rows of the log only."""
    if sys.stderr.isatty():
        minutes = (steps - step) * seconds_per_step / 60.0
        print(f"\rstep {step} of {steps}, about {minutes:.0f} min left ", end="", file=sys.stderr, flush=True)


def _log(run: Path, step: int, losses: list[float], rate: float, seconds: float, waited: float) -> None:
    row = {
        "step": step,
        "loss": round(float(np.mean(losses)), 6),
        "learning_rate": rate,
        "seconds_per_step": round(seconds / len(losses), 3),
        "waited_for_data": round(waited / seconds, 3),
    }
    with (run / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row), flush=True)
