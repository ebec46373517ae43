"""What bfloat16 changes is measured where there is something, by one row for each MR."""

import SimpleITK as sitk

from decnn.model import load_model
from phantom import phantom_head
from training.experiments.compare_precisions import COLUMNS, compare_precisions, table


def test_one_row_for_each_mr(tmp_path, mirror_model):
    path = tmp_path / "phantom" / "t1.nii.gz"
    path.parent.mkdir()
    sitk.WriteImage(phantom_head()[0], str(path))
    result = compare_precisions(load_model(mirror_model), [path])
    (row,) = result["rows"]
    assert row["mr"] == "phantom/t1" and row["precision"] in ("bfloat16", "float32")
    assert row["bone_dice"] > 0.99 and 0 <= row["mean_change_hu"] <= row["largest_change_hu"]
    assert all(key in table(result) for key in COLUMNS)
