"""Outputs that cannot be, and a machine that fails in the middle: the old file stays, or the new one is whole."""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import SimpleITK as sitk

from attack.case import REFUSED, TAKEN, Case
from dicom_phantom import make_ct
from phantom import phantom_head


def outputs() -> Iterator[Case]:
    """Names and places of outputs."""
    for suffix in (".nrrd", ".nii", ".nii.gz", ".mha", ".NRRD", ".Nii.Gz"):
        for stem in ("ct", "ct.v2", "c t", "ä", "'", "x" * 100, "-ct", "日本"):
            yield Case("outputs", f"a good name {suffix}", _checked(stem + suffix), TAKEN)
    for name in (
        "ct",
        "ct.png",
        "ct.dcm",
        "ct.nrrd.gz",
        "ct.mhd",
        "",
        ".",
        "..",
        "no/ct.nrrd",
        "mr.nrrd",
        "./mr.nrrd",
        "MR.nrrd",
    ):
        yield Case("outputs", "a name that no CT can have", _checked(name), REFUSED)
    for name in ("x" * 300 + ".nrrd", "a\0b.nrrd"):
        yield Case("outputs", "a name that no file can have", _checked(name), REFUSED)
    for name in ("folder.nrrd", "link.nrrd", "dead.nrrd", "closed/ct.nrrd", "/proc/ct.nrrd", "/dev/null/ct.nrrd"):
        yield Case(
            "outputs",
            "a place that is taken or closed",
            _checked(name),
            REFUSED if name != "dead.nrrd" else f"{TAKEN}|bad-path|bad-input",
        )
    for names in (["a.nrrd", "a.nii"], ["a.nrrd", "a.nrrd"], ["a.nrrd", "A.nrrd"], ["out/a.nrrd", "out/a_sCT.nrrd"]):
        yield Case("outputs", "a batch that would write one file twice", _planned(names), REFUSED)
    for names in (
        ["p/a.nrrd", "q/a.nrrd"],
        ["p/a.nrrd", "q/A.nrrd"],
        ["p", "q"],
        ["1.2.3", "1.2.4"],
        [".nrrd", "b.nrrd"],
    ):
        yield Case("outputs", "a batch with names of its own", _planned(names), TAKEN)
    for content in ("", "a,b\n1,2\n", "\xff\xfe", "input,output\n"):
        yield Case("outputs", "a summary.csv of somebody else", _summary(content), REFUSED)


def _checked(name: str) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.io.images import check_output

        (folder / "mr.nrrd").write_text("x")
        (folder / "folder.nrrd").mkdir()
        (folder / "link.nrrd").symlink_to(folder / "mr.nrrd")
        (folder / "dead.nrrd").symlink_to(folder / "none")
        (folder / "closed").symlink_to("/proc/1")
        before = sorted(os.listdir(folder))
        try:
            check_output(os.path.join(folder, name), folder / "mr.nrrd")
        finally:
            assert sorted(os.listdir(folder)) == before
        return []

    return attempt


def _planned(names: list[str]) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.cli.plan import plan_outputs

        plan_outputs([str(folder / name) for name in names], str(folder / "out"))
        return []

    return attempt


def _summary(content: str) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.cli.summary import Summary

        (folder / "summary.csv").write_text(content, encoding="latin-1")
        Summary(folder)
        return []

    return attempt


_ERRORS = (errno.ENOSPC, errno.EACCES, errno.EIO, errno.EROFS, errno.ENOENT, errno.EMFILE, errno.EDQUOT, errno.ESTALE)
_OF_FILES = ("tempfile.mkstemp", "os.replace", "os.chmod", "os.close", "SimpleITK.WriteImage", "SimpleITK.ReadImage")
_OF_EXPORTS = ("tempfile.mkdtemp", "pathlib.Path.rename", "pydicom.dataset.FileDataset.save_as")


def faults() -> Iterator[Case]:
    """The system refuses one call, at each of its moments."""
    for what, number in itertools.product(_OF_FILES, _ERRORS):
        yield Case("faults", f"{what} fails while a CT is written", _writing(what, number), REFUSED)
    for what, number in itertools.product(_OF_EXPORTS, _ERRORS):
        expected = (
            REFUSED if what != "pathlib.Path.rename" and what != "tempfile.mkdtemp" else f"{TAKEN}|file-system|setup"
        )
        yield Case("faults", f"{what} fails while a series is written", _exporting(what, number), expected)


def _failing(what: str, number: int) -> object:
    error: Exception = OSError(number, os.strerror(number))
    if what.startswith("SimpleITK"):
        error = RuntimeError(f"ITK ERROR: {os.strerror(number)}")
    return mock.patch(what, side_effect=error)


def _writing(what: str, number: int) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.io.images import write_image

        (folder / "ct.nrrd").write_text("the old one")
        image = sitk.Cast(phantom_head(size=(16, 16, 16), spacing=(12, 12, 12))[0], sitk.sitkInt16)
        try:
            with _failing(what, number):  # type: ignore[attr-defined]
                write_image(image, folder / "ct.nrrd")
        finally:
            assert (folder / "ct.nrrd").read_text() == "the old one" and os.listdir(folder) == ["ct.nrrd"]
        return []

    return attempt


def _exporting(what: str, number: int) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.io.dicom_ct import export_series
        from decnn.io.provenance import Maker

        try:
            with _failing(what, number):  # type: ignore[attr-defined]
                export_series(make_ct(), folder / "out", Maker("m", "1", "ab" * 32))
        finally:
            left = [path for path in folder.rglob("*") if path.is_file()]
            assert len(left) in (0, 9) and {path.parent.name for path in left} <= {"out"}, left
        return []

    return attempt
