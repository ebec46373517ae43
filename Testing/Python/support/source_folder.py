"""A folder of data of the tests' own: its sources.toml says that the small files in it are the right ones."""

import hashlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from phantom import LABELS, ct_of, phantom_head
from training.heads.catalog import NAMES

# The phantom's labels as the labels of the NMD atlases: 1 GM, 2 WM, 3 CSF, 4 bone, 5 soft tissue, 6 air.
_TO_NMD = {"background": 6, "skin": 5, "fat": 5, "skull": 4, "csf": 3, "grey_matter": 1, "white_matter": 2, "sinus": 6}


def write_data(folder: Path) -> None:
    """Writes a folder of data with two labelled heads and one CT, a child's size so that the tests are fast."""
    _, labels = phantom_head()
    labels.SetSpacing((2.25, 2.25, 2.25))
    table = np.array([_TO_NMD[name] for name in LABELS], np.uint8)
    nmd = sitk.GetImageFromArray(table[sitk.GetArrayFromImage(labels)])
    nmd.CopyInformation(labels)
    ct = sitk.GetArrayFromImage(ct_of(labels))
    ct[:, 68:70, 10:54] = 200  # the head rests on a table
    ct_image = sitk.GetImageFromArray(ct)
    ct_image.CopyInformation(labels)
    for name, image in (("nmd_19y/labels", nmd), ("nmd_40y/labels", nmd), ("cranium/ct", ct_image)):
        path = folder / f"{name}.nii.gz"
        path.parent.mkdir()
        sitk.WriteImage(image, str(path))
    write_sources(folder)


def write_sources(folder: Path, **entries: str) -> Path:
    """Writes folder/sources.toml: every head of training/ with the NIfTI files that lie in its folder.

    entries: lines (TOML) to add to each file of a head, by name of the head, such as its address.
    """
    lines = []
    for name in NAMES:
        lines.append(f'[{name}]\nuse = "test"\nterms = "none"\n')
        for path in sorted(folder.glob(f"{name}/*.nii.gz")) or [folder / name / "ct.nii.gz"]:
            digest = hashlib.sha256(path.read_bytes() if path.exists() else b"").hexdigest()
            lines.append(f'[{name}.files."{name}/{path.name}"]\nsha256 = "{digest}"\n{entries.get(name, "")}\n')
    path = folder / "sources.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
