"""A batch on one machine: reading, the network and writing side by side, and what counts as done already."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk
from test_batch import summary
from test_images import write_dicom_series

from decnn.cli import pipeline
from decnn.cli.batch import synthesize_all
from decnn.cli.cancel import Stop
from decnn.cli.plan import Job
from decnn.cli.progress import JsonReporter
from decnn.cli.single import Made, Ready
from decnn.errors import SetupError
from decnn.io.fingerprint import fingerprint
from decnn.options import Options

PATIENCE_S = 60


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Stop()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def heads(tmp_path: Path, slab: sitk.Image) -> list[str]:
    paths = [str(tmp_path / f"{name}.nrrd") for name in ("a", "b", "c")]
    for path in paths:
        sitk.WriteImage(sitk.Cast(slab, sitk.sitkInt16), path)
    return paths


def test_the_next_is_read_and_the_last_is_written_while_the_network_works(
    heads: list[str], mirror_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Stop
) -> None:
    """Each step waits for one of another head, so it would come to no end if they came one after another."""
    begun = {(step, source): threading.Event() for step in ("read", "make", "write") for source in heads}
    read, make, write = pipeline._read, pipeline.make, pipeline._write
    turns = iter(heads)

    def read_it(guard: pipeline.Guard, job: Job) -> pipeline.Answer:
        begun["read", job.source].set()
        return read(guard, job)

    def make_it(ready: Ready, *rest: Any) -> Made:
        source = next(turns)
        begun["make", source].set()
        if source != heads[-1]:
            assert begun["read", heads[heads.index(source) + 1]].wait(PATIENCE_S)
        return make(ready, *rest)

    def write_it(made: Made, job: Job) -> dict[str, Any]:
        begun["write", job.source].set()
        if job.source != heads[-1]:
            assert begun["make", heads[heads.index(job.source) + 1]].wait(PATIENCE_S)
        return write(made, job)

    for name, step in (("_read", read_it), ("make", make_it), ("_write", write_it)):
        monkeypatch.setattr(pipeline, name, step)
    options = Options(str(mirror_model), "cpu")
    assert synthesize_all(heads, str(tmp_path / "out"), options, JsonReporter(), stop) == 0
    assert [row["status"] for row in summary(tmp_path / "out")] == ["done"] * 3


def test_a_ct_that_cannot_be_written_costs_itself_only(
    heads: list[str],
    mirror_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: Stop,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = pipeline.write

    def full(made: Made, path: Path, confidence: Path | None) -> dict[str, Any]:
        if path.name.startswith("b_"):
            raise SetupError("The disk is full.", code="file-system")
        return write(made, path, confidence)

    monkeypatch.setattr(pipeline, "write", full)
    options = Options(str(mirror_model), "cpu")
    assert synthesize_all(heads, str(tmp_path / "out"), options, JsonReporter(), stop) == 3
    rows = summary(tmp_path / "out")
    assert [(row["status"], row["message"][:13]) for row in rows][1] == ("failed", "[file-system]")
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert f'"message": "The disk is full.", "input": "{heads[1]}"' in capsys.readouterr().out


def test_a_fingerprint_is_of_all_bytes_that_are_read(tmp_path: Path, slab: sitk.Image) -> None:
    image = sitk.Cast(slab, sitk.sitkInt16)
    detached, pair, series = tmp_path / "a.mhd", tmp_path / "b.img", tmp_path / "series"
    sitk.WriteImage(image, str(detached))
    sitk.WriteImage(image, str(pair))
    write_dicom_series(image[:, :, :3], series, "1.2.3")
    changes = [(detached, tmp_path / "a.raw"), (pair, tmp_path / "b.hdr"), (series, next(series.iterdir()))]
    for source, part in changes:
        before = fingerprint(source)
        assert fingerprint(source) == before
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        part.write_bytes(content)
        assert fingerprint(source) != before
