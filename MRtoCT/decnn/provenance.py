"""Who made a synthetic CT: written into the image's own header where the format has room for it (.nrrd, .mha).

Slicer shows the same entries as attributes of the volume node, and writes a node's attributes into a .nrrd file.
"""

from dataclasses import dataclass

import SimpleITK as sitk

from decnn import __version__

NOTICE = "Not a medical device. A synthetic CT is not a planning CT until the department's own acceptance test says so."


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


def maker_of(ct: sitk.Image) -> Maker:
    """The maker in the metadata of an image; "" for whatever is not there."""

    def entry(key: str) -> str:
        return ct.GetMetaData(key) if ct.HasMetaDataKey(key) else ""

    return Maker(entry("MRtoCT.Model"), entry("MRtoCT.ModelVersion"), entry("MRtoCT.WeightsSHA256"))
