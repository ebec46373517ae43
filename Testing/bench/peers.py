"""Networks of other tools beside the bundled one: same machine, same run, random weights, by their libraries' inferers.

What takes minutes a head is timed on some windows or slices, and the row says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.heads import SIZE
from decnn.bench.arithmetic import seconds_of
from decnn.bench.measure import precisions

_WINDOW = 128
_SLICES_TIMED = 8


@dataclass(frozen=True)
class Peer:
    """A network, and what a head costs it."""

    network: nn.Module
    part: torch.Tensor
    """An input that stands for the head."""
    infer: Callable[[torch.Tensor, nn.Module], object]
    parts: float
    """How many such inputs a head has."""
    scaled_from: str


def nnunet() -> Peer:
    """The 3D plan that nnU-Net makes for 1 mm and windows of 128^3: 6 levels, 32 to 320 maps, two convolutions each."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from monai.inferers import SlidingWindowInferer

    levels = 6
    network = PlainConvUNet(
        1,
        levels,
        (32, 64, 128, 256, 320, 320),
        nn.Conv3d,
        3,
        (1,) + (2,) * (levels - 1),
        2,
        1,
        2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    inferer = SlidingWindowInferer((_WINDOW,) * 3, sw_batch_size=1, overlap=0.5, mode="gaussian")
    windows = 0

    def count(window: torch.Tensor) -> torch.Tensor:
        nonlocal windows
        windows += 1
        return window

    inferer(torch.zeros(1, 1, *SIZE), count)
    return Peer(network, torch.rand(1, 1, *(_WINDOW,) * 3), inferer, windows, f"1 of {windows} windows")


def unet_plus_plus() -> Peer:
    """2.5D: U-Net++ with ResNet-34, five slices in, one pass over the axial slices (IMPACT-Synth's kind)."""
    import segmentation_models_pytorch as smp

    network = smp.UnetPlusPlus("resnet34", encoder_weights=None, in_channels=5, classes=1)
    # Rows and columns are padded to the next multiple of 32, as its encoder wants it.
    part = torch.rand(_SLICES_TIMED, 5, 224, 192)
    return Peer(network, part, _slice_by_slice, SIZE[2] / _SLICES_TIMED, f"{_SLICES_TIMED} of {SIZE[2]} slices")


def pix2pix() -> Peer:
    """A 2D U-Net of the size of pix2pix's generator for 256 x 256, one pass over the axial slices."""
    from monai.inferers import SliceInferer
    from monai.networks.nets import UNet

    network = UNet(2, 1, 1, (64, 128, 256, 512, 512, 512, 512, 512), (2,) * 7, norm="batch")
    part = torch.rand(1, 1, 256, 256, _SLICES_TIMED)
    inferer = SliceInferer(spatial_dim=2, roi_size=(256, 256), sw_batch_size=1)
    return Peer(network, part, inferer, SIZE[2] / _SLICES_TIMED, f"{_SLICES_TIMED} of {SIZE[2]} slices")


def _slice_by_slice(slices: torch.Tensor, network: nn.Module) -> None:
    for one in slices:
        network(one[None])


_NNUNET = "3D nnU-Net plan"
PEERS: dict[str, Callable[[], Peer]] = {
    _NNUNET: nnunet,
    "2.5D U-Net++ with ResNet-34": unet_plus_plus,
    "2D U-Net of pix2pix's size, one view": pix2pix,
}


def peers() -> dict[str, dict[str, Any]]:
    """Seconds a head of each, network alone, by precision; "missing" tells why one could not be built."""
    rows: dict[str, dict[str, Any]] = {}
    for name, build in PEERS.items():
        try:
            peer = build()
        except Exception as error:  # a package that is missing, or does not fit this torch
            rows[name] = {"missing": f"{type(error).__name__}: {error}".splitlines()[0]}
            continue
        rows[name] = {"scaled_from": peer.scaled_from}
        for precision in precisions(torch.device("cpu")):
            seconds = peer.parts * _seconds(peer, getattr(torch, precision))
            rows[name][precision] = {"seconds_per_head": round(seconds, 2)}
    rows[f"{_NNUNET}, mirrored"] = _mirrored(rows[_NNUNET])
    return rows


def _mirrored(row: dict[str, Any]) -> dict[str, Any]:
    """Each window, and its seven mirror images."""
    if "missing" in row:
        return row
    more = {"scaled_from": f"{row['scaled_from']}, 1 of 8 mirror images"}
    times = {precision: row[precision] for precision in ("float32", "bfloat16") if precision in row}
    return more | {name: {"seconds_per_head": round(8 * cell["seconds_per_head"], 2)} for name, cell in times.items()}


def _seconds(peer: Peer, dtype: torch.dtype) -> float:
    network, part = peer.network.eval().to(dtype), peer.part.to(dtype)
    slow = part.dim() == 5 and part.shape[2] == _WINDOW
    return seconds_of(lambda: peer.infer(part, network), rounds=1 if slow else 3, warm_up=1)
