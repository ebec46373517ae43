"""Every Hounsfield unit with a meaning of its own, and the windows in which a CT is shown. Imports nothing of decnn.

A number that several parts of the project share stands here once, under one name.
"""

from typing import NamedTuple

AIR_HU = -1000
"""Air: around the head in every synthetic CT, and outside of a field of view."""
CT_RANGE_HU = (-1024, 3071)
"""What a synthetic CT is clipped to: 12 bits of a scanner."""
PADDING_HU = -1024
"""What lies lower is a scanner's padding, and counts as this."""

AIR_BELOW_HU = -200
"""Tissue classes of the metrics: air below this, bone above BONE_ABOVE_HU, soft tissue between."""
BONE_ABOVE_HU = 250
"""Bone, in every Dice, contour, picture and table."""
BODY_ABOVE_HU = -300
"""What is denser is the body, or a thing beside it."""
METAL_HU = 2000
"""Denser than the bone of a head: metal and its streaks."""

RANGE_2023_HU = (-1024, 3000)
"""Range of PSNR and SSIM in SynthRAD2023 (github.com/SynthRAD2023/metrics)."""
RANGE_2025_HU = (-1024, 3071)
"""The same in SynthRAD2025 (github.com/SynthRAD2025/evaluation)."""


class Window(NamedTuple):
    """Width and centre of a grey scale, in HU."""

    width: int
    level: int


# The first three are Slicer's own CT-Bone, CT-Brain and CT-Abdomen (VolumeDisplayPresets.json of its module Volumes);
# the last one is that of the figures of the SynthRAD challenges, from air to dense bone.
WINDOWS = {
    "bone": Window(1000, 400),
    "brain": Window(100, 50),
    "soft-tissue": Window(350, 40),
    "synthrad": Window(2500, 200),
}
"""The presets of the panel, by name."""
DEFAULT_WINDOW = "bone"
"""The one in which a new CT is shown."""
