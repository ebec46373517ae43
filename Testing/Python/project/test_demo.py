"""The demo: where the T1 comes from, the figures, and pictures rendered by Slicer's slice logic in a real scene."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from matplotlib.image import imread

from demo import files, overview, sources, summary
from phantom import LABELS, ct_of, phantom_head

ROOT = Path(__file__).resolve().parents[3]
IDENTITY = np.eye(4)


@pytest.fixture
def scene():
    slicer.mrmlScene.Clear(0)
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(0)


@pytest.fixture
def phantom_nodes(scene, tmp_path):
    """(MR node, CT node) of the phantom head, read from files as the demo reads them."""
    mr, labels = phantom_head()
    nodes = []
    for name, image in (("mr", mr), ("ct", ct_of(labels))):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
        nodes.append(files.read_volume(tmp_path / f"{name}.nrrd", name))
    return nodes


# Where the T1 comes from


def test_a_given_file_is_taken_as_it_is(tmp_path):
    given = tmp_path / "my head.nii.gz"
    given.write_bytes(b"")
    source = sources.find_t1(given, tmp_path / "cache")
    assert (source.path, source.name) == (given, "my head.nii.gz")
    assert not (tmp_path / "cache").exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(sources.DemoError, match=r"no file .*gone\.nrrd.*MR="):
        sources.find_t1(tmp_path / "gone.nrrd", tmp_path)


def fake_tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_without_network_the_message_tells_both_reasons_and_the_way_out(tmp_path, monkeypatch):
    fake_tool(tmp_path / "bin", "apt-get", "echo 'E: Unable to fetch some archives' >&2; exit 100")
    fake_tool(tmp_path / "bin", "dpkg", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(sources, "MRHEAD_ADDRESS", (tmp_path / "nothing").as_uri() + "/")
    with pytest.raises(sources.DemoError) as error:
        sources.find_t1(None, tmp_path / "cache")
    for part in ("Unable to fetch some archives", "MRHead could not be downloaded", "make demo MR="):
        assert part in str(error.value)


def test_without_apt_colin27_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sources.DemoError, match="no apt-get"):
        sources.colin27(tmp_path / "cache")


def test_colin27_is_unpacked_once_and_kept(tmp_path, monkeypatch):
    # apt-get leaves a file in the current folder, dpkg unpacks it into the folder that it is given.
    fake_tool(tmp_path / "bin", "apt-get", "echo x >> ../../calls; touch mricron-data_1_all.deb")
    fake_tool(
        tmp_path / "bin", "dpkg", f'd=$(dirname "$3/{sources.DEBIAN_FILE}"); mkdir -p $d; echo head > $d/ch2.nii.gz'
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    for _ in range(2):
        source = sources.colin27(tmp_path / "cache")
        assert source.path.read_text() == "head\n" and "average" in source.note
    assert (tmp_path / "calls").read_text() == "x\n"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["colin27.nii.gz"]


def test_a_package_without_the_head_is_refused(tmp_path, monkeypatch):
    fake_tool(tmp_path / "bin", "apt-get", "touch mricron-data_2_all.deb")
    fake_tool(tmp_path / "bin", "dpkg", "mkdir -p $3/usr")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    with pytest.raises(sources.DemoError, match="holds no usr/share"):
        sources.colin27(tmp_path / "cache")


def test_mrhead_is_taken_only_with_its_hash(tmp_path, monkeypatch):
    served = tmp_path / "served"
    served.mkdir()
    content = b"NRRD0004 the real one"
    monkeypatch.setattr(sources, "MRHEAD_SHA256", hashlib.sha256(content).hexdigest())
    (served / sources.MRHEAD_SHA256).write_bytes(b"NRRD0004 another one")
    with pytest.raises(sources.DemoError, match="SHA-256"):
        sources.mrhead(tmp_path / "cache", served.as_uri() + "/")
    assert list((tmp_path / "cache").iterdir()) == []
    (served / sources.MRHEAD_SHA256).write_bytes(content)
    assert sources.mrhead(tmp_path / "cache", served.as_uri() + "/").path.read_bytes() == content


# Figures


def test_tissue_figures_count_what_is_inside_the_head():
    ct = np.array([[[-1000, -201, -200, 0, 250, 251, 1251, 3000]]], np.int16)
    head = np.array([[[True, True, True, True, True, True, True, False]]])
    figures = summary.tissue_figures(ct, head, voxel_mm3=500.0)
    assert figures["air"] == {"volume_ml": 1.0, "mean_hu": -600.5, "p5_hu": -960.0, "p50_hu": -600.5, "p95_hu": -241.0}
    assert (figures["soft_tissue"]["volume_ml"], figures["soft_tissue"]["mean_hu"]) == (1.5, 16.7)
    assert (figures["bone"]["volume_ml"], figures["bone"]["mean_hu"]) == (1.0, 751.0)


def test_tissue_figures_of_nothing_are_none():
    figures = summary.tissue_figures(np.zeros((2, 2, 2)), np.ones((2, 2, 2), bool), 1.0)
    assert figures["bone"] == {"volume_ml": 0.0, "mean_hu": None, "p5_hu": None, "p50_hu": None, "p95_hu": None}


def test_head_of_the_phantom_is_its_head():
    mr, labels = phantom_head()
    head = summary.head_of(mr)
    truth = sitk.GetArrayFromImage(labels) > 0
    assert head.shape == truth.shape
    assert 2 * (head & truth).sum() / (head.sum() + truth.sum()) > 0.95


# Pictures


def test_head_box_is_the_box_of_the_head_in_patient_space():
    ct = np.full((10, 20, 30), -1000, np.int16)  # k, j, i
    ct[2:5, 4:10, 6:26] = 40
    ijk_to_ras = np.diag([-2.0, 1.0, 3.0, 1.0])
    ijk_to_ras[:3, 3] = (100, -50, 7)
    centre, side = overview.head_box(ct, ijk_to_ras)
    np.testing.assert_allclose(centre, (100 - 2 * 15.5, -50 + 6.5, 7 + 3 * 3.0))
    assert side == pytest.approx(40.0)  # 20 voxels of 2 mm


def test_head_box_of_air_is_the_grid():
    centre, side = overview.head_box(np.full((4, 6, 8), -1000), IDENTITY)
    np.testing.assert_allclose(centre, (3.5, 2.5, 1.5))
    assert side == 8


@pytest.mark.parametrize("plane", overview.PLANES)
def test_slices_stand_as_radiologists_hold_them(scene, plane):
    """What lies to the patient's right, front and top appears at the left and up; the scene is left as it was."""
    array = np.zeros((40, 40, 40), np.float32)
    array[17:38, 17:38, 17:38] = 100  # RAS: -2.5 to 18 mm, so towards right, front and top of the middle
    ijk_to_ras = IDENTITY.copy()
    ijk_to_ras[:3, 3] = -19.5
    node = slicer.util.addVolumeFromArray(array, ijkToRAS=ijk_to_ras, name="block")
    node.CreateDefaultDisplayNodes()
    before = scene.GetNumberOfNodes()
    with overview.slice_logic() as logic:
        picture = overview.render_slice(logic, overview.Layers("", node), plane, np.zeros(3), 60.0, 120)
    rows, columns = np.nonzero(picture[..., 0] > 100)
    assert picture.shape == (120, 120, 3)
    np.testing.assert_allclose((rows.min(), rows.max()), (60 - 36, 60 + 4), atol=2)  # 2 pixels a mm, up is less
    np.testing.assert_allclose((columns.min(), columns.max()), (60 - 36, 60 + 4), atol=2)
    assert scene.GetNumberOfNodes() == before


@pytest.mark.parametrize("plane", overview.PLANES)
def test_bone_is_white_where_bone_is(phantom_nodes, plane):
    """The rendered CT against the labels, sampled at each pixel's place in the patient without any help of Slicer."""
    pixels = 220  # of 1 mm
    ct = phantom_nodes[1]
    ct.GetDisplayNode().AutoWindowLevelOff()
    ct.GetDisplayNode().SetWindowLevel(overview.BONE_WINDOW, overview.BONE_LEVEL)
    with overview.slice_logic() as logic:
        picture = overview.render_slice(logic, overview.Layers("", ct), plane, np.zeros(3), float(pixels), pixels)
    labels = phantom_head()[1]
    away = np.arange(pixels) - pixels / 2 + 0.5
    right, down = np.meshgrid(away, away)  # LPS: left, posterior and superior count up
    zero = np.zeros_like(right)
    places = {"Axial": (right, down, zero), "Coronal": (right, zero, -down), "Sagittal": (zero, right, -down)}[plane]
    skull = np.zeros(picture.shape[:2], bool)
    for row, column in np.ndindex(skull.shape):
        index = labels.TransformPhysicalPointToIndex([float(place[row, column]) for place in places])
        inside = all(0 <= i < n for i, n in zip(index, labels.GetSize(), strict=True))
        skull[row, column] = inside and labels[index] == LABELS["skull"]
    white = picture[..., 0] > 128
    assert 2 * (white & skull).sum() / (white.sum() + skull.sum()) > 0.9


def test_overview_is_written_with_nine_views(phantom_nodes, tmp_path):
    mr, ct = phantom_nodes
    overview.write_overview(tmp_path / "overview.png", mr, ct, "title", "notice")
    picture = imread(tmp_path / "overview.png")[..., :3]
    assert ct.GetDisplayNode().GetWindow() == 1000 and ct.GetDisplayNode().GetLevel() == 400
    height, width = (int(n * 0.9 / 3) for n in picture.shape[:2])
    for row in range(3):
        views = [picture[row * height + 150 : (row + 1) * height, c * width : (c + 1) * width] for c in range(3)]
        assert all(view.std() > 0.1 for view in views)
        assert not np.array_equal(views[0], views[1]) and not np.array_equal(views[1], views[2])


# The command


def run_demo(*arguments: str) -> subprocess.CompletedProcess:
    folders = (ROOT / name for name in ("MRtoCT", "Testing", "Testing/tools"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-m", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def test_the_whole_demo_on_the_phantom(tmp_path, slab, mirror_model):
    sitk.WriteImage(slab, str(tmp_path / "phantom.nii.gz"))
    options = ["--output", f"{tmp_path}/out", "--model", str(mirror_model), "--device", "cpu"]
    done = run_demo("--mr", f"{tmp_path}/phantom.nii.gz", *options)
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["overview.png", "summary.json", "synthetic_ct.nrrd"]
    ct = sitk.ReadImage(f"{tmp_path}/out/synthetic_ct.nrrd")
    assert ct.GetPixelID() == sitk.sitkInt16 and ct.GetSize() == slab.GetSize()
    np.testing.assert_allclose(ct.GetOrigin(), slab.GetOrigin(), atol=1e-4)
    figures = json.loads((tmp_path / "out/summary.json").read_text())
    assert figures["model"] == "mirror" and figures["device"] == "cpu" and figures["seconds"] > 0
    assert figures["peak_memory_mb"] > 100  # torch alone takes more
    # The mirror's CT is the MR itself: its median tissue stands at 0 HU.
    assert abs(figures["inside_head"]["soft_tissue"]["mean_hu"]) < 150
    assert figures["weights_sha256"] == hashlib.sha256((mirror_model / "weights.pt").read_bytes()).hexdigest()
    assert figures["weights_sha256"] in done.stdout and figures["notice"] in done.stdout


def test_an_unreadable_head_is_one_sentence(tmp_path):
    (tmp_path / "notes.nrrd").write_text("not an image")
    done = run_demo("--mr", f"{tmp_path}/notes.nrrd", "--output", f"{tmp_path}/out")
    assert done.returncode == 1
    assert "Slicer cannot read" in done.stderr and "Traceback" not in done.stderr + done.stdout
    assert not list((tmp_path / "out").iterdir())


def test_a_refused_head_tells_the_engines_reason(tmp_path, mirror_model):
    flat = sitk.Image([40, 40, 40], sitk.sitkFloat32) + 7
    sitk.WriteImage(flat, str(tmp_path / "flat.nrrd"))
    done = run_demo("--mr", f"{tmp_path}/flat.nrrd", "--output", f"{tmp_path}/out", "--model", str(mirror_model))
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-1].startswith("make demo: ")
    assert not list((tmp_path / "out").iterdir())
