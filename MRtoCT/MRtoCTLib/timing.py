"""How long a synthesis takes on this machine: learned from the last one, kept in the application's settings.

Kept are numbers only, by name and version of a bundled model and by the device: nothing about a patient, no path.
"""

from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from decnn import catalog
from decnn.options import Options


def remember(mrNode: Any, options: Options, seconds: float) -> None:
    """Keep how long the synthesis of this MR took with these options."""
    key = _key(options)
    if key:
        slicer.app.userSettings().setValue(key, seconds / _litres(mrNode))


def expectedSeconds(mrNode: Any, options: Options) -> float | None:
    """How long the synthesis of this MR will take, in seconds; None if there is no experience yet."""
    key = _key(options)
    secondsPerLitre = slicer.app.userSettings().value(key) if key else None
    return float(secondsPerLitre) * _litres(mrNode) if secondsPerLitre is not None else None


def about(seconds: float) -> str:
    """A time for people, no more exact than an estimate is."""
    if seconds >= 90:
        return _("about {minutes} min").format(minutes=round(seconds / 60))
    rounded = 5 * round(seconds / 5) if seconds > 12 else max(1, round(seconds))
    return _("about {seconds} s").format(seconds=rounded)


def _key(options: Options) -> str:
    """The name of the setting; "" for a model that is not bundled, whose name would be a path."""
    if options.model not in catalog.available_models():
        return ""
    version = catalog.model_entry(options.model).version  # the next one may be of another size
    return f"MRtoCT/SecondsPerLitre/{options.model}/{version}/{options.device}"


def _litres(node: Any) -> float:
    """The volume of space that an image covers: it is what the engine works through, at 1 mm whatever the voxels."""
    return float(np.prod(node.GetSpacing()) * np.prod(node.GetImageData().GetDimensions())) / 1e6
