"""DECNN, the deep embedding convolutional network, its variants, and the registry of the networks that models may name.

Source: Xiang et al., "Deep embedding convolutional neural network for synthesizing CT image from T1-Weighted MR image",
Medical Image Analysis 47 (2018) 31-44, doi 10.1016/j.media.2018.03.011.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from decnn.errors import InputError


class SliceNetwork(nn.Module):
    """What the engine asks of a network: slices of an MR in, slices of a CT out. A new kind goes into NETWORKS."""

    in_channels: int
    """Channels that it takes: neighbouring MR slices, and the depth channel where the model has one."""
    stages: int
    """How many tentative CTs ``forward`` gives; 0 for a network that computes its CT in one go."""

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(B, C, H, W) -> (final CT (B, 1, H, W), the tentative CTs in order), in units of the model.

        The unit is ``model.json``'s ``output.scale_hu`` (1 = 1000 HU).
        """
        raise NotImplementedError


def _convolution(
    in_channels: int, features: int, batch_norm: bool, dilation: int = 1, stride: int = 1
) -> nn.Sequential:
    """3x3 convolution (+ batch norm) + ReLU that keeps the size of the slice, or halves it (rounded up) by stride 2."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, features, 3, stride=stride, padding=dilation, dilation=dilation, bias=not batch_norm)
    ]
    if batch_norm:
        layers.append(nn.BatchNorm2d(features))
    layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class EmbeddingBlock(nn.Module):
    """Computes a tentative CT from the feature maps and embeds it back into them."""

    def __init__(self, features: int, batch_norm: bool) -> None:
        super().__init__()
        self.features = _convolution(features, features, batch_norm)
        self.tentative = nn.Conv2d(features, 1, 3, padding=1)
        self.embed = _convolution(features + 1, features, batch_norm)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, F, H, W) maps -> (better maps of the same shape, tentative CT (B, 1, H, W))."""
        tentative = self.tentative(maps)
        return self.embed(torch.cat([self.features(maps), tentative], dim=1)), tentative


class PyramidStem(nn.Module):
    """Feature maps that know the whole slice: convolved at 1, 2, 4 ... mm, and brought back to 1 mm level by level.

    Not the paper's stem, whose five convolutions see 11 mm. The way down and up with skip connections is that of
    Ronneberger et al., "U-Net", MICCAI 2015.

    Args:
        in_channels: channels of the input.
        features: feature maps at 1 mm.
        pyramid: feature maps at each coarser level, the finest one first.
        batch_norm: as in DECNN.
    """

    def __init__(self, in_channels: int, features: int, pyramid: Sequence[int], batch_norm: bool) -> None:
        super().__init__()
        widths = [features, *pyramid]
        self.finest = _convolution(in_channels, features, batch_norm)
        self.down = nn.ModuleList(
            nn.Sequential(
                _convolution(finer, coarser, batch_norm, stride=2), _convolution(coarser, coarser, batch_norm)
            )
            for finer, coarser in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(
            _convolution(finer + coarser, finer, batch_norm) for finer, coarser in itertools.pairwise(widths)
        )

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) of any size -> (B, F, H, W)."""
        levels = [self.finest(slices)]
        for down in self.down:
            levels.append(down(levels[-1]))
        maps = levels.pop()
        for up in reversed(self.up):
            finer = levels.pop()
            maps = up(torch.cat([finer, nn.functional.interpolate(maps, size=finer.shape[-2:])], dim=1))
        return maps


class DECNN(SliceNetwork):
    """MR slices in, a CT slice out, with a tentative CT embedded in every block.

    Args:
        in_channels: channels of the input (neighbouring MR slices, and a depth map where the model uses one).
        features: feature maps F per convolution.
        blocks: number N of embedding blocks; 0 is a plain CNN without any tentative CT.
        dilations: dilation of each convolution of the stem. Five ones are the paper's network; larger values widen
            the field of view and make a variant of it, which a model has to say in its card.
        batch_norm: batch normalization after each convolution with features (the paper is silent about it).
        pyramid: if not empty, a PyramidStem with these widths takes the place of the plain convolutions
            (``dilations`` must be empty then). This, too, makes a variant of it.

    Raises:
        ValueError: both ``dilations`` and ``pyramid`` are given, or a number is out of its range.
    """

    def __init__(
        self,
        in_channels: int = 1,
        features: int = 64,
        blocks: int = 3,
        dilations: Sequence[int] = (1, 1, 1, 1, 1),
        batch_norm: bool = False,
        pyramid: Sequence[int] = (),
    ) -> None:
        super().__init__()
        numbers = [("in_channels", in_channels, 1, 64), ("features", features, 1, 1024), ("blocks", blocks, 0, 64)]
        numbers += [
            ("the number of dilations", len(dilations), 0, 32),
            ("the levels of the pyramid", len(pyramid), 0, 8),
        ]
        numbers += [("a dilation", dilation, 1, 64) for dilation in dilations]
        numbers += [("a width of the pyramid", width, 1, 1024) for width in pyramid]
        for what, value, low, high in numbers:
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise ValueError(f"{what} must be a whole number from {low} to {high}, not {value!r}")
        if dilations and pyramid:
            raise ValueError("a DECNN has either a stem of plain convolutions or a pyramid")
        self.in_channels = in_channels
        self.stages = blocks
        channels = [in_channels] + [features] * len(dilations)
        self.head: nn.Module = (
            PyramidStem(in_channels, features, pyramid, batch_norm)
            if pyramid
            else nn.Sequential(
                *(_convolution(channels[i], features, batch_norm, dilation) for i, dilation in enumerate(dilations))
            )
        )
        self.blocks = nn.ModuleList(EmbeddingBlock(features, batch_norm) for _ in range(blocks))
        self.final = nn.Conv2d(features, 1, 3, padding=1)

    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """See SliceNetwork.forward: one tentative CT a block."""
        maps = self.head(slices)
        tentative_cts = []
        for block in self.blocks:
            maps, tentative = block(maps)
            tentative_cts.append(tentative)
        return self.final(maps), tentative_cts


NETWORKS: dict[str, type[SliceNetwork]] = {"DECNN": DECNN}
"""The networks that a model.json, or a training run, can name."""


def build_network(name: str, arguments: Mapping[str, Any]) -> SliceNetwork:
    """A network of random weights.

    Args:
        name: a key of NETWORKS.
        arguments: what its class takes.

    Raises:
        InputError: there is no such network, or it does not take these arguments.
    """
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise InputError("A network is named by a text, and its arguments by their names: correct both.")
    if name not in NETWORKS:
        raise InputError(f"There is no network {name!r}: choose one of {', '.join(NETWORKS)}.")
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"The network {name} cannot be built ({error}): correct its arguments.") from error
