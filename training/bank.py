"""A bank of simulated pairs on disk: made once, in parallel; every run cuts its patches from it."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from numpy.random import default_rng

from decnn.errors import InputError, SetupError
from training.pairs.head import Head
from training.pairs.sources import NAMES, read_heads
from training.simulate import Pair, simulate

_ABOUT = "bank.json"
_heads: dict[str, Head] = {}


@dataclass(frozen=True)
class Entry:
    """A kind of pair in the bank: of one head, with simulated T1s or with its measured one."""

    head: str
    measured: bool

    @property
    def folder(self) -> str:
        return f"{self.head}-{'measured' if self.measured else 'simulated'}"


def make_bank(data: Path, bank: Path, entries: Sequence[Entry], pairs: int, seed: int, workers: int) -> int:
    """Simulates ``pairs`` pairs for each entry into the folder ``bank``; those that are there already stay.

    A pair depends on seed, entry and number alone, so a bank can be enlarged, and made again.

    Returns:
        How many pairs were made.

    Raises:
        InputError: a source file is missing, or the bank was made with another seed.
        SetupError: the disk is full.
    """
    bank.mkdir(parents=True, exist_ok=True)
    about = bank / _ABOUT
    if about.exists() and json.loads(about.read_text(encoding="utf-8"))["seed"] != seed:
        raise InputError(f"The bank {bank} was made with another seed: choose another folder, or delete it.")
    about.write_text(json.dumps({"seed": seed}) + "\n", encoding="utf-8")
    missing = [(e, n) for n in range(pairs) for e in entries if not (bank / e.folder / str(n)).is_dir()]
    if not missing:
        return 0
    names = sorted({entry.head for entry, _ in missing})
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(data, names)
    ) as pool:
        tasks = [pool.submit(_make, bank, entry, number, seed) for entry, number in missing]
        try:
            for done, task in enumerate(tasks, 1):
                task.result()
                print(f"\rsimulated {done} of {len(tasks)} pairs", end="", file=sys.stderr, flush=True)
        except OSError as error:
            pool.shutdown(cancel_futures=True)
            raise SetupError(f"A pair cannot be written to {bank} ({error}): make room and start again.") from error
    print(file=sys.stderr)
    return len(missing)


def open_pairs(bank: Path, entry: Entry, pairs: int) -> list[Pair]:
    """The first ``pairs`` pairs of an entry, memory-mapped; InputError if the bank has fewer."""
    opened = []
    for number in range(pairs):
        folder = bank / entry.folder / str(number)
        if not folder.is_dir():
            raise InputError(
                f"The bank {bank} has {number} pairs of {entry.folder} and {pairs} are needed: "
                "make them with 'python -m training simulate'."
            )
        arrays = {field.name: np.load(folder / f"{field.name}.npy", mmap_mode="r") for field in fields(Pair)}
        opened.append(Pair(**arrays))
    return opened


def _start_worker(data: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    _heads.update({head.name: head for head in read_heads(data, names)})


def _make(bank: Path, entry: Entry, number: int, seed: int) -> None:
    rng = default_rng([seed, NAMES.index(entry.head), entry.measured, number])
    pair = simulate(_heads[entry.head], rng, entry.measured)
    target = bank / entry.folder / str(number)
    target.parent.mkdir(exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=bank, prefix="partial-"))
    try:
        for field in fields(Pair):
            np.save(partial / f"{field.name}.npy", getattr(pair, field.name))
        os.replace(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
