"""The demo itself: from a T1 on disk to a folder with the CT, the picture and the figures."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from decnn import NOTICE
from decnn.io.images import read_image
from decnn.options import DEFAULTS, Options
from demo.files import read_volume, write_volume
from demo.overview import write_overview
from demo.sources import DemoError, Source
from demo.summary import head_of, tissue_figures
from MRtoCTLib.logic import MRtoCTLogic
from peak_memory import peak_memory_of_children_mb

CT_FILE, PICTURE_FILE, SUMMARY_FILE = "synthetic_ct.nrrd", "overview.png", "summary.json"
_BAR_WIDTH = 30


def run(source: Source, output: Path, options: Options = DEFAULTS) -> dict[str, Any]:
    """Make the CT of a T1; write CT, picture and summary into the folder `output`. Returns the summary.

    Raises DemoError or SynthesisError with a sentence for the user.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"The folder {output} cannot be made ({error.strerror}): name another by --output.") from error
    mr = read_volume(source.path, source.name)
    started = time.monotonic()
    try:
        ct = MRtoCTLogic().synthesize(mr, options=options, onChanged=_Progress())
    finally:
        print(file=sys.stderr)  # ends the line of the bar
    seconds = time.monotonic() - started
    facts = {name.removeprefix("MRtoCT."): ct.GetAttribute(name) for name in ct.GetAttributeNames()}
    summary = {
        "input": {
            "name": source.name,
            "size": list(ct.GetImageData().GetDimensions()),
            "spacing_mm": [round(spacing, 4) for spacing in ct.GetSpacing()],
            "note": source.note,
        },
        "model": facts["Model"],
        "model_version": facts["ModelVersion"],
        "weights_sha256": facts["WeightsSHA256"],
        "version": facts["Version"],
        "device": facts["Device"],
        "seconds": round(seconds, 1),
        "peak_memory_mb": peak_memory_of_children_mb(),
        "inside_head": tissue_figures(
            slicer.util.arrayFromVolume(ct), head_of(read_image(source.path)), float(np.prod(ct.GetSpacing()))
        ),
        "notice": NOTICE,
    }
    write_volume(ct, output / CT_FILE)
    title = f"MRtoCT {facts['Version']}, model {facts['Model']} {facts['ModelVersion']}: {source.name}"
    write_overview(output / PICTURE_FILE, mr, ct, title, NOTICE)
    (output / SUMMARY_FILE).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


class _Progress:
    """A bar in a terminal; elsewhere a line per stage."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, synthesis: Any) -> None:
        if sys.stderr.isatty():
            filled = "#" * round(_BAR_WIDTH * synthesis.fraction)
            print(f"\r[{filled:{_BAR_WIDTH}}] {synthesis.fraction:4.0%} {synthesis.stage:40}", end="", file=sys.stderr)
        elif synthesis.stage != self._stage:
            print(f"{synthesis.fraction:4.0%} {synthesis.stage}", file=sys.stderr)
        self._stage = synthesis.stage
