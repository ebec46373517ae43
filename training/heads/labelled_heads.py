"""Heads known by their labels: the CT is drawn from the labels, the T1 is simulated or the measured one."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from training.heads.head import Head, Tissue, closed, distance_inside, line_with_dura, opened, read_canonical

# label -> tissue, as documented in the sources (../sources.toml)
_MCX = {0: Tissue.AIR, 1: Tissue.SOFT, 2: Tissue.BONE, 3: Tissue.CSF, 4: Tissue.GREY, 5: Tissue.WHITE, 6: Tissue.CAVITY}
_NMD = {1: Tissue.GREY, 2: Tissue.WHITE, 3: Tissue.CSF, 4: Tissue.BONE, 5: Tissue.SOFT, 6: Tissue.AIR}
_NYHEAD = {
    0: Tissue.AIR, 1: Tissue.WHITE, 2: Tissue.GREY, 3: Tissue.CSF, 4: Tissue.BONE, 5: Tissue.SOFT, 6: Tissue.CAVITY
}  # fmt: skip
_CHARM = (
    dict.fromkeys(range(1, 42), Tissue.GREY)
    | dict.fromkeys((1, 5, 22, 26), Tissue.WHITE)
    | dict.fromkeys((3, 4, 11, 12, 16, 24, 25, 38, 44, 54), Tissue.CSF)
    | {42: Tissue.CAVITY, 43: Tissue.VESSEL, 45: Tissue.SOFT, 46: Tissue.SOFT, 47: Tissue.MUCOSA, 48: Tissue.SKIN}
    | {49: Tissue.WHITE, 50: Tissue.VESSEL, 51: Tissue.BONE, 52: Tissue.BONE, 53: Tissue.AIR, 55: Tissue.SOFT}
    | {56: Tissue.WHITE}
)
_SOURCES = {
    "colin27": ("colin27/mcx_labels.nii.gz", _MCX, "colin27/t1.nii.gz"),
    "ernie": ("ernie/charm_labels.nii.gz", _CHARM, "ernie/t1.nii.gz"),
    "nmd_19y": ("nmd_19y/labels.nii.gz", _NMD, None),
    "nmd_40y": ("nmd_40y/labels.nii.gz", _NMD, None),
    "nyhead": ("nyhead/labels.nii.gz", _NYHEAD, None),
}
NAMES = tuple(_SOURCES)
# A second segmentation of colin27. Over the T1, its inner table lies where the dark band ends, that of the first one up
# to some mm deeper in the CSF; but it has no diploe, and calls sinuses skull.
_BRAINWEB, _BRAINWEB_SKULL = "colin27/brainweb_labels.nii.gz", 7
# Fat in the soft tissue, by the labels that know it; connective tissue of BrainWeb is, in the T1, halfway from muscle
# to fat. A measured T1 shows where the fat is: if it were drawn elsewhere in the CT, nothing could be learnt about it.
_FAT = {
    "colin27": (_BRAINWEB, {4: 1.0, 9: 0.5}),
    "ernie": (_SOURCES["ernie"][0], {55: 1.0}),
}
# Neither segmentation of colin27 has the bones of the face, nor the side walls of the middle fossa: below this slice,
# 130 mm under the vertex, its labels would teach that the face in a T1 has no bone.
_LOWEST_SLICE = {"colin27": 45}
# Signal further outside of the labels than this belongs to something that they leave out.
_UNLABELLED_MM = 3.0


def read_head(data: Path, name: str) -> Head:
    """Reads one labelled head; raises InputError when a file is missing."""
    labels_file, mapping, mr_file = _SOURCES[name]
    tissue = _by_label(_array(data, name, labels_file), mapping, np.uint8)
    if name == "colin27":
        tissue = _thinner_skull(tissue, _array(data, name, _BRAINWEB) == _BRAINWEB_SKULL)
        tissue[_slivers(tissue == Tissue.CAVITY)] = Tissue.BONE
    tissue[_specks(tissue)] = Tissue.CSF
    outside = _connected_to_border(tissue <= Tissue.CAVITY)
    tissue[(tissue <= Tissue.CAVITY) & ~outside] = Tissue.CAVITY
    tissue[outside] = Tissue.AIR
    line_with_dura(tissue)
    skin_depth = distance_inside(~outside)
    mr = None
    if mr_file:
        mr = _array(data, name, mr_file, labels=False).astype(np.float32)
        # The labels of ernie end above the lower end of its T1: what they do not know must not be taken for air.
        mr[skin_depth < -_UNLABELLED_MM] = 0.0
    return Head(
        name,
        tissue,
        bone_depth=distance_inside(tissue == Tissue.BONE),
        skin_depth=skin_depth,
        fat=_fat(data, name) if name in _FAT else None,
        brain_distance=-distance_inside(np.isin(tissue, (Tissue.CSF, Tissue.DURA, Tissue.GREY, Tissue.WHITE))),
        mr=mr,
    )


def _array(data: Path, name: str, file: str, labels: bool = True) -> np.ndarray:
    """Labels, or the T1, of a head from the lowest slice on whose labels can be trusted."""
    return sitk.GetArrayFromImage(read_canonical(data / file, labels))[_LOWEST_SLICE.get(name, 0) :]


def _by_label(labels: np.ndarray, values: Mapping[int, float], dtype: type[np.generic]) -> np.ndarray:
    """The value of each voxel's label; 0, which is air among the tissues, where there is none."""
    table = np.zeros(256, dtype)
    table[list(values)] = list(values.values())
    return table[labels]


def _fat(data: Path, name: str) -> np.ndarray:
    """Share of fat, float32, by the labels."""
    labels_file, shares = _FAT[name]
    return _by_label(_array(data, name, labels_file), shares, np.float32)


def _thinner_skull(tissue: np.ndarray, thin: np.ndarray) -> np.ndarray:
    """Bone where both segmentations of colin27 see it, or the thin one does and the other sees no air."""
    bone = tissue == Tissue.BONE
    agreed = closed(thin, 3) & bone | thin & (tissue != Tissue.CAVITY) & (tissue != Tissue.AIR)
    brain = -distance_inside(np.isin(tissue, (Tissue.CSF, Tissue.GREY, Tissue.WHITE)))
    tissue = np.where(bone & ~agreed, np.where(brain < 4.0, Tissue.CSF, Tissue.SOFT), tissue).astype(np.uint8)
    tissue[agreed] = Tissue.BONE
    return tissue


def _slivers(air: np.ndarray) -> np.ndarray:
    """Air less than some mm wide: a dark line in the T1, which is a table of the skull."""
    return air & ~opened(air, 2)


def _specks(tissue: np.ndarray) -> np.ndarray:
    """Bone in the sulci and the falx: a segmentation's specks, at most some voxels thick, far inside the brain."""
    brain = np.isin(tissue, (Tissue.CSF, Tissue.GREY, Tissue.WHITE))
    return (tissue == Tissue.BONE) & closed(brain, 4) & (distance_inside(tissue != Tissue.AIR) > 18.0)


def _connected_to_border(air: np.ndarray) -> np.ndarray:
    """The air around the head: what is connected with the volume's lateral, anterior, posterior and upper faces."""
    components = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(air.astype(np.uint8))))
    faces = (components[-1], components[:, 0], components[:, -1], components[:, :, 0], components[:, :, -1])
    labels = np.unique(np.concatenate([face.ravel() for face in faces]))
    return np.isin(components, labels[labels > 0])
