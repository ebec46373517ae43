"""How good is a synthetic CT? One list of metrics, from which every table and every JSON file is made.

The editions of SynthRAD differ in range and in the structural metric, so every figure that depends on the edition
carries it in its name. Differences are synthetic - reference. A new metric is one entry in METRICS and one test.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from decnn.evaluation.overlap import dice, share_of, surface95
from decnn.evaluation.structure import ms_ssim, psnr, ssim
from decnn.evaluation.water import thickness_errors
from decnn.hu import AIR_BELOW_HU, BONE_ABOVE_HU, RANGE_2023_HU, RANGE_2025_HU

Scores = dict[str, float | None]


@dataclass(frozen=True)
class Case:
    """Two CTs on one grid and where to compare them: volumes [z, y, x], or slices [h, w], in HU."""

    ct: np.ndarray
    reference: np.ndarray
    mask: np.ndarray
    """bool, with at least one True."""
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    """mm along x, y and z."""

    @cached_property
    def truth(self) -> np.ndarray:
        """The reference's HU in the mask, float64."""
        return self.reference[self.mask].astype(np.float64)

    @cached_property
    def difference(self) -> np.ndarray:
        """Synthetic - reference in the mask, float64."""
        return self.ct[self.mask] - self.truth

    @cached_property
    def bone(self) -> tuple[np.ndarray, np.ndarray]:
        """Bone in the mask: synthetic, reference."""
        return (self.ct > BONE_ABOVE_HU) & self.mask, (self.reference > BONE_ABOVE_HU) & self.mask

    @cached_property
    def air(self) -> tuple[np.ndarray, np.ndarray]:
        """Air in the mask: synthetic, reference."""
        return (self.ct < AIR_BELOW_HU) & self.mask, (self.reference < AIR_BELOW_HU) & self.mask

    @cached_property
    def thickness(self) -> np.ndarray:
        """Errors of the water-equivalent thickness, mm: ``decnn.evaluation.water``."""
        return thickness_errors(self.ct, self.reference, self.mask, self.spacing)


@dataclass(frozen=True)
class Metric:
    """One figure. ``function`` gives None where it is not defined (no bone, ...).

    volumes, slices: whether it is one of 3D, and of 2D. digits: behind the decimal point, in tables for people.
    """

    key: str
    title: str
    unit: str
    digits: int
    definition: str
    function: Callable[[Case], float | None]
    volumes: bool = True
    slices: bool = True


_SYNTHRAD = "SynthRAD2023, SynthRAD2025"
_TISSUES = f"air < {AIR_BELOW_HU} HU, soft tissue, bone > {BONE_ABOVE_HU} HU of the reference"
_BONE = f"> {BONE_ABOVE_HU} HU"
_BEAMS = "36 parallel beams, Schneider 1996"


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _in_soft_tissue(case: Case) -> np.ndarray:
    return case.difference[(case.truth >= AIR_BELOW_HU) & (case.truth <= BONE_ABOVE_HU)]


def _in_air(case: Case) -> np.ndarray:
    return case.difference[case.truth < AIR_BELOW_HU]


def _in_bone(case: Case) -> np.ndarray:
    return case.difference[case.truth > BONE_ABOVE_HU]


def _thickness95(case: Case) -> float | None:
    return float(np.percentile(np.abs(case.thickness), 95)) if case.thickness.size else None


METRICS = (
    Metric("mae_hu", "Mean absolute error", "HU", 1, _SYNTHRAD, lambda c: _mean(np.abs(c.difference))),
    Metric("me_hu", "Mean error (synthetic - reference)", "HU", 1, "", lambda c: _mean(c.difference)),
    Metric("psnr_db_2023", "PSNR", "dB", 2, "SynthRAD2023", lambda c: psnr(c.ct, c.reference, c.mask, RANGE_2023_HU)),
    Metric("psnr_db_2025", "PSNR", "dB", 2, "SynthRAD2025", lambda c: psnr(c.ct, c.reference, c.mask, RANGE_2025_HU)),
    Metric(
        "ssim_2023",
        "SSIM",
        "",
        3,
        "SynthRAD2023",
        lambda c: ssim(c.ct, c.reference, c.mask, RANGE_2023_HU),
        slices=False,
    ),
    Metric(
        "ssim_2d_2023",
        "SSIM of the slice",
        "",
        3,
        "as SynthRAD2023, window of 7 x 7",
        lambda c: ssim(c.ct, c.reference, c.mask, RANGE_2023_HU),
        volumes=False,
    ),
    Metric(
        "ms_ssim_2025",
        "MS-SSIM",
        "",
        3,
        "SynthRAD2025",
        lambda c: ms_ssim(c.ct, c.reference, c.mask, RANGE_2025_HU),
        slices=False,
    ),
    Metric("mae_air_hu", "Mean absolute error, air", "HU", 1, _TISSUES, lambda c: _mean(np.abs(_in_air(c)))),
    Metric(
        "mae_soft_tissue_hu",
        "Mean absolute error, soft tissue",
        "HU",
        1,
        _TISSUES,
        lambda c: _mean(np.abs(_in_soft_tissue(c))),
    ),
    Metric("mae_bone_hu", "Mean absolute error, bone", "HU", 1, _TISSUES, lambda c: _mean(np.abs(_in_bone(c)))),
    Metric("me_bone_hu", "Mean error, bone", "HU", 1, _TISSUES, lambda c: _mean(_in_bone(c))),
    Metric("bone_dice", "Bone overlap (Dice)", "", 3, _BONE, lambda c: dice(*c.bone)),
    Metric("bone_precision", "Synthetic bone that is bone", "", 3, _BONE, lambda c: share_of(c.bone[1], c.bone[0])),
    Metric("bone_recall", "Bone that was found", "", 3, _BONE, lambda c: share_of(c.bone[0], c.bone[1])),
    Metric(
        "bone_surface95_mm",
        "Bone surface distance, 95 %",
        "mm",
        2,
        _BONE,
        lambda c: surface95(*c.bone, c.spacing),
        slices=False,
    ),
    Metric("air_dice", "Air overlap (Dice)", "", 3, f"< {AIR_BELOW_HU} HU", lambda c: dice(*c.air)),
    Metric("wet_bias_mm", "Water-equivalent thickness, mean error", "mm", 2, _BEAMS, lambda c: _mean(c.thickness)),
    Metric(
        "wet_error_mm",
        "Water-equivalent thickness, mean absolute error",
        "mm",
        2,
        _BEAMS,
        lambda c: _mean(np.abs(c.thickness)),
    ),
    Metric("wet_error95_mm", "Water-equivalent thickness, 95 % of errors", "mm", 2, _BEAMS, _thickness95),
)
BY_KEY = {metric.key: metric for metric in METRICS}


def metrics_of(dimensions: int) -> tuple[Metric, ...]:
    """Those of volumes (3) or of single slices (2)."""
    return tuple(metric for metric in METRICS if (metric.volumes if dimensions == 3 else metric.slices))


def score(
    ct: np.ndarray,
    reference: np.ndarray,
    mask: np.ndarray,
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0),
    keys: Iterable[str] | None = None,
) -> Scores:
    """The metrics within one mask.

    Args:
        ct, reference: HU, volumes [z, y, x] or slices [h, w]; padding must have been taken out of the reference.
        mask: bool, not empty.
        spacing: mm along x, y and z.
        keys: which metrics; all those of volumes, or of slices, if not given.
    """
    case = Case(ct, reference, mask, spacing)
    chosen = metrics_of(mask.ndim) if keys is None else [BY_KEY[key] for key in keys]
    return {metric.key: metric.function(case) for metric in chosen}


def cell(key: str, value: Any) -> str:
    """A value as a table shows it, by the digits of the metric whose key it has, or begins with (mae_hu_tight)."""
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    known = [metric for metric in METRICS if key == metric.key or key.startswith(metric.key + "_")]
    return f"{value:.{max(known, key=lambda metric: len(metric.key)).digits if known else 2}f}"


def markdown(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows as a Markdown table, with the columns' keys as its head."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell(key, row.get(key)) for key in columns) + " |" for row in rows]
    return "\n".join(lines)
