"""Export over the real scene and the real engine: the same HU in the same place, whose it is, and what is refused."""

import os
import shutil
import signal
import stat
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from panel import open_panel  # isort: skip  (it makes qt and slicer.app)

import qt
import slicer
import vtk

import fake_engine
from decnn.io.folders import publish
from decnn.io.images import read_image, same_grid
from decnn.io.provenance import SOURCE_HASH, SOURCE_SERIES, hash_of
from dicom_phantom import FRAME, SAGITTAL, SERIES, STUDY, make_ct, write_mr
from MRtoCTLib.errors import ExportError
from MRtoCTLib.tasks import export
from MRtoCTLib.tasks.base import State
from MRtoCTLib.tasks.process import engineCommand

FACTS = {"MRtoCT.Model": "decnn-head-t1", "MRtoCT.ModelVersion": "1.2.3", "MRtoCT.WeightsSHA256": "ab" * 32}


class DicomDatabase:
    """As much of slicer.dicomDatabase (ctkDICOMDatabase) as an export asks."""

    def __init__(self, folder: Path) -> None:
        self.isOpen = True
        self._files = {str(pydicom.dcmread(path).SOPInstanceUID): str(path) for path in folder.iterdir()}

    def fileForInstance(self, uid: str) -> str:
        return self._files.get(uid, "")

    def instanceValue(self, uid: str, tag: str) -> str:
        group, element = tag.split(",")
        return (
            str(pydicom.dcmread(self._files[uid])[int(group, 16), int(element, 16)].value) if uid in self._files else ""
        )


@pytest.fixture
def panel():
    with open_panel() as panel:
        panel.widget.logic.engine = engineCommand()
        panel.ui.exportCollapsibleButton.collapsed = False
        yield panel


@pytest.fixture
def out(panel, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    panel.ui.exportFolderButton.directory = str(folder)
    return folder


def node_of(image: sitk.Image, name: str):
    """A volume of the scene on the grid of an image."""
    toRas = np.diag([-1.0, -1.0, 1.0])
    ijkToRas = np.eye(4)
    ijkToRas[:3, :3] = toRas @ np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    ijkToRas[:3, 3] = toRas @ image.GetOrigin()
    node = slicer.util.addVolumeFromArray(sitk.GetArrayFromImage(image), ijkToRAS=ijkToRas, name=name)
    return node


def add_pair(panel, image: sitk.Image, uids: str = ""):
    """An MR, selected as the input, and the CT that was made from it, as the output."""
    mr, ct = node_of(image, "Head"), node_of(image, "Head sCT")
    if uids:
        mr.SetAttribute("DICOM.instanceUIDs", uids)
    for name, value in {**FACTS, "MRtoCT.SourceVolume": mr.GetID()}.items():
        ct.SetAttribute(name, value)
    panel.parameters.inputVolume, panel.parameters.outputVolume = mr, ct
    return mr, ct


def add_dicom_pair(panel, image: sitk.Image, tmp_path: Path, monkeypatch):
    folder = write_mr(tmp_path / "mr", image)
    for path in write_mr(tmp_path / "other", image, SeriesInstanceUID=f"{SERIES}.9").iterdir():
        path.rename(folder / f"other{path.name}")  # a database's folder need not be a series'
    for path in list(folder.glob("other*")):
        file = pydicom.dcmread(path)
        file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = f"{file.SOPInstanceUID}.9"
        file.save_as(path)
    monkeypatch.setattr(slicer, "dicomDatabase", DicomDatabase(folder), raising=False)
    pair = add_pair(panel, image, " ".join(f"{SERIES}.{n + 1}" for n in range(image.GetDepth())))
    pair[1].SetAttribute(SOURCE_SERIES, SERIES)
    return pair


def click_and_wait(panel) -> None:
    assert panel.ui.exportButton.enabled, panel.ui.exportStatusLabel.text
    panel.ui.exportButton.click()
    panel.wait_for(lambda: not panel.widget.exportSection._isRunning(), 60)


def put_under(node, matrix: np.ndarray):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), SAGITTAL], ids=["axial", "sagittal"])
def test_a_ct_of_a_dicom_mr_goes_into_the_study_of_that_mr(panel, out, tmp_path, monkeypatch, direction) -> None:
    image = make_ct(direction)
    add_dicom_pair(panel, image, tmp_path, monkeypatch)
    assert panel.ui.exportStatusLabel.text.startswith("Patient, study and frame of reference are those of the DICOM")
    click_and_wait(panel)
    (series,) = out.iterdir()
    assert f"files were written to {series}" in panel.ui.exportStatusLabel.text
    assert "Head" not in series.name  # a volume's name may be the patient's
    back = read_image(series)
    oriented = sitk.DICOMOrient(image, "LPS")
    assert same_grid(back, oriented, 1e-3)
    assert (sitk.GetArrayFromImage(back) == sitk.GetArrayFromImage(oriented)).all()
    file = pydicom.dcmread(next(series.iterdir()))
    assert (file.StudyInstanceUID, file.FrameOfReferenceUID, file.PatientID) == (STUDY, FRAME, "P 1")
    assert "decnn-head-t1 1.2.3" in file.DerivationDescription
    assert {item.ReferencedSOPInstanceUID for item in file.SourceImageSequence} == {
        f"{SERIES}.{n + 1}" for n in range(image.GetDepth())
    }


def test_the_way_from_a_dicom_mr_to_its_study(panel, out, tmp_path, monkeypatch, slab, tiny_model) -> None:
    """The engine tells the CT which MR it was made from, so the export needs nobody's word."""
    folder = write_mr(tmp_path / "mr", sitk.Cast(slab, sitk.sitkInt16))
    monkeypatch.setattr(slicer, "dicomDatabase", DicomDatabase(folder), raising=False)
    image = read_image(folder)
    mr = node_of(image, "Head")
    mr.SetAttribute("DICOM.instanceUIDs", " ".join(f"{SERIES}.{n + 1}" for n in range(image.GetDepth())))
    logic = panel.widget.logic
    ct = logic.synthesize(mr, options=logic.Options(model=str(tiny_model), device="cpu"))
    assert ct.GetAttribute(SOURCE_SERIES) == SERIES and ct.GetAttribute(SOURCE_HASH) == hash_of(image)
    panel.parameters.inputVolume, panel.parameters.outputVolume = mr, ct
    assert panel.ui.exportUnverifiedCheckBox.isHidden()
    click_and_wait(panel)
    (series,) = out.iterdir()
    assert pydicom.dcmread(next(series.iterdir())).StudyInstanceUID == STUDY
    assert "verified" not in panel.ui.exportStatusLabel.text


def test_without_a_dicom_source_the_panel_says_that_the_identifiers_are_new(panel, out, monkeypatch) -> None:
    add_pair(panel, make_ct())
    assert panel.ui.exportStatusLabel.text.startswith(
        "'Head' was not loaded from a DICOM series, so the CT gets a generated"
    )
    click_and_wait(panel)
    assert "No MR series was given, so the CT has a new patient" in panel.ui.exportStatusLabel.text
    (series,) = out.iterdir()
    file = pydicom.dcmread(next(series.iterdir()))
    assert file.PatientID.startswith("MRTOCT-") and file.StudyInstanceUID != STUDY


def test_files_that_are_gone_from_the_database_are_not_half_used(panel, out, tmp_path, monkeypatch) -> None:
    mr, ct = add_dicom_pair(panel, make_ct(), tmp_path, monkeypatch)
    (tmp_path / "mr" / "0.dcm").unlink()
    origin = export.originOf(ct)
    assert origin.files == [] and "no longer in Slicer's DICOM database" in export.identifiersOf(origin)
    slicer.mrmlScene.RemoveNode(mr)
    assert "is not in the scene" in export.identifiersOf(export.originOf(ct))


def test_a_transformed_ct_is_refused_or_moved_on_request(panel, out, tmp_path, monkeypatch) -> None:
    image = make_ct()
    mr, ct = add_dicom_pair(panel, image, tmp_path, monkeypatch)
    assert panel.ui.exportButton.enabled
    matrix = np.eye(4)
    matrix[:3, 3] = 10, 20, -30  # RAS
    put_under(ct, matrix)
    assert not panel.ui.exportButton.enabled
    assert "stands under the transform 'Moved'" in panel.ui.exportButton.toolTip
    assert panel.ui.exportButton.toolTip in panel.ui.exportStatusLabel.text
    with pytest.raises(ExportError, match="under the transform"):
        export.Export(engineCommand(), ct, out / "series")

    panel.ui.exportResampleCheckBox.checked = True
    assert panel.ui.exportButton.enabled
    click_and_wait(panel)
    (series,) = out.iterdir()
    moved = sitk.Image(image)
    moved.SetOrigin(np.array(image.GetOrigin()) + (-10, -20, -30))
    back = read_image(series)
    assert back.GetSpacing() == (1, 1, 1)
    for index in ((5, 6, 4), (0, 0, 0)):  # where interpolation changes nothing
        assert back[back.TransformPhysicalPointToIndex(moved.TransformIndexToPhysicalPoint(index))] == image[index]
    file = pydicom.dcmread(next(series.iterdir()))
    assert file.StudyInstanceUID == STUDY and file.FrameOfReferenceUID != FRAME
    assert "new frame of reference" in panel.ui.exportStatusLabel.text


def test_a_turned_or_oblique_ct_is_resampled_on_request(panel, out) -> None:
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(0.3, 0.0, -0.1)
    oblique = make_ct(rotation.GetMatrix())
    mr, ct = add_pair(panel, oblique)
    assert "is oblique to the patient's axes" in panel.ui.exportButton.toolTip
    panel.ui.exportResampleCheckBox.checked = True
    click_and_wait(panel)
    (series,) = out.iterdir()
    back = read_image(series)
    for index in ((5, 6, 4), (6, 7, 4), (0, 0, 0), (11, 13, 8)):  # where interpolation changes nothing
        assert back[back.TransformPhysicalPointToIndex(oblique.TransformIndexToPhysicalPoint(index))] == oblique[index]


def test_a_warped_ct_is_refused_whatever_is_allowed(panel, out) -> None:
    mr, ct = add_pair(panel, make_ct())
    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Warp")
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    points = [vtk.vtkPoints(), vtk.vtkPoints()]
    for number, target in enumerate(points):
        for corner in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
            target.InsertNextPoint(corner[0] + 9 * number * (corner[1] == 50), *corner[1:])
    spline.SetSourceLandmarks(points[0])
    spline.SetTargetLandmarks(points[1])
    warp.SetAndObserveTransformToParent(spline)
    ct.SetAndObserveTransformNodeID(warp.GetID())
    panel.ui.exportResampleCheckBox.checked = True
    assert not panel.ui.exportButton.enabled
    assert "not linear" in panel.ui.exportButton.toolTip


def test_what_this_module_did_not_make_is_not_exported(panel) -> None:
    assert not panel.ui.exportButton.enabled and "Select the synthetic CT" in panel.ui.exportButton.toolTip
    panel.parameters.outputVolume = node_of(make_ct(), "Somebody's CT")
    assert "does not say which model made it" in panel.ui.exportButton.toolTip


def test_cancel_and_failure_leave_nothing_on_disk(panel, out) -> None:
    add_pair(panel, make_ct())
    panel.play("hang")
    panel.ui.exportButton.click()
    panel.wait_for(lambda: panel.ui.exportStatusLabel.text == "Acting")
    assert panel.ui.exportButton.text == "Cancel" and panel.ui.exportProgressBar.visible
    workspace = export.Export.current.workspace.path
    assert stat.S_IMODE(workspace.stat().st_mode) == 0o700
    with pytest.raises(ExportError, match="already running"):
        export.Export(engineCommand(), panel.parameters.outputVolume, out / "second")
    click_and_wait(panel)
    assert panel.ui.exportStatusLabel.text == "The export was cancelled: no file was written."
    panel.play("fail")
    click_and_wait(panel)
    assert panel.ui.exportStatusLabel.text == "The disk is full: free some space."
    assert list(out.iterdir()) == [] and not workspace.exists()


def test_closing_the_scene_or_the_panel_ends_well(panel, out) -> None:
    add_pair(panel, make_ct())
    panel.play("hang")
    panel.ui.exportButton.click()
    slicer.mrmlScene.Clear()
    assert not panel.ui.exportResampleCheckBox.enabled  # what was asked for goes on
    running = export.Export.current
    panel.widget.cleanup()
    assert export.Export.current is None and not running.workspace.path.exists()
    panel.view.build()


def test_a_ct_that_does_not_say_its_mr_needs_a_tick(panel, out, tmp_path, monkeypatch) -> None:
    """Made by an older version, or loaded from NIfTI: it must not take over a patient unseen."""
    image = make_ct()
    _mr, ct = add_dicom_pair(panel, image, tmp_path, monkeypatch)
    for name in ("MRtoCT.SourceSeriesUID", "MRtoCT.SourceHash"):
        ct.RemoveAttribute(name)
    panel.parameters.outputVolume = None
    panel.parameters.outputVolume = ct
    tick = panel.ui.exportUnverifiedCheckBox
    assert not panel.ui.exportButton.enabled and "Nothing proves" in panel.ui.exportStatusLabel.text
    assert not tick.isHidden()
    tick.checked = True
    assert panel.ui.exportButton.enabled
    click_and_wait(panel)
    (series,) = out.iterdir()
    assert pydicom.dcmread(next(series.iterdir())).StudyInstanceUID == STUDY
    assert "was not verified" in panel.ui.exportStatusLabel.text


def test_the_frame_of_reference_of_a_moved_ct_is_told_before(panel, tmp_path, monkeypatch) -> None:
    _mr, ct = add_dicom_pair(panel, make_ct(), tmp_path, monkeypatch)
    assert "frame of reference are those of" in panel.ui.exportStatusLabel.text
    matrix = np.eye(4)
    matrix[:3, 3] = (20, 0, 0)
    put_under(ct, matrix)
    panel.ui.exportResampleCheckBox.checked = True
    assert "new frame of reference" in panel.ui.exportStatusLabel.text
    ct.SetAndObserveTransformNodeID(None)
    # A hardened transform leaves no trace in the scene: only the engine, which reads the series, sees it.
    assert "If the CT no longer lies where that series lies" in panel.ui.exportStatusLabel.text
    panel.ui.exportResampleCheckBox.checked = False
    assert "new frame of reference" not in panel.ui.exportStatusLabel.text


def test_an_mr_whose_voxels_are_not_those_of_the_series_can_be_vouched_for(panel, out, tmp_path, monkeypatch) -> None:
    """Only the engine compares the voxels: the tick must be there once it has refused."""
    _mr, ct = add_dicom_pair(panel, make_ct(), tmp_path, monkeypatch)
    ct.RemoveAttribute("MRtoCT.SourceSeriesUID")
    ct.SetAttribute("MRtoCT.SourceHash", "0" * 64)
    panel.parameters.outputVolume = None
    panel.parameters.outputVolume = ct
    tick = panel.ui.exportUnverifiedCheckBox
    assert tick.isHidden()
    click_and_wait(panel)
    assert not tick.isHidden() and not panel.ui.exportButton.enabled and not list(out.iterdir())
    tick.checked = True
    click_and_wait(panel)
    assert len(list(out.iterdir())) == 1


def test_the_series_is_opened_and_imported_by_a_click(panel, out, monkeypatch, capsys) -> None:
    add_pair(panel, make_ct())
    assert panel.ui.exportOpenFolderButton.isHidden() and panel.ui.exportImportButton.isHidden()
    click_and_wait(panel)
    (series,) = out.iterdir()
    opened, imported = [], []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    utils = types.SimpleNamespace(importDicom=lambda folder: imported.append(folder) or True)
    monkeypatch.setitem(sys.modules, "DICOMLib", types.SimpleNamespace(DICOMUtils=utils))
    taken: list[str] = []
    database = types.SimpleNamespace(isOpen=False, instancesForSeries=lambda uid: taken)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    panel.ui.exportOpenFolderButton.click()
    for isOpen, says in ((False, "is not open"), (True, "has not taken the series")):
        database.isOpen = isOpen
        panel.ui.exportImportButton.click()
        assert says in capsys.readouterr().err and "database" not in panel.ui.exportStatusLabel.text
    taken += [path.name for path in series.iterdir()]
    panel.ui.exportImportButton.click()
    assert [Path(path) for path in (*opened, *imported)] == [series, series, series]
    assert panel.ui.exportStatusLabel.text == "The series is in Slicer's DICOM database."


def run(task) -> None:
    end = time.monotonic() + 60
    while not task.poll():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("stage", ["Acting", "Starting", "Reading the CT", "Writing the slices", "Reading them back"])
def test_an_engine_that_is_killed_leaves_nothing_in_the_users_folder(panel, out, stage) -> None:
    """As on Windows, where a cancel kills it at once."""
    _mr, ct = add_pair(panel, make_ct())
    engine = fake_engine.command("hang") if stage == "Acting" else engineCommand()

    def kill(task) -> None:
        if task.stage == stage:
            assert list(out.iterdir()) == []
            os.killpg(task._process._process.pid, signal.SIGKILL)

    task = export.Export(engine, ct, out / "series", onChanged=kill)
    run(task)
    assert task.state is State.FAILED and "ended unexpectedly" in str(task.error)
    assert list(out.iterdir()) == [] and not task.workspace.path.exists()


@pytest.fixture
def other_disk():
    """A folder to which a series in the workspace cannot be renamed."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is no second disk")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("exists", [False, True])
def test_the_sentence_after_a_cancel_tells_what_is_there(panel, other_disk, monkeypatch, exists) -> None:
    _mr, ct = add_pair(panel, make_ct())
    folder = other_disk / "series"
    if exists:
        folder.mkdir()
    for moment in ("before", "after"):
        task = export.Export(engineCommand(), ct, folder)

        def at_the_moment(*arguments, moment=moment, task=task) -> None:
            if moment == "before":
                task.cancel()
            publish(*arguments)
            if moment == "after":
                task.cancel()

        monkeypatch.setattr(export, "publish", at_the_moment)
        run(task)
        if moment == "before":
            assert (task.state, str(task.error)) == (State.CANCELLED, "The export was cancelled: no file was written.")
            assert [path for path in other_disk.rglob("*") if path != folder] == []
    assert (task.state, task.error, task.result) == (State.DONE, None, folder)
    assert len(list(folder.iterdir())) == 9 and os.listdir(other_disk) == ["series"]


def test_slicer_that_quits_after_the_series_is_there_tells_so(panel, out, monkeypatch) -> None:
    _mr, ct = add_pair(panel, make_ct())
    task = export.Export(engineCommand(), ct, out / "series")
    monkeypatch.setattr(export, "publish", lambda *arguments: (publish(*arguments), time.sleep(0.3)))
    while task._reading is None:
        task.poll()
    task.abort()
    assert task.state is State.DONE and len(list((out / "series").iterdir())) == 9


def test_a_folder_that_cannot_be_taken_is_told_at_once(panel, out) -> None:
    _mr, ct = add_pair(panel, make_ct())
    (out / "full").mkdir()
    (out / "full" / "mine").touch()
    for folder, said in ((out / "full", "no empty folder"), (out / "no" / "series", "create it first")):
        with pytest.raises(ExportError, match=said):
            panel.widget.logic.exportDicom(ct, folder)
    task = export.Export(engineCommand(), ct, out / "series")
    (out / "series").mkdir()
    (out / "series" / "mine").touch()
    run(task)
    assert task.state is State.FAILED and "could not be put into" in str(task.error)
    assert os.listdir(out / "series") == ["mine"]


def test_what_comes_of_an_export_is_in_view(panel, out) -> None:
    add_pair(panel, make_ct())
    panel.ui.exportCollapsibleButton.collapsed = True
    with panel.in_scroll_area(700):
        panel.ui.exportCollapsibleButton.collapsed = False
        panel.wait_for(lambda: panel.sees(panel.ui.exportButton))
        click_and_wait(panel)
        for control in (panel.ui.exportImportButton, panel.ui.exportStatusLabel, panel.ui.exportButton):
            panel.wait_for(lambda control=control: panel.sees(control))
