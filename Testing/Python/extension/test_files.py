"""A CT in a file of its own, written and loaded again by Slicer's real storage nodes."""

import numpy as np
import pytest
import SimpleITK as sitk

from panel import open_panel  # isort: skip  (it makes qt and slicer.app)

import slicer
from test_export import add_dicom_pair, add_pair, click_and_wait

from decnn.io.images import read_image
from dicom_phantom import SERIES, make_ct
from MRtoCTLib import files, nodes
from MRtoCTLib.errors import ExportError, SaveError
from MRtoCTLib.tasks import export
from MRtoCTLib.tasks.process import engineCommand

KEPT = {
    "MRtoCT.Model": "decnn-head-t1",
    "MRtoCT.ModelVersion": "1.2.3",
    "MRtoCT.WeightsSHA256": "ab" * 32,
    "MRtoCT.Findings": 'One: 3 % of "this".\nTwo; ä.',
}


@pytest.fixture
def panel():
    with open_panel() as panel:
        panel.widget.logic.engine = engineCommand()
        yield panel


@pytest.fixture
def ct(panel):
    _mr, ct = add_pair(panel, make_ct())
    for name, value in KEPT.items():
        ct.SetAttribute(name, value)
    return ct


def load(path):
    """As Slicer loads a volume."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Loaded")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert not node.GetAttribute(nodes.MODEL_ATTRIBUTE)
    return node


def write_as_slicer(node, path) -> None:
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    assert storage.WriteData(node)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".NRRD"])
def test_what_was_saved_can_be_exported_after_it_was_loaded(panel, ct, tmp_path, suffix) -> None:
    panel.widget.logic.save(ct, tmp_path / f"ct{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"ct{suffix}"]
    loaded = load(tmp_path / f"ct{suffix}")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(ct))
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(ct, loaded) == ""
    result = panel.widget.logic.exportDicom(loaded, tmp_path / "series")
    assert (sitk.GetArrayFromImage(read_image(result)) == slicer.util.arrayFromVolume(ct)).all()
    for name, value in KEPT.items():
        assert loaded.GetAttribute(name) == value.replace("\n", " ")
    assert loaded.GetAttribute(nodes.SOURCE_ATTRIBUTE) is None


def test_the_panel_finds_the_patient_of_a_loaded_ct(panel, tmp_path, monkeypatch) -> None:
    mr, ct = add_dicom_pair(panel, make_ct(), tmp_path, monkeypatch)
    panel.widget.logic.save(ct, tmp_path / "ct.nrrd")
    slicer.mrmlScene.RemoveNode(ct)
    panel.parameters.outputVolume = loaded = load(tmp_path / "ct.nrrd")
    assert loaded.GetAttribute(nodes.SERIES_ATTRIBUTE) == SERIES
    assert "are those of the DICOM series of 'Head'" in panel.ui.exportStatusLabel.text
    panel.ui.exportFolderButton.directory = str(tmp_path)
    click_and_wait(panel)
    assert "files were written" in panel.ui.exportStatusLabel.text
    slicer.mrmlScene.RemoveNode(mr)
    assert export.originOf(loaded).mrName == ""


@pytest.mark.parametrize("how", ["edited", "replaced", "removed", "damaged"])
def test_a_header_speaks_for_its_own_voxels_only(panel, ct, tmp_path, how) -> None:
    path = tmp_path / "ct.nrrd"
    panel.widget.logic.save(ct, path)
    loaded = load(path)
    if how == "edited":
        slicer.util.arrayFromVolume(loaded)[0, 0, 0] += 1
    elif how == "replaced":
        slicer.util.arrayFromVolume(ct)[0, 0, 0] += 1
        panel.widget.logic.save(ct, path)
    elif how == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    files.restore(loaded)
    assert loaded.GetAttribute(nodes.MODEL_ATTRIBUTE) is None


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz"])
def test_a_volume_that_slicer_has_saved_is_refused_with_the_remedy(panel, ct, tmp_path, name) -> None:
    write_as_slicer(ct, tmp_path / name)
    with pytest.raises(ExportError, match=r"A scene \(\.mrb\) does, and so does a \.nrrd or \.mha file of mrtoct"):
        panel.widget.logic.exportDicom(load(tmp_path / name), tmp_path / "series")


def test_what_cannot_be_saved(panel, ct, tmp_path) -> None:
    for name, said in (
        ("ct.nii.gz", "no room"),
        ("no/ct.nrrd", "create it first"),
        ("x" * 300 + ".nrrd", "shorter name"),
    ):
        with pytest.raises(SaveError, match=said):
            panel.widget.logic.save(ct, tmp_path / name)
    for node, said in ((None, "Select"), (add_pair(panel, make_ct())[0], "which model made it")):
        with pytest.raises(SaveError, match=said):
            panel.widget.logic.save(node, tmp_path / "ct.nrrd")
    assert list(tmp_path.iterdir()) == []
