"""Trains and measures the network by which ``decnn.checks`` sees how a head lies in its middle sagittal slice.

It learns from heads whose terms allow any use: those of a bank of the open recipe, and measured T1s. Each is varied:
nodding, cut, without face, shaded, blurred, with something like contrast agent. It is measured on people: the sagittal
real slices, whose faces are removed and of whom many were given contrast agent, and T1s that it has not seen.
"""

import base64
import textwrap
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from torch import nn

from decnn.checks.head import CLEARLY_TURNED, PROBABLY_TURNED
from decnn.checks.measures import halved
from decnn.checks.orientation import TURNS, middle, views
from decnn.checks.turn_network import SHAPES, SIZE, STRIDE
from decnn.evaluation.metrics import markdown
from decnn.intensity import from_zero, head_mask
from decnn.views import AXES
from training.bank import Entry, open_pairs
from training.heads.head import read_canonical
from training.measured_pairs.slices import find_patients, read_slice, stacked

# Heads of the open recipe; thca_neck has no brain, and does not show how a head lies.
_SIMULATED = ("cptac_head", "ge_head", "visible_female")
LEARNED = ("colin27/t1", "unlabelled/mni152_t1", "unlabelled/otsu_t1", "unlabelled/studyforrest_t1")
NOT_LEARNED = ("ernie/t1", "unlabelled/brainix_t1")
_PAIRS = 16
# Variations of a picture: few heads were measured, and each shows what simulations lack.
_OF_SIMULATED, _OF_MEASURED, _OF_TESTED = 60, 300, 20
_ABOUT_WEIGHTS = """Weights of decnn.checks.turn_network, float16: `python -m training fit-orientation` writes them.

Learned from visible_female (free), cptac_head (CC BY 3.0), ge_head (BSD-2), colin27 and MNI152 (MNI), otsu (BSD-2) and
studyforrest (PDDL): see training/sources.toml.
"""
_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 16, 256, 2e-3, 0.05, 0.3
_LEAST_ROWS, _LEAST_PIXELS = 25, 300


@dataclass(frozen=True)
class Picture:
    """The middle of a head, as ``decnn.checks.orientation.middle`` gives it."""

    name: str
    source: str
    """ "simulated T1", "measured T1" or "real slice"."""
    values: np.ndarray
    head: np.ndarray


def learned_pictures(bank: Path, data: Path) -> Iterator[Picture]:
    """Pairs of three heads in the bank, and the measured T1s LEARNED; InputError if any is not there."""
    for entry in (Entry(head, measured=False) for head in _SIMULATED):
        for number, pair in enumerate(open_pairs(bank, entry, _PAIRS)):
            mask = sitk.GetImageFromArray(pair.mask.astype(np.uint8))
            name = f"{entry.folder} {number}"
            yield _picture(name, "simulated T1", sitk.GetImageFromArray(pair.mr.astype(np.float32)), mask)
    yield from _measured(data, LEARNED)


def unseen_pictures(data: Path, slices: Path) -> Iterator[Picture]:
    """The measured T1s NOT_LEARNED, and all sagittal real slices; InputError if any is not there."""
    yield from _measured(data, NOT_LEARNED)
    for patient in find_patients(slices):
        mr = sitk.GetImageFromArray(stacked(read_slice(slices, patient, "sagittal").mr, AXES["sagittal"]))
        yield _picture(patient, "real slice", mr, head_mask(mr))


def fit_orientation(learned: Iterable[Picture], tested: Iterable[Picture], seed: int = 0) -> tuple[nn.Module, dict]:
    """The network, and what it says of heads that it has not seen.

    Returns:
        The network, and {"limits", "learned": number of pictures, "rows": [...], "worst": {source: [[name, log odds],
        ...]}}: how many heads that lie upright are taken for turned (``false_error``, ``false_warning``), and of how
        many turned ones that is told.
    """
    rng = np.random.default_rng(seed)
    shown = [
        _varied(picture, _OF_MEASURED if picture.source == "measured T1" else _OF_SIMULATED, rng) for picture in learned
    ]
    network = _train(np.concatenate(shown), seed)
    odds: dict[tuple[str, str], list[float]] = {}
    worst: dict[str, list] = {}
    for picture in tested:
        as_it_is, *varied = _log_odds(network, _varied(picture, _OF_TESTED, rng)).tolist()
        odds.setdefault((picture.source, "as it is"), []).append(as_it_is)
        odds.setdefault((picture.source, "varied"), []).extend(varied)
        worst.setdefault(picture.source, []).append([picture.name, round(as_it_is, 2)])
    rows = [{"what": what, "form": form, **_rates(np.array(values))} for (what, form), values in odds.items()]
    lowest = {source: sorted(found, key=lambda item: item[1])[:5] for source, found in worst.items()}
    limits = {"error": CLEARLY_TURNED, "warning": PROBABLY_TURNED}
    return network, {"limits": limits, "learned": len(shown), "rows": rows, "worst": lowest}


def table(result: dict) -> str:
    """The rates as a Markdown table."""
    return markdown(result["rows"], list(result["rows"][0]))


def write_weights(network: nn.Module, path: Path) -> None:
    """The weights as the Python file that ``decnn.checks.turn_network`` reads."""
    parts = [parameter.detach().numpy().astype(np.float16).ravel() for parameter in network.parameters()]
    text = base64.b64encode(zlib.compress(np.concatenate(parts).tobytes(), 9)).decode()
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(text, 114))
    path.write_text(f'"""{_ABOUT_WEIGHTS}"""\n\nWEIGHTS = (\n{lines}\n)\n', encoding="utf-8")


def _measured(data: Path, names: Iterable[str]) -> Iterator[Picture]:
    for name in names:
        mr = from_zero(sitk.Cast(read_canonical(data / f"{name}.nii.gz"), sitk.sitkFloat32))
        yield _picture(name, "measured T1", mr, head_mask(mr))


def _picture(name: str, source: str, mr: sitk.Image, mask: sitk.Image) -> Picture:
    """mr, mask: on the canonical grid."""
    return Picture(name, source, *middle(*halved(mr, mask)))


def _varied(picture: Picture, number: int, rng: np.random.Generator) -> np.ndarray:
    """The picture as it is and ``number`` variations, each turned in all ways: (n, 4, SIZE, SIZE)."""
    found = [views(picture.values, picture.head)]
    while len(found) <= number:
        values, head = _vary(picture.values, picture.head, rng)
        if head.sum() >= _LEAST_PIXELS:
            found.append(views(values, head))
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
    if rng.random() < 0.6:
        values = _with_contrast_agent(values, seen, rng)
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


def _with_contrast_agent(values: np.ndarray, head: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sagittal sinus, mucosa, skin and perhaps a tumour become bright, roughly: the heads at hand have no agent."""
    image = sitk.GetImageFromArray(head.astype(np.uint8))
    depth = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, insideIsPositive=True, squaredDistance=False))
    bottom, top = np.flatnonzero(head.any(axis=1))[[0, -1]]
    front, back = np.flatnonzero(head.any(axis=0))[[0, -1]]
    z, y = np.indices(head.shape, np.float32)
    below_vertex, behind_face = top - z, (y - front) / max(1, back - front)
    sinus = np.exp(-(((depth - rng.uniform(2, 5)) / rng.uniform(0.7, 1.8)) ** 2))
    sinus *= (below_vertex < rng.uniform(18, 32)) & (behind_face > rng.uniform(0.15, 0.5))
    line = rng.uniform(14, 26) + rng.uniform(0, 14) * behind_face  # the base rises to the front
    lower = 1 / (1 + np.exp(np.clip(line - below_vertex, -30, 30)))
    gain = 1 + rng.uniform(0, 1.5) * lower * rng.uniform(0.4, 1.0, head.shape)
    gain *= np.where(depth < rng.uniform(1.5, 3), rng.uniform(0.8, 2.0), 1.0)
    if rng.random() < 0.4:
        centre = rng.uniform((top - 25, front + 8), (top - 5, back - 5))
        distance = np.hypot(z - centre[0], y - centre[1])
        gain += rng.uniform(-0.6, 1.5) * (distance < rng.uniform(2, 7))
    return values * gain + rng.uniform(0.3, 2.0) * sinus * head


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
