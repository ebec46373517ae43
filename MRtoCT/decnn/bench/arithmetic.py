"""GFLOP/s: what this machine reaches in one convolution, and what networks reach of it."""

import time
from collections.abc import Callable

import torch
from torch import nn

SLICE = (216, 184)
"""Rows and columns of a slice of an adult's head at 1 mm, as the engine crops it."""
_ROUNDS = 15


def seconds_of(work: Callable[[], object], rounds: int = _ROUNDS, warm_up: int = 2) -> float:
    """The lower quartile of some runs, after some that do not count: other work on the machine only adds time."""
    times = []
    with torch.inference_mode():
        for number in range(rounds + warm_up):
            started = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number >= warm_up:
                times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 4]


def peak_gflops(dtype: torch.dtype, device: torch.device, batch: int = 1) -> float:
    """GFLOP/s of a 3 x 3 convolution of 64 maps of a slice, channels last."""
    convolution = nn.Conv2d(64, 64, 3, padding=1).to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    maps = torch.rand(batch, 64, *SLICE, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
    return gflop_of(convolution, maps) / seconds_of(lambda: convolution(maps))


def gflop_of(network: nn.Module, *inputs: torch.Tensor) -> float:
    """Work of the convolutions of a network (two operations a multiplication) for these inputs, in GFLOP."""
    total = 0.0

    def count(module: nn.Module, _inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        weights = module.weight[0, 0].numel() * module.weight.shape[0] * module.weight.shape[1] / module.groups
        transposed = isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d)
        pixels = _inputs[0][0, 0].numel() if transposed else output[0, 0].numel()
        total += 2e-9 * weights * pixels * output.shape[0]

    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, kinds)]
    with torch.inference_mode():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    return total
