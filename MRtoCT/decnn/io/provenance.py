"""Who made a synthetic CT, and of which MR: in the image's own header where the format has room (.nrrd, .mha).

In Slicer the volume node has the same entries as attributes. Slicer writes them into a scene, not into an image file.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn import NOTICE, __version__
from decnn.errors import Finding, InputError, warning

SOURCE_SERIES = "MRtoCT.SourceSeriesUID"
"""Entry of a header, and attribute of a volume node: SeriesInstanceUID of the MR, where it is known."""
SOURCE_HASH = "MRtoCT.SourceHash"
"""The same: ``hash_of`` the MR."""


_VERSION, _TERMS, _PRECISION = "MRtoCT.ModelVersion", "MRtoCT.Terms", "MRtoCT.Precision"


@dataclass(frozen=True)
class Maker:
    """The model that made a CT; what is not known of it is ""."""

    name: str
    version: str
    weights_sha256: str
    terms: str = ""
    """For what its weights, and what they make, may be used."""
    precision: str = ""
    """In which the network computed."""


@dataclass(frozen=True)
class Origin:
    """The MR that a CT was made from; "" where it is not known."""

    series_uid: str = ""
    voxels: str = ""
    """``hash_of`` the MR."""


def hash_of(image: sitk.Image) -> str:
    """SHA-256 of a volume's size and values, whatever the order of its axes and its type of numbers.

    The place is left out: formats round it, and ``same_grid`` compares it with a tolerance.
    """
    ordered = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")).astype("<f4", copy=False)
    ordered += np.float32(0)  # there is a zero with a minus
    digest = hashlib.sha256(str(ordered.shape).encode())
    digest.update(ordered.data)
    return digest.hexdigest()


def sign(ct: sitk.Image, maker: Maker, origin: Origin = Origin()) -> None:
    """Writes into the metadata of ``ct`` who made it, of what, and the notice on what it is not."""
    for key, value in {
        "MRtoCT.Model": maker.name,
        _VERSION: maker.version,
        "MRtoCT.WeightsSHA256": maker.weights_sha256,
        _TERMS: maker.terms,
        _PRECISION: maker.precision,
        SOURCE_SERIES: origin.series_uid,
        SOURCE_HASH: origin.voxels,
        "MRtoCT.Version": __version__,
        "MRtoCT.Notice": NOTICE,
    }.items():
        if value or key == _VERSION:
            ct.SetMetaData(key, value)


def origin_of(ct: sitk.Image) -> Origin:
    """What the metadata of a CT says of its MR."""
    return Origin(*(ct.GetMetaData(key) if ct.HasMetaDataKey(key) else "" for key in (SOURCE_SERIES, SOURCE_HASH)))


def check_origin(made_from: Origin, reference: Origin, unverified: bool = False) -> list[Finding]:
    """Was a CT made from this MR series? Two patients may lie on one grid, so the grid cannot tell.

    Args:
        made_from: of the CT. reference: of the MR series whose patient the CT is to have.
        unverified: take a CT whose header does not say it; a finding says so.

    Raises:
        InputError: it was made from another series, or the header does not say and ``unverified`` is False.
    """
    if made_from.voxels and made_from.voxels == reference.voxels:
        return []
    if made_from.series_uid and made_from.series_uid == reference.series_uid:
        if not made_from.voxels:
            return []
        return [
            warning(
                "reference-changed",
                "The CT was made from this series, but from other voxel values (filtered, corrected, or read by "
                "another program): check that both show the same head.",
            )
        ]
    if made_from.series_uid:
        raise InputError(
            "The CT was made from another series than the one given as its reference, perhaps of another patient: give "
            "the series that it was made from.",
            code="other-reference",
        )
    why = (
        "The voxels of the MR that the CT was made from are not those of the series"
        if made_from.voxels
        else "The CT does not say which MR it was made from"
    )
    if not unverified:
        raise InputError(
            f"{why}, so nobody can tell that it is of this patient: give the file that synthesize wrote from the DICOM "
            "series, or check it yourself and add --unverified-reference.",
            code="unverified-reference",
        )
    return [
        warning(
            "unverified-reference",
            f"{why}: that it is of this patient was not verified but said by the user (--unverified-reference).",
        )
    ]


def sign_confidence(image: sitk.Image) -> None:
    """Writes into the metadata of a confidence map what it is. No model: it must not pass for a CT."""
    image.SetMetaData("MRtoCT.Content", "disagreement of the model with itself, in HU; not a CT, no calibrated error")
    image.SetMetaData("MRtoCT.Version", __version__)
    image.SetMetaData("MRtoCT.Notice", NOTICE)


def entries_in(path: Path) -> dict[str, str]:
    """What the header of a file says of the CT in it, by key; RuntimeError if the file cannot be read."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if key.startswith("MRtoCT.")}


def weights_in(path: Path) -> str:
    """SHA-256 of the weights that made the CT in a file, "" if it does not say; RuntimeError if it cannot be read."""
    return entries_in(path).get("MRtoCT.WeightsSHA256", "")


def maker_of(ct: sitk.Image, name: str | None = None, weights_sha256: str | None = None) -> Maker:
    """The maker in the metadata of an image; what the metadata does not say, the caller must.

    Raises:
        InputError: neither says it, the two contradict each other, or what should be a SHA-256 is none.
    """

    def entry(key: str) -> str:
        return ct.GetMetaData(key) if ct.HasMetaDataKey(key) else ""

    said = Maker(name or "", "", (weights_sha256 or "").lower())
    found = Maker(entry("MRtoCT.Model"), entry(_VERSION), entry("MRtoCT.WeightsSHA256"))
    for asked, written in ((said.name, found.name), (said.weights_sha256, found.weights_sha256)):
        if asked and written and asked != written:
            raise InputError(f"The CT's file says {written!r}, not {asked!r}, of its model: leave that option out.")
    weights = found.weights_sha256 or said.weights_sha256
    maker = Maker(found.name or said.name, found.version, weights, entry(_TERMS), entry(_PRECISION))
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
