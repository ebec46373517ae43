"""The sources of training/: what sources.toml says of each file, and `python -m training fetch`."""

import gzip
import hashlib
import struct
import tomllib

import numpy as np
import pytest
import SimpleITK as sitk

from decnn.errors import InputError, SetupError
from training.heads import source_files
from training.heads.catalog import NAMES, read_heads
from training.heads.convert import CONVERTERS, _member_of_ar, _nmd, convert, nifti, packed
from training.heads.fetch import fetch
from training.heads.source_files import SOURCES, check_sources, fault_of, files_of, read_sources


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def original(tmp_path):
    """An original in another order of axes than training reads (PSR instead of RAS), and its voxels in RAS order."""
    array = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)  # [z, y, x] in LPS
    image = sitk.GetImageFromArray(array)
    image.SetOrigin((10.0, -20.0, 30.0))
    path = tmp_path / "original.nii.gz"
    sitk.WriteImage(sitk.DICOMOrient(image, "PSR"), str(path))
    return path, image


@pytest.fixture
def data(tmp_path, original):
    """A folder of data whose one source lies at an address on this machine."""
    path, _ = original
    converted = convert("nifti", [path.read_bytes()])
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "sources.toml").write_text(
        f"""
        [head]
        use = "test"
        terms = "none"
        [head.files."head/t1.nii.gz"]
        address = "{path.as_uri()}"
        original_sha256 = "{sha256(path.read_bytes())}"
        convert = "nifti"
        sha256 = "{sha256(converted)}"
        unpacked_sha256 = "{sha256(gzip.decompress(converted))}"
        """
    )
    return folder


def test_every_source_tells_its_terms_and_how_to_get_it():
    sources = tomllib.loads(SOURCES.read_text(encoding="utf-8"))
    assert set(NAMES) <= set(sources)
    for name, source in sources.items():
        assert source["use"] and source["terms"]
        assert "files" in source or "place" in source
        for file in files_of(SOURCES.parent, name, source):
            assert all(address.startswith("https://") and "{" not in address for address in file.addresses)
            assert len(file.sha256) == 64 and (
                source.get("place") or file.addresses and len(file.original_sha256) == 64
            )
            assert file.convert == "none" or (file.convert in CONVERTERS and len(file.unpacked_sha256) == 64)


def test_fetch_converts_an_original_without_moving_a_voxel(data, original, capsys):
    fetch(data)
    fetched = sitk.ReadImage(str(data / "head/t1.nii.gz"))
    assert fetched.GetDirection() == (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)  # RAS+ order
    back = sitk.DICOMOrient(fetched, "LPS")
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(original[1]))
    assert np.allclose(back.GetOrigin(), original[1].GetOrigin())
    before = (data / "head/t1.nii.gz").stat()
    original[0].unlink()
    fetch(data)  # nothing is fetched again
    assert (data / "head/t1.nii.gz").stat().st_mtime_ns == before.st_mtime_ns
    assert capsys.readouterr().out.count("right") == 2
    assert [path.name for path in (data / "head").iterdir()] == ["t1.nii.gz"]


def test_a_file_packed_by_another_zlib_is_the_right_one(data, original):
    content = gzip.decompress(convert("nifti", [original[0].read_bytes()]))
    (data / "head").mkdir()
    (data / "head/t1.nii.gz").write_bytes(gzip.compress(content, 9, mtime=1))
    fetch(data, download=False)


def test_what_is_altered_is_named_and_left_alone(data):
    fetch(data)
    path = data / "head/t1.nii.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t1\.nii\.gz is not the file .* SHA-256 differs"):
        check_sources(data, ["head"])
    with pytest.raises(InputError, match=r"1 file\(s\)"):
        fetch(data)
    assert path.read_bytes() == bytes(content)


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_what_is_no_file_is_not_replaced(data, capsys, kind):
    path = data / "head/t1.nii.gz"
    path.parent.mkdir()
    path.mkdir() if kind == "folder" else path.symlink_to(data / "nowhere")
    with pytest.raises(InputError):
        fetch(data)
    assert path.is_dir() or path.is_symlink()
    assert "is not a file" in capsys.readouterr().out or kind == "dangling link"


def test_each_failure_of_fetch_has_its_sentence(data, original, capsys, monkeypatch):
    with pytest.raises(InputError, match="Unknown sources nobody"):
        fetch(data, ["nobody"])
    with pytest.raises(InputError):
        fetch(data, download=False)
    assert "t1.nii.gz is missing" in capsys.readouterr().out
    good = original[0].read_bytes()
    original[0].write_bytes(good + b"more")
    with pytest.raises(InputError):
        fetch(data)
    assert "not the original any more" in capsys.readouterr().out
    original[0].unlink()
    with pytest.raises(InputError):
        fetch(data)
    assert "could not be downloaded" in capsys.readouterr().out
    original[0].write_bytes(good)
    monkeypatch.setattr("training.heads.fetch.os.replace", _no_space)
    with pytest.raises(SetupError, match="cannot be written"):
        fetch(data)
    assert list((data / "head").iterdir()) == []
    monkeypatch.undo()
    (data / "sources.toml").write_text("[head")
    with pytest.raises(InputError, match="sources.toml cannot be read"):
        fetch(data)


def _no_space(*_):
    raise OSError(28, "No space left on device")


def test_a_converter_that_gives_another_file_writes_nothing(data, capsys):
    text = (data / "sources.toml").read_text().replace('convert = "nifti"', 'convert = "none"')
    (data / "sources.toml").write_text(text)
    with pytest.raises(InputError):
        fetch(data)
    assert "gave another file than it should" in capsys.readouterr().out
    assert not (data / "head").exists()


def test_sources_cannot_lie_outside_the_folder(data):
    text = (data / "sources.toml").read_text().replace("head/t1.nii.gz", "../t1.nii.gz")
    (data / "sources.toml").write_text(text)
    with pytest.raises(InputError, match="outside the folder"):
        fetch(data)


def test_optional_sources_are_fetched_when_they_are_named(data):
    text = (data / "sources.toml").read_text().replace('terms = "none"', 'terms = "none"\noptional = true')
    (data / "sources.toml").write_text(text)
    fetch(data)
    assert not (data / "head").exists()
    fetch(data, ["head"])
    assert (data / "head/t1.nii.gz").is_file()


def test_a_file_is_hashed_once(data, monkeypatch):
    fetch(data)
    check_sources(data, ["head"])
    monkeypatch.setattr(source_files.hashlib, "sha256", None)
    check_sources(data, ["head"])
    (file,) = files_of(data, "head", read_sources(data)["head"])
    assert fault_of(file) is None


def test_heads_are_read_from_the_right_files_only(tmp_path):
    with pytest.raises(InputError, match=r"cranium.* is missing.*nmd_40y.* is missing"):
        read_heads(tmp_path, ["cranium"])
    (tmp_path / "nmd_19y").mkdir()
    (tmp_path / "nmd_19y/labels.nii.gz").write_bytes(b"another file")
    with pytest.raises(InputError, match="SHA-256 differs"):
        read_heads(tmp_path, ["nmd_19y"])


def test_the_nifti_header_is_what_readers_expect(tmp_path):
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    angle = np.deg2rad(10)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.column_stack([rotation * (0.5, 0.5, 2.0), (1.0, 2.0, 3.0)])
    path = tmp_path / "image.nii.gz"
    path.write_bytes(packed(nifti(voxels, affine)))
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), voxels.transpose(2, 1, 0))
    assert np.allclose(image.GetSpacing(), (0.5, 0.5, 2.0)) and np.allclose(image.GetOrigin(), (-1.0, -2.0, 3.0))
    lps = np.diag([-1, -1, 1]) @ rotation
    assert np.allclose(np.array(image.GetDirection()).reshape(3, 3), lps, atol=1e-5)
    content = gzip.decompress(path.read_bytes())
    assert np.allclose(struct.unpack_from("<3f", content, 256), (0, 0, np.sin(angle / 2)), atol=1e-6)


def test_small_originals_of_the_other_kinds():
    import base64
    import json

    probabilities = np.zeros((6, 2, 3, 4), np.uint8)
    probabilities[3, 1], probabilities[5, 0] = 200, 255
    originals = [
        json.dumps(
            {
                "NIFTIData": {
                    "_ArrayType_": "uint8",
                    "_ArraySize_": [2, 3, 4],
                    "_ArrayZipData_": base64.b64encode(gzip.compress(tissue.tobytes())).decode(),
                }
            }
        ).encode()
        for tissue in probabilities
    ]
    labels, _ = _nmd(originals)
    assert (labels[1] == 4).all() and (labels[0] == 6).all()
    member = b"data.tar.xz/".ljust(48) + b"4".ljust(10) + b"`\n" + b"data"
    archive = b"!<arch>\n" + b"control.tar".ljust(48) + b"3".ljust(10) + b"`\n" + b"abc\n" + member
    assert _member_of_ar(archive, "data.tar") == b"data"
    slices = [np.full((256, 256), number, ">i2").tobytes() for number in range(113)]
    ct = CONVERTERS["unc"](slices)[0]
    assert ct.shape == (256, 256, 113) and ct[0, 0, 0] == 112 - 1024 and ct[0, 0, -1] == -1024
