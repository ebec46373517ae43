"""Files are read as they are, and written whole or not at all."""

import os
import resource
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from decnn.errors import Cancelled, InputError, SetupError
from decnn.io import images
from decnn.io.images import check_output, read_image, same_grid, write_image
from phantom import phantom_head


def oblique_image() -> sitk.Image:
    image = sitk.Cast(sitk.GetImageFromArray(np.arange(16 * 9 * 5).reshape(16, 9, 5) % 1000 - 500), sitk.sitkInt16)
    image.SetSpacing((0.7, 1.1, 3.3))
    image.SetOrigin((-12.34567, 1e2 / 3, 7.5))
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(0.1, -0.3, 0.7)
    image.SetDirection(rotation.GetMatrix())
    return image


def write_dicom_series(image: sitk.Image, folder: Path, uid: str, leave_out: tuple[int, ...] = ()) -> None:
    """Writes the slices of an image as an MR series: a file each, with position and orientation."""
    folder.mkdir(exist_ok=True)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in set(range(image.GetDepth())) - set(leave_out):
        plane = sitk.Cast(image[:, :, index], sitk.sitkInt16)
        plane = sitk.JoinSeries(plane)
        position = image.TransformIndexToPhysicalPoint((0, 0, index))
        plane.SetSpacing(image.GetSpacing())
        for tag, value in {
            "0008|0060": "MR",
            "0020|000e": uid,
            "0020|000d": "1.2.3.4",
            "0008|0018": f"{uid}.{index + 1}",
            "0020|0013": str(index),
            "0020|0032": "\\".join(f"{number:.6f}" for number in position),
            "0020|0037": "\\".join(f"{number:.9f}" for number in (*direction[:, 0], *direction[:, 1])),
        }.items():
            plane.SetMetaData(tag, value)
        # Not in the order of the slices, as in an archive.
        writer.SetFileName(str(folder / f"{uid}-{(index * 37) % 101:03d}.dcm"))
        writer.Execute(plane)


@pytest.mark.parametrize("suffix", images.WRITTEN_FORMATS)
def test_what_was_written_comes_back(tmp_path: Path, suffix: str) -> None:
    image = oblique_image()
    path = tmp_path / f"ct{suffix}"
    write_image(image, path)
    back = read_image(path)
    assert (sitk.GetArrayFromImage(back) == sitk.GetArrayFromImage(image)).all()
    assert same_grid(back, image)
    assert back.GetPixelID() == sitk.sitkInt16
    assert os.listdir(tmp_path) == [path.name]


def test_nrrd_keeps_the_geometry_to_the_last_bit(tmp_path: Path) -> None:
    image = oblique_image()
    write_image(image, tmp_path / "ct.nrrd")
    back = read_image(tmp_path / "ct.nrrd")
    assert back.GetOrigin() == image.GetOrigin()
    assert back.GetSpacing() == pytest.approx(image.GetSpacing(), abs=1e-15)
    assert back.GetDirection() == pytest.approx(image.GetDirection(), abs=1e-15)


@pytest.mark.parametrize(
    ("space", "known"),
    [("RAS", True), ("left-anterior-superior", True), ("scanner-xyz", False), ("3D-right-handed", False)],
)
def test_a_nrrd_file_says_how_the_head_lies_only_in_anatomical_axes(tmp_path: Path, space: str, known: bool) -> None:
    """ITK reads the others as if they were anatomical."""
    path = tmp_path / "mr.nrrd"
    write_image(oblique_image(), path)
    path.write_bytes(path.read_bytes().replace(b"left-posterior-superior", space.encode()))
    codes = [finding.code for finding in images.read(path).findings]
    assert codes == ([] if known else ["orientation-unknown"])


def test_a_dicom_folder_is_read_as_one_volume(tmp_path: Path) -> None:
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(0.2, 0.1, -0.4)
    sagittal = np.array(rotation.GetMatrix()).reshape(3, 3) @ np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    mr = phantom_head(size=(32, 30, 20), spacing=(6, 6, 8), direction=tuple(sagittal.ravel()))[0]
    write_dicom_series(mr, tmp_path / "series", "1.2.3.5")
    back = read_image(tmp_path / "series")
    assert same_grid(back, mr, tolerance_mm=0.01)
    assert sitk.GetArrayFromImage(back) == pytest.approx(sitk.GetArrayFromImage(sitk.Cast(mr, sitk.sitkInt16)))


def test_several_series_in_a_folder_are_counted_and_refused(tmp_path: Path) -> None:
    mr = phantom_head(size=(16, 16, 16), spacing=(12, 12, 12))[0]
    for number in range(3):
        write_dicom_series(mr, tmp_path, f"1.2.3.{number + 5}")
    with pytest.raises(InputError, match="holds 3 DICOM series .*--series"):
        read_image(tmp_path)


def test_a_series_with_a_missing_slice_is_refused(tmp_path: Path) -> None:
    mr = phantom_head(size=(16, 16, 20), spacing=(12, 12, 9))[0]
    write_dicom_series(mr, tmp_path, "1.2.3.5", leave_out=(11,))
    with pytest.raises(InputError, match=r"unevenly spaced \(9.00 to 18.00 mm"):
        read_image(tmp_path)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        read_image(tmp_path / "missing.nrrd")
    with pytest.raises(InputError, match="no DICOM image"):
        read_image(tmp_path)
    text = tmp_path / "letter.nrrd"
    text.write_text("Dear reader")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(text)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mr.mha"
    sitk.WriteImage(phantom_head(size=(32, 32, 32), spacing=(6, 6, 6))[0], str(path))
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(InputError, match="is damaged"):
        read_image(path)


def test_a_4d_file_of_one_volume_is_that_volume(tmp_path: Path) -> None:
    image = oblique_image()
    sitk.WriteImage(sitk.JoinSeries(image), str(tmp_path / "one.nrrd"))
    assert same_grid(read_image(tmp_path / "one.nrrd"), image)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is a folder"),
        ("missing/ct.nrrd", "does not exist"),
        ("ct.png", "no known format"),
        ("ct", "no known format"),
        ("mr.nrrd", "is the input itself"),
    ],
)
def test_an_output_that_cannot_be_is_refused_beforehand(tmp_path: Path, name: str, reason: str) -> None:
    source = tmp_path / "mr.nrrd"
    source.write_text("x")
    with pytest.raises(InputError, match=reason):
        check_output(tmp_path / name, source)
    assert os.listdir(tmp_path) == ["mr.nrrd"]


def test_a_folder_that_must_not_be_written_to_is_refused() -> None:
    # Nobody, not even root, can create a file here.
    with pytest.raises(InputError, match="cannot be written"):
        check_output("/proc/self/ct.nrrd", "mr.nrrd")


def test_a_usable_output_leaves_no_trace_of_the_trial(tmp_path: Path) -> None:
    assert check_output(tmp_path / "ct.nii.gz", "mr.nrrd") == tmp_path / "ct.nii.gz"
    assert os.listdir(tmp_path) == []


def test_cancelling_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ct.nrrd"
    path.write_text("the old one")

    def cancel() -> None:
        assert len(os.listdir(tmp_path)) == 2, "the new file is written under another name"
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        write_image(oblique_image(), path, before_publishing=cancel)
    assert os.listdir(tmp_path) == ["ct.nrrd"]
    assert path.read_text() == "the old one"


def test_a_file_that_reads_back_differently_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = oblique_image()
    monkeypatch.setattr(images.sitk, "ReadImage", lambda name: image + 1)
    with pytest.raises(SetupError, match="Writing .* failed"):
        write_image(image, tmp_path / "ct.nrrd")
    assert os.listdir(tmp_path) == []


def test_a_sheared_grid_is_refused_by_formats_that_cannot_hold_it(tmp_path: Path) -> None:
    image = sitk.Image([20, 20, 20], sitk.sitkInt16)
    image.SetDirection((1, 0.3, 0, 0, 0.95, 0, 0, 0, 1))
    with pytest.raises(SetupError, match="cannot hold this image's geometry"):
        write_image(image, tmp_path / "ct.nii.gz")
    assert os.listdir(tmp_path) == []


def test_the_result_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    write_image(oblique_image(), tmp_path / "ct.nrrd")
    assert (tmp_path / "ct.nrrd").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("suffix", images.WRITTEN_FORMATS)
def test_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    """The limit on the size of a file stands in for the end of the disk: the write fails half way."""
    noise = np.random.default_rng(0).integers(-1000, 1000, (50, 50, 50))
    image = sitk.Cast(sitk.GetImageFromArray(noise), sitk.sitkInt16)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(SetupError, match="free some space"):
            write_image(image, tmp_path / f"ct{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []
