"""Many inputs in one run: each one's fate is told, none decides another's, and nothing is replaced by accident."""

import csv
import os
import signal
import subprocess
from pathlib import Path

import pytest
import SimpleITK as sitk
from conftest import engine_command, engine_environment
from test_command_line import Engine, events

from decnn.cli.cancel import Stop
from decnn.cli.guarded import Guard
from decnn.cli.plan import plan_outputs
from decnn.errors import Cancelled, InputError, SetupError
from decnn.io.provenance import hash_of


@pytest.fixture
def inputs(tmp_path: Path, slab: sitk.Image) -> list[Path]:
    """Two good MRs with a letter between them."""
    paths = [tmp_path / "first.nii.gz", tmp_path / "letter.nrrd", tmp_path / "last.v2.mha"]
    for path in (paths[0], paths[2]):
        sitk.WriteImage(sitk.Cast(slab, sitk.sitkInt16), str(path))
    paths[1].write_text("Dear reader")
    return paths


def summary(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_bad_file_does_not_stop_the_rest(
    engine: Engine, inputs: list[Path], mirror_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "made" / "here"
    done = engine(
        "synthesize", *inputs, "--output-dir", out, "--model", mirror_model, "--device", "cpu", "--progress", "json"
    )
    assert done.returncode == 2, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["first_sCT.nrrd", "last.v2_sCT.nrrd", "summary.csv"]

    lines = events(done.stdout)
    assert lines[0] == {"event": "progress", "fraction": 0.0, "stage": "Starting"}
    assert all(line["input"] in {str(path) for path in inputs} for line in lines[1:-1])
    told = [line for line in lines if line["event"] != "progress"]
    of_input = {str(path): [line["event"] for line in told if line["input"] == str(path)] for path in inputs}
    assert [of_input[str(path)][-1] for path in inputs] == ["result", "error", "result"]
    fractions = [line["fraction"] for line in lines if line["event"] == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert [line["stage"] for line in lines if line["event"] == "progress"].count("Loading the model") == 1
    assert lines[-1] == {
        "event": "summary", "input": None, "summary": str(out / "summary.csv"), "inputs": 3, "failures": 1,
        "skipped": 0,
    }  # fmt: skip

    rows = summary(out)
    assert [(row["input"], row["output"], row["status"], row["exit_code"]) for row in rows] == [
        (str(inputs[0]), str(out / "first_sCT.nrrd"), "done", "0"),
        (str(inputs[1]), "", "failed", "2"),
        (str(inputs[2]), str(out / "last.v2_sCT.nrrd"), "done", "0"),
    ]
    assert "field of view" in rows[0]["message"] and "cannot be read" in rows[1]["message"]
    assert float(rows[0]["seconds"]) > 0

    first, last = (sitk.ReadImage(row["output"]) for row in (rows[0], rows[2]))
    assert (sitk.GetArrayFromImage(first) == sitk.GetArrayFromImage(last)).all()
    assert first.GetMetaData("MRtoCT.Model") == "mirror"
    assert first.GetMetaData("MRtoCT.Notice").startswith("Not a medical device")


def test_in_a_terminal_it_counts(engine: Engine, tmp_path: Path) -> None:
    done = engine("synthesize", "a.nrrd", "b.nrrd", "--output-dir", tmp_path)
    assert done.returncode == 2
    assert "Input 2 of 2: b.nrrd" in done.stderr and "There is no file b.nrrd" in done.stderr
    assert done.stdout == f"0 of 2 worked; see {tmp_path / 'summary.csv'}\n"


def test_a_signal_ends_the_batch_and_the_summary_says_so(inputs: list[Path], tmp_path: Path) -> None:
    out, (first, letter, last) = tmp_path / "out", inputs
    arguments = ["synthesize", letter, first, last, "--output-dir", out, "--progress", "json"]
    child = subprocess.Popen(
        engine_command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=engine_environment()
    )
    assert child.stdout is not None
    for line in child.stdout:
        if '"error"' in line:
            child.send_signal(signal.SIGTERM)
            break
    rest, stderr = child.communicate(timeout=60)
    assert child.returncode == 130, stderr
    assert events(rest)[-1]["code"] == "cancelled" and "summary.csv" in events(rest)[-1]["message"]
    assert [row["status"] for row in summary(out)] == ["failed", "cancelled", "cancelled"]
    assert [path.name for path in out.iterdir()] == ["summary.csv"]


def test_a_signal_between_two_inputs_is_not_lost() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop = Stop()
    try:
        stop.hold()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        with pytest.raises(Cancelled):
            stop.listen()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (["one/t1.nii.gz", "one/t1.nrrd"], "both be written to one_t1_sCT.nrrd"),
        (["one/T1.nrrd", "one/t1.nrrd"], "both be written to one_t1_sCT.nrrd"),
        (["t1.nrrd", "t1.nrrd"], "both be written"),
        (["out/t1.nrrd", "out/t1_sCT.nrrd"], "would replace the input t1_sCT.nrrd"),
    ],
)
def test_collisions_are_refused_before_any_work(tmp_path: Path, names: list[str], word: str) -> None:
    with pytest.raises(InputError, match=word):
        plan_outputs([str(tmp_path / name) for name in names], str(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made"):
        plan_outputs(["t1.nrrd"], str(tmp_path / "file" / "out"))


def test_a_dicom_folder_keeps_its_dots(tmp_path: Path) -> None:
    inputs = [f"{tmp_path}/1.2.840/", str(tmp_path / ".nrrd"), str(tmp_path / "T1.NII.GZ")]
    assert [path.name for path in plan_outputs(inputs, str(tmp_path))] == [
        "1.2.840_sCT.nrrd", ".nrrd_sCT.nrrd", "T1_sCT.nrrd"
    ]  # fmt: skip


def test_one_input_without_an_output_is_explained(engine: Engine) -> None:
    done = engine("synthesize", "t1.nrrd")
    assert done.returncode == 2 and "give it INPUT and OUTPUT" in done.stderr


def test_inputs_of_one_name_take_the_name_of_their_folder(tmp_path: Path) -> None:
    inputs = [str(tmp_path / name) for name in ("p1/mr.nii.gz", "p2/MR.nii.gz", "p2/other.nii.gz")]
    assert [path.name for path in plan_outputs(inputs, str(tmp_path / "out"))] == [
        "p1_mr_sCT.nrrd", "p2_MR_sCT.nrrd", "other_sCT.nrrd"
    ]  # fmt: skip
    inputs = [str(tmp_path / name) for name in ("a/anat/mr.nrrd", "b/anat/mr.nrrd", "b/mr.nrrd", "c/t1.nrrd")]
    assert [path.name for path in plan_outputs(inputs, str(tmp_path / "out"))] == [
        "a_anat_mr_sCT.nrrd", "b_anat_mr_sCT.nrrd", "b_mr_sCT.nrrd", "t1_sCT.nrrd"
    ]  # fmt: skip


def test_a_second_run_skips_what_is_done_and_keeps_the_rows(
    engine: Engine, inputs: list[Path], mirror_model: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out, first = tmp_path / "out", inputs[0]
    command = ("synthesize", "--output-dir", out, "--device", "cpu", "--model")
    assert engine(*command, mirror_model, first).returncode == 0
    made = (out / "first_sCT.nrrd").stat().st_mtime_ns
    done = engine(*command, mirror_model, inputs[1], first)
    assert done.returncode == 2 and "1 of 2 worked (1 in an earlier run)" in done.stdout
    assert [(row["input"], row["status"]) for row in summary(out)] == [
        (str(inputs[1]), "failed"), (str(first), "skipped")
    ]  # fmt: skip
    assert (out / "first_sCT.nrrd").stat().st_mtime_ns == made
    # Another model, or an input that has changed since, is another CT.
    assert engine(*command, tiny_model, first).returncode == 0
    assert [row["status"] for row in summary(out)] == ["failed", "done"]
    os.utime(first)
    assert engine(*command, tiny_model, first).returncode == 0
    assert [row["status"] for row in summary(out)] == ["failed", "skipped"], "the bytes count, not the clock"
    sitk.WriteImage(sitk.ReadImage(str(first)) * 2, str(first))
    assert engine(*command, tiny_model, first).returncode == 0
    assert [row["status"] for row in summary(out)] == ["failed", "done"]
    # So are other options, and what the user wants anew.
    for more in (["--precision", "float32"], ["--precision", "float32", "--overwrite"]):
        assert engine("batch", *command[1:], tiny_model, first, *more).returncode == 0
        assert [row["status"] for row in summary(out)] == ["failed", "done"]
    (out / "first_sCT.nrrd").unlink()
    assert engine(*command, tiny_model, first, "--precision", "float32").returncode == 0
    assert [row["status"] for row in summary(out)] == ["failed", "done"]


def test_a_table_of_somebody_else_is_not_replaced(engine: Engine, inputs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_text("name,age\nJane,7\n")
    done = engine("synthesize", inputs[0], "--output-dir", tmp_path / "out")
    assert done.returncode == 2 and "is another table" in done.stderr
    assert (tmp_path / "out" / "summary.csv").read_text() == "name,age\nJane,7\n"


def test_a_file_that_ends_its_reader_does_not_end_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slab: sitk.Image
) -> None:
    """The reader is made to crash, and to sleep, on files of these names."""
    hostile = tmp_path / "hostile" / "sitecustomize.py"
    hostile.parent.mkdir()
    hostile.write_text(
        "import os, time, decnn.io.images as images\n"
        "read = images.read\n"
        "def hostile(path, *rest):\n"
        "    if 'crash' in str(path): os.abort()\n"
        "    if 'sleep' in str(path): time.sleep(600)\n"
        "    if 'large' in str(path): os.kill(os.getpid(), 9)\n"
        "    return read(path, *rest)\n"
        "images.read = hostile\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hostile.parent), engine_environment()["PYTHONPATH"]]))
    sitk.WriteImage(sitk.Cast(slab, sitk.sitkInt16), str(tmp_path / "good.nrrd"))
    with Guard(limit_s=20) as guard:
        good = guard.prepare(tmp_path / "good.nrrd")
        assert good.ready is not None and good.ready.head.grid.GetSize() == slab.GetSize()
        assert good.ready.origin.voxels == hash_of(sitk.Cast(slab, sitk.sitkInt16))
        assert guard.prepare(tmp_path / "good.nrrd", known=good.sha256).ready is None
        guard.check(tmp_path / "good.nrrd")
        for name, code in {"crash.nrrd": "crashed", "none.nrrd": "bad-path"}.items():
            with pytest.raises(InputError) as error:
                guard.check(tmp_path / name)
            assert error.value.code == code
        with pytest.raises(SetupError, match="lack of memory"):  # the file is not to blame
            guard.check(tmp_path / "large.nrrd")
    monkeypatch.setattr("sys.executable", str(tmp_path / "no python"))
    with Guard() as guard, pytest.raises(SetupError, match="no python"):
        guard.check(tmp_path / "good.nrrd")
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hostile.parent), engine_environment()["PYTHONPATH"]]))
    with Guard(limit_s=5) as guard, pytest.raises(InputError) as error:
        guard.check(tmp_path / "sleep.nrrd")
    assert error.value.code == "endless"


def test_inputs_may_be_listed_in_a_file(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "heads.txt").write_text(f"{tmp_path / 'a.nrrd'}\n\n{tmp_path / 'b c.nrrd'}\n")
    done = engine("batch", "d.nrrd", "--input-list", tmp_path / "heads.txt", "--output-dir", tmp_path / "out")
    assert done.returncode == 2 and "0 of 3 worked" in done.stdout
    assert [row["input"] for row in summary(tmp_path / "out")] == [
        "d.nrrd", str(tmp_path / "a.nrrd"), str(tmp_path / "b c.nrrd")
    ]  # fmt: skip
    for arguments, word in (([], "No input was given"), (["--input-list", tmp_path / "none.txt"], "cannot be read")):
        done = engine("batch", *arguments, "--output-dir", tmp_path / "out")
        assert done.returncode == 2 and word in done.stderr
