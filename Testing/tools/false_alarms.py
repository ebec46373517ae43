"""What the gate says of measured T1 heads as they are, and turned: python Testing/tools/false_alarms.py DATA

A head that is in the template of decnn.checks.orientation is judged by a template without it. The network that tells
how a head lies has learned from the heads of the template.
"""

import sys
from pathlib import Path
from unittest import mock

import numpy as np
import SimpleITK as sitk

import sagittal_template
from decnn.checks import orientation
from decnn.checks.head import examine

HEADS = (*sagittal_template.HEADS, "ernie/t1", "unlabelled/brainix_t1")
TURNS = {"back to front": (1, -1, -1), "upside down": (-1, 1, -1), "both": (-1, -1, 1)}
"""The steps along z, y and x; two axes at a time are turned, so that no head is mirrored."""
TRUE = {
    "unlabelled/mni152_t1": ("cut",),
    "colin27/t1": ("cut",),
    "unlabelled/studyforrest_t1": ("cut", "defaced"),
    "ernie/t1": ("fat-suppressed",),
    "unlabelled/brainix_t1": ("thick-slices", "cut"),
}
"""Warnings that are right: the head goes on beyond the image, the face was removed, and so on."""
MOST_NEEDLESS = 1
"""Of the warnings on heads as they are, all together."""


def main() -> int:
    data = Path(sys.argv[1])
    pictures = {name: sagittal_template.picture_of(data / f"{name}.nii.gz") for name in sagittal_template.HEADS}
    wrong = needless = 0
    for name in HEADS:
        others = sagittal_template.mean_of([picture for other, picture in pictures.items() if other != name])
        head = sitk.DICOMOrient(sitk.ReadImage(str(data / f"{name}.nii.gz")), "LPS")
        with mock.patch.object(orientation, "template", lambda others=others: others):
            codes = [f"{finding.severity} {finding.code}" for finding in examine(head)]
            print(f"{name}: {', '.join(codes) or 'nothing'}", flush=True)
            wrong += sum(code.startswith("error") for code in codes)
            needless += sum(code.startswith("warning") and code.split()[1] not in TRUE.get(name, ()) for code in codes)
            for turn, steps in TURNS.items():
                array = sitk.GetArrayFromImage(head)[tuple(slice(None, None, step) for step in steps)]
                turned = sitk.GetImageFromArray(np.ascontiguousarray(array))
                turned.CopyInformation(head)
                codes = [f"{finding.severity} {finding.code}" for finding in examine(turned)]
                print(f"  {turn}: {', '.join(codes)}", flush=True)
                wrong += not any("head-orientation" in code for code in codes)
    print(f"{wrong} heads were judged wrongly, {needless} warnings were needless")
    return 1 if wrong or needless > MOST_NEEDLESS else 0


if __name__ == "__main__":
    sys.exit(main())
