"""A trained network made fast for use: the same arithmetic in fewer passes over memory, and in bfloat16 where asked.

Measured by ``mrtoct bench``; what each step brings is in docs/performance.md.
"""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from decnn.network import EmbeddingBlock, SliceNetwork


def for_inference(network: SliceNetwork, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of a network for use, on its device.

    Batch norm is folded into the convolution before it, convolutions to a single map become sums of products, and the
    maps lie channels last, which on a CPU is faster by a quarter to a half.

    Args:
        network: left as it is.
        dtype: of the maps and weights. The first convolution and the final CT are computed in float32 in any case: the
            MR's own values, rounded to bfloat16, would cost as much accuracy as all that follows.

    Returns:
        A module that takes float32 slices (B, C, H, W) and gives what ``network`` does: the final CT and the tentative
        ones, float32.
    """
    fast = without_batch_norm(network)
    for name, child in list(fast.named_children()):
        if isinstance(child, nn.ModuleList):
            setattr(fast, name, nn.ModuleList(_Block(b) if isinstance(b, EmbeddingBlock) else b for b in child))
    final = fast._modules.get("final")  # not every network has one
    parent, _, name = _first_convolution(fast).rpartition(".")
    first = copy.deepcopy(fast.get_submodule(parent)._modules[name])
    assert first is not None
    if isinstance(final, nn.Conv2d):
        final = _SingleMap(final)
    if final is not None:
        fast.final = nn.Identity()  # or it would be cast, too
    fast.to(dtype)
    if final is not None:
        fast.final = final
    if name != "final":  # as it is where the network is but one convolution
        fast.get_submodule(parent)._modules[name] = _InFloat32(first, dtype)
    fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    return _ChannelsLast(fast)


def _first_convolution(network: SliceNetwork) -> str:
    """Name of the convolution that takes the slices."""
    return next(
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == network.in_channels
    )


class _ChannelsLast(nn.Module):
    """Slices in, CTs out in float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        final, tentative = self.network(slices.contiguous(memory_format=torch.channels_last))
        return final.float(), [ct.float() for ct in tentative]


class _InFloat32(nn.Module):
    """A module that computes in float32, and gives its maps in another type."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.module(slices).to(self.dtype)
        return maps


class _SingleMap(nn.Module):
    """A 3x3 convolution to one map: nine products of matrices, shifted and added in float32.

    A convolution pads its maps to the width of the processor's registers, so one map costs nearly as much as sixteen.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert convolution.out_channels == 1 and convolution.kernel_size == (3, 3) and convolution.bias is not None
        self.register_buffer("weight", convolution.weight[0].detach().permute(1, 2, 0).reshape(9, -1).contiguous())
        self.register_buffer("bias", convolution.bias.detach().clone())

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, F, H, W) -> (B, 1, H, W) float32."""
        batch, channels, height, width = maps.shape
        pixels = maps.permute(0, 2, 3, 1).reshape(-1, channels)
        planes = torch.matmul(self.weight, pixels.to(self.weight.dtype).t()).view(3, 3, batch, height, width)
        total = planes.new_zeros((batch, height + 2, width + 2), dtype=torch.float32)
        for row in range(3):
            for column in range(3):
                total[:, 2 - row : 2 - row + height, 2 - column : 2 - column + width] += planes[row, column]
        return (total[:, 1:-1, 1:-1] + self.bias.float())[:, None]


class _Block(nn.Module):
    """An EmbeddingBlock that writes its maps and its tentative CT side by side, instead of copying them there."""

    def __init__(self, block: EmbeddingBlock) -> None:
        super().__init__()
        self.features: nn.Module = block.features[0]  # its ReLU is done below, its batch norm is folded
        self.tentative = _SingleMap(block.tentative)
        self.embed = block.embed

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tentative = self.tentative(maps)
        features = self.features(maps)
        batch, channels, height, width = features.shape
        both = torch.empty(
            (batch, channels + 1, height, width),
            dtype=features.dtype,
            device=features.device,
            memory_format=torch.channels_last,
        )
        torch.clamp(features, min=0.0, out=both[:, :channels])
        both[:, channels:] = tentative
        return self.embed(both), tentative


def without_batch_norm(network: SliceNetwork) -> SliceNetwork:
    """A copy in evaluation mode with each batch norm folded into the convolution before it."""
    network = copy.deepcopy(network).eval()
    for block in network.modules():
        if isinstance(block, nn.Sequential):
            for index in range(len(block) - 1):
                convolution, norm = block[index], block[index + 1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    block[index] = fuse_conv_bn_eval(convolution, norm)
                    block[index + 1] = nn.Identity()
    return network
