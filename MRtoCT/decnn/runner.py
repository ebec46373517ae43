"""A network on a device: its precision, its batches, and the way down where memory or the device fails."""

import numpy as np
import torch

from decnn.confidence import variance_of_stages
from decnn.devices import computes_in_bfloat16, describe, first_line, gpu_failed
from decnn.errors import Finding, SetupError, warning
from decnn.inference import for_inference
from decnn.network import SliceNetwork
from decnn.options import Options

BATCH = {"cpu": 1, "cuda": 16, "mps": 4}
"""Slices at a time by the kind of device, at first. On a CPU a batch of one stays in the cache."""
# Of a GPU's free memory: the rest is for what else is on it, and for the convolutions' own work.
_SHARE_OF_MEMORY = 0.5
# A CT in bfloat16 must stay as close to that in float32, in this share of the voxels.
_CLOSE_HU, _CLOSE_SHARE = 10.0, 0.999


class Runner:
    """The network on a device; where the GPU's memory does not suffice, in smaller batches, and at last on the CPU.

    Args:
        network: of a loaded model; left as it is.
        device: where it runs at first.
        options: device "auto" allows to leave a GPU that fails; ``precision`` and ``confidence`` are followed.
        scale_hu: HU of one unit of the network's output.
        findings: what has to be told is added here.

    Attributes:
        device: where it runs now.
        batch: slices at a time, now: on an NVIDIA GPU what its free memory holds, once the first slices have shown what
            they need.
        dtype: in which it computes now.
    """

    def __init__(
        self,
        network: SliceNetwork,
        device: torch.device,
        options: Options,
        scale_hu: float,
        findings: list[Finding],
    ) -> None:
        self.device = device
        self.batch = BATCH[device.type]
        self.dtype = self._wanted(options.precision)
        self._name = describe(device)  # now: a GPU that has failed is asked nothing more
        self._network = network
        self._options = options
        self._scale_hu = scale_hu
        self._findings = findings
        self._ready: torch.nn.Module | None = None
        self._measured = False

    @property
    def precision(self) -> str:
        """As ``Options.precision`` names it: "float32" or "bfloat16"."""
        return "bfloat16" if self.dtype is torch.bfloat16 else "float32"

    def choose_precision(self, slices: list[np.ndarray]) -> None:
        """Goes on in float32, and says so, where bfloat16 would change the CT of these slices.

        One machine always takes the same decision for one MR: no clock is asked.

        Args:
            slices: an input (1, C, H, W) of each view of the MR at hand.
        """
        if self.dtype is torch.float32:
            return
        fast = [self.run(one)[0] for one in slices]
        wanted, self.dtype, self._ready = self.dtype, torch.float32, None
        exact = [self.run(one)[0] for one in slices]
        change = np.concatenate([np.abs(a - b).ravel() for a, b in zip(fast, exact, strict=True)]) * self._scale_hu
        # The CT is the mean of the views, whose rounding errors are independent.
        if np.mean(change <= _CLOSE_HU * np.sqrt(len(slices))) >= _CLOSE_SHARE:
            self.dtype, self._ready = wanted, None
            return
        self._findings.append(
            warning(
                "precision",
                f"In bfloat16 the CT of this MR would differ by more than {_CLOSE_HU:.0f} HU in places, so float32 did "
                "the work: the CT is as exact as ever, it took longer.",
            )
        )

    def run(self, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, C, H, W) -> CT slices (m, H, W) in units of the model; m < n where the batch had to shrink on the way.

        With them the variance of the stages (m, H, W), if a confidence map was asked for.

        Raises:
            SetupError: the device fails.
        """
        while True:
            try:
                if self.device.type == "cuda" and not self._measured:
                    return self._measure(slices[:1])
                return self._forward(slices[: self.batch])
            except RuntimeError as error:
                self._fall_back(error)

    def _measure(self, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """As ``_forward``, and takes from it how many slices fit into the memory of an NVIDIA GPU."""
        result = self._forward(slices)  # first: a GPU that fails is asked nothing more
        needed = torch.cuda.max_memory_allocated(self.device) - torch.cuda.memory_allocated(self.device)
        self.batch = fitting(torch.cuda.mem_get_info(self.device)[0], needed, self.batch)
        self._measured = True
        return result

    @torch.inference_mode()
    def _forward(self, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if self._ready is None:
            self._ready = for_inference(self._network, self.dtype).to(self.device)
        final, tentative = self._ready(self._moved(torch.from_numpy(slices)))
        variance = variance_of_stages(final, tentative)[:, 0].cpu().numpy() if self._options.confidence else None
        return final[:, 0].cpu().numpy(), variance

    def _moved(self, slices: torch.Tensor) -> torch.Tensor:
        """The slices on the device; to an NVIDIA GPU from memory that it can read while the CPU goes on."""
        if self.device.type == "cuda":
            slices = slices.pin_memory()
        return slices.to(self.device, non_blocking=self.device.type == "cuda")

    def _wanted(self, precision: str) -> torch.dtype:
        can = computes_in_bfloat16(self.device.type)
        return torch.bfloat16 if precision == "bfloat16" or precision == "auto" and can else torch.float32

    def _fall_back(self, error: RuntimeError) -> None:
        """Makes the next try possible, or raises SetupError. An error of CUDA may last: nothing asks the GPU again."""
        out_of_memory = _is_memory(error)
        if self.device.type == "cpu":
            remedy = "close other programs, or crop the image" if out_of_memory else "run again with --debug"
            raise SetupError(
                f"The network failed on the CPU ({first_line(error)}): {remedy}.",
                code="memory" if out_of_memory else "device",
            ) from error
        if out_of_memory and self.batch > 1:
            self.batch //= 2
            return
        if not out_of_memory and self._options.device != "auto":
            raise SetupError(
                f"The device {self._name} failed ({first_line(error)}): choose another, or 'cpu'.", code="device"
            ) from error
        self._findings.append(
            warning(
                "gpu-memory",
                f"The GPU {self._name} has too little free memory, so the CPU did the work: the CT is the same, it "
                "took longer.",
            )
            if out_of_memory
            else gpu_failed(self._name, first_line(error))
        )
        self.device = torch.device("cpu")
        self.batch = BATCH["cpu"]
        self.dtype = self._wanted(self._options.precision)
        self._ready = None


def fitting(free: int, needed: int, most: int) -> int:
    """How many slices that need so many bytes each fit into free memory: at least one, at most ``most``."""
    return max(1, min(most, int(_SHARE_OF_MEMORY * free) // max(needed, 1)))


def _is_memory(error: Exception) -> bool:
    words = ("out of memory", "allocate memory", "not enough memory")
    kind = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    return isinstance(error, kind) or any(word in str(error) for word in words)
