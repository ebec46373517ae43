"""A bank of pairs on disk: made once, the simulated ones in parallel; every run cuts its patches from it."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from numpy.random import default_rng

from decnn.errors import InputError, SetupError
from decnn.hu import AIR_HU, BODY_ABOVE_HU
from training.heads.catalog import NAMES, check_heads, read_heads
from training.heads.head import Head
from training.measured_pairs.align import deform_onto
from training.measured_pairs.pair import MeasuredPair
from training.measured_pairs.readers import each_pair, kind_of
from training.measured_pairs.slices import RealSlice, find_patients, fold_of, read_slices
from training.measured_pairs.slices import as_pair as slice_pair
from training.simulation.simulate import Pair, simulate, vary_measured

SLICES = "slices"
_ABOUT = "bank.json"
_heads: dict[str, Head] = {}


@dataclass(frozen=True)
class Entry:
    """A kind of pair in the bank: of one head, with simulated T1s or its measured one; or measured pairs of a kind.

    head: its name, or the kind ("synthrad", "folder", "bids", "slices").
    """

    head: str
    measured: bool

    @property
    def folder(self) -> str:
        return f"{self.head}-{'measured' if self.measured else 'simulated'}"


def make_bank(
    data: Path, bank: Path, entries: Sequence[Entry], pairs: int, seed: int, workers: int, drawn_brains: bool = False
) -> int:
    """Simulates ``pairs`` pairs for each entry into the folder ``bank``; those that are there already stay.

    A pair depends on seed, entry and number alone, so a bank can be enlarged, and made again.

    drawn_brains: see ``training.heads.catalog.read_heads``.

    Returns:
        How many pairs were made.

    Raises:
        InputError: a source file is missing, or the bank was made with another seed or other brains.
        SetupError: the disk is full.
    """
    _open_bank(bank, seed, drawn_brains)
    missing = [(e, n) for n in range(pairs) for e in entries if not (bank / e.folder / str(n)).is_dir()]
    if not missing:
        return 0
    names = sorted({entry.head for entry, _ in missing})
    check_heads(data, names, drawn_brains)  # a worker that cannot start would say less
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(data, names, drawn_brains)
    ) as pool:
        tasks = [pool.submit(_make, bank, entry, number, seed) for entry, number in missing]
        try:
            for done, task in enumerate(tasks, 1):
                task.result()
                print(f"\rsimulated {done} of {len(tasks)} pairs", end="", file=sys.stderr, flush=True)
        except BaseException:
            # Reading the heads alone takes them minutes, and left alone they would outlive this process.
            for worker in active_children():
                worker.terminate()
            pool.shutdown(cancel_futures=True)
            raise
    print(file=sys.stderr)
    return len(missing)


def add_measured(bank: Path, spec: str, variants: int, seed: int) -> int:
    """Adds measured pairs to the bank, each ``variants`` times: moved, deformed and acquired in another way.

    Those that are there already stay, so more cases, or more variants, can be added later. What the CT does not show is
    taken out of the MR, too. A sentence on each case that is left out goes to stderr.

    Args:
        spec: "synthrad:FOLDER", ... (training.measured_pairs.readers); the kind is the entry's name.

    Returns:
        How many pairs were made.

    Raises:
        InputError: no such pairs, none that can be used, or the bank was made with another seed.
        SetupError: the disk is full.
    """
    entry = Entry(kind_of(spec), True)
    _open_bank(bank, seed)
    made = usable = 0
    for item in each_pair(spec):
        if isinstance(item, str):
            print(f"left out: {item}", file=sys.stderr, flush=True)
            continue
        usable += 1
        mr, hu, body = _in_view(item)
        for variant in range(variants):
            name = f"{item.name}/{variant}"
            if not (bank / entry.folder / name).is_dir():
                rng = default_rng([seed, len(NAMES), variant, *item.name.encode()])
                _save(bank, entry, name, vary_measured(mr, hu, body, rng))
                made += 1
    if not usable:
        raise InputError(f"None of the cases of {spec} can be used.")
    return made


def _in_view(pair: MeasuredPair) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MR with white matter about 1, HU, and the head, cut to where the CT has data."""
    mask = sitk.GetArrayFromImage(pair.mask) > 0
    view = tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(mask))
    mask = mask[view]
    mr = np.where(mask, sitk.GetArrayFromImage(pair.mr)[view], 0).astype(np.float32)
    hu = np.where(mask, sitk.GetArrayFromImage(pair.ct)[view], AIR_HU).astype(np.float32)
    body = hu > BODY_ABOVE_HU
    # In a T1 of a head, four fifths of the voxels are darker than white matter.
    return mr / np.percentile(mr[body], 80), hu, body


def add_slices(
    bank: Path,
    root: Path,
    misfits: frozenset[str],
    seed: int,
    synthesize: Callable[[RealSlice], np.ndarray] | None = None,
) -> tuple[int, list[str]]:
    """Adds real slices to the bank, one pair for each; those that are there already stay.

    Args:
        root: a folder as ``training.measured_pairs.slices`` reads it.
        misfits: names (patient_plane) of the slices to leave out.
        synthesize: makes a synthetic CT (a plane, HU), onto which each CT is deformed (``measured_pairs.align``).

    Returns:
        How many were added, and a sentence on each that was left out.

    Raises:
        InputError: no slices, a damaged file, or the bank was made with another seed.
        SetupError: the disk is full.
    """
    patients = find_patients(root)
    _open_bank(bank, seed)
    entry = Entry(SLICES, True)
    added, left_out = 0, []
    for patient in patients:
        # Also of a patient without a slice that fits: all of them decide who is in which fold.
        (bank / entry.folder / patient).mkdir(parents=True, exist_ok=True)
    for item in read_slices(root, patients):
        number = f"{item.patient}/{item.plane}"
        if item.name in misfits:
            left_out.append(f"{item.name}: MR and CT do not fit")
        elif not (bank / entry.folder / number).is_dir():
            try:
                _save(bank, entry, number, slice_pair(_aligned(item, synthesize) if synthesize else item))
                added += 1
            except InputError as error:
                left_out.append(f"{item.name}: {error}")
    return added, left_out


def _aligned(item: RealSlice, synthesize: Callable[[RealSlice], np.ndarray]) -> RealSlice:
    deformed, _ = deform_onto(np.take(item.hu, 0, item.axis), synthesize(item))
    return replace(item, hu=np.expand_dims(deformed, item.axis))


def entries_of(bank: Path) -> list[Entry]:
    """The kinds of pairs that a bank holds, sorted; InputError if there are none."""
    kinds = sorted(path.name.rpartition("-") for path in bank.glob("*-*") if path.is_dir())
    entries = [Entry(head, kind == "measured") for head, _, kind in kinds if kind in ("measured", "simulated")]
    if not entries:
        raise InputError(f"There are no pairs in {bank}: make them with 'python -m training simulate'.")
    return entries


def patients_of(bank: Path, kind: str) -> list[str]:
    """The names of the cases of a measured kind in the bank, sorted."""
    return sorted(path.name for path in (bank / Entry(kind, True).folder).glob("*") if path.is_dir())


def open_pairs(bank: Path, entry: Entry, pairs: int, fold: int = 0, only: bool = False) -> list[Pair]:
    """The first ``pairs`` pairs of a head, or all measured ones of a kind but for a fold's patients, memory-mapped.

    fold: 1 to 5, the patients to leave out (``training.measured_pairs.slices.fold_of``); 0 for none.
    only: the fold's patients, and no others.

    Raises InputError if the bank has fewer, or none.
    """
    if entry.head in NAMES:
        folders = [bank / entry.folder / str(number) for number in range(pairs)]
    else:
        folds = fold_of(patients_of(bank, entry.head))
        folders = [
            path
            for patient in folds
            if (folds[patient] == fold) == only
            for path in sorted((bank / entry.folder / patient).glob("*"))
        ]
        pairs = max(1, len(folders))
    opened = []
    for folder in folders:
        if not folder.is_dir():
            break
        arrays = {field.name: np.load(folder / f"{field.name}.npy", mmap_mode="r") for field in fields(Pair)}
        opened.append(Pair(**arrays))
    if len(opened) < pairs:
        raise InputError(
            f"The bank {bank} has {len(opened)} pairs of {entry.folder} and {pairs} are needed: "
            "make them with 'python -m training simulate', or 'add-pairs' for measured ones."
        )
    return opened


def _start_worker(data: Path, names: list[str], drawn_brains: bool) -> None:
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    _heads.update({head.name: head for head in read_heads(data, names, drawn_brains)})


def _make(bank: Path, entry: Entry, number: int, seed: int) -> None:
    rng = default_rng([seed, NAMES.index(entry.head), entry.measured, number])
    _save(bank, entry, str(number), simulate(_heads[entry.head], rng, entry.measured))


def check_brains(bank: Path, drawn_brains: bool) -> None:
    """Raises InputError if the bank's CTs have another kind of brain than the recipe wants, or there is no bank."""
    if not (bank / _ABOUT).is_file():
        raise InputError(f"There is no bank in {bank}: make it with 'python -m training simulate'.")
    if _about(bank).get("drawn_brains", False) != drawn_brains:
        raise InputError(f"The bank {bank} was made with other brains than the recipe names: choose another folder.")


def _open_bank(bank: Path, seed: int, drawn_brains: bool | None = None) -> None:
    """Makes the folder, or checks that it was made with this seed and, if it matters, these brains."""
    bank.mkdir(parents=True, exist_ok=True)
    if (bank / _ABOUT).exists():
        if _about(bank)["seed"] != seed:
            raise InputError(f"The bank {bank} was made with another seed: choose another folder, or delete it.")
        if drawn_brains is not None:
            check_brains(bank, drawn_brains)
        return
    about = {"seed": seed, "drawn_brains": bool(drawn_brains)}
    (bank / _ABOUT).write_text(json.dumps(about) + "\n", encoding="utf-8")


def _about(bank: Path) -> dict:
    return json.loads((bank / _ABOUT).read_text(encoding="utf-8"))


def _save(bank: Path, entry: Entry, number: str, pair: Pair) -> None:
    """Writes a pair under another name first: an interrupted one is never taken for whole.

    Raises SetupError if it cannot be written.
    """
    target = bank / entry.folder / number
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=bank, prefix="partial-"))
        try:
            for field in fields(Pair):
                np.save(partial / f"{field.name}.npy", getattr(pair, field.name))
            os.replace(partial, target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as error:
        raise SetupError(f"A pair cannot be written to {bank} ({error}): make room and start again.") from error
