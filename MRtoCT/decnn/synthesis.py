"""MR image in, CT image out: prepared, through the network by the slices of several views, their mean, and back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from decnn.confidence import check_model, disagreement
from decnn.devices import describe, select_device
from decnn.errors import Finding, SetupError
from decnn.grid import from_canonical
from decnn.hu import AIR_HU, CT_RANGE_HU
from decnn.intensity import depth_channel, near_head
from decnn.model import Model
from decnn.options import DEFAULTS, Options
from decnn.preparation import Prepared, prepare
from decnn.runner import Runner
from decnn.steps import Report, Steps, silent
from decnn.sweep import Sweep


@dataclass(frozen=True)
class SynthesisResult:
    """A synthetic CT and how it came about."""

    image: sitk.Image
    """int16, HU within CT_RANGE_HU, on exactly the grid of the MR; AIR_HU further than SKIN_MARGIN_MM from the head."""
    findings: list[Finding]
    device: str
    """The device that did the work (the last one, if it had to change): "cpu", or "cuda:0 NVIDIA ..."."""
    precision: str
    """In which most of the network computed: float32 or bfloat16."""
    confidence: sitk.Image | None = None
    """int16, HU, on the grid of the MR: see ``decnn.confidence``; None if it was not asked for."""


def synthesize(
    image: sitk.Image,
    model: Model,
    options: Options = DEFAULTS,
    report: Report = silent,
    should_cancel: Callable[[], bool] = lambda: False,
    checked: list[Finding] | None = None,
) -> SynthesisResult:
    """Makes the synthetic CT of a T1-weighted MR of the head.

    Args:
        image: see ``decnn.preparation.prepare``.
        model: the one that ``options.model`` names, loaded: see ``decnn.model.load_model``.
        options: what to compute, and where.
        report: called with (fraction 0..1, stage) after each step and each batch.
        should_cancel: asked before each step and each batch.
        checked: what ``check_image(image)`` found, if the caller has done it already.

    Raises:
        InputError: the image cannot be used, there is no such device, or no confidence map of this model.
        SetupError: the device is not on this machine, or fails.
        Cancelled: should_cancel said so.
    """
    chosen = _choose_device(model, options)  # what it refuses is refused before the work
    return _synthesize(prepare(image, checked, report, should_cancel), model, options, chosen, report, should_cancel)


def synthesize_prepared(
    head: Prepared,
    model: Model,
    options: Options = DEFAULTS,
    report: Report = silent,
    should_cancel: Callable[[], bool] = lambda: False,
) -> SynthesisResult:
    """What is left of ``synthesize`` once the MR has been prepared."""
    return _synthesize(head, model, options, _choose_device(model, options), report, should_cancel)


def _synthesize(
    head: Prepared,
    model: Model,
    options: Options,
    chosen: "_Chosen",
    report: Report,
    should_cancel: Callable[[], bool],
) -> SynthesisResult:
    steps = Steps(report, should_cancel)
    findings = [*head.findings, *chosen.findings]
    steps.enter(0.14, "Measuring the depth under the skin")
    depth = depth_channel(head.mask)
    near = near_head(depth)
    scale = float(model.spec["output"]["scale_hu"])
    runner = Runner(model.network, chosen.device, options, scale, findings)
    feeding = model.spec["input"]
    sweep = Sweep(head.mr, depth if feeding["depth_channel"] else None, near, feeding["neighbours"])
    steps.enter(0.145, "Comparing precisions")
    runner.choose_precision([sweep.middle_slice(view) for view in model.spec["views"]])
    views, within = _views(sweep, runner, model, options, steps)
    del sweep, depth  # their memory is wanted for what follows

    steps.enter(0.95, "Resampling to the grid of the MR")
    spread = disagreement(views, within) * np.float32(scale) if within is not None else None
    hounsfield = _fused(views, model.spec)
    if not np.isfinite(hounsfield).all():
        raise SetupError(f"Model {model.name} gave no numbers for this MR: choose another model, or the device 'cpu'.")
    hounsfield *= np.float32(scale)
    np.clip(hounsfield, *CT_RANGE_HU, out=hounsfield)
    hounsfield[~near] = AIR_HU
    ct = _on_grid(hounsfield, head, AIR_HU)
    confidence_map = _on_grid(np.where(near, spread, 0.0), head, 0.0) if spread is not None else None
    steps.enter(1.0, "Synthesized")
    return SynthesisResult(ct, findings, describe(runner.device), runner.precision, confidence_map)


@dataclass(frozen=True)
class _Chosen:
    """The device of a synthesis, asked for once: after an error, CUDA must not be asked again."""

    device: torch.device
    findings: list[Finding]


def _choose_device(model: Model, options: Options) -> _Chosen:
    """The device that is wanted; InputError or SetupError if it, or a confidence map, cannot be had."""
    if options.confidence:
        check_model(model)
    findings: list[Finding] = []
    return _Chosen(select_device(options.device, findings), findings)


def _views(
    sweep: Sweep, runner: Runner, model: Model, options: Options, steps: Steps
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The CT of each view in units of the model, and the sum of the variances of its stages for a confidence map.

    The views are one array, their sum, where nothing needs them apart.
    """
    names, shape = model.spec["views"], sweep.shape
    apart = options.confidence or model.spec["fusion"] != "mean"
    views = [np.zeros(shape, np.float32) for _ in (names if apart else names[:1])]
    within = np.zeros(shape, np.float32) if options.confidence else None
    for number, name in enumerate(names):
        stage = f"Synthesizing {name} view"

        def step(done: float, number: int = number, stage: str = stage) -> None:
            steps.enter(0.15 + 0.8 * (number + done) / len(names), stage)

        step(0.0)
        sweep.run(name, runner, views[number if apart else 0], within, step)
    return views, within


def _fused(views: list[np.ndarray], spec: dict[str, Any]) -> np.ndarray:
    """One volume: the median of the views, or their mean; of a sum, which is one array, in its own memory."""
    if spec["fusion"] == "median":
        return np.median(views, axis=0, overwrite_input=True)
    total = views[0]
    for view in views[1:]:
        total += view
    total /= len(spec["views"])
    return total


def _on_grid(values: np.ndarray, head: Prepared, background: float) -> sitk.Image:
    """An array on the grid of ``head.mask`` as an int16 image on exactly the grid of the MR."""
    volume = sitk.GetImageFromArray(values.astype(np.float32, copy=False))
    volume.CopyInformation(head.mask)
    back = sitk.Cast(sitk.Round(from_canonical(volume, head.grid, background)), sitk.sitkInt16)
    back.CopyInformation(head.grid)
    return back
