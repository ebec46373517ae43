"""Makes decnn/checks/sagittal_template.py of measured T1 heads: python Testing/tools/sagittal_template.py DATA

The picture in the repository was made of the mean of four heads (training/README.md says where they come from):
colin27 and the MNI152 average (MNI), otsu (niivue, BSD-2), studyforrest (PDDL). A head to be tested can be left out:
--without NAME, --output FILE.
"""

import argparse
import base64
import textwrap
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.checks.measures import halved
from decnn.checks.orientation import correlation, middle_slice
from decnn.grid import to_canonical
from decnn.intensity import from_zero, head_mask

HEADS = ("unlabelled/mni152_t1", "colin27/t1", "unlabelled/otsu_t1", "unlabelled/studyforrest_t1")
_TARGET = Path(__file__).resolve().parents[2] / "MRtoCT" / "decnn" / "checks" / "sagittal_template.py"
_CANVAS = 80


def picture_of(path: Path) -> np.ndarray:
    canonical = to_canonical(from_zero(sitk.ReadImage(str(path))))
    picture = middle_slice(*halved(canonical, head_mask(canonical)))
    canvas = np.full((_CANVAS, _CANVAS), np.nan, np.float32)
    top, left = ((_CANVAS - n) // 2 for n in picture.shape)
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


def mean_of(pictures: list[np.ndarray]) -> np.ndarray:
    """The mean where at least two show anything, each shifted onto the first; cropped to what is known."""
    shifted = []
    for picture in pictures:
        up, back = correlation(picture, pictures[0])[1]
        moved = np.full_like(picture, np.nan)
        rows, columns = (slice(max(0, -n), _CANVAS + min(0, -n)) for n in (up, back))
        moved[rows, columns] = picture[max(0, up) : _CANVAS + min(0, up), max(0, back) : _CANVAS + min(0, back)]
        shifted.append(moved)
    counts = np.isfinite(shifted).sum(axis=0)
    mean = np.where(counts >= 2, np.nansum(shifted, axis=0) / np.maximum(counts, 1), np.nan)
    known = np.isfinite(mean)
    return mean[known.any(axis=1)][:, known.any(axis=0)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--without", default="")
    parser.add_argument("--output", type=Path, default=_TARGET)
    arguments = parser.parse_args()
    names = [name for name in HEADS if name != arguments.without]
    mean = mean_of([picture_of(arguments.data / f"{name}.nii.gz") for name in names])
    levels = np.where(np.isfinite(mean), np.clip(np.rint(np.nan_to_num(mean) * 160.0), 0, 254), 255).astype(np.uint8)
    text = base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()
    lines = "\n".join(f'    "{line}"' for line in textwrap.wrap(text, 110))
    arguments.output.write_text(
        '"""The mean middle sagittal slice of four measured T1 heads in pixels of 4 mm; decnn.checks.orientation reads '
        "it.\n\nWritten by Testing/tools/sagittal_template.py, which names the heads. Levels of 1/160; 255: unknown.\n"
        '"""\n\n'
        f"SHAPE = {levels.shape}\nPICTURE = (\n{lines}\n)\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
