"""All corpora, by name."""

from collections.abc import Callable, Iterator

from attack import dicom_folders, enhanced, images
from attack.case import Case, readings
from decnn.io.guarded import Guard

ALL: dict[str, Callable[[Guard | None], Iterator[Case]]] = {
    "DICOM folders": lambda guard: readings("DICOM folders", dicom_folders.rows(), None),
    "multi-frame DICOM": lambda guard: readings("multi-frame DICOM", enhanced.rows(), None),
    "images": lambda guard: readings("images", images.rows(), None),
}
