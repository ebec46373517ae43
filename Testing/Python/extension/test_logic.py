"""MRtoCTLogic on Slicer's real MRML scene: nodes in, nodes out."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import fake_engine
import host

host.start()

import slicer  # noqa: E402

from decnn.options import Options  # noqa: E402
from MRtoCTLib import dependencies, nodes, validation  # noqa: E402
from MRtoCTLib.errors import CheckError, SynthesisCancelled, SynthesisError, TaskError  # noqa: E402
from MRtoCTLib.logic import MRtoCTLogic  # noqa: E402
from MRtoCTLib.tasks.process import engineCommand  # noqa: E402
from MRtoCTLib.tasks.synthesis import Synthesis  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def empty_scene():
    slicer.mrmlScene.Clear()
    yield
    assert Synthesis.current is None


@pytest.fixture
def logic() -> MRtoCTLogic:
    """A logic whose engine makes an empty CT in no time."""
    logic = MRtoCTLogic()
    logic.engine = fake_engine.command("make")
    return logic


def add_mr(name: str = "MR", shape: tuple[int, int, int] = (4, 5, 6), ijk_to_ras: np.ndarray | None = None):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return slicer.util.addVolumeFromArray(array, ijkToRAS=ijk_to_ras, name=name)


def random_grid(seed: int) -> np.ndarray:
    """IJK to RAS: any rotation, perhaps a flip, uneven spacing, any origin."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag(rng.uniform(0.3, 6.0, 3))
    matrix[:3, 3] = rng.uniform(-300, 300, 3)
    return matrix


def test_works_without_qt_and_without_torch() -> None:
    """A script on slicer-core: no Qt, and torch only in the child."""
    program = """
        import sys, numpy as np
        import host; host.start()
        import slicer, fake_engine
        from MRtoCTLib.logic import MRtoCTLogic
        logic = MRtoCTLogic()
        logic.engine = fake_engine.command("make")
        mr = slicer.util.addVolumeFromArray(np.ones((4, 5, 6), np.float32), name="MR")
        ct = logic.synthesize(mr, outputNode=None, options=logic.Options(device="auto"), waitForCompletion=True)
        print(ct.GetName(), sorted({"qt", "PySide6", "torch"} & set(sys.modules)))
    """
    paths = [str(ROOT / "MRtoCT"), str(ROOT / "Testing"), str(ROOT / "Testing/Python/support")]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout == "MR sCT []\n", ended.stderr


def test_a_ct_per_mr_and_click(logic) -> None:
    mr = add_mr("Head")
    names = [logic.synthesize(mr).GetName() for _ in range(2)]
    assert names[0] == "Head sCT"
    assert len(set(names)) == 2
    output = slicer.util.getNode("Head sCT")
    count = slicer.mrmlScene.GetNumberOfNodes()
    assert logic.synthesize(mr, output) is output
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_many_runs_leave_nothing_behind(logic, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mr = add_mr()
    output = logic.synthesize(mr)
    count = slicer.mrmlScene.GetNumberOfNodes()
    for _ in range(20):
        logic.synthesize(mr, output)
    for thread in threading.enumerate():
        if thread.name.startswith("MRtoCT"):
            thread.join(5.0)  # its work is done
            assert not thread.is_alive(), thread.name
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    assert not children.exists() or children.read_text() == ""
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert list(tmp_path.iterdir()) == []


def test_the_script_of_the_docs(tmp_path, monkeypatch, capsys) -> None:
    """Copied as it stands there, with other folders and a quick engine; one head of three cannot be read."""
    code = re.search(r"## A script.*?```python\n(.*?)```", (ROOT / "docs/python.md").read_text(encoding="utf-8"), re.S)[
        1
    ]
    assert code.count('"/data/') == 2
    (tmp_path / "heads").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "heads" / f"{name}.nii.gz").write_text("")

    def load(path: str):
        if path.endswith("b.nii.gz"):
            raise RuntimeError("damaged")
        return add_mr(Path(path).name)

    monkeypatch.setattr(slicer.util, "loadVolume", load)
    module = types.ModuleType("MRtoCT")

    def make_logic() -> MRtoCTLogic:
        made = MRtoCTLogic()
        made.engine = fake_engine.command("make")
        return made

    module.MRtoCTLogic = make_logic
    monkeypatch.setitem(sys.modules, "MRtoCT", module)
    with pytest.raises(SystemExit) as ended:
        exec(code.replace('"/data/', f'"{tmp_path}/'), {})
    assert ended.value.code == 1
    results = tmp_path / "results"
    assert sorted(path.name for path in results.iterdir()) == ["a_sCT.nrrd", "c_sCT.nrrd"]
    assert sitk.ReadImage(str(results / "a_sCT.nrrd")).GetMetaData(nodes.MODEL_ATTRIBUTE) == "actor"
    assert capsys.readouterr().out == "{'b.nii.gz': 'damaged'}\n"
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


@pytest.mark.parametrize("seed", range(100))
def test_the_file_has_the_grid_of_the_node(seed, tmp_path) -> None:
    """Voxels and their places in space, from MRML's RAS to the file's LPS."""
    matrix = random_grid(seed)
    mr = add_mr(shape=(3, 4, 5), ijk_to_ras=matrix)
    nodes.writeVolume(mr, tmp_path / "mr.nrrd")
    image = sitk.ReadImage(str(tmp_path / "mr.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), slicer.util.arrayFromVolume(mr))
    for ijk in ((0, 0, 0), (4, 3, 2), (1, 2, 0)):
        lps = image.TransformIndexToPhysicalPoint(ijk)
        np.testing.assert_allclose(np.array(lps) * [-1, -1, 1], (matrix @ [*ijk, 1])[:3], atol=1e-4)


@pytest.mark.parametrize("seed", range(100))
def test_the_ct_has_the_grid_of_the_mr(seed) -> None:
    mr = add_mr(shape=(3, 4, 5), ijk_to_ras=random_grid(seed))
    ct = nodes.putCt(nodes.imageDataOf(np.zeros((3, 4, 5), np.int16)), mr, None, {})
    assert slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(mr, ct) == ""


def test_an_mr_that_changed_its_size_meanwhile(logic) -> None:
    mr = add_mr(shape=(4, 4, 4))

    def crop(synthesis: Synthesis) -> None:
        slicer.util.updateVolumeFromArray(mr, np.zeros((2, 2, 2), np.float32))

    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(SynthesisError, match="was changed"):
        logic.synthesize(mr, onChanged=crop)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_findings_arrive(logic) -> None:
    seen, log = [], []
    logic.synthesize(add_mr(), onChanged=seen.append, onLog=log.append)
    assert [finding["code"] for finding in seen[-1].findings] == ["thick"]
    assert "Warning: The slices are thick." in log


def test_the_ct_tells_what_was_found(logic, tmp_path) -> None:
    """Also once the scene was saved and loaded."""
    ct = logic.synthesize(add_mr())
    assert ct.GetAttribute(nodes.FINDINGS_ATTRIBUTE) == "The slices are thick."
    ct.SetAttribute(nodes.FINDINGS_ATTRIBUTE, 'One: 3 % of "this"; too little.\nTwo.')
    note = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Note")  # a volume would want its file
    note.SetAttribute(nodes.FINDINGS_ATTRIBUTE, ct.GetAttribute(nodes.FINDINGS_ATTRIBUTE))
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit()
    loaded = slicer.vtkMRMLScene()
    loaded.SetURL(str(tmp_path / "scene.mrml"))
    loaded.Connect()
    found = loaded.GetFirstNodeByName("Note").GetAttribute(nodes.FINDINGS_ATTRIBUTE)
    assert found == 'One: 3 % of "this"; too little.\nTwo.'


def test_a_result_waits_until_the_scene_is_loaded(logic) -> None:
    """Meanwhile nodes get new IDs."""
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    end = time.monotonic() + 20
    synthesis = Synthesis(logic.engine, add_mr(), None, Options(device="cpu"))
    try:
        while synthesis._reading is None or not synthesis._reading.done():
            assert time.monotonic() < end
            assert not synthesis.poll()
            time.sleep(0.02)
        assert not synthesis.poll()
    finally:
        slicer.mrmlScene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    assert synthesis.outputNode is None
    assert not synthesis.poll() and synthesis.outputNode is not None  # a piece at each
    assert synthesis.poll()
    assert synthesis.outputNode is not None


@pytest.mark.parametrize("same_logic", [True, False])
def test_the_second_of_two_is_refused(logic, same_logic) -> None:
    """Whoever asks for it: the same logic, or that of a script."""
    logic.engine = fake_engine.command("hang")
    other = logic if same_logic else MRtoCTLogic()
    first = Synthesis(logic.engine, add_mr(), None, Options(device="cpu"))
    try:
        assert other.isRunning
        with pytest.raises(SynthesisError, match="already running"):
            other.synthesize(add_mr("Another"))
        assert first.isRunning
    finally:
        first.abort()


@pytest.mark.parametrize(
    ("role", "said"), [("fail", "The disk is full: free some space."), ("lie", "could not be loaded"), ("devices", "0")]
)
def test_an_engine_without_a_ct(logic, role, said) -> None:
    logic.engine = fake_engine.command(role)
    with pytest.raises(SynthesisError, match=said) as raised:
        logic.synthesize(add_mr())
    if role == "fail":
        assert "the reason, at length" in raised.value.log


def test_a_listener_that_fails(logic) -> None:
    """Somebody else's defect does not cost the CT."""

    def fail(synthesis: Synthesis) -> None:
        raise ValueError("not my day")

    assert logic.synthesize(add_mr(), onChanged=fail).GetName() == "MR sCT"


def test_the_four_verbs_have_one_shape() -> None:
    """What a script has learned of one of them holds for the others."""
    shapes = []
    for verb in (MRtoCTLogic.check, MRtoCTLogic.synthesize, MRtoCTLogic.compare, MRtoCTLogic.exportDicom):
        parameters = list(inspect.signature(verb).parameters.values())
        shapes.append([(parameter.name, parameter.default) for parameter in parameters[-3:]])
        assert parameters[1].name.endswith("Node")
    assert shapes == [shapes[0]] * 4
    assert [name for name, _ in shapes[0]] == ["waitForCompletion", "onChanged", "onLog"]


def test_a_check_returns_what_was_found(logic) -> None:
    assert [finding["code"] for finding in logic.check(add_mr())] == ["thick"]
    logic.engine = engineCommand()
    flat = slicer.util.addVolumeFromArray(np.ones((20, 20, 20), np.float32), name="Flat")
    (finding,) = logic.check(flat)
    assert finding["severity"] == "error" and "0.0" not in finding["message"]
    logic.engine = fake_engine.command("fail")
    with pytest.raises(CheckError, match="disk is full") as raised:
        logic.check(add_mr())
    assert raised.value.code == "disk-full"
    with pytest.raises(CheckError, match="Select"):
        logic.check(None)


def test_a_verb_that_does_not_wait_returns_its_task(logic) -> None:
    logic.engine = fake_engine.command("hang")
    task = Synthesis(logic.engine, add_mr(), None, Options())
    assert task.isRunning and task.result is None
    task.abort()
    assert isinstance(task.error, SynthesisCancelled)


@pytest.mark.parametrize("change", ["voxels", "spacing", "transform"])
def test_an_mr_that_changed_meanwhile_gets_no_ct(logic, change) -> None:
    mr = add_mr()

    def edit(synthesis: Synthesis) -> None:
        if synthesis.stage == "Done" and synthesis.isRunning:
            if change == "voxels":
                slicer.util.arrayFromVolume(mr)[0, 0, 0] = 9
                slicer.util.arrayFromVolumeModified(mr)
            elif change == "spacing":
                mr.SetSpacing(2, 2, 2)
            else:
                transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
                mr.SetAndObserveTransformNodeID(transform.GetID())

    with pytest.raises(SynthesisError, match="was changed"):
        logic.synthesize(mr, onChanged=edit)


@pytest.mark.parametrize("verb", ["check", "synthesize"])
def test_no_usable_temporary_folder(logic, tmp_path, monkeypatch, verb) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(TaskError, match="temporary files"):
        getattr(logic, verb)(add_mr())
    assert not logic.isRunning


def test_an_engine_that_talks_nonsense(logic) -> None:
    logic.engine = fake_engine.command("nonsense")
    with pytest.raises(SynthesisError, match="could not be loaded"):
        logic.synthesize(add_mr())


def test_an_engine_that_cannot_be_started(logic, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    logic.engine = [str(tmp_path / "no-such-program")]
    with pytest.raises(SynthesisError, match="could not be started"):
        logic.synthesize(add_mr())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(logic, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def refuse(image: sitk.Image, path: str) -> None:
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", refuse)
    with pytest.raises(SynthesisError, match="free disk space"):
        logic.synthesize(add_mr())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_console(logic) -> None:
    """Ctrl-C while waiting: the child ends too."""
    logic.engine = fake_engine.command("hang")
    running = []

    def interrupt(synthesis: Synthesis) -> None:
        running.append(synthesis)
        if synthesis.stage == "Acting" and synthesis.isRunning:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        logic.synthesize(add_mr(), onChanged=interrupt)
    assert not running[-1].isRunning
    assert not running[-1].workspace.path.exists()


def test_torch_missing(logic, monkeypatch) -> None:
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: False)
    with pytest.raises(SynthesisError, match="PyTorch"):
        logic.synthesize(add_mr())


def test_slicer_before_5_12_has_no_pip_check(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    assert dependencies.torchInstalled()
    monkeypatch.setattr(dependencies, "TORCH_VERSION", ">=999")
    assert not dependencies.torchInstalled()


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["CTBrain", "MRBrainT1", "MRBrainT2"], "MRBrainT1"),
        (["MRHead"], "MRHead"),
        (["Brain CT", "3: FLAIR", "4: mprage sag", "Something"], "4: mprage sag"),
        (["Something", "Another"], "Something"),
        (["t1_gd", "t1"], "t1"),
        (["sCT of T1", "T1"], "T1"),
        (["T1_sCT", "sct_t1", "T1_CT", "T1w"], "T1w"),
        (["T1 gadolinium", "T1w_postcontrast", "T1wCE", "T1_Gado", "T1"], "T1"),
        (["T1 post contrast", "T2"], "T1 post contrast"),
        (["T1c", "T1 mprage"], "T1 mprage"),
        (["Head sCT", "PET"], None),
        ([], None),
    ],
)
def test_the_most_likely_t1(names, chosen) -> None:
    for name in names:
        add_mr(name)
    best = validation.mostLikelyT1()
    assert (best.GetName() if best is not None else None) == chosen


def test_a_ct_is_never_the_most_likely_t1(logic) -> None:
    mr = add_mr("t1")
    logic.synthesize(mr)
    slicer.mrmlScene.RemoveNode(mr)
    assert validation.mostLikelyT1() is None
