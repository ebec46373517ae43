"""Every code of an error or a finding: how grave it is, what it means, and what to do. Imports nothing.

docs/troubleshooting.md shows this table: python Testing/tools/code_table.py writes it there. A test compares the codes
with those that decnn gives.
"""

from typing import NamedTuple


class Code(NamedTuple):
    """``severity`` is error, warning, or "error, warning" where it depends on how clear the case is."""

    severity: str
    meaning: str
    remedy: str


_AGAIN = "export, copy or convert it again"
_T1 = "give the T1-weighted MR of a whole head"
_LOOK = "look at the MR in Slicer, and correct it there"

CODES = {
    # files and arguments
    "bad-input": Code("error", "an argument or an image cannot be used", "the sentence says which"),
    "bad-path": Code("error", "a path is missing, has a wrong name, or is in the way", "give another path"),
    "unreadable": Code("error", "the file is no image that can be read", "give NRRD, NIfTI, MHA or a DICOM folder"),
    "format": Code("error", "the voxels are stored in a way that is not read", "save as one .nrrd or .nii.gz file"),
    "damaged": Code("error", "bytes are missing, too many, or do not fit their checksum", _AGAIN),
    "geometry": Code("error", "the header holds a number that is no length", "correct the header, or export again"),
    "direction": Code("error", "the axes in the header do not span space", "correct the header, or export again"),
    "sheared": Code("error", "the axes of a NIfTI file are far from right angles", "resample to right angles"),
    "straightened": Code("warning", "axes nearly at right angles were straightened", "check the distance it names"),
    "two-transforms": Code("warning", "qform and sform of a NIfTI file disagree", "save the MR with one transform"),
    "orientation-unknown": Code("warning", "the file does not say how the head lies", "check left and right in Slicer"),
    "crashed": Code("error", "reading the file ended the reader (batch)", _AGAIN),
    "endless": Code("error", "reading the file took too long (batch)", _AGAIN),
    "too-large": Code("error", "more voxels than any MR of a head", "crop or resample it"),
    # DICOM
    "no-dicom": Code("error", "no DICOM image is in the folder", "give the folder with the files of the series"),
    "dicom-series": Code("error", "several series are there", "choose with --series"),
    "dicom-echoes": Code("error", "several echoes are in the series", "choose with --echo"),
    "dicom-modality": Code("error", "the series is no MR", "give the MR series"),
    "dicom-orientations": Code("error", "slices of another orientation are among the series", "take them away"),
    "dicom-differs": Code(
        "error", "size, spacing, patient or frame of reference differ between the files", "export the series again"
    ),
    "dicom-doubled": Code("error", "several images lie at one place", "keep one image for each place"),
    "dicom-gaps": Code("error", "slices are missing or unevenly spaced", "export the whole series again"),
    "dicom-place": Code("error", "position, orientation or spacing is missing or invalid", "export the series again"),
    "dicom-shifted": Code("error", "slices are shifted against each other (gantry tilt)", "resample, or export again"),
    "dicom-rounded": Code("warning", "positions are rounded; the nearest even stack was taken", "nothing"),
    "dicom-identifiers": Code("error", "UIDs that the CT has to refer to are missing", "export the series again"),
    "dicom-tags": Code("warning", "tags of the MR are invalid, and left out of the CT", "check the patient's record"),
    # the MR
    "not-3d": Code("error", "the image is no single volume", "give one volume"),
    "not-scalar": Code("error", "colour, vector or complex image", "give the magnitude image"),
    "few-slices": Code("error", "fewer than 16 slices", "give the whole volume"),
    "spacing": Code("error", "voxels of a size that no MR has", "correct the spacing (mm)"),
    "extent": Code("error", "the field of view is no head", "correct the spacing (mm), or give a whole head"),
    "thick-slices": Code("warning", "slices over 3 mm: thin bone is blurred", "prefer thinner slices"),
    "field-of-view": Code("warning", "the image is under 120 mm in a direction", "give the whole head"),
    "not-finite": Code("error", "NaN or infinite values", "replace them, usually by 0"),
    "constant": Code("error", "all voxels have one value", _T1),
    "noise": Code("error", "the image is noise", _T1),
    "labels": Code("error", "label map, mask or drawing", _T1),
    "looks-like-ct": Code("error", "the image is a CT", _T1),
    "padding": Code("warning", "a value that pads the image was taken for air", "nothing"),
    "background-noise": Code("error", "bright noise around the head (MP2RAGE)", "give the denoised or masked image"),
    "no-head": Code("error", "nothing in the image is like a head", _T1),
    "no-skull": Code("error", "no dark skull under the surface", _T1),
    "skull-stripped": Code("error", "a brain without its head", "give the MR as it was before skull stripping"),
    "partly-stripped": Code("warning", "skin, face or neck were probably removed", "give the MR as it was"),
    "mask-failed": Code("error", "the head was not told from the background", "give an image with air around the head"),
    "two-heads": Code("error", "a second object of the size of a head", "crop to one head"),
    "unlike-a-head": Code("error", "the middle slice is not like that of a head", _T1),
    "head-orientation": Code("error, warning", "the head lies otherwise than the file says", _LOOK),
    "tilted": Code("warning", "the head is turned or leans by much", "check the orientation"),
    "cut": Code("warning", "a part of the head is outside the image", "give a larger field of view"),
    "contrast": Code("warning", "the contrast is not that of a T1", _T1),
    "fat-suppressed": Code("warning", "fat is dark: HU of bone are less certain", "prefer one without fat suppression"),
    "bias-field": Code("warning", "strong shading by the coil", "correct it (N4ITK)"),
    "void": Code("warning", "a hole without signal, as by metal", "do not trust the CT there"),
    "defaced": Code("warning", "the face was probably removed", "give the MR as it was"),
    # the machine
    "setup": Code("error", "the installation or the machine is at fault", "the sentence says what to do"),
    "installation": Code("error", "a package cannot be loaded", "install it again"),
    "torch": Code("error", "PyTorch is missing, broken, or does not fit numpy", "install PyTorch again"),
    "device": Code("error", "the device is not there, or failed", "choose another, or cpu"),
    "memory": Code("error", "too little memory", "close other programs, or crop the image"),
    "file-system": Code("error", "a file cannot be read or written", "the sentence says why"),
    "model": Code("error", "the model's files do not fit each other", "install the model again"),
    "weights-changed": Code("error", "the weights are not those that were published", "install the model again"),
    "gpu-memory": Code("warning", "the GPU had too little memory, the CPU did the work", "nothing"),
    "gpu-failed": Code("warning", "the GPU failed, the CPU did the work", "update its driver"),
    "precision": Code("warning", "bfloat16 was not exact enough, float32 did the work", "nothing"),
    "scheduler": Code("error", "the Dask scheduler does not answer (batch)", "start it, give the address it prints"),
    "worker": Code("error", "the workers that had this head failed or died (batch)", "see their logs, run again"),
    "bench": Code("error", "the engine failed while it was measured", "synthesize the same MR, which tells why"),
    "cancelled": Code("error", "you stopped the work", "start again"),
    "internal": Code("error", "a defect of decnn", "run with --debug, and report what it prints"),
    # comparing and exporting
    "no-bone": Code("warning", "the reference CT holds no bone", "check that it is a CT of the head"),
    "already-aligned": Code("warning", "registration found no better place", "nothing, if the map looks right"),
    "not-aligned": Code("warning", "the heads lie badly on each other", "register the reference"),
    "reference-field-of-view": Code("warning", "the reference covers a part of the head", "mind it in the scores"),
    "resampled": Code("warning", "the CT was resampled for the export", "nothing"),
    "rectangular-pixels": Code("warning", "pixels are not square", "add --resample if your system refuses them"),
    "new-identifiers": Code("warning", "patient, study and frame of reference are new", "give --reference"),
    "new-frame-of-reference": Code("warning", "the CT cannot be laid over its MR", "register it in your system"),
    "other-reference": Code("error", "the CT was made from another series", "give the series it was made from"),
    "reference-changed": Code("warning", "the MR's voxels differ from those the CT was made from", "compare the two"),
    "unverified-reference": Code(
        "error, warning", "the CT does not say which MR it was made from", "check, then add --unverified-reference"
    ),
}


def table() -> str:
    """The codes as a Markdown table."""
    rows = [f"| `{code}` | {entry.severity} | {entry.meaning} | {entry.remedy} |" for code, entry in CODES.items()]
    return "\n".join(["| code | severity | meaning | what to do |", "|---|---|---|---|", *rows])
