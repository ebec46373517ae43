"""A plain 2D U-Net, to compare DECNN with. Models can name it after this module has been imported.

Ronneberger et al., "U-Net", MICCAI 2015, with batch norm, padded convolutions and bilinear upsampling.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from decnn.network import NETWORKS, SliceNetwork


class UNet(SliceNetwork):
    """Two 3 x 3 convolutions a level, on the way down and on the way up; no tentative CTs."""

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        """widths: maps of each level, from full resolution down; each level halves the resolution."""
        super().__init__()
        self.in_channels, self.stages = in_channels, 0
        self.down = nn.ModuleList(
            _pair(before, after) for before, after in zip((in_channels, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(
            _pair(below + here, here) for here, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.out = nn.Conv2d(widths[0], 1, 1)

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """See SliceNetwork.forward."""
        kept: list[torch.Tensor] = []
        maps = slices
        for number, level in enumerate(self.down):
            if number:
                maps = functional.max_pool2d(maps, 2, ceil_mode=True)
            maps = level(maps)
            kept.append(maps)
        for level, beside in zip(self.up, kept[-2::-1], strict=True):
            larger = functional.interpolate(maps, size=beside.shape[-2:], mode="bilinear", align_corners=False)
            maps = level(torch.cat([larger, beside], dim=1))
        return self.out(maps), []


def _pair(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
    )  # fmt: skip


NETWORKS["UNet"] = UNet
