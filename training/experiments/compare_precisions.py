"""What bfloat16 changes: the synthetic CTs of measured T1s in bfloat16 against those in float32."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from decnn.evaluation.metrics import markdown
from decnn.evaluation.overlap import dice
from decnn.hu import AIR_HU, BONE_ABOVE_HU
from decnn.model import Model
from decnn.options import Options
from decnn.synthesis import synthesize

COLUMNS = ("bone_dice", "mean_change_hu", "change_of_99.9_%_hu", "largest_change_hu")


def compare_precisions(model: Model, images: Sequence[Path]) -> dict:
    """One row for each MR; changes are absolute, over the voxels where either CT is not air.

    Returns:
        {"model", "version", "weights_sha256", "device", "rows": [{"mr", "precision", *COLUMNS}]}; ``precision`` is what
        the engine chooses when it is asked for bfloat16: float32, where bfloat16 was not exact enough for this MR.
    """
    rows = []
    for path in images:
        mr = sitk.ReadImage(str(path))
        exact, fast = (
            synthesize(mr, model, Options(model=model.name, device="cpu", precision=precision))
            for precision in ("float32", "bfloat16")
        )
        first, second = (sitk.GetArrayFromImage(result.image).astype(np.int32) for result in (exact, fast))
        change = np.abs(first - second)[(first != AIR_HU) | (second != AIR_HU)]
        found = (
            dice(first > BONE_ABOVE_HU, second > BONE_ABOVE_HU),
            change.mean(),
            *np.percentile(change, [99.9, 100]),
        )
        numbers = {key: None if v is None else round(float(v), 5) for key, v in zip(COLUMNS, found, strict=True)}
        rows.append({"mr": f"{path.parent.name}/{path.name.partition('.')[0]}", "precision": fast.precision, **numbers})
        print(rows[-1], flush=True)
    return {"model": model.name, "version": model.version, "weights_sha256": model.weights_sha256, "rows": rows}


def table(result: dict) -> str:
    """The rows as a Markdown table."""
    return markdown(result["rows"], ("mr", "precision", *COLUMNS))
