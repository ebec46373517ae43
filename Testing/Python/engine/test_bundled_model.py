"""The models that users get, on a head that it cannot have seen: the phantom."""

import numpy as np
import pytest
import SimpleITK as sitk

from decnn.catalog import DEFAULT_MODEL, available_models
from decnn.model import load_model
from decnn.options import Options
from decnn.synthesis import synthesize
from phantom import LABELS, phantom_head


def test_each_bundled_model_loads_and_says_for_what_it_may_be_used() -> None:
    """The default one comes first. To load is to compare the weights with their SHA-256, and with the network."""
    assert available_models() == [DEFAULT_MODEL, "decnn-head-t1-open"]
    terms = [str(load_model(name).spec["terms"]) for name in available_models()]
    assert "non-commercial" in terms[0] and "any use" in terms[1]


@pytest.mark.slow
def test_the_bundled_model_finds_skull_brain_and_air_in_a_phantom() -> None:
    mr, labels = phantom_head(size=(84, 104, 33), spacing=(2, 2, 2))
    result = synthesize(mr, load_model(DEFAULT_MODEL), Options(device="cpu"))
    # Whether bfloat16 is exact enough for a phantom is not the question here.
    assert [finding.code for finding in result.findings if finding.code != "precision"] == ["field-of-view", "cut"]
    ct, tissue = sitk.GetArrayFromImage(result.image), sitk.GetArrayFromImage(labels)
    mean = {name: float(ct[tissue == label].mean()) for name, label in LABELS.items() if (tissue == label).any()}
    assert mean["background"] < -900
    assert -100 < mean["white_matter"] < 150 and -100 < mean["grey_matter"] < 150
    assert mean["skull"] > mean["white_matter"] + 300
    assert np.percentile(ct[tissue == LABELS["skull"]], 75) > 400
