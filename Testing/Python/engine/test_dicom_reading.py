"""The values and the grid of a DICOM series are those that each file and frame says."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from decnn.errors import InputError
from decnn.io.dicom_read import Choice
from decnn.io.images import read, read_image, same_grid
from dicom_phantom import SERIES, make_ct, write_enhanced_mr, write_mr


def values(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def test_each_slice_has_a_scale_of_its_own(tmp_path: Path) -> None:
    image = make_ct()
    slopes, intercepts = np.linspace(0.88, 1.44, 9), np.arange(9.0)
    folder = write_mr(
        tmp_path / "mr", image,
        RescaleSlope=lambda n: f"{slopes[n]:.6f}", RescaleIntercept=lambda n: f"{intercepts[n]:g}",
    )  # fmt: skip
    expected = values(image) * slopes[:, None, None] + intercepts[:, None, None]
    back = read_image(folder)
    assert back.GetPixelID() == sitk.sitkFloat32
    assert values(back) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("slope", [0.001, 0.5, 2.0])
def test_small_slopes_are_not_quantized(tmp_path: Path, slope: float) -> None:
    back = read_image(write_mr(tmp_path / "mr", make_ct(), RescaleSlope=slope, RescaleIntercept=0))
    assert values(back) == pytest.approx(values(make_ct()) * slope, rel=1e-6)


def test_each_frame_has_a_scale_of_its_own(tmp_path: Path) -> None:
    image = make_ct() + 2000
    path = write_enhanced_mr(tmp_path / "mr.dcm", image)
    file = pydicom.dcmread(path)
    slopes = np.linspace(0.5, 2.0, 9)
    for frame, slope in zip(file.PerFrameFunctionalGroupsSequence, slopes, strict=True):
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept, item.RescaleType = f"{slope:.6f}", 3, "US"
        frame.PixelValueTransformationSequence = [item]
    file.save_as(path)
    assert values(read_image(path)) == pytest.approx(values(image) * slopes[:, None, None] + 3, rel=1e-5)


def test_compressed_files_have_their_own_scale_too(tmp_path: Path) -> None:
    """JPEG 2000, lossless, as GDCM writes it; and RLE, by pydicom."""
    image = sitk.Cast(make_ct() + 2000, sitk.sitkUInt16)
    (tmp_path / "mr").mkdir()
    plain = write_mr(tmp_path / "plain", image, PixelRepresentation=0, RescaleSlope=lambda n: 1 + n, RescaleIntercept=0)
    for number, path in enumerate(sorted(plain.iterdir())):
        file = pydicom.dcmread(path)
        file.compress(pydicom.uid.RLELossless)
        file.save_as(tmp_path / "mr" / f"{number}.dcm")
    assert (values(read_image(tmp_path / "mr")) == values(read_image(plain))).all()

    (tmp_path / "jpeg").mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.UseCompressionOn()
    for index in range(image.GetDepth()):
        plane = image[:, :, index]
        for tag, value in {
            "0008|0060": "MR", "0020|000d": "1.2.3", "0020|000e": "1.2.4", "0008|0018": f"1.2.5.{index + 1}",
            "0020|0032": f"0\\0\\{index * 2.5}", "0020|0037": "1\\0\\0\\0\\1\\0",
        }.items():  # fmt: skip
            plane.SetMetaData(tag, value)
        writer.SetFileName(str(tmp_path / "jpeg" / f"{index}.dcm"))
        writer.Execute(plane)
    syntax = pydicom.dcmread(tmp_path / "jpeg" / "0.dcm").file_meta.TransferSyntaxUID
    assert syntax.is_compressed
    assert (values(read_image(tmp_path / "jpeg")) == values(image)).all()


def test_padding_is_background_and_bits_beyond_those_stored_are_none(tmp_path: Path) -> None:
    image = make_ct() + 2000

    def pixels(index: int) -> bytes:
        plane = values(image)[index].astype(np.uint16)
        plane[0], plane[1] = 4095, plane[1] | 0xF000  # padding; an overlay in the unused bits
        return plane.tobytes()

    folder = write_mr(tmp_path / "mr", image, PixelRepresentation=0, BitsStored=12, HighBit=11, PixelData=pixels)
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        file.add_new("PixelPaddingValue", "US", 4095)
        file.save_as(path)
    back, expected = values(read_image(folder)), values(image) % 4096
    assert (back[:, 2:] == expected[:, 2:]).all() and (back[:, 1] == expected[:, 1]).all()
    assert (back[:, 0] == back[:, 1:].min()).all()


def test_a_series_and_an_echo_are_chosen(tmp_path: Path) -> None:
    folder = write_mr(tmp_path / "mr", make_ct(), EchoTime=2.3, EchoNumbers=1)
    second = write_mr(tmp_path / "second", make_ct() + 7, EchoTime=6.9, EchoNumbers=2)
    other = write_mr(tmp_path / "other", make_ct() + 9, SeriesInstanceUID=f"{SERIES}.9", SeriesNumber=12, EchoTime=2.3)
    for path in second.iterdir():
        path.rename(folder / f"second{path.name}")
    with pytest.raises(InputError, match=r"2 images at each place \(echo 2.3 and 6.9 ms"):
        read(folder)
    for path in other.iterdir():
        path.rename(folder / f"other{path.name}")
    with pytest.raises(InputError, match="series 7 with 18 images; series 12 with 9 images") as error:
        read(folder)
    assert error.value.code == "dicom-series"
    for choice, added in {
        Choice("7", "2.3"): 0, Choice("7", "6.9"): 7, Choice("7", "2"): 7, Choice("12"): 9, Choice(f"{SERIES}.9"): 9
    }.items():  # fmt: skip
        assert (values(read(folder, choice=choice).image) == values(make_ct() + added)).all()
    for choice, code in {
        Choice("99"): "dicom-series",
        Choice("7", "4"): "dicom-echoes",
        Choice("7", "x"): "dicom-echoes",
    }.items():
        with pytest.raises(InputError) as error:
            read(folder, choice=choice)
        assert error.value.code == code


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.floats(0.3, 5.0), min_size=3, max_size=3),
    st.lists(st.floats(-300, 300), min_size=3, max_size=3),
    st.lists(st.integers(-800_000, 800_000), min_size=3, max_size=3),
)
def test_every_grid_comes_back(
    tmp_path_factory: pytest.TempPathFactory, spacing: list[float], origin: list[float], angles: list[int]
) -> None:
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(*(angle * 1e-6 for angle in angles))
    image = make_ct(rotation.GetMatrix())[:6, :6, :5]
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    folder = write_mr(tmp_path_factory.mktemp("grid") / "mr", image)
    reading = read(folder)
    assert same_grid(reading.image, image, 1e-3) and reading.findings == []
    assert (values(reading.image) == values(image)).all()
