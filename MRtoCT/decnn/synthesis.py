"""MR image in, CT image out: the canonical grid, the network on the slices of several views, their mean, and back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from decnn.checks.head import find_head
from decnn.checks.image import check_image
from decnn.confidence import check_model, disagreement
from decnn.devices import describe, select_device
from decnn.errors import Finding, SetupError, raise_errors
from decnn.grid import from_canonical, to_canonical
from decnn.hu import AIR_HU, CT_RANGE_HU
from decnn.intensity import depth_channel, from_zero, normalize
from decnn.model import Model
from decnn.options import DEFAULTS, Options
from decnn.runner import Runner
from decnn.steps import Report, Steps, silent
from decnn.sweep import Sweep

# The network sees air around the head as in training; the CT is written as far as the partial volume of the skin goes.
_CROP_MARGIN = 8
_SKIN_MARGIN = 2


@dataclass(frozen=True)
class SynthesisResult:
    """A synthetic CT and how it came about."""

    image: sitk.Image
    """int16, HU within CT_RANGE_HU, on exactly the grid of the MR; AIR_HU outside the head."""
    findings: list[Finding]
    device: str
    """The device that did the work (the last one, if it had to change): "cpu", or "cuda:0 NVIDIA ..."."""
    precision: str
    """In which most of the network computed: float32 or bfloat16."""
    seconds: float
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
        image: 3D scalar MR on any grid, oblique and anisotropic ones included.
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
    start = time.monotonic()
    steps = Steps(report, should_cancel)
    if options.confidence:
        check_model(model)
    if checked is None:
        steps.enter(0.0, "Checking the MR")
        checked = check_image(image)
    findings = list(checked)
    raise_errors(findings)
    chosen = select_device(options.device, findings)

    steps.enter(0.02, "Resampling to 1 mm")
    canonical = to_canonical(from_zero(image))
    steps.enter(0.05, "Finding the head")
    mask, head_findings = find_head(image, canonical)
    raise_errors(head_findings)
    findings += head_findings
    steps.enter(0.13, "Normalizing the intensity")
    box = _bounding_box(mask)
    canonical, mask = canonical[box], mask[box]
    mr = normalize(sitk.GetArrayViewFromImage(canonical), sitk.GetArrayViewFromImage(mask))
    depth = depth_channel(mask) if model.spec["input"]["depth_channel"] else None

    skin = sitk.GetArrayFromImage(sitk.BinaryDilate(mask, [_SKIN_MARGIN] * 3, sitk.sitkBall)) > 0
    scale = float(model.spec["output"]["scale_hu"])
    runner = Runner(model.network, chosen, options, scale, findings)
    sweep = Sweep(mr, depth, skin, model.spec["input"]["neighbours"])
    runner.choose_precision([sweep.middle_slice(view) for view in model.spec["views"]])
    views, within = _views(sweep, runner, model, options, steps)

    steps.enter(0.95, "Resampling to the grid of the MR")
    spread = disagreement(views, within) * np.float32(scale) if within is not None else None
    hounsfield = _fused(views, model.spec) * np.float32(scale)
    if not np.isfinite(hounsfield).all():
        raise SetupError(f"Model {model.name} gave no numbers for this MR: choose another model, or the device 'cpu'.")
    hounsfield = np.where(skin, np.clip(hounsfield, *CT_RANGE_HU), AIR_HU)
    ct = _on_grid(hounsfield, mask, image, AIR_HU)
    confidence_map = _on_grid(np.where(skin, spread, 0.0), mask, image, 0.0) if spread is not None else None
    steps.enter(1.0, "Synthesized")
    seconds = time.monotonic() - start
    return SynthesisResult(ct, findings, describe(runner.device), runner.precision, seconds, confidence_map)


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


def _on_grid(values: np.ndarray, canonical: sitk.Image, image: sitk.Image, background: float) -> sitk.Image:
    """An array on the grid of ``canonical`` as an int16 image on exactly the grid of ``image``."""
    volume = sitk.GetImageFromArray(values.astype(np.float32))
    volume.CopyInformation(canonical)
    back = sitk.Cast(sitk.Round(from_canonical(volume, image, background)), sitk.sitkInt16)
    back.CopyInformation(image)
    return back


def _bounding_box(mask: sitk.Image) -> tuple[slice, ...]:
    """Slices of a SimpleITK image (i, j, k) around the head with a margin."""
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(mask)
    box = statistics.GetBoundingBox(1)
    return tuple(
        slice(max(low - _CROP_MARGIN, 0), min(low + size + _CROP_MARGIN, n))
        for low, size, n in zip(box[:3], box[3:], mask.GetSize(), strict=True)
    )
