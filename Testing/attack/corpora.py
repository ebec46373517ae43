"""All corpora, by name."""

from collections.abc import Callable, Iterator

from attack import contents, dicom_folders, enhanced, exports, images, models, places
from attack.case import Case, readings
from decnn.cli.guarded import Guard

ALL: dict[str, Callable[[Guard | None], Iterator[Case]]] = {
    "DICOM folders": lambda guard: readings("DICOM folders", dicom_folders.rows(), None),
    "multi-frame DICOM": lambda guard: readings("multi-frame DICOM", enhanced.rows(), None),
    "contents": lambda guard: contents.cases(),
    "models": lambda guard: models.cases(),
    "exports": lambda guard: exports.cases(),
    "outputs": lambda guard: places.outputs(),
    "faults": lambda guard: places.faults(),
    "images": lambda guard: readings("images", images.rows(), None),
}
