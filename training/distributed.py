"""Training by several processes, on one machine or more: torch's own, started by torchrun.

`torchrun --nproc-per-node 4 -m -- training fit --device cuda ...`: each process makes and learns from its share of each
batch, and the gradients are summed, so the run is the one of a single process. Batch norm sees only its own share, but
on GPUs torch synchronizes it. Tested with two processes on a CPU; not yet run on several GPUs.
"""

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn

from decnn.errors import InputError


@dataclass(frozen=True)
class Group:
    """The processes of a run. A run of one process is a group of one, and needs nothing of torch.distributed."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: str, batch: int) -> "Group":
        """The group that torchrun has started, or a group of one.

        Raises InputError if the batch cannot be shared out evenly.
        """
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return cls()
        if batch % size:
            raise InputError(
                f"A batch of {batch} cannot be shared by {size} processes: give --batch a multiple of {size}."
            )
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(distributed.get_rank(), size)

    @property
    def leads(self) -> bool:
        """Whether this process writes what the run leaves behind."""
        return self.rank == 0

    def device(self, device: str) -> str:
        """The device of this process: one GPU each."""
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if self.size > 1 and device == "cuda" else device

    def share(self, count: int) -> range:
        """Which patches of a batch are this process's."""
        return range(self.rank, count, self.size)

    def prepare(self, network: nn.Module, device: str) -> nn.Module:
        """The network that computes the gradients of all: itself in a group of one."""
        if self.size == 1:
            return network
        if device.startswith("cuda"):
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return nn.parallel.DistributedDataParallel(network)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a number over all processes, without gradient."""
        value = value.detach().clone()
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def leave(self) -> None:
        """Ends what join() has begun."""
        if self.size > 1 and distributed.is_initialized():
            distributed.barrier()
            distributed.destroy_process_group()
