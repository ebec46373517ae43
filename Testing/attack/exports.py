"""Exports of a CT beside MR series with odd, malformed and foreign tags; what is written, dciodvfy has to accept."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import SimpleITK as sitk

import dicom_judge
from attack.case import REFUSED, TAKEN, Case
from dicom_phantom import SAGITTAL, SERIES, make_ct, write_enhanced_mr, write_mr

_LONG = "x" * 80
_ODD: dict[str, list[Any]] = {
    "PatientName": [None, "", "A^B^C^D^E", "Ärztin^Ünal", "x" * 64, _LONG, "back\\slash", "tab\there"],
    "PatientID": [None, "", "x" * 64, _LONG, "a\\b"],
    "PatientBirthDate": [None, "", "19700101", "1970-01-01", "19709999", "70", "birthday"],
    "PatientSex": [None, "", "M", "O", "male", "X", "m"],
    "PatientAge": [None, "", "045Y", "45", "45Y", "old"],
    "PatientSize": [None, "", "1.75", "0", "-1", "99999"],
    "PatientWeight": [None, "", "70", "0", "-5", "1e9"],
    "StudyDate": [None, "", "20200101", "2020", "20201301"],
    "StudyTime": [None, "", "120000", "120000.123456", "99", "noon"],
    "StudyID": [None, "", "S1", "x" * 16, "x" * 17],
    "AccessionNumber": [None, "", "x" * 16, "x" * 17],
    "StudyDescription": [None, "", "x" * 64, _LONG],
    "ReferringPhysicianName": [None, "", "Doctor^A", _LONG],
    "PatientPosition": [None, "", "HFS", "FFP", "upright", "HFX"],
    "PositionReferenceIndicator": [None, "", "NA", _LONG],
    "SpecificCharacterSet": [None, "", "ISO_IR 100", "ISO_IR 192", "LATIN", "UTF-8"],
    "SeriesNumber": [None, 0, -5, 7, 99_999, 2**31 - 1],
    "FrameOfReferenceUID": [None, "", "1.2.3", "1." + "2" * 80, "no.uid", "1.02.3"],
    "DeidentificationMethod": [None, "by hand", _LONG],
    "PatientIdentityRemoved": [None, "YES", "maybe"],
}
_MODEL_NAMES = ["", "m", "x" * 100, "modèle", "a\\b", "tab\there", "line\nbreak", "日本", " ", "'; --"]


def cases() -> Iterator[Case]:
    for keyword, values in _ODD.items():
        for value in values:
            yield Case("exports", f"{keyword} of an MR", _export({keyword: value}), TAKEN)
    for keyword, values in {
        "StudyInstanceUID": [None, "", "1." + "2" * 80, "no.uid"],
        "SOPInstanceUID": [None, ""],
    }.items():
        for value in values:
            yield Case("exports", f"an impossible {keyword}", _export({keyword: value}), REFUSED)
    for name in _MODEL_NAMES:
        yield Case("exports", "a model of an odd name", _export({}, model=name), TAKEN)
    for direction in (
        (1, 0, 0, 0, 1, 0, 0, 0, 1),
        SAGITTAL,
        (-1, 0, 0, 0, -1, 0, 0, 0, 1),
        (0, 1, 0, 0, 0, 1, 1, 0, 0),
    ):
        yield Case("exports", "a grid along the axes", _export({}, direction=direction), TAKEN)
    for direction in ((0.866, 0.5, 0, -0.5, 0.866, 0, 0, 0, 1), (1, 0.2, 0, 0, 0.9798, 0, 0, 0, 1)):
        yield Case("exports", "an oblique grid", _export(None, direction=direction), REFUSED)
        yield Case("exports", "an oblique grid, resampled", _export(None, direction=direction, resample=True), TAKEN)
    yield Case("exports", "no MR series", _export(None), TAKEN)
    yield Case("exports", "a multi-frame MR", _export({}, enhanced=True), TAKEN)
    yield Case("exports", "another series", _export({}, made_from="1.2.3"), "other-reference")
    yield Case(
        "exports", "another series, unverified", _export({}, made_from="1.2.3", unverified=True), "other-reference"
    )
    yield Case("exports", "a series that is not known", _export({}, made_from=""), "unverified-reference")
    yield Case(
        "exports",
        "a series that is not known, unverified",
        _export({}, made_from="", unverified=True),
        "unverified-reference",
    )


def _export(
    tags: dict[str, Any] | None,
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
    model: str = "model",
    made_from: str = SERIES,
    enhanced: bool = False,
    **options: bool,
) -> Callable[[Path], list[str]]:
    def attempt(folder: Path) -> list[str]:
        from decnn.io.dicom_ct import export_series
        from decnn.io.dicom_mr import read_source
        from decnn.io.folders import check_output_folder
        from decnn.io.provenance import SOURCE_SERIES, Maker

        ct = sitk.Image(make_ct(direction))
        source = None
        if tags is not None:
            ct.SetMetaData(SOURCE_SERIES, made_from)
            if enhanced:
                (folder / "mr").mkdir()
                write_enhanced_mr(folder / "mr" / "mr.dcm", ct + 2000)
            else:
                write_mr(folder / "mr", ct, **tags)
            source = read_source(folder / "mr")
        result = export_series(ct, check_output_folder(folder / "out"), Maker(model, "1", "ab" * 32), source, **options)
        if judge := dicom_judge.find():
            done = subprocess.run([judge, str(next(result.folder.iterdir()))], capture_output=True, text=True)
            errors = re.findall("^Error.*", done.stdout + done.stderr, re.MULTILINE)
            assert not errors, errors[0]
        return [finding.code for finding in result.findings]

    return attempt
