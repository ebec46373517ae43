"""Who made a synthetic CT: written into the image's own header where the format has room for it (.nrrd, .mha).

Slicer shows the same entries as attributes of the volume node, and writes a node's attributes into a .nrrd file.
"""

import re
from dataclasses import dataclass

import SimpleITK as sitk

from decnn import NOTICE, __version__
from decnn.errors import InputError


@dataclass(frozen=True)
class Maker:
    """The model that made a CT; ``version`` is "" where it is not known."""

    name: str
    version: str
    weights_sha256: str


def sign(ct: sitk.Image, maker: Maker) -> None:
    """Writes into the metadata of ``ct`` who made it, and the notice on what it is not."""
    for key, value in {
        "MRtoCT.Model": maker.name,
        "MRtoCT.ModelVersion": maker.version,
        "MRtoCT.WeightsSHA256": maker.weights_sha256,
        "MRtoCT.Version": __version__,
        "MRtoCT.Notice": NOTICE,
    }.items():
        ct.SetMetaData(key, value)


def sign_confidence(image: sitk.Image) -> None:
    """Writes into the metadata of a confidence map what it is. No model: it must not pass for a CT."""
    image.SetMetaData("MRtoCT.Content", "disagreement of the model with itself, in HU; not a CT, no calibrated error")
    image.SetMetaData("MRtoCT.Version", __version__)
    image.SetMetaData("MRtoCT.Notice", NOTICE)


def maker_of(ct: sitk.Image, name: str | None = None, weights_sha256: str | None = None) -> Maker:
    """The maker in the metadata of an image; what the metadata does not say, the caller must.

    Raises:
        InputError: neither says it, the two contradict each other, or what should be a SHA-256 is none.
    """

    def entry(key: str) -> str:
        return ct.GetMetaData(key) if ct.HasMetaDataKey(key) else ""

    said = Maker(name or "", "", (weights_sha256 or "").lower())
    found = Maker(entry("MRtoCT.Model"), entry("MRtoCT.ModelVersion"), entry("MRtoCT.WeightsSHA256"))
    for asked, written in ((said.name, found.name), (said.weights_sha256, found.weights_sha256)):
        if asked and written and asked != written:
            raise InputError(f"The CT's file says {written!r}, not {asked!r}, of its model: leave that option out.")
    maker = Maker(found.name or said.name, found.version, found.weights_sha256 or said.weights_sha256)
    if not maker.name or not maker.weights_sha256:
        raise InputError(
            "The CT's file does not say which model made it: give --model-name and --weights-sha256, "
            "or the .nrrd file that synthesize wrote."
        )
    if not re.fullmatch("[0-9a-f]{64}", maker.weights_sha256):
        raise InputError(
            f"{maker.weights_sha256!r} is no SHA-256: give the 64 hexadecimal digits of the model's weights."
        )
    return maker
