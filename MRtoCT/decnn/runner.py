"""A network on a device: batches, and the way down where memory or the device fails."""

import copy

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from decnn.confidence import variance_of_stages
from decnn.devices import describe
from decnn.errors import Finding, SetupError

_BATCH = {"cpu": 1, "cuda": 16, "mps": 4}


class Runner:
    """The network on a device; where the GPU's memory does not suffice, in smaller batches, and at last on the CPU."""

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        may_leave_gpu: bool,
        findings: list[Finding],
        confidence: bool = False,
    ) -> None:
        self.device = device
        self.batch = _BATCH[device.type]
        self._network = without_batch_norm(network)
        self._may_leave_gpu = may_leave_gpu
        self._findings = findings
        self._confidence = confidence
        self._on_device = False

    def run(self, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, C, H, W) -> CT slices (m, H, W) in units of the model; m < n where the batch had to shrink on the way.

        With them the variance of the stages (m, H, W), if a confidence map was asked for.
        """
        while True:
            try:
                return self._forward(slices[: self.batch])
            except RuntimeError as error:
                self._fall_back(error)

    @torch.inference_mode()
    def _forward(self, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if not self._on_device:
            # On the CPU channels last is faster by a quarter to a half, and a batch of one slice stays in the cache.
            self._network.to(self.device)
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
            self._on_device = True
        batch = torch.from_numpy(slices).to(self.device).contiguous(memory_format=torch.channels_last)
        final, tentative = self._network(batch)
        variance = variance_of_stages(final, tentative)[:, 0].cpu().numpy() if self._confidence else None
        return final[:, 0].cpu().numpy(), variance

    def _fall_back(self, error: RuntimeError) -> None:
        out_of_memory = isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)
        if self.device.type == "cpu":
            raise SetupError(f"The network failed on the CPU ({_first_line(error)}): close other programs.") from error
        if out_of_memory and self.batch > 1:
            self.batch //= 2
            return
        if not out_of_memory and not self._may_leave_gpu:
            raise SetupError(
                f"The device {describe(self.device)} failed ({_first_line(error)}): choose another, or 'cpu'."
            ) from error
        why = "has too little free memory" if out_of_memory else f"failed ({_first_line(error)})"
        self._findings.append(
            Finding(
                "warning",
                "gpu-memory" if out_of_memory else "gpu-failed",
                f"The GPU {describe(self.device)} {why}, so the CPU did the work: the CT is the same, it took longer.",
            )
        )
        self.device = torch.device("cpu")
        self.batch = _BATCH["cpu"]
        self._on_device = False


def without_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode with each batch norm folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for index in range(len(block) - 1):
                convolution, norm = block[index], block[index + 1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    block[index] = fuse_conv_bn_eval(convolution, norm)
                    block[index + 1] = nn.Identity()
    return network


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
