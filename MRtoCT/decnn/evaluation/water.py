"""What an error in HU means for a proton beam: the error of the water-equivalent thickness along parallel beams.

HU to relative stopping power: the piecewise linear curve of Schneider, Pedroni and Lomax, "The calibration of CT
Hounsfield units for radiotherapy treatment planning", Phys Med Biol 41 (1996) 111-124. It is a published curve of one
scanner, to compare two CTs by, and no calibration of any other scanner.
"""

import numpy as np

_CURVE_HU = (-1000.0, 0.0, 41.46, 3071.0)
_CURVE_RSP = (0.00106, 1.0, 1.0279 + 0.0005011 * 41.46, 1.0279 + 0.0005011 * 3071.0)
BEAMS = 36
# Shorter ways through the body graze the skin.
_SHORTEST_MM = 20.0
# In a volume, beams lie in slices that are at least so far apart.
_SLICE_STEP_MM = 2.0


def stopping_power(hu: np.ndarray) -> np.ndarray:
    """Stopping power for protons relative to water, of HU; float32."""
    return np.interp(hu, _CURVE_HU, _CURVE_RSP).astype(np.float32)


def thickness_errors(ct: np.ndarray, reference: np.ndarray, mask: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Error of the water-equivalent thickness, ct - reference, in mm, of every beam; an empty array if there is none.

    Beams of BEAMS directions, evenly over 180 degrees, lie side by side in the plane of a slice and go all the way
    through the body; what lies outside of the mask does not count. Each is two pixels wide. A beam counts if its way
    through the mask is 20 mm or longer. In a volume, the planes are its slices (x, y), one every 2 mm.

    Args:
        ct, reference: HU, [z, y, x] or a slice [h, w].
        mask: bool, the body.
        spacing: mm along x, y and z.
    """
    if mask.ndim == 3:
        step = max(1, round(_SLICE_STEP_MM / spacing[2]))
        ct, reference, mask = (array[::step] for array in (ct, reference, mask))
    else:
        ct, reference, mask = ct[None], reference[None], mask[None]
    if not mask.any():
        return np.zeros(0, np.float32)
    rows, columns = np.nonzero(mask.any(axis=0))
    inside = mask[:, rows, columns]
    difference = np.where(inside, stopping_power(ct[:, rows, columns]) - stopping_power(reference[:, rows, columns]), 0)
    # One row a pixel, one column a slice: first the errors, then the ways.
    values = np.concatenate([difference, inside]).T.astype(np.float32)
    width = 2.0 * max(spacing[:2])
    values *= spacing[0] * spacing[1] / width
    errors = []
    for angle in np.arange(BEAMS) * np.pi / BEAMS:
        place = (columns * spacing[0] * np.cos(angle) + rows * spacing[1] * np.sin(angle)) / width
        sums = _side_by_side(values, place - place.min())
        error, way = np.split(sums, 2, axis=1)
        errors.append(error[way >= _SHORTEST_MM])
    return np.concatenate(errors)


def _side_by_side(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Sums of the rows of ``values`` [n, m] in bins of width 1, each row shared by the two bins next to its place."""
    first = np.floor(place).astype(np.int64)
    order = np.argsort(first, kind="stable")
    bins, starts = np.unique(first[order], return_index=True)
    ordered, share = values[order], (place - first).astype(np.float32)[order, None]
    sums = np.zeros((int(bins[-1]) + 2, values.shape[1]), np.float32)
    upper = np.add.reduceat(ordered * share, starts, axis=0)
    sums[bins] += np.add.reduceat(ordered, starts, axis=0) - upper
    sums[bins + 1] += upper
    return sums
