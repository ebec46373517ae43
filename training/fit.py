"""Trains a DECNN on simulated pairs, with checkpoints from which an interrupted run goes on unchanged."""

import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from decnn.errors import InputError, SetupError
from decnn.network import DECNN
from training.pool import PairPool, Recipe

HU_SCALE = 1000.0
LOG_EVERY = 50
CHECKPOINT_EVERY = 200
CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on, besides the data."""

    features: int = 48
    blocks: int = 3
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    batch_norm: bool = True
    neighbours: int = 5
    depth_channel: bool = True
    tentative_weight: float = 0.5
    patch: int = 128
    batch: int = 8
    steps: int = 5000
    learning_rate: float = 2e-3
    warm_up: int = 100
    average: float = 0.998
    pool: int = 64
    pool_start: int = 16
    renew_every: int = 24
    seed: int = 1
    heads: tuple[tuple[str, float, bool], ...] = field(
        default=(
            ("cranium", 0.28, False),
            ("visible_female", 0.28, False),
            ("colin27", 0.14, False),
            ("colin27", 0.14, True),
            ("nmd_19y", 0.08, False),
            ("nmd_40y", 0.08, False),
        )
    )

    def architecture(self) -> dict:
        """Arguments of DECNN."""
        return {
            "in_channels": self.neighbours + self.depth_channel,
            "features": self.features,
            "blocks": self.blocks,
            "dilations": list(self.dilations),
            "batch_norm": self.batch_norm,
        }


def fit(data: Path, run: Path, settings: Settings, workers: int = 1, device: str = "cpu") -> None:
    """Trains until ``settings.steps``; leaves checkpoint.pt and log.jsonl in the folder ``run``, and resumes from them.

    Raises:
        InputError: a source file is missing, or ``run`` holds a run with other settings.
        SetupError: the device is not there, or the checkpoint cannot be written.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SetupError(f"There is no {device} on this machine: use --device cpu.")
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = DECNN(**settings.architecture()).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average), use_buffers=True
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    step = _resume(run, settings, network, average, optimizer)
    renewals = settings.pool_start + max(0, step - 1) // settings.renew_every
    first = max(0, renewals - settings.pool)
    recipe = Recipe(data, settings.heads, settings.seed)
    with PairPool(recipe, settings.pool, workers, first) as pool:
        for _ in range(renewals - first):
            pool.renew()
        losses: list[float] = []
        waited, started = 0.0, time.perf_counter()
        while step < settings.steps:
            before = time.perf_counter()
            if step % settings.renew_every == 0 and step:
                pool.renew()
            rng = np.random.default_rng([settings.seed, 1, step])
            mr, hu, weight = (
                part.to(device)
                for part in pool.batch(rng, settings.batch, settings.patch, settings.neighbours, settings.depth_channel)
            )
            waited += time.perf_counter() - before
            optimizer.param_groups[0]["lr"] = _learning_rate(step, settings)
            loss = _loss(network, mr.contiguous(memory_format=torch.channels_last), hu, weight, settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            average.update_parameters(network)
            losses.append(float(loss.detach()))
            step += 1
            if step % LOG_EVERY == 0 or step == settings.steps:
                seconds = time.perf_counter() - started
                _log(run, step, losses, optimizer.param_groups[0]["lr"], seconds, waited)
                losses, waited, started = [], 0.0, time.perf_counter()
            if step % CHECKPOINT_EVERY == 0 or step == settings.steps:
                _save(run, settings, step, network, average, optimizer)


def averaged_network(run: Path, device: str = "cpu") -> tuple[DECNN, Settings, int]:
    """The averaged network of a run's newest checkpoint, its settings and the number of steps it has seen."""
    checkpoint = torch.load(run / CHECKPOINT, map_location=device, weights_only=True)
    settings = settings_from(checkpoint["settings"])
    network = DECNN(**settings.architecture())
    state = {key.removeprefix("module."): value for key, value in checkpoint["average"].items() if key != "n_averaged"}
    network.load_state_dict(state)
    return network.to(device).eval(), settings, checkpoint["step"]


def settings_from(text: str) -> Settings:
    """Settings from their JSON."""
    values = json.loads(text)
    values["dilations"] = tuple(values["dilations"])
    values["heads"] = tuple((name, weight, measured) for name, weight, measured in values["heads"])
    return Settings(**values)


def _loss(
    network: nn.Module, mr: torch.Tensor, hu: torch.Tensor, weight: torch.Tensor, settings: Settings
) -> torch.Tensor:
    """Squared error of the final CT and, with half the weight each, of every tentative CT."""
    target = hu / HU_SCALE
    final, tentative_cts = network(mr)
    total = weight.sum()
    loss = ((final - target).square() * weight).sum() / total
    for tentative in tentative_cts:
        loss = loss + settings.tentative_weight * ((tentative - target).square() * weight).sum() / total
    return loss


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
    checkpoint = torch.load(path, weights_only=True)
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
