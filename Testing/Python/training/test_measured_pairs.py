"""Measured pairs of T1 and CT: read from SynthRAD's layout and from a folder, checked, registered and scored."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import SLAB_SIZE

from decnn.errors import InputError, SetupError
from decnn.io.images import same_grid
from decnn.model import load_model
from decnn.options import Options
from decnn.synthesis import synthesize
from dicom_phantom import write_mr
from phantom import ct_of, phantom_head
from training.__main__ import main
from training.experiments import evaluate_pairs as module
from training.experiments.evaluate_heads import COLUMNS
from training.experiments.evaluate_pairs import evaluate_pairs, table
from training.measured_pairs.folder import LEAST_OVERLAP
from training.measured_pairs.readers import MeasuredPair, each_pair


@pytest.fixture(scope="module")
def head():
    """MR, CT (int16 HU, -1000 outside of the mask) and mask of a slab of the phantom, 1 mm as SynthRAD's brains are."""
    mr, labels = phantom_head(size=(180, 216, 72), spacing=(1.0, 1.0, 1.0))
    ct = ct_of(labels)
    mask = sitk.BinaryDilate(labels > 0, [4, 4, 4])
    return mr, ct, mask


@pytest.fixture(scope="module")
def coarse():
    """MR and CT of a slab at 3 mm."""
    mr, labels = phantom_head(size=SLAB_SIZE)
    return mr, ct_of(labels)


def write_case(folder, **images):
    folder.mkdir(parents=True)
    for name, image in images.items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder


def _pairs_of(spec):
    """All pairs of a specification, and the sentences on what was left out."""
    items = list(each_pair(spec))
    return [item for item in items if isinstance(item, MeasuredPair)], [item for item in items if isinstance(item, str)]


def moved(image, rotation, translation):
    """The same voxels elsewhere in space: turned around z (radians), and moved (mm)."""
    turn = sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.0, 0.0, rotation, translation)
    image = sitk.Image(image)
    image.SetOrigin(turn.TransformPoint(image.GetOrigin()))
    axes = np.array(turn.GetMatrix()).reshape(3, 3) @ np.array(image.GetDirection()).reshape(3, 3)
    image.SetDirection(axes.ravel())
    return image


def test_a_case_of_synthrad_is_read_voxel_by_voxel(tmp_path, head):
    mr, ct, mask = head
    write_case(tmp_path / "1BA001", mr=mr, ct=ct, mask=mask)
    write_case(tmp_path / "1PA001", mr=mr, ct=ct, mask=mask)
    (tmp_path / "overview").mkdir()
    pairs, left_out = _pairs_of(f"synthrad:{tmp_path}")
    (pair,) = pairs
    assert pair.name == "1BA001"
    assert left_out == ["1 case(s) of other parts of the body were ignored: the model is one of heads."]
    kinds = [image.GetPixelID() for image in (pair.mr, pair.ct, pair.mask)]
    assert kinds == [sitk.sitkFloat32, sitk.sitkInt16, sitk.sitkUInt8]
    for image, original in ((pair.mr, mr), (pair.ct, ct), (pair.mask, mask)):
        assert same_grid(image, mr)
        assert np.array_equal(sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(original))


def test_a_case_on_another_grid_lands_where_it_was(tmp_path, coarse):
    """Axes of the patient in another order: nothing is swapped by hand, so what lies left stays left."""
    mr, ct = (sitk.DICOMOrient(image, "PIR") for image in coarse)
    write_case(tmp_path / "1BA002", mr=mr, ct=ct, mask=ct > -500)
    ((pair,), _) = _pairs_of(f"synthrad:{tmp_path}")
    assert pair.mr.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1) and pair.mr.GetSpacing() == (1, 1, 1)
    assert same_grid(pair.mr, pair.ct) and same_grid(pair.mr, pair.mask)
    back = sitk.Resample(pair.ct, ct, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(ct))


def test_a_case_of_synthrad2025_is_a_head_and_neck_in_mha(tmp_path, coarse):
    mr, ct = coarse
    (tmp_path / "1HNA001").mkdir()
    for name, image in (("mr", mr), ("ct", ct), ("mask", ct > -500)):
        sitk.WriteImage(image, str(tmp_path / "1HNA001" / f"{name}.mha"))
    (tmp_path / "1THA001").mkdir()
    (tmp_path / "1HNA002").mkdir()
    sitk.WriteImage(mr, str(tmp_path / "1HNA002/mr.mha"))
    ((pair,), left_out) = _pairs_of(f"synthrad:{tmp_path}")
    assert pair.name == "1HNA001" and same_grid(pair.mr, pair.ct)
    assert left_out[0].startswith("1 case(s) of other parts") and "ct.mha and mask.mha missing" in left_out[1]


def test_a_bids_folder_is_read_as_ones_own(tmp_path, coarse):
    mr, ct = coarse
    write_case(tmp_path / "sub-01/ses-1/anat", **{"sub-01_ses-1_T1w": mr})
    write_case(tmp_path / "sub-01/ses-1/ct", **{"sub-01_ses-1_ct": ct})
    write_case(tmp_path / "sub-02/anat", **{"sub-02_T1w": mr})
    ((pair,), left_out) = _pairs_of(f"bids:{tmp_path}")
    assert pair.name == "sub-01" and same_grid(pair.mr, pair.ct)
    assert left_out == ["sub-02: there is no *_ct.nii.gz in it."]


def bad_synthrad_cases(mr, ct, mask):
    """Name of the case -> (its images, what its sentence says)."""
    smaller = ct[:, :, :-1]
    return {
        "1BA001": ({"mr": mr, "mask": mask}, "ct.nii.gz missing"),
        "1BA002": ({"mr": mr, "ct": smaller, "mask": mask}, "different grids"),
        "1BA003": ({"mr": mr, "ct": ct + 1000, "mask": mask}, "The CT is not in HU"),
        "1BA004": ({"mr": ct, "ct": ct, "mask": mask}, "histogram of a CT"),
        "1BA005": ({"mr": mr, "ct": ct, "mask": mask * 0}, "mask.nii.gz is empty"),
    }


def test_each_bad_case_is_left_out_with_its_sentence(tmp_path, coarse):
    mr, ct = coarse
    bad = bad_synthrad_cases(mr, ct, ct > -500)
    for name, (images, _) in bad.items():
        write_case(tmp_path / name, **images)
    write_case(tmp_path / "1BB001", mr=mr, ct=ct, mask=ct > -500)
    (tmp_path / "1BB002").mkdir()
    for name in ("mr", "ct", "mask"):
        (tmp_path / "1BB002" / f"{name}.nii.gz").write_bytes(b"not an image")
    pairs, left_out = _pairs_of(f"synthrad:{tmp_path}")
    assert [pair.name for pair in pairs] == ["1BB001"]
    assert len(left_out) == len(bad) + 1
    for (name, (_, expected)), sentence in zip(bad.items(), left_out, strict=False):
        assert sentence.startswith(f"{name}: ") and expected in sentence
    assert left_out[-1].startswith("1BB002: mr.nii.gz cannot be read")
    assert str(tmp_path) not in "".join(left_out)  # stored with the figures, so without the paths of a machine


@pytest.mark.parametrize(
    "spec", ["synthrad", "synthrad:", "pelvis:{}", "folder:{}/no", "synthrad:{}", "folder:{}", "bids:{}"]
)
def test_no_pairs_at_all_is_an_error(tmp_path, spec):
    with pytest.raises(InputError, match=r"names no pairs|no folder|holds no"):
        _pairs_of(spec.format(tmp_path))


def test_a_folder_is_registered_and_resampled_once(tmp_path, coarse):
    mr, ct = coarse
    case = write_case(tmp_path / "pairs" / "anna", t1=mr)
    sitk.WriteImage(moved(ct, 0.07, (12.0, -9.0, 5.0)), str(case / "CT.nrrd"))
    (case / "notes.txt").write_text("ct of Monday")
    (pair,) = each_pair(f"folder:{tmp_path / 'pairs'}", tmp_path / "pictures")
    assert not isinstance(pair, str)
    assert same_grid(pair.mr, pair.ct) and same_grid(pair.mr, pair.mask) and "turned by" in pair.placement
    truth = sitk.Resample(ct, pair.mr, sitk.Transform(), sitk.sitkLinear, -1000)
    inside = sitk.GetArrayFromImage(pair.mask) > 0
    bones = [(sitk.GetArrayFromImage(image) > 250) & inside for image in (pair.ct, truth)]
    assert 2 * (bones[0] & bones[1]).sum() / (bones[0].sum() + bones[1].sum()) > 0.9
    picture = sitk.ReadImage(str(tmp_path / "pictures" / "anna.png"))
    colours = sitk.GetArrayFromImage(picture)[..., :3].reshape(-1, 3).astype(int)
    orange = (colours[:, 0] - colours[:, 2] > 150).sum()
    assert picture.GetSize() == (1200, 450) and orange > 500


def test_a_pair_that_is_fused_already_stays_where_it_is(tmp_path, coarse):
    mr, ct = coarse
    write_case(tmp_path / "anna", mr=mr, ct=ct)
    ((pair,), left_out) = _pairs_of(f"folder:{tmp_path}")
    assert not left_out
    truth = sitk.Resample(ct, pair.mr, sitk.Transform(), sitk.sitkLinear, -1000)
    bones = [sitk.GetArrayFromImage(image) > 250 for image in (pair.ct, truth)]
    assert 2 * (bones[0] & bones[1]).sum() / (bones[0].sum() + bones[1].sum()) > 0.95


def test_a_folder_of_dicom_files_is_an_image(tmp_path, coarse):
    mr, ct = coarse
    case = write_case(tmp_path / "anna", ct=ct)
    write_mr(case / "t1", sitk.Cast(mr, sitk.sitkInt16))
    pairs, left_out = _pairs_of(f"folder:{tmp_path}")
    assert [pair.name for pair in pairs] == ["anna"] and not left_out


def test_each_bad_folder_is_left_out_with_its_sentence(tmp_path, coarse):
    mr, ct = coarse
    rest = sitk.Image(ct) * 0 - 1000  # a ball beside the head: another object, whatever is done to it
    z, y, x = np.ogrid[: ct.GetDepth(), : ct.GetHeight(), : ct.GetWidth()]
    ball = sitk.GetImageFromArray(((x - 12) ** 2 + (y - 12) ** 2 + (z - 12) ** 2 < 100).astype(np.int16))
    ball.CopyInformation(ct)
    bad = {
        "a": ({"ct": ct}, "no t1 or mr in it"),
        "b": ({"t1": mr, "mr": mr, "ct": ct}, "several images t1 or mr (mr.nii.gz, t1.nii.gz)"),
        "c": ({"t1": mr}, "no ct in it"),
        "d": ({"t1": mr, "ct": ct + 1000}, "The CT is not in HU"),
        "e": ({"t1": ct, "ct": ct}, "histogram of a CT"),
        "f": ({"t1": mr, "ct": rest}, "nothing in it"),
        "g": ({"t1": mr, "ct": rest + ball * 1040}, f"at least {LEAST_OVERLAP} is needed"),
    }
    for name, (images, _) in bad.items():
        write_case(tmp_path / name, **images)
    pairs, left_out = _pairs_of(f"folder:{tmp_path}")
    assert not pairs and len(left_out) == len(bad)
    for (name, (_, expected)), sentence in zip(bad.items(), left_out, strict=True):
        assert sentence.startswith(f"{name}: ") and expected in sentence
    with pytest.raises(InputError, match="None of the cases can be used"):
        evaluate_pairs(SimpleNamespace(), f"folder:{tmp_path}")


def test_pictures_that_cannot_be_written_are_an_error(tmp_path, head):
    mr, ct, mask = head
    write_case(tmp_path / "pairs" / "1BA001", mr=mr, ct=ct, mask=mask)
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="picture of 1BA001 cannot be written"):
        list(each_pair(f"synthrad:{tmp_path / 'pairs'}", tmp_path / "file"))


def test_the_scores_are_those_of_the_cts(monkeypatch):
    """CTs 10 HU too high and 30 HU too low where there are data, far off elsewhere; and a head that is none."""
    ct = sitk.Image([24, 24, 24], sitk.sitkInt16) - 1000
    ct[6:18, 6:18, 6:18] = 40
    ct[8:12, 8:12, 8:12] = 900
    mask = ct > -500
    mask[:, :, :9] = 0  # the data end in the middle of the head
    pairs = [MeasuredPair(name, sitk.Cast(ct, sitk.sitkFloat32), ct, mask) for name in "abc"]
    offsets = iter((10.0, -30.0))

    def off(mr, model, device):
        offset = next(offsets, None)
        if offset is None:
            raise InputError("no head.")
        return SimpleNamespace(image=mr + offset + sitk.Cast(mask == 0, sitk.sitkFloat32) * 400)

    monkeypatch.setattr(module, "kind_of", lambda spec: "synthrad")
    monkeypatch.setattr(module, "each_pair", lambda spec, pictures: iter(pairs))
    monkeypatch.setattr(module, "synthesize", off)
    result = evaluate_pairs(SimpleNamespace(name="m", version="1", weights_sha256="0"), "synthrad:x")
    for row, error in zip(result["cases"], (10, -30), strict=True):
        assert row["mae_hu_tight"] == row["mae_hu_wide"] == row["mae_hu_given"] == pytest.approx(abs(error))
        assert row["me_hu"] == pytest.approx(error)
    assert result["mean"]["mae_hu_given"] == pytest.approx(20) and result["sd"]["mae_hu_given"] == pytest.approx(10)
    assert result["mean"]["me_hu"] == pytest.approx(-10) and result["left_out"] == ["c: no head."]


def test_the_verb_scores_through_the_engine(tmp_path, head, tiny_model, monkeypatch, capsys):
    mr, ct, mask = head
    root = tmp_path / "pairs"
    write_case(root / "1BA001", mr=mr, ct=ct, mask=mask)
    write_case(root / "1BA002", mr=mr)
    verb = ["training", "evaluate-pairs", "--model", str(tiny_model), "--pairs", f"synthrad:{root}"]
    stored = tmp_path / "scores.json"
    monkeypatch.setattr(sys, "argv", [*verb, "--json", str(stored), "--pictures", str(tmp_path / "pictures")])
    assert main() == 0
    result = json.loads(stored.read_text())
    assert str(tmp_path) not in stored.read_text()
    (row,) = result["cases"]
    assert set(row) == {"case", "placement", *COLUMNS, "mae_hu_given"} and row["case"] == "1BA001"
    inside = sitk.GetArrayFromImage(mask) > 0
    synthetic = sitk.GetArrayFromImage(synthesize(mr, load_model(str(tiny_model)), Options(device="cpu")).image).astype(
        float
    )
    given = np.abs(synthetic - sitk.GetArrayFromImage(ct))[inside].mean()
    assert row["mae_hu_given"] == pytest.approx(given, abs=1e-3)
    assert row["mae_hu_tight"] != row["mae_hu_given"]  # an untrained network makes no smaller errors in air
    printed = capsys.readouterr().out
    assert printed.strip() == table(result) and "| 1BA001 |" in printed and "- 1BA002: ct.nii.gz and mask" in printed
    assert (tmp_path / "pictures" / "1BA001.png").is_file() and not (tmp_path / "pictures" / "1BA002.png").exists()
