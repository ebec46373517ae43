"""The bundled network by other ways of running it: milliseconds a slice, or why it could not be measured."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from decnn.bench.arithmetic import SLICE, seconds_of
from decnn.catalog import DEFAULT_MODEL
from decnn.inference import for_inference, without_batch_norm
from decnn.model import load_model

_FOUR = 4
_TURNS, _RUNS_A_TURN = 10, 4


class _Final(nn.Module):
    """The final CT only: the tentative ones are within it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        final: torch.Tensor = self.network(slices)[0]
        return final


def tried(precision: str) -> dict[str, dict[str, Any]]:
    """Each way in the fastest precision of torch, unless its name says another."""
    dtype = getattr(torch, precision)
    network = load_model(DEFAULT_MODEL).network
    plain = _Final(without_batch_norm(network)).eval()
    slices = torch.rand(1, network.in_channels, *SLICE)
    with torch.inference_mode():
        exact = plain(slices)
    rows: dict[str, dict[str, Any]] = {}
    runs: dict[str, tuple[Callable[[], Any], int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, prepare, count in (
            (f"kept: decnn.inference, {precision}", _kept(network, dtype), 1),
            ("the same, four slices at a time", _kept(network, dtype, _FOUR), _FOUR),
            ("the same, traced and frozen", _kept_frozen(network, dtype), 1),
            (f"eager, batch norm folded, {precision}", _eager(plain, dtype), 1),
            (f"traced and frozen, {precision}", _frozen(plain, dtype, fused=False), 1),
            (f"traced, frozen, fused by oneDNN, {precision}", _frozen(plain, dtype, fused=True), 1),
            ("ONNX Runtime, float32", _onnx(plain, Path(folder)), 1),
            ("ONNX Runtime, int8", _onnx(plain, Path(folder), int8=True), 1),
            ("OpenVINO, float32", _openvino(plain, "f32"), 1),
            ("OpenVINO, bfloat16", _openvino(plain, "bf16"), 1),
        ):
            try:
                run = prepare(slices)
                with torch.inference_mode():
                    change = torch.as_tensor(np.asarray(_numpy(run()))) - exact
                rows[name] = {"change_hu": round(1000 * float(change.abs().mean()), 2)}
                runs[name] = (run, count)
            except Exception as error:
                rows[name] = {"missing": f"{type(error).__name__}: {error}".splitlines()[0]}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(_TURNS):  # in turns, or one way would meet a quieter machine than another
            for name, (run, _count) in runs.items():
                times[name].append(seconds_of(run, _RUNS_A_TURN))
    for name, (_run, count) in runs.items():
        rows[name]["milliseconds"] = round(1e3 * float(np.median(times[name])) / count, 2)
    return rows


Way = Callable[[torch.Tensor], Callable[[], Any]]


def _kept(network: Any, dtype: torch.dtype, count: int = 1) -> Way:
    def prepare(slices: torch.Tensor) -> Callable[[], Any]:
        fast, several = for_inference(network, dtype), slices.repeat(count, 1, 1, 1)
        return lambda: fast(several)[0]

    return prepare


def _kept_frozen(network: Any, dtype: torch.dtype) -> Way:
    def prepare(slices: torch.Tensor) -> Callable[[], Any]:
        with torch.inference_mode():
            kept = _Final(for_inference(network, dtype)).eval()
            frozen = torch.jit.freeze(torch.jit.trace(kept, slices, check_trace=False).eval())
        return lambda: frozen(slices)

    return prepare


def _eager(plain: nn.Module, dtype: torch.dtype) -> Way:
    def prepare(slices: torch.Tensor) -> Callable[[], Any]:
        network, rounded = _rounded(plain, slices, dtype)
        return lambda: network(rounded)

    return prepare


def _frozen(plain: nn.Module, dtype: torch.dtype, fused: bool) -> Way:
    def prepare(slices: torch.Tensor) -> Callable[[], Any]:
        network, rounded = _rounded(plain, slices, dtype)
        with torch.inference_mode():
            frozen = torch.jit.freeze(torch.jit.trace(network, rounded, check_trace=False).eval())
            if fused:
                frozen = torch.jit.optimize_for_inference(frozen)
        return lambda: frozen(rounded)

    return prepare


def _onnx(plain: nn.Module, folder: Path, int8: bool = False) -> Way:
    def prepare(slices: torch.Tensor) -> Callable[[], Any]:
        import onnxruntime

        path = folder / "network.onnx"
        if not path.exists():
            torch.onnx.export(plain, (slices,), str(path), dynamo=True, input_names=["slices"], verbose=False)
        if int8:
            from onnxruntime.quantization import CalibrationDataReader, quantize_static

            class Slices(CalibrationDataReader):
                def __init__(self) -> None:
                    self._left: Iterator[dict[str, Any]] = iter([{"slices": slices.numpy()}])

                def get_next(self) -> dict[str, Any] | None:
                    return next(self._left, None)

            quantize_static(str(path), str(path := folder / "int8.onnx"), Slices())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        given = {"slices": slices.numpy()}
        return lambda: session.run(None, given)[0]

    return prepare


def _openvino(plain: nn.Module, precision: str) -> Way:
    def prepare(slices: torch.Tensor) -> Callable[[], Any]:
        import openvino

        settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        model = openvino.compile_model(openvino.convert_model(plain, example_input=slices), "CPU", settings)
        given = slices.numpy()
        return lambda: model(given)[0]

    return prepare


def _rounded(plain: nn.Module, slices: torch.Tensor, dtype: torch.dtype) -> tuple[nn.Module, torch.Tensor]:
    import copy

    network = copy.deepcopy(plain).to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, slices.to(dtype).contiguous(memory_format=torch.channels_last)


def _numpy(values: Any) -> Any:
    return values[:1].float().numpy() if isinstance(values, torch.Tensor) else values
