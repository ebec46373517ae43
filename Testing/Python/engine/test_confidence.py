"""The confidence map: the disagreement that was built into a model comes out in HU, in its place."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from conftest import model_spec

from decnn.confidence import disagreement, variance_of_stages
from decnn.errors import InputError
from decnn.model import load_model, save_model
from decnn.network import DECNN
from decnn.options import Options
from decnn.synthesis import synthesize


def build(folder: Path, blocks: int, views: list[str], lean: float = 0.0) -> Path:
    """A model whose final CT is the MR itself, minus 1; its one tentative CT is 0.1 (100 HU) above.

    lean: how much of the slice's next row is put on top; the rows of the three views run differently.
    """
    spec = model_spec(
        in_channels=1, features=1, blocks=blocks, dilations=[], batch_norm=False, neighbours=1, depth=False
    )
    spec["views"] = views
    network = DECNN(**spec["network"]["arguments"])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.final.weight[0, 0, 1, 1] = 1.0
        network.final.weight[0, 0, 2, 1] = lean
        network.final.bias.fill_(-1.0)
        for block in network.blocks:
            block.features[0].weight[0, 0, 1, 1] = 1.0
            block.embed[0].weight[0, 0, 1, 1] = 1.0
            block.tentative.weight[0, 0, 1, 1] = 1.0
            block.tentative.bias.fill_(-0.9)
    return save_model(folder, network, spec)


@pytest.mark.parametrize("views", [["axial", "coronal", "sagittal"], ["axial"]])
def test_the_stages_of_a_view(slab: sitk.Image, tmp_path: Path, views: list[str]) -> None:
    """Final and tentative CT are 100 HU apart: a standard deviation of 50 HU, and no view disagrees."""
    result = synthesize(
        slab, load_model(build(tmp_path, 1, views)), Options(device="cpu", confidence=True, precision="float32")
    )
    assert result.confidence is not None and result.confidence.GetPixelID() == sitk.sitkInt16
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(result.confidence, what)() == getattr(slab, what)()
    found = sitk.GetArrayFromImage(result.confidence)
    head = sitk.GetArrayFromImage(slab) > 150
    assert np.median(found[head]) == 50 and (found[:, :5, :5] == 0).all()
    plain = synthesize(slab, load_model(tmp_path), Options(device="cpu", precision="float32"))
    assert plain.confidence is None
    assert sitk.Hash(plain.image) == sitk.Hash(result.image), "asking for the map changes nothing in the CT"


def test_the_views(slab: sitk.Image, tmp_path: Path) -> None:
    """Without blocks what counts is how the views scatter: as computed from a run of each view alone."""
    alone = [
        sitk.GetArrayFromImage(
            synthesize(
                slab, load_model(build(tmp_path / view, 0, [view], 0.2)), Options(device="cpu", precision="float32")
            ).image
        )
        for view in ("axial", "sagittal")
    ]
    both = load_model(build(tmp_path / "both", 0, ["axial", "sagittal"], 0.2))
    result = synthesize(slab, both, Options(device="cpu", confidence=True, precision="float32"))
    assert result.confidence is not None
    found = sitk.GetArrayFromImage(result.confidence).astype(float)
    expected = np.abs(alone[0].astype(float) - alone[1]) / 2
    inside = (expected > 5) & (np.maximum(*alone) < 3000)
    assert inside.sum() > 1000
    # The maps were resampled before and after the absolute value was taken, so single voxels differ.
    assert np.median(np.abs(found - expected)[inside]) < 3
    assert np.corrcoef(found[inside], expected[inside])[0, 1] > 0.95


def test_the_formula() -> None:
    rng = np.random.default_rng(0)
    finals = rng.normal(size=(3, 4, 5, 6)).astype(np.float32)
    tentative = rng.normal(size=(3, 5, 4, 5, 6)).astype(np.float32)  # 3 views, 5 blocks
    within = np.zeros(finals.shape[1:], np.float32)
    for final, stages in zip(finals, tentative, strict=True):
        within += variance_of_stages(torch.from_numpy(final), [torch.from_numpy(stage) for stage in stages]).numpy()
    last = np.concatenate([tentative[:, -2:], finals[:, None]], axis=1)
    expected = np.sqrt(finals.var(axis=0) + last.var(axis=1).mean(axis=0))
    np.testing.assert_allclose(disagreement(list(finals), within), expected, rtol=1e-5)


def test_a_model_that_cannot_disagree_is_refused_before_the_work(slab: sitk.Image, tmp_path: Path) -> None:
    model = load_model(build(tmp_path, 0, ["axial"]))
    with pytest.raises(InputError, match="nothing that could disagree"):
        synthesize(
            slab,
            model,
            Options(device="cpu", confidence=True, precision="float32"),
            report=lambda *_: pytest.fail("it has begun"),
        )


def test_by_the_command(engine, slab: sitk.Image, tmp_path: Path) -> None:
    model = build(tmp_path / "model", 1, ["axial", "coronal"])
    mr = tmp_path / "mr.nrrd"
    sitk.WriteImage(slab, str(mr))
    ct, confidence = tmp_path / "ct.nrrd", tmp_path / "map.nrrd"
    options = ["--model", model, "--device", "cpu", "--progress", "json"]
    done = engine("synthesize", mr, ct, "--confidence", confidence, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["confidence"] == str(confidence)
    written = sitk.ReadImage(str(confidence))
    assert "not a CT" in written.GetMetaData("MRtoCT.Content")
    assert not written.HasMetaDataKey("MRtoCT.Model"), "export-dicom would take it for a CT"
    for path, reason in ((ct, "one name"), (mr, "the input itself"), (tmp_path / "map.txt", "no known format")):
        done = engine("synthesize", mr, ct, "--confidence", path, *options)
        assert done.returncode == 2 and reason in done.stdout, path

    results = tmp_path / "results"
    done = engine("synthesize", mr, "--output-dir", results, "--confidence", results, *options)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in results.iterdir()) == ["mr_confidence.nrrd", "mr_sCT.nrrd", "summary.csv"]
    sitk.WriteImage(slab, str(results / "mr_confidence.nrrd"))
    done = engine(
        "synthesize", mr, results / "mr_confidence.nrrd", "--output-dir", results, "--confidence", results, *options
    )
    assert done.returncode == 2 and "would replace the input" in done.stdout
