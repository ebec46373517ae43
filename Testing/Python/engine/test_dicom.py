"""The synthetic CT as a DICOM series: the same HU in the same place, whose it is, and that it is no real CT."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from conftest import engine_environment
from pydicom.dataset import FileDataset
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage
from test_command_line import Engine, events, without_codes

import dicom_judge
from decnn import NOTICE, __version__
from decnn.errors import Cancelled, InputError, SetupError
from decnn.io import dicom_ct
from decnn.io.dicom_ct import prepare_ct
from decnn.io.dicom_mr import COPIED_TAGS, Source, read_source
from decnn.io.dicom_tags import LABEL
from decnn.io.folders import check_output_folder
from decnn.io.images import read_image, same_grid
from decnn.io.provenance import SOURCE_SERIES, Maker, Origin, check_origin, hash_of, maker_of, sign
from dicom_phantom import FRAME, SAGITTAL, SERIES, STUDY, make_ct, write_enhanced_mr, write_mr

MAKER = Maker("decnn-head-t1", "1.0.0", "0123456789abcdef" * 4, "Research only.", "bfloat16")


def export_series(ct: sitk.Image, output: Path, maker: Maker, source: Source | None = None, **options: Any) -> Any:
    """The export of a CT that says it was made from its source."""
    if source is not None:
        ct.SetMetaData(SOURCE_SERIES, source.origin.series_uid)
    return dicom_ct.export_series(ct, output, maker, source, **options)


def rotation(*angles: float) -> tuple[float, ...]:
    transform = sitk.Euler3DTransform()
    transform.SetRotation(*angles)
    return transform.GetMatrix()


def slices(folder: Path) -> list[FileDataset]:
    files = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    return sorted(files, key=lambda file: float(file.ImagePositionPatient[2]))


def value_at(image: sitk.Image, point: tuple[float, ...]) -> int:
    return image[image.TransformPhysicalPointToIndex(point)]


# --- what works


def test_the_command_writes_a_series_of_the_same_patient_study_and_place(engine: Engine, tmp_path: Path) -> None:
    ct = make_ct()
    sign(ct, MAKER, Origin(SERIES))
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    mr = write_mr(tmp_path / "mr", ct)
    out = tmp_path / "out"
    done = engine("export-dicom", tmp_path / "ct.nrrd", "--reference", mr, out, "--progress", "json")
    assert done.returncode == 0, done.stderr
    lines = events(done.stdout)
    assert lines[0]["stage"] == "Starting"
    fractions = [line["fraction"] for line in lines if line["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    files = slices(out)
    first = files[0]
    assert lines[-1] == {
        "event": "result", "output": str(out), "files": 9, "study_instance_uid": STUDY,
        "series_instance_uid": first.SeriesInstanceUID, "frame_of_reference_uid": FRAME, "model": "decnn-head-t1",
        "weights_sha256": MAKER.weights_sha256, "findings": lines[-1]["findings"],
    }  # fmt: skip

    assert [finding["code"] for finding in lines[-1]["findings"]] == ["rectangular-pixels"]
    # the same HU in the same place, for SimpleITK and for pydicom
    back = read_image(out)
    assert same_grid(back, ct, 1e-4)
    assert (sitk.GetArrayFromImage(back) == sitk.GetArrayFromImage(ct)).all()
    for index, file in enumerate(files):
        hounsfield = file.pixel_array * file.RescaleSlope + file.RescaleIntercept
        assert (hounsfield == sitk.GetArrayFromImage(ct)[index]).all()
        assert list(file.ImagePositionPatient) == pytest.approx(ct.TransformIndexToPhysicalPoint((0, 0, index)))
        assert list(file.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
        assert list(file.PixelSpacing) == pytest.approx([1 / 3, 0.9375]) and file.SliceThickness == 2.5
    assert (first.RescaleType, first.PixelRepresentation, first.BitsStored) == ("HU", 1, 16)

    # whose it is
    assert (str(first.PatientName), first.PatientID, first.PatientSex) == ("Müller^Zoë", "P 1", "F")
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID, first.PatientPosition) == (STUDY, FRAME, "HFS")
    assert first.StudyDescription == "Kopf für Planung"
    assert {item.ReferencedSOPInstanceUID for item in first.SourceImageSequence} == {
        f"{SERIES}.{n}" for n in range(1, 10)
    }
    assert {item.ReferencedSOPClassUID for item in first.SourceImageSequence} == {MRImageStorage}

    # what it is, and what it is not
    assert (first.SOPClassUID, first.Modality) == ("1.2.840.10008.5.1.4.1.1.2", "CT")
    assert list(first.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert first.SeriesNumber == 307
    assert first.SeriesDescription == f"{LABEL}, decnn-head-t1 0123456789ab"
    assert first.DerivationDescription == f"{LABEL}. Model decnn-head-t1 1.0.0, weights SHA-256 {MAKER.weights_sha256}"
    assert first.ImageComments == f"{NOTICE} Terms of the model: Research only."
    assert first.SoftwareVersions == __version__
    assert first["KVP"].is_empty and first["AcquisitionNumber"].is_empty
    assert first.SeriesInstanceUID != SERIES
    uids = {file.SOPInstanceUID for file in files}
    assert len(uids) == 9 and not uids & {f"{SERIES}.{n}" for n in range(1, 10)}
    assert all(file.SOPInstanceUID == file.file_meta.MediaStorageSOPInstanceUID for file in files)

    # nothing else comes over from the MR
    original = pydicom.dcmread(next(mr.iterdir()))
    for keyword in ("PatientComments", "OtherPatientIDs", "InstitutionName", "MagneticFieldStrength", "ProtocolName"):
        assert keyword in original and keyword not in first and keyword not in COPIED_TAGS


def test_from_a_dicom_mr_to_a_dicom_ct(engine: Engine, mirror_model: Path, tmp_path: Path, slab: sitk.Image) -> None:
    mr = write_mr(tmp_path / "mr", slab)
    ct, out = tmp_path / "ct.nrrd", tmp_path / "out"
    assert engine("synthesize", mr, ct, "--model", mirror_model, "--device", "cpu").returncode == 0
    done = engine("export-dicom", ct, out, "--reference", mr)
    assert done.returncode == 0, done.stderr
    assert f"Wrote {slab.GetDepth()} files to {out}" in done.stdout
    assert (sitk.GetArrayFromImage(read_image(out)) == sitk.GetArrayFromImage(sitk.ReadImage(str(ct)))).all()
    assert same_grid(read_image(out), slab)
    file = slices(out)[0]
    assert file.FrameOfReferenceUID == FRAME and "Model mirror 0.0.1" in file.DerivationDescription


def test_slices_of_a_sagittal_grid_are_re_sorted_and_no_voxel_changes(tmp_path: Path) -> None:
    ct = make_ct(SAGITTAL)
    source = read_source(write_mr(tmp_path / "mr", ct))
    result = export_series(ct, tmp_path / "out", MAKER, source)
    assert [finding.code for finding in result.findings] == ["rectangular-pixels"]
    back = read_image(tmp_path / "out")
    assert sorted(back.GetSize()) == sorted(ct.GetSize()) and back.GetSize() != ct.GetSize()
    assert back.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    for k, j, i in np.ndindex(sitk.GetArrayViewFromImage(ct).shape):
        assert value_at(back, ct.TransformIndexToPhysicalPoint((i, j, k))) == ct[i, j, k]


@pytest.mark.parametrize("kind", ["oblique", "sheared"])
def test_a_grid_that_is_not_axial_is_refused_or_resampled_on_request(tmp_path: Path, kind: str) -> None:
    direction = rotation(0.3, 0.0, -0.1) if kind == "oblique" else (1, 0.2, 0, 0, 0.9798, 0, 0, 0, 1)
    ct = make_ct(direction)
    source = read_source(write_mr(tmp_path / "mr", ct)) if kind == "oblique" else None
    with pytest.raises(InputError, match=f"{kind}.*--resample"):
        export_series(ct, tmp_path / "out", MAKER, source)
    assert not (tmp_path / "out").exists()
    result = export_series(ct, tmp_path / "out", MAKER, source, resample=True)
    assert result.findings[0].code == "resampled"
    back = read_image(tmp_path / "out")
    assert back.GetSpacing() == (1, 1, 1) and back.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    # Deep in brain and in air, where interpolation changes nothing; and the grid covers the whole CT.
    for index in ((5, 6, 4), (6, 7, 4), (0, 0, 0), (11, 13, 8)):
        assert value_at(back, ct.TransformIndexToPhysicalPoint(index)) == ct[index]
    if kind == "oblique":
        assert result.frame_of_reference_uid == FRAME


def test_without_an_mr_series_the_identifiers_are_new_and_that_is_said(tmp_path: Path) -> None:
    results = [export_series(make_ct(), tmp_path / name, MAKER) for name in ("one", "two")]
    assert [[finding.code for finding in result.findings] for result in results] == [
        ["rectangular-pixels", "new-identifiers"]
    ] * 2
    for uid in ("study_uid", "series_uid", "frame_of_reference_uid"):
        assert len({getattr(result, uid) for result in results}) == 2
    file = slices(tmp_path / "one")[0]
    assert file.PatientID.startswith("MRTOCT-") and str(file.PatientName) == f"SYNTHETIC^{file.PatientID}"
    assert file.PatientID in results[0].findings[1].message and "SourceImageSequence" not in file
    assert file.SeriesNumber == 301


def test_an_mr_without_a_frame_of_reference_gets_a_new_one_and_that_is_said(tmp_path: Path) -> None:
    ct = make_ct()
    source = read_source(write_mr(tmp_path / "mr", ct, FrameOfReferenceUID=None))
    result = export_series(ct, tmp_path / "out", MAKER, source)
    assert [finding.code for finding in result.findings] == ["rectangular-pixels", "new-frame-of-reference"]
    assert result.study_uid == STUDY and result.frame_of_reference_uid.startswith("2.25.")


def test_the_rounding_of_file_formats_does_not_count_as_oblique_or_moved(tmp_path: Path) -> None:
    ct = make_ct(rotation(1e-6, -1e-6, 1e-6))
    ct.SetOrigin([x + 1e-4 for x in ct.GetOrigin()])
    source = read_source(write_mr(tmp_path / "mr", make_ct()))
    assert [finding.code for finding in prepare_ct(ct, source)[1]] == ["rectangular-pixels"]


def test_a_long_model_name_keeps_the_label_whole(tmp_path: Path) -> None:
    export_series(make_ct(), tmp_path / "out", Maker("modèle-" + "x" * 80, "", "ab" * 32))
    file = slices(tmp_path / "out")[0]
    assert file.SeriesDescription.startswith(f"{LABEL}, mod?le-") and len(file.SeriesDescription) == 64
    assert file.DerivationDescription.endswith("ab" * 32)


def test_the_judge_finds_no_error(tmp_path: Path) -> None:
    judge = dicom_judge.find()
    if judge is None:
        pytest.skip(dicom_judge.MISSING)
    for name, direction in {"axial": (1, 0, 0, 0, 1, 0, 0, 0, 1), "sagittal": SAGITTAL}.items():
        ct = make_ct(direction)
        export_series(ct, tmp_path / name, MAKER, read_source(write_mr(tmp_path / f"{name} MR", ct)))
    export_series(make_ct(), tmp_path / "alone", MAKER)
    moved = make_ct()
    moved.SetOrigin((-70, 33.3, -1234.5))
    export_series(moved, tmp_path / "moved", MAKER, read_source(tmp_path / "axial MR"), allow_moved=True)
    (tmp_path / "frames MR").mkdir()
    write_enhanced_mr(tmp_path / "frames MR" / "mr.dcm", make_ct() + 2000)
    export_series(make_ct(), tmp_path / "frames", MAKER, read_source(tmp_path / "frames MR"))
    for name in ("axial", "sagittal", "alone", "moved", "frames"):
        for path in sorted((tmp_path / name).iterdir()):
            done = subprocess.run([judge, str(path)], capture_output=True, text=True)
            verdict = done.stdout + done.stderr
            assert "CTImage" in verdict and not re.search("^Error", verdict, re.MULTILINE), verdict
            assert done.returncode == 0
    # It does find what is wrong.
    file = slices(tmp_path / "axial")[0]
    del file.RescaleSlope
    file.save_as(tmp_path / "wrong.dcm")
    assert "Error" in subprocess.run([judge, str(tmp_path / "wrong.dcm")], capture_output=True, text=True).stderr


@pytest.mark.parametrize(("apt_get", "there"), [("touch $2_1_amd64.deb", True), ("exit 100", False)])
def test_the_judge_comes_without_root_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apt_get: str, there: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (tmp_path / "bin").mkdir()
    unpack = 'test "$2" = dicom3tools_1_amd64.deb && mkdir -p $3/usr/bin && touch $3/usr/bin/dciodvfy'
    for name, script in {"apt-get": apt_get, "dpkg": unpack}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    assert dicom_judge.provide(tmp_path) is there
    assert (tmp_path / dicom_judge.NAME).is_file() is there


# --- what does not


def test_a_ct_that_was_moved_or_cropped_is_not_of_that_mr(tmp_path: Path) -> None:
    ct = make_ct()
    source = read_source(write_mr(tmp_path / "mr", ct))
    moved = sitk.Image(ct)
    moved.SetOrigin((-80, 33.3, -1234.5))
    for other in (moved, ct[1:, :, :]):
        with pytest.raises(InputError, match="does not lie on the grid of the MR"):
            export_series(other, tmp_path / "out", MAKER, source, resample=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ({"Modality": "CT"}, "modality CT"),
        ({"StudyInstanceUID": None}, "lack the UID"),
        ({"FrameOfReferenceUID": lambda index: f"{FRAME}.{index % 2}"}, "differ in their FrameOfReferenceUID"),
        ({"PatientID": lambda index: f"P{index}"}, "differ in their PatientID"),
    ],
)
def test_a_series_that_cannot_be_referred_to(tmp_path: Path, tags: dict[str, Any], word: str) -> None:
    folder = write_mr(tmp_path / "mr", make_ct(), **tags)
    with pytest.raises(InputError, match=word):
        read_source(folder)
    if "differ" in word:  # of two patients no CT is made either
        with pytest.raises(InputError, match=word):
            read_image(folder)


def test_what_is_no_ct_in_hounsfield_units(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not HU"):
        prepare_ct(make_ct() + 1000, Source())
    with pytest.raises(InputError, match="not HU"):
        prepare_ct(sitk.Cast(make_ct(), sitk.sitkFloat32) * float("nan"), Source())
    with pytest.raises(InputError, match="one volume"):
        prepare_ct(make_ct()[:, :, 4], Source())
    rounded, _ = prepare_ct(sitk.Cast(make_ct(), sitk.sitkFloat32) + 0.4, Source())
    assert (sitk.GetArrayFromImage(rounded) == sitk.GetArrayFromImage(make_ct())).all()


def test_a_ct_of_an_unknown_model_is_not_exported() -> None:
    ct, weights = make_ct(), MAKER.weights_sha256
    for said in ((None, None), ("mine", None), (None, weights)):
        with pytest.raises(InputError, match="does not say which model"):
            maker_of(ct, *said)
    with pytest.raises(InputError, match="'abc' is no SHA-256"):
        maker_of(ct, "mine", "abc")
    assert maker_of(ct, "mine", weights.upper()) == Maker("mine", "", weights)
    sign(ct, MAKER)
    assert maker_of(ct) == maker_of(ct, MAKER.name, weights) == MAKER
    for said in (("other", None), (None, "ab" * 32)):
        with pytest.raises(InputError, match="leave that option out"):
            maker_of(ct, *said)


def test_a_format_without_room_for_the_model_is_told_it(engine: Engine, tmp_path: Path) -> None:
    sitk.WriteImage(make_ct(), str(tmp_path / "ct.nii.gz"))
    command = ("export-dicom", tmp_path / "ct.nii.gz", tmp_path / "out", "--model-name", "mine", "--weights-sha256")
    assert engine(*command, "abc").returncode == 2 and not (tmp_path / "out").exists()
    done = engine(*command, "12" * 32)
    assert done.returncode == 0 and "Wrote 9 files" in done.stdout
    assert "Warning [new-identifiers]: No MR series was given" in done.stderr
    assert "orientation-unknown" not in done.stderr
    assert "Model mine, weights SHA-256 1212" in slices(tmp_path / "out")[0].DerivationDescription


def test_a_ct_that_does_not_say_how_the_head_lies_is_exported_with_a_warning(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "ct.nii"
    sitk.WriteImage(make_ct(), str(path))
    without_codes(path)
    command = ("export-dicom", path, tmp_path / "out", "--model-name", "mine", "--weights-sha256", "12" * 32)
    done = engine(*command, "--progress", "json")
    assert done.returncode == 0, done.stderr
    findings = [event for event in events(done.stdout) if event["event"] == "finding"]
    assert [f["message"].partition(":")[0] for f in findings if f["code"] == "orientation-unknown"] == ["CT"]


def test_the_output_is_a_new_or_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("full", "full/file", "link"):
        with pytest.raises(InputError, match="exists already"):
            check_output_folder(tmp_path / name)
    with pytest.raises(InputError, match="create it first"):
        check_output_folder(tmp_path / "no" / "out")
    export_series(make_ct(), check_output_folder(tmp_path / "empty"), MAKER)
    assert len(list((tmp_path / "empty").iterdir())) == 9
    assert (tmp_path / "empty").stat().st_mode & 0o777 == (tmp_path / "full").stat().st_mode & 0o777


def test_whatever_happens_there_is_a_whole_series_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(fraction: float = 0.0, stage: str = "") -> None:
        if fraction == 0 or fraction > 0.4:
            raise Cancelled("The work was cancelled.")

    with pytest.raises(Cancelled):
        export_series(make_ct(), tmp_path / "out", MAKER, report=lambda fraction, stage: cancel(fraction or 0.1))
    with pytest.raises(Cancelled):
        export_series(make_ct(), tmp_path / "out", MAKER, before_publishing=cancel)
    with monkeypatch.context() as patch:
        patch.setattr(FileDataset, "save_as", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(SetupError, match="No space left"):
            export_series(make_ct(), tmp_path / "out", MAKER)
    with monkeypatch.context() as patch:
        patch.setattr("decnn.io.dicom_ct.read_image", lambda folder: make_ct() + 1)
        with pytest.raises(SetupError, match="not what comes back"):
            export_series(make_ct(), tmp_path / "out", MAKER)
    assert list(tmp_path.iterdir()) == []


def test_without_pydicom_it_says_how_to_get_it(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "without" / "pydicom").mkdir(parents=True)
    (tmp_path / "without" / "pydicom" / "__init__.py").write_text("raise ImportError('No module named pydicom')")
    environment = engine_environment(tmp_path / "without")
    done = engine("export-dicom", "ct.nrrd", tmp_path / "out", "--progress", "json", env=environment)
    error = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 3 and error["code"] == "setup" and "pip install pydicom" in error["message"]
    assert engine("info", env=environment).returncode == 0


# --- the MR's files, wherever they lie


def test_the_files_of_a_series_may_lie_among_others(engine: Engine, tmp_path: Path) -> None:
    ct = make_ct()
    sign(ct, MAKER, Origin(SERIES))
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    mr = write_mr(tmp_path / "database", ct)
    wanted = sorted(mr.iterdir())
    other = write_mr(tmp_path / "other", ct, SeriesInstanceUID=f"{SERIES}.99", FrameOfReferenceUID=f"{FRAME}.99")
    for path in other.iterdir():
        path.rename(mr / f"other{path.name}")
    out, names = tmp_path / "out", tmp_path / "files.txt"
    assert engine("export-dicom", tmp_path / "ct.nrrd", out, "--reference", mr).returncode == 2  # two series
    names.write_text("\n".join(map(str, wanted)), encoding="utf-8")
    done = engine("export-dicom", tmp_path / "ct.nrrd", out, "--reference-list", names)
    assert done.returncode == 0, done.stderr
    assert slices(out)[0].FrameOfReferenceUID == FRAME
    assert same_grid(read_image(out), ct, 1e-4)

    names.write_text("\n".join(map(str, sorted(mr.iterdir()))), encoding="utf-8")
    both = engine("export-dicom", tmp_path / "ct.nrrd", tmp_path / "both", "--reference-list", names)
    assert both.returncode == 2 and "Error [dicom-series]: " in both.stderr and not (tmp_path / "both").exists()
    names.write_text(f"{wanted[0]}\n{tmp_path / 'gone.dcm'}\n", encoding="utf-8")
    gone = engine("export-dicom", tmp_path / "ct.nrrd", tmp_path / "gone", "--reference-list", names)
    assert gone.returncode == 2 and "Of the 2 files" in gone.stderr and "1 are not there" in gone.stderr


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), SAGITTAL], ids=["axial", "sagittal"])
def test_a_multi_frame_mr_is_a_source_like_any_other(tmp_path: Path, direction: tuple[float, ...]) -> None:
    ct = make_ct(direction)
    (tmp_path / "mr").mkdir()
    write_enhanced_mr(tmp_path / "mr" / "mr.dcm", ct + 2000)
    for source in (read_source(tmp_path / "mr"), read_source([str(tmp_path / "mr" / "mr.dcm")])):
        assert same_grid(sitk.DICOMOrient(source.grid, "LPS"), sitk.DICOMOrient(ct, "LPS"), 1e-3)
        assert source.images == [(EnhancedMRImageStorage, f"{SERIES}.1")]
    export_series(ct, tmp_path / "out", MAKER, source)
    file = slices(tmp_path / "out")[0]
    assert (file.StudyInstanceUID, file.FrameOfReferenceUID, str(file.PatientName)) == (STUDY, FRAME, "Doe^Jane")


def test_the_frames_of_a_multi_frame_mr_may_be_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "mr").mkdir()
    path = write_enhanced_mr(tmp_path / "mr" / "mr.dcm", make_ct() + 2000)
    file = pydicom.dcmread(path)
    frames, order = file.PerFrameFunctionalGroupsSequence, [4, 0, 8, 1, 7, 2, 6, 3, 5]
    file.PerFrameFunctionalGroupsSequence = [frames[index] for index in order]
    file.PixelData = file.pixel_array[order].tobytes()
    file.save_as(path)
    source = read_source(tmp_path / "mr")
    assert same_grid(source.grid, make_ct(), 1e-3)
    assert (sitk.GetArrayFromImage(source.grid) == sitk.GetArrayFromImage(make_ct() + 2000)).all()


def test_a_moved_ct_keeps_patient_and_study_but_no_frame_of_reference(tmp_path: Path) -> None:
    ct = make_ct()
    source = read_source(write_mr(tmp_path / "mr", ct))
    moved = sitk.Image(ct)
    moved.SetOrigin((-70, 33.3, -1234.5))
    result = export_series(moved, tmp_path / "out", MAKER, source, allow_moved=True)
    assert [finding.code for finding in result.findings] == ["rectangular-pixels", "new-frame-of-reference"]
    file = slices(tmp_path / "out")[0]
    assert file.FrameOfReferenceUID == result.frame_of_reference_uid and file.FrameOfReferenceUID.startswith("2.25.")
    assert (file.StudyInstanceUID, file.PatientID) == (STUDY, "P 1") and file["PositionReferenceIndicator"].is_empty
    assert same_grid(read_image(tmp_path / "out"), moved, 1e-3)
    # One that was not moved loses nothing by the permission.
    kept = export_series(ct, tmp_path / "kept", MAKER, source, allow_moved=True)
    assert kept.frame_of_reference_uid == FRAME and [finding.code for finding in kept.findings] == [
        "rectangular-pixels"
    ]


@pytest.mark.parametrize("spacing", [(1 / 3, 2 / 7, 1.1), (0.123456789012, 10.0, 0.1), (1e-1, 1e-1, 9.999999999)])
@pytest.mark.parametrize("origin", [(-1e-9, 1e5 / 7, -98765.4321987), (0.1 + 0.2, -1 / 3, 1e-7)])
def test_odd_numbers_fit_into_decimal_strings_and_come_back(
    tmp_path: Path, spacing: tuple[float, ...], origin: tuple[float, ...]
) -> None:
    ct = make_ct()
    ct.SetSpacing(spacing)
    ct.SetOrigin(origin)
    export_series(ct, tmp_path / "out", MAKER)
    assert same_grid(read_image(tmp_path / "out"), ct, 1e-4)
    for file in slices(tmp_path / "out"):
        for keyword in ("ImagePositionPatient", "PixelSpacing"):
            assert all(len(str(number)) <= 16 for number in file[keyword].value)


# --- whose CT it is


def test_the_hash_of_an_mr_knows_neither_the_order_of_the_axes_nor_the_type_of_the_numbers(tmp_path: Path) -> None:
    image = make_ct(SAGITTAL) + 2000
    of_dicom = read_source(write_mr(tmp_path / "mr", image)).origin.voxels
    sitk.WriteImage(sitk.Cast(sitk.DICOMOrient(image, "RAS"), sitk.sitkFloat32), str(tmp_path / "mr.nrrd"))
    assert hash_of(read_image(tmp_path / "mr.nrrd")) == hash_of(image) == of_dicom
    mirrored = sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[:, ::-1])
    mirrored.CopyInformation(image)
    assert hash_of(image + 1) != of_dicom and hash_of(mirrored) != of_dicom


@pytest.mark.parametrize(
    ("made_from", "unverified", "outcome"),
    [
        (Origin("1.2", "a"), False, []),
        (Origin("9.9", "a"), False, []),  # sent to another archive, which gave it new identifiers
        (Origin("1.2", ""), False, []),
        (Origin("1.2", "b"), False, ["reference-changed"]),
        (Origin("9.9", "b"), False, "other-reference"),
        (Origin("9.9", "b"), True, "other-reference"),
        (Origin("9.9", ""), True, "other-reference"),
        (Origin("", "b"), False, "unverified-reference"),
        (Origin("", "b"), True, ["unverified-reference"]),
        (Origin(), False, "unverified-reference"),
        (Origin(), True, ["unverified-reference"]),
    ],
)
def test_a_ct_gets_no_other_patients_name(made_from: Origin, unverified: bool, outcome: list[str] | str) -> None:
    if isinstance(outcome, list):
        assert [finding.code for finding in check_origin(made_from, Origin("1.2", "a"), unverified)] == outcome
        return
    with pytest.raises(InputError) as error:
        check_origin(made_from, Origin("1.2", "a"), unverified)
    assert error.value.code == outcome


def test_two_patients_on_one_grid(engine: Engine, mirror_model: Path, tmp_path: Path, slab: sitk.Image) -> None:
    first = write_mr(tmp_path / "first", slab)
    second = write_mr(tmp_path / "second", slab + 5, SeriesInstanceUID="1.2.3", PatientName="Other^One")
    ct = tmp_path / "ct.nrrd"
    assert engine("synthesize", first, ct, "--model", mirror_model, "--device", "cpu").returncode == 0
    assert sitk.ReadImage(str(ct)).GetMetaData(SOURCE_SERIES) == SERIES
    done = engine("export-dicom", ct, tmp_path / "out", "--reference", second, "--unverified-reference")
    assert done.returncode == 2 and "Error [other-reference]" in done.stderr and not (tmp_path / "out").exists()
    assert engine("export-dicom", ct, tmp_path / "out", "--reference", first).returncode == 0


# --- what the archive's tags hold, and where the series may go


def test_values_that_dicom_does_not_allow_are_dropped_and_named(tmp_path: Path) -> None:
    tags = {
        "PatientBirthDate": "19709999", "PatientSex": "tall", "PatientAge": "7 years", "StudyID": "x" * 40,
        "SeriesNumber": 2**31 - 1, "PatientPosition": "upright",
        "SOPInstanceUID": lambda index: f"{SERIES}.{index + 1}" if index else "1.02",
        "FrameOfReferenceUID": "1." + "2" * 80, "SpecificCharacterSet": "LATIN",
    }  # fmt: skip
    folder = write_mr(tmp_path / "mr", make_ct(), PatientWeight="70.25", **tags)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"70.25", b"70,25"))
    source = read_source(folder)
    result = export_series(make_ct(), tmp_path / "out", MAKER, source)
    (finding,) = (finding for finding in result.findings if finding.code == "dicom-tags")
    file = slices(tmp_path / "out")[0]
    for keyword in ("PatientBirthDate", "PatientSex", "PatientAge", "StudyID", "PatientWeight", "PatientPosition"):
        assert keyword in finding.message and not file.get(keyword)
    assert "FrameOfReferenceUID" in finding.message and "SOPInstanceUID" in finding.message
    assert len(file.SourceImageSequence) == make_ct().GetDepth() - 1
    assert file.PatientID == "P 1" and file.SeriesNumber == 301
    assert file.FrameOfReferenceUID == result.frame_of_reference_uid and len(file.FrameOfReferenceUID) <= 64
    if judge := dicom_judge.find():
        verdict = subprocess.run([judge, str(next((tmp_path / "out").iterdir()))], capture_output=True, text=True)
        assert not re.search("^Error", verdict.stdout + verdict.stderr, re.MULTILINE), verdict.stderr


def test_square_pixels_on_request(tmp_path: Path) -> None:
    export_series(make_ct(), tmp_path / "out", MAKER, resample=True)
    file = slices(tmp_path / "out")[0]
    assert list(file.PixelSpacing) == [1, 1] and file.SpacingBetweenSlices == 1
    assert float(file.SliceLocation) == pytest.approx(float(file.ImagePositionPatient[2]))
