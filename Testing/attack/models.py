"""Model folders whose model.json has any shape, and whose weights are anything."""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from attack.case import REFUSED, TAKEN, Case

_WRONG: list[Any] = [None, True, -1, 0, 1.5, 10**9, "", "text", [], ["x", 1], {}, {"a": 1}]
_LIMIT_S = 20.0


@cache
def _spec_and_weights() -> tuple[dict[str, Any], bytes]:
    import tempfile

    from decnn.model import save_model
    from decnn.network import build_network

    arguments = {"in_channels": 4, "features": 4, "blocks": 2, "dilations": [1, 2], "batch_norm": True}
    spec = {
        "version": "0.0.1",
        "network": {"name": "DECNN", "arguments": arguments},
        "input": {"neighbours": 3, "depth_channel": True},
        "views": ["axial", "coronal", "sagittal"],
        "fusion": "mean",
        "output": {"scale_hu": 1000},
    }
    with tempfile.TemporaryDirectory() as folder:
        saved = save_model(Path(folder) / "model", build_network("DECNN", arguments), spec)
        return json.loads((saved / "model.json").read_text()), (saved / "weights.pt").read_bytes()


def _changed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    spec = copy.deepcopy(_spec_and_weights()[0])
    place: Any = spec
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return spec


def _without(path: tuple[str, ...]) -> dict[str, Any]:
    spec = copy.deepcopy(_spec_and_weights()[0])
    place: Any = spec
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return spec


_FIELDS = [
    ("name",), ("version",), ("weights",), ("weights", "file"), ("weights", "sha256"), ("network",),
    ("network", "name"),
    ("network", "arguments"), ("network", "arguments", "in_channels"), ("network", "arguments", "features"),
    ("network", "arguments", "blocks"), ("network", "arguments", "dilations"), ("input",), ("input", "neighbours"),
    ("input", "depth_channel"), ("views",), ("fusion",), ("output",), ("output", "scale_hu"),
]  # fmt: skip


def rows() -> Iterator[tuple[str, str, bytes | None, str]]:
    """(kind, text of model.json, weights or None for the fitting ones, expected)."""
    spec, _ = _spec_and_weights()
    yield "a good model", json.dumps(spec), None, TAKEN
    for path in _FIELDS:
        right: Any = spec
        for key in path:
            right = right[key]
        for value in _WRONG:
            if value != right and not (path == ("version",) and isinstance(value, str)):
                may_do = (
                    path in (("network", "arguments", "batch_norm"),) or path == ("output", "scale_hu") and value == 1.5
                )
                yield f"another {'.'.join(path)}", json.dumps(_changed(path, value)), None, TAKEN if may_do else REFUSED
        yield (
            f"no {'.'.join(path)}",
            json.dumps(_without(path)),
            None,
            (f"{TAKEN}|model" if path[:2] == ("network", "arguments") and len(path) == 3 else REFUSED),
        )
    for blocks in (65, 100_000):
        yield "absurdly many blocks", json.dumps(_changed(("network", "arguments", "blocks"), blocks)), None, "model"
    yield "absurdly many features", json.dumps(_changed(("network", "arguments", "features"), 1024)), None, "model"
    for file in ("../weights.pt", "/dev/zero", ".", "\0", "x" * 300):
        yield "weights elsewhere", json.dumps(_changed(("weights", "file"), file)), None, REFUSED
    for text in (
        "",
        "{",
        "[]",
        "null",
        "7",
        '"text"',
        "[" * 100_000,
        '{"a":' * 50_000,
        "\ufeff{}",
        "NaN",
        "{" + '"a":1,' * 9 + "}",
    ):
        yield "no object in model.json", text, None, REFUSED
    for kind, weights in _weights():
        yield f"weights that are {kind}", _with_hash(weights), weights, REFUSED


def _weights() -> Iterator[tuple[str, bytes]]:
    import io
    import pickle

    import torch

    from decnn.network import build_network

    def saved(thing: object) -> bytes:
        target = io.BytesIO()
        torch.save(thing, target)
        return target.getvalue()

    spec, right = _spec_and_weights()
    network = build_network("DECNN", spec["network"]["arguments"])
    state = dict(network.state_dict())
    first = next(iter(state))
    yield "empty", b""
    yield "cut off", right[: len(right) // 2]
    yield "damaged", right[:300] + bytes(100) + right[400:]
    yield "a letter", b"Dear reader"
    yield "a pickle", pickle.dumps({"a": 1})
    yield "a list", saved([1, 2])
    yield "a number", saved(3.0)
    yield "a tensor", saved(torch.zeros(3))
    yield "an empty dictionary", saved({})
    yield "a whole network", saved(network)
    yield "texts", saved(dict.fromkeys(state, "x"))
    yield "incomplete", saved({key: value for key, value in state.items() if key != first})
    yield "too many", saved({**state, "extra": torch.zeros(3)})
    yield "of another shape", saved({**state, first: torch.zeros(2, 2)})
    for value in (float("nan"), float("inf")):
        yield "no numbers", saved({**state, first: torch.full_like(state[first], value)})


def _with_hash(weights: bytes) -> str:
    return json.dumps(_changed(("weights", "sha256"), hashlib.sha256(weights).hexdigest()))


def cases() -> Iterator[Case]:
    for kind, text, weights, expected in rows():
        yield Case("models", kind, _loading(text, weights), expected)


def _loading(text: str, weights: bytes | None) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.model import load_model

        model = folder / "model"
        model.mkdir()
        (model / "model.json").write_text(text, encoding="utf-8")
        (model / "weights.pt").write_bytes(_spec_and_weights()[1] if weights is None else weights)
        start = time.monotonic()
        try:
            load_model(model)
        finally:
            assert time.monotonic() - start < _LIMIT_S, "it took too long"
        return []

    return attempt
