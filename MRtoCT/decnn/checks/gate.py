"""The one gate: an MR file or DICOM series is read and judged here, for every command alike."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from decnn.checks.head import check_anatomy
from decnn.checks.image import check_header, check_voxels
from decnn.errors import Finding, InputError, blocks, raise_errors
from decnn.io.dicom_read import ANY, Choice
from decnn.io.header import Header
from decnn.io.images import Reading, read
from decnn.steps import Report, silent


def read_mr(
    path: str | Path, choice: Choice | None = None, accepted: Callable[[], None] = lambda: None
) -> tuple[Reading | None, list[Finding]]:
    """Reads an MR and judges its header, before any voxel is loaded, and its voxels.

    Args:
        path: see ``decnn.io.images.read``.
        choice: which of several DICOM series and echoes.
        accepted: called once nothing in the header blocks.

    Returns:
        What was read, None if the header has errors; and all findings.

    Raises:
        InputError: it cannot be read at all, see ``decnn.io.images.read``.
    """
    findings: list[Finding] = []

    def inspect(header: Header) -> None:
        findings.extend(check_header(header))
        raise_errors(findings)
        accepted()

    try:
        reading = read(path, inspect, replace(choice or ANY, modality="MR"))
    except InputError:
        if blocks(findings):
            return None, findings
        raise
    return reading, [*reading.findings, *findings, *check_voxels(reading.image)]


def examine_file(path: str | Path, choice: Choice = ANY, report: Report = silent) -> list[Finding]:
    """All that there is to say against an MR in a file before its synthetic CT is made.

    report: called with (fraction 0..1, stage). Raises InputError as ``read_mr`` does.
    """
    report(0.05, "Reading the MR")
    reading, findings = read_mr(path, choice)
    if reading is None or blocks(findings):
        return findings
    return findings + check_anatomy(reading.image, report)


def accepted_mr(path: str | Path, choice: Choice = ANY) -> Reading:
    """An MR against which nothing speaks that blocks, with all findings; InputError otherwise."""
    reading, findings = read_mr(path, choice)
    raise_errors(findings)
    assert reading is not None  # it is where nothing blocks
    return replace(reading, findings=findings)


def read_mask(path: str | Path) -> Reading:
    """A mask for a comparison; InputError if it is not one volume with one real number a voxel."""

    def judge(header: Header) -> None:
        if header.dimension != 3 or header.channels != 1 or "complex" in header.pixel_type:
            raise InputError(
                f"The mask {path} is not one volume with one number a voxel: give a mask that is above 0 inside the "
                "body.",
                code="not-scalar",
            )

    return read(path, judge, Choice(option=""))
