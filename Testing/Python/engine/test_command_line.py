"""The engine as a child process: what it promises to whoever starts it, in the panel, in a script, in a terminal."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import engine_command, engine_environment, model_spec
from test_images import write_dicom_series

from decnn import __version__
from decnn.devices import computes_in_bfloat16
from phantom import ct_of, phantom_head

FIRST_VIEW = "Synthesizing axial view"
Engine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def mr_file(tmp_path_factory: pytest.TempPathFactory, slab: sitk.Image) -> Path:
    path = tmp_path_factory.mktemp("input") / "mr.nrrd"
    sitk.WriteImage(sitk.Cast(slab, sitk.sitkInt16), str(path))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """A name for the output in a folder of its own; in the end the folder holds the output or nothing."""
    folder = tmp_path / "output"
    folder.mkdir()
    yield folder / "ct.nrrd"
    assert set(os.listdir(folder)) <= {"ct.nrrd"}, "temporary files were left"


def events(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


# --- what works


def test_json_protocol(engine: Engine, mr_file: Path, tiny_model: Path, output: Path) -> None:
    done = engine("synthesize", mr_file, output, "--model", tiny_model, "--device", "cpu", "--progress", "json")
    assert done.returncode == 0, done.stderr
    lines = events(done.stdout)
    assert lines[0] == {"event": "progress", "fraction": 0.0, "stage": "Starting"}
    progress = [line for line in lines if line["event"] == "progress"]
    fractions = [line["fraction"] for line in progress]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {"Loading PyTorch", "Synthesizing coronal view", "Writing the CT"} <= {line["stage"] for line in progress}
    # The panel measures the machine from a fifth of the work on: nothing before that is a slice.
    before = [line["fraction"] for line in progress[: [line["stage"] for line in progress].index(FIRST_VIEW)]]
    assert max(before) < 0.2

    findings = [line for line in lines if line["event"] == "finding"]
    assert [(f["severity"], f["code"]) for f in findings] == [("warning", "field-of-view"), ("warning", "cut")]
    result = lines[-1]
    spec = json.loads((tiny_model / "model.json").read_text())
    assert result.pop("seconds") > 0
    assert len(result.pop("source_hash")) == 64 and result.pop("source_series_uid") == ""
    assert 100 < result.pop("peak_memory_mb") < 3000
    assert result.pop("findings") == [{key: f[key] for key in ("severity", "code", "message")} for f in findings]
    assert result == {
        "event": "result",
        "output": str(output),
        "confidence": None,
        "model": "test-model",
        "model_version": "0.0.1",
        "weights_sha256": spec["weights"]["sha256"],
        "decnn_version": __version__,
        "terms": spec["terms"],
        "device": "cpu",
        "precision": "bfloat16" if computes_in_bfloat16("cpu") else "float32",
    }

    mr, ct = sitk.ReadImage(str(mr_file)), sitk.ReadImage(str(output))
    assert ct.GetPixelID() == sitk.sitkInt16
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(ct, what)() == getattr(mr, what)()
    array = sitk.GetArrayFromImage(ct)
    assert array.min() >= -1024 and array.max() <= 3071 and (array[:, :5, :5] == -1000).all()


def test_a_dicom_folder_in_a_terminal_without_a_screen(
    engine: Engine, mirror_model: Path, tmp_path: Path, slab: sitk.Image
) -> None:
    write_dicom_series(slab, tmp_path / "series", "1.2.3.5")
    output = tmp_path / "ct.nii.gz"
    done = engine("synthesize", tmp_path / "series", output, "--model", mirror_model, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert f"Wrote {output}" in done.stdout and "mirror 0.0.1" in done.stdout
    assert "Synthesizing sagittal view" in done.stderr and "Warning [field-of-view]: The field of view" in done.stderr
    assert sitk.ReadImage(str(output)).GetSize() == slab.GetSize()


def test_info_tells_versions_models_and_devices(engine: Engine) -> None:
    facts = json.loads(engine("info", "--json").stdout)
    assert facts["version"] == __version__ and facts["torch"]
    assert facts["models"][0]["name"] == "decnn-head-t1"
    assert facts["devices"][-1]["name"] == "cpu" and "cores" in facts["devices"][-1]["description"]


def test_evaluate_prints_what_the_metrics_say(engine: Engine, tmp_path: Path) -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    sitk.WriteImage(reference, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(reference + 30, str(tmp_path / "sct.nrrd"))
    done = engine("evaluate", tmp_path / "sct.nrrd", tmp_path / "ct.nrrd", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tight"]["me_hu"] == pytest.approx(30)
    mask = reference > -500
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    text = engine("evaluate", tmp_path / "sct.nrrd", tmp_path / "ct.nrrd", "--mask", tmp_path / "mask.nrrd").stdout
    assert text.startswith("given mask\n  mae_hu                 30.0\n")


def test_what_the_reading_found_is_told_by_evaluate(engine: Engine, tmp_path: Path) -> None:
    reference = ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1])
    for name, image in (("sct", reference + 30), ("ct", reference)):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii"))
    without_codes(tmp_path / "ct.nii")
    done = engine("evaluate", tmp_path / "sct.nii", tmp_path / "ct.nii", "--resample", "--json")
    assert done.returncode == 0, done.stderr
    findings = [finding for finding in json.loads(done.stdout)["findings"] if finding["code"] == "orientation-unknown"]
    assert len(findings) == 1 and findings[0]["message"].startswith("Reference CT: The file does not say")


def without_codes(path: Path) -> None:
    """Takes out of a NIfTI file how the head lies: qform_code and sform_code become 0."""
    header = bytearray(path.read_bytes())
    header[252:256] = bytes(4)
    path.write_bytes(header)


# --- what does not


def write(array: np.ndarray, path: Path) -> Path:
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 4 and array.shape[-1] == 3)
    image.SetSpacing([3.0] * image.GetDimension())
    sitk.WriteImage(image, str(path))
    return path


def bad_inputs(folder: Path) -> dict[str, tuple[Path, str]]:
    """Every bad input as a real file, and a word of the sentence it must get."""
    head = sitk.GetArrayFromImage(phantom_head()[0])
    spoiled, infinite = head.copy(), head.copy()
    spoiled[20, 30, 30], infinite[20, 30, 30] = np.nan, np.inf
    rng = np.random.default_rng(0)
    letter = folder / "letter.nii.gz"
    letter.write_text("Dear reader")
    (folder / "empty").mkdir()
    return {
        "missing": (folder / "missing.nrrd", "no file"),
        "unreadable": (letter, "cannot be read"),
        "empty folder": (folder / "empty", "no DICOM"),
        "2D": (write(head[30], folder / "2d.nrrd"), "2 dimensions"),
        "4D": (write(np.stack([head, head]), folder / "4d.nii.gz"), "4 dimensions"),
        "vector": (write(np.stack([head] * 3, axis=-1), folder / "vector.nrrd"), "not one number"),
        "NaN": (write(spoiled, folder / "nan.nrrd"), "NaN"),
        "infinite": (write(infinite, folder / "inf.mha"), "infinite"),
        "constant": (write(np.full_like(head, 7), folder / "constant.nrrd"), "Every voxel"),
        "background": (write(rng.rayleigh(4, head.shape).astype(np.int16), folder / "air.nrrd"), "noise"),
        "noise": (write(rng.normal(500, 100, head.shape).astype(np.float32), folder / "noise.nrrd"), "noise"),
        "few slices": (write(head[20:30], folder / "few.nrrd"), "only 10 slices"),
        "CT": (write(sitk.GetArrayFromImage(ct_of(phantom_head()[1])), folder / "ct.nrrd"), "CT"),
    }


def assert_one_sentence(done: subprocess.CompletedProcess[str], exit_code: int, word: str, code: str) -> None:
    assert done.returncode == exit_code, done.stdout + done.stderr
    error = events(done.stdout)[-1]
    assert (error["event"], error["exit_code"]) == ("error", exit_code)
    assert error["code"] == code or (code in ("bad-input", "setup") and error["code"] != "internal")
    assert word in error["message"] and ": " in error["message"] and "\n" not in error["message"]
    assert "Traceback" not in done.stderr


def test_each_bad_input_gets_one_sentence_and_code_2(engine: Engine, output: Path, tmp_path: Path) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for name, (path, word) in bad_inputs(folder).items():
        done = engine("synthesize", path, output, "--progress", "json")
        assert_one_sentence(done, 2, word, "bad-input")
        assert not output.exists(), name


def test_text_mode_says_it_on_stderr_and_debug_shows_where(engine: Engine, output: Path) -> None:
    done = engine("synthesize", "missing.nrrd", output)
    assert done.returncode == 2
    sentence = "There is no file missing.nrrd: check the path of the input."
    assert done.stderr.splitlines()[-1] == f"Error [bad-path]: {sentence}"
    assert "Traceback" not in done.stderr
    assert "Traceback" in engine("synthesize", "missing.nrrd", output, "--debug").stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "word", "code"),
    [
        (["--model", "no-such-model"], 2, "no model 'no-such-model'", "bad-input"),
        (["--device", "gpu"], 2, "no device 'gpu'", "bad-input"),
        (["--device", "cuda:99"], 3, "cuda:99 is not there", "setup"),
    ],
)
def test_unknown_model_or_device(
    engine: Engine, mr_file: Path, tiny_model: Path, output: Path,
    arguments: list[str], exit_code: int, word: str, code: str,
) -> None:  # fmt: skip
    done = engine("synthesize", mr_file, output, "--model", tiny_model, "--progress", "json", *arguments)
    assert_one_sentence(done, exit_code, word, code)
    assert not output.exists()


def test_an_output_that_is_a_folder(engine: Engine, mr_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = engine("synthesize", mr_file, tmp_path, "--model", tiny_model, "--progress", "json")
    assert_one_sentence(done, 2, "is a folder", "bad-input")


def test_changed_weights_are_not_used(
    engine: Engine, mr_file: Path, tiny_model: Path, output: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "test-model"
    shutil.copytree(tiny_model, changed)
    weights = bytearray((changed / "weights.pt").read_bytes())
    weights[-100] ^= 1
    (changed / "weights.pt").write_bytes(weights)
    done = engine("synthesize", mr_file, output, "--model", changed, "--progress", "json")
    assert_one_sentence(done, 3, "were changed", "setup")
    assert not output.exists()


def test_without_torch_it_says_how_to_get_it(
    engine: Engine, mr_file: Path, tiny_model: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "without" / "torch").mkdir(parents=True)
    (tmp_path / "without" / "torch" / "__init__.py").write_text("raise ImportError('No module named torch')")
    environment = engine_environment(tmp_path / "without")
    done = engine("synthesize", mr_file, output, "--model", tiny_model, "--progress", "json", env=environment)
    assert_one_sentence(done, 3, "PyTorch extension", "setup")
    assert events(done.stdout)[0]["stage"] == "Starting"
    assert f"decnn {__version__}" in engine("info", env=environment).stdout
    facts = json.loads(engine("info", "--json", env=environment).stdout)
    assert facts["torch"] is None and facts["devices"] == [] and "pip install torch" in facts["torch_missing"]


def test_packages_that_do_not_fit_each_other_are_no_defect(
    engine: Engine, mr_file: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "SimpleITK.py").write_text("import numpy\nnumpy.no_longer_there\n")
    done = engine("check", mr_file, "--progress", "json", env=engine_environment(tmp_path))
    assert_one_sentence(done, 3, "no_longer_there", "installation")


def test_a_defect_is_reported_as_such(
    engine: Engine, mr_file: Path, tiny_model: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import decnn.intensity\n"
        "def broken(*_): raise ZeroDivisionError('by nought')\n"
        "decnn.intensity.depth_channel = broken\n"
    )
    done = engine(
        "synthesize", mr_file, output, "--model", tiny_model, "--progress", "json", env=engine_environment(tmp_path)
    )
    assert_one_sentence(done, 1, "defect of decnn (ZeroDivisionError: by nought)", "internal")
    assert not output.exists()


# --- cancelling


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes minutes on a head, so there is time to cancel."""
    import torch

    from decnn.model import save_model
    from decnn.network import DECNN

    torch.manual_seed(0)
    spec = model_spec(
        in_channels=1, features=64, blocks=3, dilations=[1] * 5, batch_norm=False, neighbours=1, depth=False
    )
    return save_model(tmp_path_factory.mktemp("models") / "slow", DECNN(**spec["network"]["arguments"]), spec)


def start(mr: Path, output: Path, model: Path, **options: Any) -> subprocess.Popen[str]:
    command = engine_command(["synthesize", mr, output, "--model", model, "--device", "cpu", "--progress", "json"])
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=engine_environment(), **options
    )


def wait_for_stage(child: subprocess.Popen[str], stage: str) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if json.loads(line).get("stage", "").startswith(stage):
            return
    pytest.fail(f"the engine never came to {stage!r}")


@pytest.mark.parametrize(
    ("stage", "number"),
    [("Loading", signal.SIGTERM), ("Finding the head", signal.SIGINT), ("Synthesizing", signal.SIGTERM)],
)
def test_a_signal_cancels(mr_file: Path, slow_model: Path, output: Path, stage: str, number: signal.Signals) -> None:
    child = start(mr_file, output, slow_model)
    wait_for_stage(child, stage)
    sent = time.monotonic()
    child.send_signal(number)
    rest, stderr = child.communicate(timeout=60)
    assert child.returncode == 130, stderr
    assert time.monotonic() - sent < 10, "2 s on a free machine; the tests run on busy ones"
    error = events(rest)[-1]
    assert (error["event"], error["code"], error["exit_code"]) == ("error", "cancelled", 130)
    assert "Traceback" not in stderr and not output.exists()


def test_it_stops_when_nobody_listens_any_more(mr_file: Path, slow_model: Path, output: Path) -> None:
    """Slicer crashed or was killed: its end of the pipe is closed, and no signal came."""
    child = start(mr_file, output, slow_model)
    wait_for_stage(child, "Loading")
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert child.wait(timeout=60) == 130
    assert child.stderr.read() == ""
    assert not output.exists()


# --- the exit code tells whether the output is there


@pytest.mark.parametrize("verb", ["synthesize", "evaluate"])
def test_a_signal_once_the_output_is_there_changes_nothing(
    engine: Engine, mr_file: Path, tiny_model: Path, tmp_path: Path, verb: str
) -> None:
    """The output appears by a rename, and the signal comes with it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "replace = os.replace\n"
        "def hit(source, target, **more):\n"
        "    replace(source, target, **more)\n"
        "    if 'out.nrrd' in str(target): os.kill(os.getpid(), signal.SIGTERM)\n"
        "os.replace = hit\n"
    )
    output = tmp_path / "out.nrrd"
    if verb == "synthesize":
        arguments = ["synthesize", mr_file, output, "--model", tiny_model, "--device", "cpu"]
    else:
        sitk.WriteImage(ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1]), str(tmp_path / "ct.nrrd"))
        arguments = ["evaluate", tmp_path / "ct.nrrd", tmp_path / "ct.nrrd", "--difference", output]
    done = engine(*arguments, env=engine_environment(tmp_path))
    assert (done.returncode, output.is_file()) == (0, True), done.stderr


def test_a_difference_map_is_there_though_nobody_takes_the_figures(tmp_path: Path) -> None:
    sitk.WriteImage(ct_of(phantom_head((32, 36, 32), (6, 6, 6))[1]), str(tmp_path / "ct.nrrd"))
    arguments = ["evaluate", tmp_path / "ct.nrrd", tmp_path / "ct.nrrd", "--json", "--difference", tmp_path / "d.nrrd"]
    script = " ".join(engine_command(arguments)) + " > /dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=engine_environment(), timeout=300)
    assert done.returncode == 0 and (tmp_path / "d.nrrd").is_file(), done.stderr


@pytest.mark.parametrize("streams", ["> /dev/full", ">&-", "2>&-", "2> /dev/full", "| true", ">&- 2>&-"])
def test_nobody_listening_is_no_failure(mr_file: Path, mirror_model: Path, tmp_path: Path, streams: str) -> None:
    output = tmp_path / "ct.nrrd"
    command = [*engine_command(["synthesize", mr_file, output, "--model", mirror_model, "--device", "cpu"])]
    script = f"set -o pipefail; {' '.join(command)} {streams}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=engine_environment(), timeout=300)
    assert done.returncode == 0 and output.is_file(), done.stderr
    assert "Traceback" not in done.stderr and "no output was written" not in done.stderr


def test_json_that_nobody_reads_cancels_before_there_is_an_output(
    mr_file: Path, mirror_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "ct.nrrd"
    arguments = ["synthesize", mr_file, output, "--model", mirror_model, "--device", "cpu", "--progress", "json"]
    script = f"set -o pipefail; {' '.join(engine_command(arguments))} | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=engine_environment(), timeout=300)
    assert done.returncode == 130 and not output.exists() and done.stderr == ""


def test_a_confidence_map_under_another_name_of_the_ct_is_refused(
    engine: Engine, mr_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("ct.nrrd", "link/ct.nrrd", f"../{tmp_path.name}/ct.nrrd", "CT.nrrd"):
        done = engine("synthesize", mr_file, tmp_path / "ct.nrrd", "--confidence", f"{tmp_path}/{name}")
        assert done.returncode == 2, name
    assert not (tmp_path / "ct.nrrd").exists()


def test_a_mask_or_a_registration_image_that_is_no_volume_is_refused(engine: Engine, tmp_path: Path) -> None:
    ct, labels = (lambda made: (ct_of(made), made))(phantom_head((32, 36, 32), (6, 6, 6))[1])
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    odd = {
        "colour": sitk.Compose([labels] * 3),
        "2D": labels[:, :, 16],
        "4D": sitk.JoinSeries([labels, labels]),
        "complex": sitk.RealAndImaginaryToComplex(*[sitk.Cast(labels, sitk.sitkFloat32)] * 2),
    }
    for name, image in odd.items():
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
        for option in ("--mask", "--register"):
            done = engine("evaluate", tmp_path / "ct.nrrd", tmp_path / "ct.nrrd", option, tmp_path / f"{name}.nrrd")
            assert done.returncode == 2 and "Error [not-" in done.stderr, (name, option, done.stderr)
