"""Trains a DECNN on simulated pairs, with checkpoints from which an interrupted run goes on unchanged."""

import json
import math
import os
import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn
from torch.utils.data import DataLoader, Dataset

from decnn.devices import computes_in_bfloat16
from decnn.errors import InputError, SetupError
from decnn.model import Model
from decnn.network import SliceNetwork, build_network
from training import patches
from training.bank import Entry, check_brains, open_pairs
from training.distributed import Group
from training.heads.catalog import NAMES
from training.run_log import RunLog
from training.settings import Settings, settings_from
from training.simulation.simulate import Pair
from training.validate import validate

HU_SCALE = 1000.0
LOG_EVERY = 50
CHECKPOINT_EVERY = 200
# Where bone_weight begins and where it counts in full: bone's edges are in between, by partial volume.
_BONE_FROM_HU, _BONE_HU = 100.0, 300.0
# Pixels of 1 mm: about the thickness of the vault, and twice that.
_AREA_SIDES = (4, 8)
CHECKPOINT, BEST = "checkpoint.pt", "best.pt"


def entries(settings: Settings) -> list[Entry]:
    """What the bank must hold for a run."""
    return [Entry(name, measured) for name, _, measured in settings.heads]


class _Batches(Dataset):
    """The batch of each step, which depends on bank, settings and step alone: workers may make them ahead."""

    def __init__(self, bank: Path, settings: Settings, share: range) -> None:
        """share: which patches of every batch are to be made."""
        self.bank, self.settings, self.share = bank, settings, share

    @cached_property
    def groups(self) -> list[list[Pair]]:
        """Opened by the process that needs them: a memory map that is sent to a worker would be read whole."""
        s = self.settings
        return [open_pairs(self.bank, entry, s.pairs, s.fold) for entry in entries(s)]

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        s = self.settings
        form = patches.PatchForm(s.patch, s.neighbours, s.depth_channel, s.views, s.repeated, s.strength)
        rngs = [np.random.default_rng([s.seed, 1, step, number]) for number in self.share]
        return patches.batch(self.groups, [share for _, share, _ in s.heads], form, rngs)


def fit(
    bank: Path,
    run: Path,
    settings: Settings,
    device: str = "cpu",
    init: Model | None = None,
    workers: int = 0,
    tensorboard: bool = False,
) -> None:
    """Trains until ``settings.steps``; leaves checkpoint.pt and log.jsonl in the folder ``run``, and resumes from them.

    Started by torchrun, the processes share every batch (``training.distributed``); the first of them writes.

    Args:
        bank: folder made by ``training.bank.make_bank``.
        run: folder of the run.
        settings: see Settings.
        device: "cpu" or a CUDA device.
        init: a model of the same architecture to start from, whose SHA-256 is ``settings.init``.
        workers: processes that make batches ahead, which a GPU would otherwise wait for; the batches are the same.
        tensorboard: write the log for TensorBoard as well.

    Raises:
        InputError: the bank lacks pairs, ``run`` holds a run with other settings, ``init`` has another architecture.
        SetupError: the device or TensorBoard is not there, or the checkpoint cannot be written.
    """
    check_device(device)
    check_brains(bank, settings.drawn_brains)
    for entry in entries(settings):
        open_pairs(bank, entry, settings.pairs, settings.fold)  # what is missing is said before anything is written
    left_out = _left_out(bank, settings) if settings.validate_every else []
    group = Group.join(device, settings.batch)
    try:
        if settings.patience and group.size > 1:
            raise InputError("A run of several processes cannot end early: leave --patience out.")
        _train(bank, run, settings, group.device(device), init, workers, left_out, group, tensorboard)
    finally:
        group.leave()


def _train(
    bank: Path,
    run: Path,
    settings: Settings,
    device: str,
    init: Model | None,
    workers: int,
    left_out: list[Pair],
    group: Group,
    tensorboard: bool,
) -> None:
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    network = build_network(settings.network, settings.architecture())
    if init is not None:
        try:
            network.load_state_dict(init.network.state_dict())
        except RuntimeError as error:
            raise InputError(
                f"The model {init.name} is of another architecture than the run: give one of the same."
            ) from error
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average), use_buffers=True
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    step = _resume(run, settings, network, average, optimizer)
    mixed = settings.bfloat16 and computes_in_bfloat16(torch.device(device).type)
    dataset = _Batches(bank, settings, group.share(settings.batch))
    steps = range(step, settings.steps)
    batches = iter(DataLoader(dataset, batch_size=None, sampler=steps, num_workers=workers))
    learner = group.prepare(network, device)
    log = RunLog(run, tensorboard and group.leads)
    if settings.patience and log.since_best() >= settings.patience:
        return  # it has ended before
    losses: list[torch.Tensor] = []
    waited, started = 0.0, time.perf_counter()
    while step < settings.steps:
        before = time.perf_counter()
        mr, hu, weight = (part.to(device) for part in next(batches))
        waited += time.perf_counter() - before
        optimizer.param_groups[0]["lr"] = _learning_rate(step, settings)
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=mixed):
            final, tentative_cts = learner(mr.contiguous(memory_format=torch.channels_last))
        loss = _loss(final, tentative_cts, hu, *_shares(weight, hu, settings, group), settings)
        optimizer.zero_grad(set_to_none=True)
        (loss * group.size).backward()  # torch takes the mean over the processes, and the loss is a sum
        optimizer.step()
        average.update_parameters(network)
        losses.append(group.total(loss))
        step += 1
        if not group.leads:
            continue
        log.show_progress(step, settings.steps, (time.perf_counter() - started) / len(losses))
        if step % LOG_EVERY == 0 or step == settings.steps:
            seconds = time.perf_counter() - started
            log.add_training(step, torch.stack(losses).tolist(), optimizer.param_groups[0]["lr"], seconds, waited)
            losses, waited, started = [], 0.0, time.perf_counter()
        ends = False
        if left_out and (step % settings.validate_every == 0 or step == settings.steps):
            found = validate(average.module, left_out, settings, HU_SCALE, device)
            log.add_validation(step, found)
            if log.is_best(step):
                _save(run / BEST, settings, step, network, average, optimizer)
            ends = bool(settings.patience) and log.since_best() >= settings.patience
        # After the validation: a run that is killed in between does both once more.
        if step % CHECKPOINT_EVERY == 0 or step == settings.steps or ends:
            _save(run / CHECKPOINT, settings, step, network, average, optimizer)
        if ends:
            print(f"step {step}: no better validation in the last {settings.patience}: the run ends", flush=True)
            return


def check_device(device: str) -> None:
    """Raises InputError for a device that training does not know, SetupError for one that is not there."""
    if device != "cpu" and not device.startswith("cuda"):
        raise InputError(f"Training does not run on {device}: use --device cpu, or a CUDA device (cuda, cuda:1).")
    if device == "cpu":
        return
    number = device.partition(":")[2] or "0"
    if not torch.cuda.is_available() or not number.isdecimal() or int(number) >= torch.cuda.device_count():
        raise SetupError(f"There is no {device} on this machine: use --device cpu.")


def averaged_network(run: Path, device: str = "cpu", best: bool = False) -> tuple[SliceNetwork, Settings, int]:
    """The averaged network of a run's newest checkpoint, its settings and the number of steps it has seen.

    best: of the checkpoint with the least error in validation instead. InputError if there is no such checkpoint.
    """
    path = run / (BEST if best else CHECKPOINT)
    if not path.is_file():
        raise InputError(f"The folder {run} holds no {path.name}: give that of a run, and let it train first.")
    checkpoint = torch.load(path, map_location=device, weights_only=True)
    settings = settings_from(checkpoint["settings"])
    network = build_network(settings.network, settings.architecture())
    state = {key.removeprefix("module."): value for key, value in checkpoint["average"].items() if key != "n_averaged"}
    network.load_state_dict(state)
    return network.to(device).eval(), settings, checkpoint["step"]


def _loss(
    final: torch.Tensor,
    tentative_cts: list[torch.Tensor],
    hu: torch.Tensor,
    share: torch.Tensor,
    area_share: torch.Tensor,
    settings: Settings,
) -> torch.Tensor:
    """Error of the final CT and, with ``tentative_weight`` each, of every tentative CT; ``share``: of each pixel.

    Where MR and CT lie a millimetre apart, the least error of single pixels is a bone that is too thin and too soft.
    The error of the mean over a square does not see such a shift, and does see what is missing: ``area_weight`` adds
    it.
    """
    target = hu / HU_SCALE
    total = torch.zeros((), device=hu.device)
    for ct, factor in ((final, 1.0), *((ct, settings.tentative_weight) for ct in tentative_cts)):
        error = ct.float() - target
        total = total + factor * ((error.square() if settings.loss == "l2" else error.abs()) * share).sum()
    if settings.area_weight:
        error = (final.float() - target) * area_share
        areas = [functional.avg_pool2d(error, side).abs().sum() * side**2 for side in _AREA_SIDES]
        total = total + settings.area_weight * torch.stack(areas).mean()
    return total


def _shares(
    weight: torch.Tensor, hu: torch.Tensor, settings: Settings, group: Group
) -> tuple[torch.Tensor, torch.Tensor]:
    """The share of each pixel in the loss, with bone counting more, and in that of areas, where all count alike."""
    bone = ((hu - _BONE_FROM_HU) / (_BONE_HU - _BONE_FROM_HU)).clamp(0.0, 1.0)
    with_bone = weight * (1.0 + settings.bone_weight * bone)
    return with_bone / group.total(with_bone.sum()), weight / group.total(weight.sum())


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


def _left_out(bank: Path, settings: Settings) -> list[Pair]:
    """The measured pairs of the patients that the run leaves out; InputError if there are none to validate on."""
    kinds = [name for name, _, measured in settings.heads if measured and name not in NAMES]
    pairs = (
        [pair for kind in kinds for pair in open_pairs(bank, Entry(kind, True), 0, settings.fold, only=True)]
        if settings.fold
        else []
    )
    if not pairs:
        raise InputError("Validation needs patients that are left out: give --fold, and a kind of measured pairs.")
    return pairs


def _save(
    path: Path, settings: Settings, step: int, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    partial = path.with_name(path.name + ".partial")
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
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise SetupError(
            f"The checkpoint cannot be written to {path.parent} ({error}): make room and start again."
        ) from error
