"""Trains and measures the network by which ``decnn.checks`` sees how a head lies in its middle sagittal slice.

It learns from the sagittal real slices, most of them with contrast agent and without a face, and from the whole heads
of a bank. Each is varied: nodding, cut, without face, shaded, blurred. Whoever it is measured on, it has not seen.
"""

import base64
import textwrap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from decnn.checks.head import CLEARLY_TURNED, PROBABLY_TURNED
from decnn.checks.orientation import STEP_MM, TURNS, middle
from decnn.checks.turn_network import SHAPES, SIZE, STRIDE, framed
from decnn.intensity import head_mask
from decnn.views import AXES
from training.bank import entries_of, open_pairs
from training.heads.catalog import NAMES
from training.measured_pairs.slices import FOLDS, find_patients, fold_of, read_slice, stacked
from training.settings import HEAD_FOLDS

# A CT of the neck, without a brain: it does not show how a head lies.
_WITHOUT_A_HEAD = ("thca_neck",)
_PAIRS = 8
_VARIED = 40
_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 16, 256, 2e-3, 0.05, 0.3
_LEAST_ROWS, _LEAST_PIXELS = 25, 300


@dataclass(frozen=True)
class Picture:
    """The middle of a head, as ``decnn.checks.orientation.middle`` gives it, and the fold that leaves it out."""

    name: str
    source: str
    """"real slice" or "whole head"."""
    fold: int
    values: np.ndarray
    head: np.ndarray


def read_pictures(bank: Path, slices: Path) -> list[Picture]:
    """All sagittal real slices, and some pairs of each head in the bank; InputError if either is not there."""
    patients = find_patients(slices)
    folds = fold_of(patients)
    found = []
    for patient in patients:
        mr = stacked(read_slice(slices, patient, "sagittal").mr, AXES["sagittal"])
        found.append(_picture(patient, "real slice", folds[patient], mr, head_mask(sitk.GetImageFromArray(mr))))
    of_head = {head: fold for fold, heads in HEAD_FOLDS.items() for head in heads}
    for entry in entries_of(bank):
        if entry.head not in NAMES or entry.head in _WITHOUT_A_HEAD:
            continue
        for number, pair in enumerate(open_pairs(bank, entry, _PAIRS)):
            mask = sitk.GetImageFromArray(pair.mask.astype(np.uint8))
            name = f"{entry.folder} {number}"
            found.append(_picture(name, "whole head", of_head[entry.head], pair.mr.astype(np.float32), mask))
    return found


def fit_orientation(pictures: Sequence[Picture], seed: int = 0) -> tuple[nn.Module, dict]:
    """The network that has seen all, and what those that left out a fold each said of that fold.

    Returns:
        The network, and {"limits", "rows": [...], "worst": {source: [[name, log odds], ...]}}: how many heads that lie
        upright were taken for turned (``false_error``, ``false_warning``), and of how many turned ones that was told.
    """
    rng = np.random.default_rng(seed)
    turns = {picture.name: _views(picture.values, picture.head) for picture in pictures}
    varied = {picture.name: _varied(picture, rng) for picture in pictures}
    odds: dict[tuple[str, str], list[float]] = {}
    worst: dict[str, list] = {}
    for fold in range(1, FOLDS + 1):
        seen = [picture for picture in pictures if picture.fold != fold]
        network = _train(np.concatenate([varied[picture.name] for picture in seen]), seed)
        for picture in (picture for picture in pictures if picture.fold == fold):
            as_it_is = float(_log_odds(network, turns[picture.name][None])[0])
            odds.setdefault((picture.source, "as it is"), []).append(as_it_is)
            odds.setdefault((picture.source, "varied"), []).extend(_log_odds(network, varied[picture.name][1:]))
            worst.setdefault(picture.source, []).append([picture.name, round(as_it_is, 2)])
    rows = [{"what": what, "form": form, **_rates(np.array(values))} for (what, form), values in odds.items()]
    lowest = {source: sorted(found, key=lambda item: item[1])[:5] for source, found in worst.items()}
    limits = {"error": CLEARLY_TURNED, "warning": PROBABLY_TURNED}
    return _train(np.concatenate(list(varied.values())), seed), {"limits": limits, "rows": rows, "worst": lowest}


def table(result: dict) -> str:
    """The rates as a Markdown table."""
    keys = list(result["rows"][0])
    lines = [keys, ["---"] * len(keys), *([str(row[key]) for key in keys] for row in result["rows"])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_weights(network: nn.Module, path: Path) -> None:
    """The weights as the Python file that ``decnn.checks.turn_network`` reads."""
    parts = [parameter.detach().numpy().astype(np.float16).ravel() for parameter in network.parameters()]
    text = base64.b64encode(zlib.compress(np.concatenate(parts).tobytes(), 9)).decode()
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(text, 114))
    path.write_text(
        '"""Weights of decnn.checks.turn_network, float16: `python -m training fit-orientation` writes them."""\n\n'
        f"WEIGHTS = (\n{lines}\n)\n",
        encoding="utf-8",
    )


def _picture(name: str, source: str, fold: int, mr: np.ndarray, mask: sitk.Image) -> Picture:
    halved = (
        sitk.GetArrayFromImage(sitk.BinShrink(sitk.Cast(image, sitk.sitkFloat32), [STEP_MM // 2] * 3))
        for image in (sitk.GetImageFromArray(mr), mask)
    )
    coarse, share = halved
    return Picture(name, source, fold, *middle(coarse, share > 0.5))


def _views(values: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The picture turned in each way, the first one as it is: (4, SIZE, SIZE)."""
    return np.stack([framed(values[::up, ::back], head[::up, ::back]) for up, back in TURNS.values()])


def _varied(picture: Picture, rng: np.random.Generator) -> np.ndarray:
    """The picture as it is and _VARIED variations, each turned in all ways: (n, 4, SIZE, SIZE)."""
    found = [_views(picture.values, picture.head)]
    while len(found) <= _VARIED:
        values, head = _vary(picture.values, picture.head, rng)
        if head.sum() >= _LEAST_PIXELS:
            found.append(_views(values, head))
    return np.stack(found)


def _vary(values: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    nod = sitk.Euler2DTransform([(n - 1) / 2 for n in values.shape[::-1]], np.deg2rad(rng.normal(0, 10)))
    values, turned = (
        sitk.GetArrayFromImage(sitk.Resample(sitk.GetImageFromArray(part.astype(np.float32)), nod))
        for part in (values, head)
    )
    seen = turned > 0.5
    if not seen.any():
        return values, seen
    bottom, top = np.flatnonzero(seen.any(axis=1))[[0, -1]]
    front, back = np.flatnonzero(seen.any(axis=0))[[0, -1]]
    height = int(top - bottom + 1)
    cut = np.ones_like(seen)
    if rng.random() < 0.6 and (neck := int(rng.uniform(0, 0.4) * height)) <= height - _LEAST_ROWS:
        cut[: bottom + neck] = False
    if rng.random() < 0.2:
        cut[top + 1 - int(rng.uniform(0, 0.12) * height) :] = False
    if rng.random() < 0.4:  # the face taken out, below the forehead
        cut[: max(0, top - int(rng.uniform(16, 24))), : front + int(rng.uniform(3, 14))] = False
    if rng.random() < 0.15:
        edge = int(rng.uniform(0, 5))
        cut[:, slice(0, front + edge) if rng.random() < 0.5 else slice(back + 1 - edge, None)] = False
    up, along = np.meshgrid(*(np.linspace(-1, 1, n) for n in values.shape), indexing="ij")
    values = np.maximum(values, 0.0) ** rng.uniform(0.6, 1.5) * np.exp(rng.normal(0, 0.25) * up)
    values *= np.exp(rng.normal(0, 0.25) * along)
    if rng.random() < 0.4:
        smooth = sitk.DiscreteGaussian(sitk.GetImageFromArray(values), rng.uniform(0.05, 1.0))
        values = sitk.GetArrayFromImage(smooth)
    values = values + rng.normal(0, rng.uniform(0, 0.08), values.shape)
    return np.where(cut, values, 0.0), seen & cut


def _network() -> nn.Module:
    """As ``decnn.checks.turn_network`` computes it; the dropout is for training."""
    layers: list[nn.Module] = []
    for shape in SHAPES[:-2:2]:
        maps, channels, reach, _ = shape
        layers += [nn.Conv2d(channels, maps, reach, STRIDE, reach // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(_DROPOUT), nn.Linear(SHAPES[-2][1], 1))


def _train(views: np.ndarray, seed: int) -> nn.Module:
    """views: (n, 4, SIZE, SIZE); the first of the four is how the head lies."""
    torch.manual_seed(seed)
    network = _network().train()
    optimizer = torch.optim.AdamW(network.parameters(), _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    examples = torch.from_numpy(views)
    for _ in range(_EPOCHS):
        for batch in torch.randperm(len(examples)).split(_BATCH):
            given = network(examples[batch].reshape(-1, 1, SIZE, SIZE)).reshape(len(batch), len(TURNS))
            loss = nn.functional.cross_entropy(given, torch.zeros(len(batch), dtype=torch.long))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


@torch.no_grad()
def _log_odds(network: nn.Module, views: np.ndarray) -> np.ndarray:
    """By how much the score of how the heads lie is above that of the best other way: (n,), of (n, 4, SIZE, SIZE)."""
    given = network(torch.from_numpy(views).reshape(-1, 1, SIZE, SIZE)).reshape(len(views), len(TURNS))
    return (given[:, 0] - given[:, 1:].max(dim=1).values).numpy()


def _rates(odds: np.ndarray) -> dict:
    """A head that lies upright, and, as turning it changes the order of the scores alone, the same head turned."""
    rows = {"heads": len(odds), "least": round(float(odds.min()), 2)}
    for name, limit in (("error", CLEARLY_TURNED), ("warning", PROBABLY_TURNED)):
        rows[f"false_{name}"] = int((odds < -limit).sum())
        rows[f"detected_{name}"] = int((odds > limit).sum())
    return rows
