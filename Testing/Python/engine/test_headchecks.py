"""Findings that show once the head is found: each measure sees what it is made for, and a good head passes."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import engine_environment
from test_command_line import Engine, events

from decnn.checks import measures
from decnn.checks.head import LEAST_LIKENESS, MOST_LIKENESS_BELOW, examine, find_head, findings_of
from decnn.checks.measures import HeadMeasures, measure_head
from decnn.errors import Finding
from decnn.grid import to_canonical
from decnn.intensity import head_mask
from phantom import LABELS, ct_of, phantom_head

SIZE = (76, 80, 70)  # 3 mm: the nose, too, is well inside

# About those of the measured T1s (training/results/gate/findings.json).
GOOD = HeadMeasures(
    litres=3.8,
    cut_cm2={"left": 0.0, "right": 0.0, "front": 1.0, "back": 0.0, "top": 0.0, "bottom": 250.0},
    black_outside=0.2,
    ring=4.0,
    scalp=0.9,
    depth_contrast=1.2,
    bright_tail=0.5,
    bias=1.3,
    void_mm=0.0,
    face_mm=12.0,
    tilt_degrees=7.5,
    symmetry=0.97,
)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def measured(mr: sitk.Image, mask: sitk.Image) -> HeadMeasures:
    return measure_head(mr, to_canonical(mr), mask)


def with_array(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    result = sitk.GetImageFromArray(array.astype(np.float32))
    result.CopyInformation(image)
    return result


@dataclass
class Phantom:
    mr: sitk.Image
    labels: np.ndarray
    mask: sitk.Image  # canonical, and found once: it is what takes the time


@pytest.fixture(scope="module")
def head() -> Phantom:
    mr, labels = phantom_head(size=SIZE)
    return Phantom(mr, sitk.GetArrayFromImage(labels), head_mask(to_canonical(mr)))


def test_a_good_head_passes() -> None:
    assert findings_of(GOOD) == []
    unknown = replace(
        GOOD, ring=None, scalp=None, depth_contrast=None, bright_tail=None, bias=None, void_mm=None, face_mm=None
    )
    assert findings_of(unknown) == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("cut", {"cut_cm2": {**GOOD.cut_cm2, "top": 20.0}}),
        ("contrast", {"depth_contrast": 0.85}),
        ("contrast", {"bright_tail": 4.0}),
        ("fat-suppressed", {"scalp": 0.4}),
        ("bias-field", {"bias": 3.0}),
        ("void", {"void_mm": 10.0}),
        ("defaced", {"face_mm": -30.0}),
        ("tilted", {"tilt_degrees": 30.0}),
        ("head-orientation", {"lies": "upside down", "lies_by": 6.0}),
        ("partly-stripped", {"cut_cm2": dict.fromkeys(GOOD.cut_cm2, 0.0), "litres": 2.9, "face_mm": 4.0}),
    ],
)
def test_each_fault_is_a_warning_of_its_own(code: str, changes: dict) -> None:
    (finding,) = findings_of(replace(GOOD, **changes))
    assert (finding.severity, finding.code) == ("warning", code)
    assert ": " in finding.message or "," in finding.message


def test_a_neck_that_leaves_the_image_elsewhere_is_told() -> None:
    areas = {**dict.fromkeys(GOOD.cut_cm2, 0.0), "bottom": 3.0, "back": 200.0}
    assert codes(findings_of(replace(GOOD, cut_cm2=areas))) == ["cut", "head-orientation"]


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("skull-stripped", {"litres": 1.6, "ring": 1.0}),
        ("no-skull", {"ring": 1.0}),
        ("no-skull", {"skull": 1.1, "brain_spread": 0.3}),
        ("looks-like-ct", {"skull": 1.1, "brain_spread": 0.05}),
        ("mask-failed", {"cut_cm2": dict.fromkeys(GOOD.cut_cm2, 90.0)}),
        ("two-heads", {"second_litres": 2.0}),
        ("two-heads", {"likeness_below": 0.7}),
        ("unlike-a-head", {"likeness": 0.4}),
        ("head-orientation", {"symmetry": 0.8, "other_symmetry": 0.95}),
        ("head-orientation", {"lies": "back to front", "lies_by": 8.0}),
    ],
)
def test_what_is_no_head_in_an_mr_blocks(code: str, changes: dict) -> None:
    (finding,) = findings_of(replace(GOOD, **changes))
    assert (finding.severity, finding.code) == ("error", code)


def test_a_neck_below_speaks_against_a_head_upside_down() -> None:
    upside_down = replace(GOOD, lies="upside down", lies_by=8.0)
    (finding,) = findings_of(upside_down)
    assert (finding.severity, finding.code) == ("warning", "head-orientation")
    (finding,) = findings_of(replace(upside_down, cut_cm2={**GOOD.cut_cm2, "top": 250.0, "bottom": 0.0}))
    assert (finding.severity, finding.code) == ("error", "head-orientation")


@pytest.mark.parametrize("kind", ["long neck", "bright fat", "second head below"])
def test_a_head_is_known_by_its_upper_part(head: Phantom, kind: str) -> None:
    rows = np.flatnonzero((head.labels > 0).any(axis=(1, 2)))
    mr = sitk.GetArrayFromImage(head.mr)
    array = {
        "long neck": np.concatenate([np.repeat(mr[8:9], 45, axis=0), mr[8:]]),
        "bright fat": np.where(head.labels == LABELS["fat"], 4 * mr, mr),
        "second head below": np.concatenate([mr[: rows[-1] - 1], mr[rows[0] + 2 :]]),
    }[kind]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(head.mr.GetSpacing())
    found = measured(image, head_mask(to_canonical(image)))
    assert found.likeness > LEAST_LIKENESS + 0.1
    assert (found.likeness_below > MOST_LIKENESS_BELOW) == (kind == "second head below")


def test_a_face_that_the_image_does_not_show_is_cut_and_not_removed() -> None:
    assert codes(findings_of(replace(GOOD, face_mm=-20.0, cut_cm2={**GOOD.cut_cm2, "front": 60.0}))) == ["cut"]


@pytest.mark.parametrize(
    ("part", "side"),
    [
        (np.s_[:, :, :-14], "left"),
        (np.s_[:, :, 14:], "right"),
        (np.s_[:, 16:, :], "front"),
        (np.s_[:, :-14, :], "back"),
        (np.s_[:-10, :, :], "top"),
        (np.s_[10:, :, :], "bottom"),
    ],
)
@pytest.mark.parametrize("order", ["LPS", "SRA"])
def test_a_cut_is_seen_on_the_side_of_the_patient_where_it_is(head, part: tuple, side: str, order: str) -> None:
    k, j, i = part
    areas = measures._cut(sitk.DICOMOrient(head.mr[i, j, k], order), head.mask)
    assert areas[side] > 20
    assert max(area for name, area in areas.items() if name != side) < 4


def test_what_is_measured_of_a_phantom_follows_what_is_done_to_it(head) -> None:
    mr, labels, mask = head.mr, head.labels, head.mask
    array = sitk.GetArrayFromImage(mr)
    good = measured(mr, mask)
    assert good.litres == pytest.approx(2.8, abs=0.5)
    assert good.depth_contrast > 1.02 and good.bright_tail < 1 and good.ring > 2 and good.scalp > 0.9
    assert good.bias < 1.5 and good.void_mm < 4 and good.tilt_degrees == 0.0 and good.symmetry > 0.95

    brain = np.isin(labels, [LABELS["csf"], LABELS["grey_matter"], LABELS["white_matter"]])
    stripped = with_array(mr, array * brain)
    of_brain = measured(stripped, head_mask(to_canonical(stripped)))
    assert of_brain.ring < 1.2 and of_brain.black_outside > 0.9
    inverted = np.where(brain, 900 - array, array)  # fluid brightest, white matter darkest
    assert measured(with_array(mr, inverted), mask).depth_contrast < 1
    fat = (labels == LABELS["fat"]) | (labels == LABELS["skin"])
    assert measured(with_array(mr, np.where(fat, array * 0.3, array)), mask).scalp < 0.6
    ramp = 20.0 ** np.linspace(-0.5, 0.5, array.shape[2])
    assert measured(with_array(mr, array * ramp), mask).bias > 1.7 * good.bias
    z, y, x = np.indices(array.shape)
    void = (z - 40) ** 2 + (y - 36) ** 2 + (x - 38) ** 2 < 16  # 12 mm
    assert measured(with_array(mr, np.where(void, 0, array)), mask).void_mm > 5
    faceless = array.copy()
    faceless[:40, :28] = 0  # nose and all below
    removed = with_array(mr, faceless)
    assert measured(removed, head_mask(to_canonical(removed))).face_mm < -10 < good.face_mm


@pytest.mark.parametrize("angles", [(0, 0, 0.6), (0, 0.6, 0), (0, 0, -0.6)])
def test_a_head_that_turns_or_leans_is_seen(head, angles: tuple[float, float, float]) -> None:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*angles)
    turned, mask = (
        sitk.BinShrink(sitk.Resample(image, transform, sitk.sitkLinear, 0.0), [2, 2, 2])
        for image in (to_canonical(head.mr), sitk.Cast(head.mask, sitk.sitkFloat32))
    )
    tilt, symmetry, _ = measures._plane_of_symmetry(sitk.GetArrayFromImage(turned), sitk.GetArrayFromImage(mask) > 0.5)
    assert tilt == pytest.approx(np.rad2deg(0.6), abs=8) and symmetry > 0.9


def test_examine_tells_all_and_finds_no_head_by_a_finding(head) -> None:
    seen: list[float] = []
    assert "skull-stripped" not in codes(examine(head.mr, lambda fraction, stage: seen.append(fraction)))
    assert seen == sorted(seen) and seen[-1] < 1
    assert codes(examine(ct_of(phantom_head()[1]))) == ["looks-like-ct"]
    speck = np.zeros((60, 60, 60), np.float32)
    speck[22:38, 22:38, 22:38] = np.random.default_rng(0).normal(400, 20, (16, 16, 16))  # 0.1 litres
    (finding,) = examine(with_spacing(speck))
    assert (finding.severity, finding.code) == ("error", "no-head")


def with_spacing(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((3, 3, 3))
    return image


def test_the_mask_of_a_synthesis_comes_with_the_same_findings(head) -> None:
    mask, findings = find_head(head.mr, to_canonical(head.mr))
    assert findings == [finding for finding in examine(head.mr) if finding.code != "field-of-view"]
    assert sitk.GetArrayViewFromImage(mask).sum() > 2e6


def test_the_command(engine: Engine, head, tmp_path) -> None:
    mr, ct = tmp_path / "mr.nrrd", tmp_path / "ct.nrrd"
    cut = head.mr[:, :, :-10]
    sitk.WriteImage(cut, str(mr))
    sitk.WriteImage(ct_of(phantom_head()[1]), str(ct))
    expected = [finding.as_dict() for finding in examine(cut)]
    assert "cut" in [finding["code"] for finding in expected]
    done = engine("check", mr, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["findings"] == expected
    done = engine("check", ct, "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["findings"][0]["code"] == "looks-like-ct"

    lines = events(engine("check", mr, "--progress", "json").stdout)
    assert [line["message"] for line in lines if line["event"] == "finding"] == [f["message"] for f in expected]
    assert lines[-1]["event"] == "result" and lines[-1]["findings"] == expected
    lines = events(engine("check", ct, "--progress", "json").stdout)
    assert [line["event"] for line in lines if line["event"] != "progress"] == ["finding", "result"]
    text = engine("check", mr)
    assert text.returncode == 0 and "Warning [cut]: The head reaches the edge" in text.stderr
    assert engine("check", tmp_path / "no.nrrd", "--json").returncode == 2


def test_the_check_needs_no_torch(engine: Engine, head, tmp_path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('torch was imported')")
    sitk.WriteImage(head.mr, str(tmp_path / "mr.nrrd"))
    done = engine("check", tmp_path / "mr.nrrd", env=engine_environment(tmp_path))
    assert done.returncode == 0, done.stderr
