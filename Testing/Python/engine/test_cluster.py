"""A batch on the workers of a Dask scheduler: a real one, with workers that die."""

import contextlib
import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk
from conftest import SLAB_SIZE, engine_command, engine_environment

from decnn.cli import cluster
from decnn.cli.cancel import Stop
from decnn.cli.progress import JsonReporter
from decnn.errors import SetupError
from phantom import phantom_head

COUNT = 4


@contextlib.contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """``dask ...`` as a process, ended in the end."""
    command = [sys.executable, "-m", "dask", *arguments]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=engine_environment())
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_worker_that_dies_loses_no_head(tiny_model: Path, tmp_path: Path) -> None:
    sources = [tmp_path / f"head{number}.nrrd" for number in range(COUNT)]
    for number, source in enumerate(sources):
        mr = phantom_head(size=SLAB_SIZE, seed=number)[0]
        sitk.WriteImage(sitk.Cast(mr, sitk.sitkInt16), str(source))
    (tmp_path / "letter.nrrd").write_text("Dear reader")
    inputs = [*sources, tmp_path / "letter.nrrd"]
    options = ["--model", tiny_model, "--device", "cpu", "--progress", "json"]
    here = engine_command(["batch", *inputs, "--output-dir", tmp_path / "here", *options])
    subprocess.run(here, env=engine_environment(), capture_output=True, timeout=600)

    address = tmp_path / "scheduler.json"
    worker = ("worker", "--scheduler-file", str(address), "--nthreads", "1", "--no-nanny", "--no-dashboard")
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address))
        )
        workers = [stack.enter_context(dask(*worker)) for _ in range(2)]
        while not address.exists():
            time.sleep(0.1)
        where = json.loads(address.read_text())["address"]
        there = ["batch", *inputs, "--output-dir", tmp_path / "there", "--scheduler", where, *options]
        child = subprocess.Popen(
            engine_command(there), env=engine_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        told = []
        for line in child.stdout:
            told.append(json.loads(line))
            if told[-1]["event"] == "result" and workers[0].poll() is None:
                workers[0].kill()  # both have heads then: the first result leaves three
        assert child.wait() == 2, child.stderr and child.stderr.read()

    done = [event["input"] for event in told if event["event"] == "result"]
    assert sorted(done) == [str(source) for source in sources], "every head once"
    assert workers[0].returncode is not None
    assert [event["code"] for event in told if event["event"] == "error"] == ["unreadable"]
    assert told[-1]["event"] == "summary" and (told[-1]["inputs"], told[-1]["failures"]) == (COUNT + 1, 1)
    assert [row["status"] for row in rows(tmp_path / "there")] == ["done"] * COUNT + ["failed"]
    for mine, other in zip(rows(tmp_path / "here")[:COUNT], rows(tmp_path / "there")[:COUNT], strict=True):
        assert (mine["input_sha256"], mine["message"]) == (other["input_sha256"], other["message"])
        first, second = (sitk.GetArrayFromImage(sitk.ReadImage(row["output"])) for row in (mine, other))
        assert (first == second).all()


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_TIMEOUT_S", 1)
    with pytest.raises(SetupError, match="does not answer") as error:
        cluster.run_on_cluster("tcp://127.0.0.1:9", [], JsonReporter(), Stop(), lambda outcome: None)
    assert error.value.code == "scheduler"
