"""A reference CT on any grid and in any place: found, resampled, and subtracted, with errors that are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from decnn.errors import InputError
from decnn.evaluation.compare import compare
from decnn.evaluation.registration import NoBetterPlace, register_rigid
from dicom_phantom import write_mr
from phantom import ct_of, phantom_head


@pytest.fixture(scope="module")
def head() -> tuple[sitk.Image, sitk.Image]:
    """MR and CT of a head at 3 mm."""
    mr, labels = phantom_head()
    return mr, ct_of(labels)


def blob(spacing: float, direction: np.ndarray | None = None, shift: float = 0.0) -> sitk.Image:
    """A smooth CT (air with a warm ball of 1000 HU in it, 40 mm wide) around 0, 0, 0 on a grid of this spacing.

    shift: mm by which the ball lies to the left.
    """
    n = int(120 / spacing)
    grid = sitk.Image([n, n, n], sitk.sitkFloat32)
    grid.SetSpacing([spacing] * 3)
    if direction is not None:
        grid.SetDirection(direction.ravel().tolist())
    grid.SetOrigin((-np.array(grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2] * 3))).tolist())
    k, j, i = np.indices((n, n, n)).astype(float)
    matrix = np.array(grid.GetDirection()).reshape(3, 3) * spacing
    points = np.tensordot(matrix, np.stack([i, j, k]), axes=1) + np.array(grid.GetOrigin())[:, None, None, None]
    points[0] -= shift
    values = 2000 * np.exp(-np.sum(points**2, axis=0) / (2 * 25.0**2)) - 1000
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.CopyInformation(grid)
    return image


def moved(image: sitk.Image, rotation: tuple[float, ...], translation: tuple[float, ...]) -> sitk.Image:
    """The same voxels elsewhere: the image with its grid turned (radians) around 0, 0, 0 and moved (mm)."""
    transform = sitk.Euler3DTransform([0.0, 0.0, 0.0], *rotation, translation)
    elsewhere = sitk.Image(image)
    turn = np.array(transform.GetMatrix()).reshape(3, 3)
    elsewhere.SetDirection((turn @ np.array(image.GetDirection()).reshape(3, 3)).ravel().tolist())
    elsewhere.SetOrigin(transform.TransformPoint(image.GetOrigin()))
    return elsewhere


@settings(max_examples=8, deadline=None, derandomize=True)
@given(st.tuples(*[st.floats(0.1, 1)] * 3), st.sampled_from([1.5, 2.0, 3.0]), st.integers(-300, 300), st.booleans())
def test_an_offset_on_another_grid_comes_out_as_it_is(angles, spacing: float, offset: int, mirrored: bool) -> None:
    """Whatever the turn, spacing and handedness of the reference's grid."""
    turn = np.array(sitk.Euler3DTransform([0.0] * 3, *angles).GetMatrix()).reshape(3, 3)
    if mirrored:
        turn = turn @ np.diag([1, 1, -1])
    ct = blob(2.0) + offset
    inside = blob(2.0) > -500
    ct = sitk.Maximum(ct, -1000.0)
    comparison = compare(ct, blob(spacing, turn), mask=inside, resample=True)
    assert comparison.scores["given"]["me_hu"] == pytest.approx(offset, abs=4)
    assert comparison.scores["given"]["mae_hu"] == pytest.approx(abs(offset), abs=12)
    errors = sitk.GetArrayFromImage(comparison.difference)[sitk.GetArrayFromImage(inside) > 0]
    assert np.abs(errors - offset).max() < 40
    assert "resampled" in comparison.placement() and comparison.covered == pytest.approx(1.0)


def test_what_lies_on_each_other_is_compared_in_place(head, monkeypatch) -> None:
    """And what does not, and cannot be registered, is not compared at all."""
    mr, ct = head

    def fail(*_arguments: object) -> None:
        raise NoBetterPlace(0.3)

    monkeypatch.setattr("decnn.evaluation.compare.register_rigid", fail)
    comparison = compare(ct, ct, mr=mr)
    assert [finding.code for finding in comparison.findings] == ["already-aligned"]
    assert "moved it by 0.3 mm" in comparison.findings[0].message and comparison.registration is None
    assert comparison.scores["tight"]["mae_hu"] < 60
    with pytest.raises(NoBetterPlace):
        compare(ct, moved(ct, (0.0, 0.0, 0.0), (30.0, 0.0, 0.0)), mr=mr)


@pytest.mark.parametrize("shift", [-6.0, 4.0])
def test_the_sign_and_side_of_a_shift(shift: float) -> None:
    """A reference further to the left has less on the right, where the synthetic CT then is too high."""
    comparison = compare(blob(2.0), blob(2.0, shift=shift), resample=True)
    expected = sitk.GetArrayFromImage(blob(2.0)) - sitk.GetArrayFromImage(blob(2.0, shift=shift))
    np.testing.assert_allclose(sitk.GetArrayFromImage(comparison.difference), expected, atol=1)
    same = compare(blob(2.0), moved(blob(2.0), (0, 0, 0), (shift, 0, 0)), resample=True)
    middle = (slice(15, -15),) * 3
    np.testing.assert_allclose(sitk.GetArrayFromImage(same.difference)[middle], expected[middle], atol=25)


def test_padding_and_voxels_without_data_do_not_count(head) -> None:
    _, ct = head
    padded = sitk.GetArrayFromImage(ct) + 20
    padded[:, :4, :] = -3024
    reference = sitk.GetImageFromArray(padded)
    reference.CopyInformation(ct)
    whole = compare(ct, reference)
    assert whole.scores["wide"]["mae_hu"] < 25, "padding is air"
    half = reference[:, :, :30]
    comparison = compare(ct, half, resample=True)
    assert [finding.code for finding in comparison.findings] == ["reference-field-of-view"]
    assert comparison.scores["tight"]["me_hu"] == pytest.approx(-20, abs=1)
    assert 0.3 < comparison.covered < 0.6
    assert (sitk.GetArrayFromImage(comparison.difference)[32:] == 0).all()


def test_the_histogram_counts_every_voxel_of_the_mask(head) -> None:
    _, ct = head
    comparison = compare(ct, ct, mask=ct > 200)
    histogram = comparison.histogram
    assert histogram["synthetic"] == histogram["reference"]
    assert sum(histogram["synthetic"]) == int(sitk.GetArrayFromImage(ct > 200).sum())
    full = [edge for edge, count in zip(histogram["edges_hu"], histogram["synthetic"], strict=False) if count]
    assert full == [976.0], "1000 HU lies in 976..1001"


def test_what_cannot_be_compared_says_why(head) -> None:
    mr, ct = head
    elsewhere = moved(ct, (0, 0, 0), (900, 0, 0))
    for reference, options, reason in (
        (elsewhere, {}, "different grids: add --resample"),
        (elsewhere, {"resample": True}, "do not overlap"),
        (mr, {"resample": True}, "reference CT is not in HU"),
        (ct, {"mask": moved(ct, (0, 0, 0), (1, 1, 1)) > 0}, "mask lies on the grid of neither"),
        (ct, {"mask": ct > 5000}, "mask is empty"),
        (elsewhere[:, :, 0], {"resample": True}, "not a 3D image"),
    ):
        with pytest.raises(InputError, match=reason):
            compare(ct, reference, **options)


def test_heads_that_lie_apart_are_noticed(head) -> None:
    _, ct = head
    assert compare(ct, moved(ct, (0, 0, 0), (1, 0, 0)), resample=True).findings == []
    findings = compare(ct, moved(ct, (0, 0, 0), (20, 0, 0)), resample=True).findings
    assert "not-aligned" in [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("rotation", "translation"), [((0.1, -0.05, 0.2), (12, -7, 5)), ((0, 0.25, 0), (400, -100, 50))]
)
def test_registration_finds_a_ct_that_was_moved(head, rotation, translation) -> None:
    mr, ct = head
    truth = sitk.Euler3DTransform([0.0] * 3, *rotation, translation)
    found = register_rigid(mr, moved(ct, rotation, translation), lambda _fraction, _stage: None)
    for point in ((70, 0, 0), (0, 90, 0), (0, -90, 0), (0, 0, 85), (0, 0, -85)):
        off = np.subtract(found.transform.TransformPoint(point), truth.TransformPoint(point))
        assert np.linalg.norm(off) < 1.5, "half a voxel"
    assert found.rotation_deg == pytest.approx(np.degrees(np.linalg.norm(rotation)), abs=1.0)


def test_registered_by_the_command(engine, head, tmp_path: Path) -> None:
    """The real command line: a moved reference, with 30 HU too little, is found, and its difference is written."""
    mr, ct = head
    for name, image in (("mr", mr), ("sct", ct + 30), ("ct", moved(ct, (0.05, 0, 0.1), (15, 4, -9)))):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    files = [tmp_path / name for name in ("sct.nrrd", "ct.nrrd")]
    done = engine("evaluate", *files, "--json")
    assert done.returncode == 2 and "add --resample" in json.loads(done.stdout)["message"]
    difference = tmp_path / "difference.nrrd"
    done = engine(
        "evaluate", *files, "--register", tmp_path / "mr.nrrd", "--difference", difference, "--progress", "json"
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    result = events[-1]
    assert result["event"] == "result" and result["output"] == str(difference)
    assert result["reference"]["registration"]["distance_mm"] == pytest.approx(18, abs=1.5)
    assert result["tight"]["me_hu"] == pytest.approx(30, abs=8)
    written = sitk.ReadImage(str(difference))
    assert written.GetSize() == ct.GetSize() and written.GetOrigin() == ct.GetOrigin()
    text = engine("evaluate", *files, "--resample").stdout
    assert text.endswith("The reference CT was resampled to the grid of the synthetic CT, and not moved.\n")


def test_one_study_in_one_folder(engine, tmp_path: Path) -> None:
    """Real CT, MR and more lie side by side: each of the two is chosen, and the sentence says how."""
    mr, labels = phantom_head((48, 54, 48), (4.0, 4.0, 4.0))
    ct = sitk.Cast(ct_of(labels), sitk.sitkInt16)
    sitk.WriteImage(ct + 10, str(tmp_path / "sct.nrrd"))
    study = tmp_path / "study"
    study.mkdir()
    for number, (image, modality) in enumerate([(ct, "CT"), (sitk.Cast(mr, sitk.sitkInt16), "MR"), (ct, "CT")], 2):
        series = write_mr(
            tmp_path / str(number), image, Modality=modality, SeriesNumber=number, SeriesInstanceUID=f"1.2.{number}"
        )
        for path in series.iterdir():
            path.rename(study / f"{number}-{path.name}")
    call = ["evaluate", tmp_path / "sct.nrrd", study]
    assert "choose one with --series NUMBER" in engine(*call).stderr
    assert "choose one with --mr-series NUMBER" in engine(*call, "--series", 2, "--register", study).stderr
    done = engine(*call, "--series", 2, "--register", study, "--mr-series", 4)
    assert done.returncode == 2 and "CT" in done.stderr  # the chosen one is no MR
    done = engine(*call, "--series", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tight"]["me_hu"] == pytest.approx(10)
    of_ct = engine("evaluate", study, tmp_path / "sct.nrrd").stderr
    assert "put the files of one into a folder of its own" in of_ct and "--series" not in of_ct
