"""The grid of a DICOM series: an even stack of slices at right angles, from which no slice may be off."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decnn.errors import Finding, InputError, warning
from decnn.io.dicom_frames import Frame

# Positions rounded to 0.1 mm are off by 0.087 mm at most.
_MOST_OFF_MM = 0.1
# Along the stack no slice may be so far off that another one could be meant.
_MOST_OFF_STEPS = 0.25
_ROUND_OFF_MM = 0.02
# Two slices whose cosines differ by less have one direction: over 250 mm a voxel moves by half a millimetre.
_SAME_DIRECTION = 2e-3
_SAME_SPACING = 1e-3


@dataclass(frozen=True)
class Grid:
    """Frames in their order along the stack, and the grid that they lie on (ITK's conventions, LPS, mm)."""

    frames: list[Frame]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    findings: list[Finding]


def check_alike(frames: Sequence[Frame]) -> None:
    """Raises InputError if the images differ in size, spacing or direction, or several lie at one place."""
    first = frames[0]
    for keyword, values in (
        ("size", [(float(frame.columns), float(frame.rows)) for frame in frames]),
        ("PixelSpacing", [frame.spacing for frame in frames]),
    ):
        usual = max(set(values), key=values.count)
        others = [
            frame
            for frame, value in zip(frames, values, strict=True)
            if np.abs(np.subtract(value, usual)).max() > _SAME_SPACING
        ]
        if others:
            raise InputError(
                f"{len(others)} of the {len(frames)} images have another {keyword} than the rest (first: "
                f"{_short(others[0])}): export the series again, or take them away if they are none of it.",
                code="dicom-differs",
            )
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            if np.abs(group[0].axes - frame.axes).max() <= _SAME_DIRECTION:
                group.append(frame)
                break
        else:
            groups.append([frame])
    if len(groups) > 1:
        groups.sort(key=len, reverse=True)
        count = len(frames) - len(groups[0])
        raise InputError(
            f"{count} slice{'s' if count > 1 else ''} of another orientation lie{'' if count > 1 else 's'} among the "
            f"{len(frames)} of the series (first: {_short(groups[1][0])}), as of a localizer: take them away, or "
            "choose a series of its own with --series.",
            code="dicom-orientations",
        )
    _check_doubles(frames, _places(frames, np.cross(*first.axes)))


def fit_grid(frames: Sequence[Frame]) -> Grid:
    """The even stack that lies nearest to the frames' places.

    Raises:
        InputError: slices are missing, doubled, uneven, or shifted against each other.
    """
    axes = _mean_axes(frames)
    normal = np.cross(*axes)
    places = _places(frames, normal)
    order = np.argsort(places, kind="stable")
    ordered, places = [frames[i] for i in order], places[order]
    count = len(ordered)
    if count == 1:
        step = ordered[0].thickness or 1.0
    else:
        steps = np.diff(places)
        step = float(np.polyfit(np.arange(count), places, 1)[0])
        uneven = np.abs(places - np.polyval(np.polyfit(np.arange(count), places, 1), np.arange(count)))
        if uneven.max() > _MOST_OFF_MM or uneven.max() > _MOST_OFF_STEPS * step:
            raise _uneven(ordered, steps)
    start = places.mean() - step * (count - 1) / 2
    positions = np.array([frame.position for frame in ordered])
    in_plane = positions - np.outer(places, normal)
    corner = np.median(in_plane, axis=0)
    shifted = np.linalg.norm(in_plane - corner, axis=1)
    if shifted.max() > _MOST_OFF_MM:
        worst = int(shifted.argmax())
        raise InputError(
            f"The slices are shifted against each other within their planes, by up to {shifted.max() * 2:.1f} mm "
            f"(worst: {_short(ordered[worst])}), as by a tilted gantry or a mixed-up series: such a stack has no grid "
            "with right angles. Resample it, or export the series again.",
            code="dicom-shifted",
        )
    origin = corner + normal * start
    off = np.linalg.norm(positions - (origin + np.outer(np.arange(count) * step, normal)), axis=1).max()
    findings = []
    if off > _ROUND_OFF_MM:
        findings.append(
            warning(
                "dicom-rounded",
                f"The positions of the slices are rounded, and lie up to {off:.2f} mm off an even stack: the nearest "
                "stack was taken.",
            )
        )
    if off <= 1e-4:  # to the last digit as it is written
        origin = positions[0]
        step = round((places[-1] - places[0]) / (count - 1), 9) if count > 1 else step
    return Grid(
        ordered,
        (*ordered[0].spacing, float(step)),
        tuple(float(x) for x in origin),  # type: ignore[arg-type]  # three numbers
        tuple(float(x) for x in np.column_stack([axes[0], axes[1], normal]).ravel()),
        findings,
    )


def _mean_axes(frames: Sequence[Frame]) -> np.ndarray:
    left, _, right = np.linalg.svd(np.mean([frame.axes for frame in frames], axis=0), full_matrices=False)
    mean = left @ right
    return frames[0].axes if np.abs(mean - frames[0].axes).max() < 1e-9 else mean


def _places(frames: Sequence[Frame], normal: np.ndarray) -> np.ndarray:
    return np.array([frame.position for frame in frames]) @ normal


def _check_doubles(frames: Sequence[Frame], places: np.ndarray) -> None:
    order = np.argsort(places)
    same = np.flatnonzero(np.diff(places[order]) < 1e-3)
    if not same.size:
        return
    first, second = frames[order[same[0]]], frames[order[same[0] + 1]]
    if np.linalg.norm(first.position - second.position) > 1e-3:
        raise InputError(
            "Slices lie beside each other in one plane, so the series holds several stacks: take one of them.",
            code="dicom-doubled",
        )
    for title in first.kind:
        values = sorted({frame.kind.get(title, "(none)") for frame in frames})
        if first.kind[title] != second.kind.get(title) and len(values) < 20:
            raise InputError(
                f"There are several images at each place ({title} {' and '.join(values[:4])}): keep the magnitude "
                "image of one of them, and give that.",
                code="dicom-doubled",
            )
    raise InputError(
        f"{same.size} of the {len(frames)} slices lie where another one lies: some are doubled, so take the copies "
        "away or export the series again.",
        code="dicom-doubled",
    )


def _uneven(frames: Sequence[Frame], steps: np.ndarray) -> InputError:
    stacks = {frame.kind["stack"] for frame in frames if "stack" in frame.kind}
    why = f"{len(stacks)} stacks lie in it" if len(stacks) > 1 else "some are missing or doubled"
    return InputError(
        f"The {len(frames)} slices of the series are unevenly spaced ({steps.min():.2f} to {steps.max():.2f} mm "
        f"apart), so {why}: export the whole series again.",
        code="dicom-gaps",
    )


def _short(frame: Frame) -> str:
    name = os.path.basename(frame.name)
    return f"{name}, frame {frame.index + 1}" if frame.index else name
