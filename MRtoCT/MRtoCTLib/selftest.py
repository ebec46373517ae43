"""What Slicer runs by "Reload and Test" and by ctest: the way from an MR node to a CT node, and its bad ends."""

import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from decnn import NOTICE

from . import layouts, volumes
from .errors import SynthesisCancelled, SynthesisError
from .logic import MRtoCTLogic
from .synthesis import State, Synthesis
from .worker import engineCommand

# Where the real engine cannot be timed, a child process plays it. It beats a file while it, or its own child, lives.
_ACTOR = """
    import json, subprocess, sys, time
    role, pulse, verb, mr, ct = sys.argv[1:6]
    def say(**event):
        print(json.dumps(event), flush=True)
    say(event="progress", fraction=0.1, stage="Acting")
    if role == "hang":
        beat = "import sys, time\\nwhile True: open(sys.argv[1], 'a').write('.'); time.sleep(0.02)"
        subprocess.Popen([sys.executable, "-c", beat, pulse])
        time.sleep(600)
    if role == "make":
        import SimpleITK as sitk
        say(event="finding", severity="warning", code="acted", message="This head is acted.")
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(mr) * 0 - 1000, sitk.sitkInt16), ct)
        say(event="result", output=ct, model="actor", model_version="1", weights_sha256="0" * 64,
            decnn_version="0", device="cpu", seconds=1.0, findings=[])
    if role == "fail":
        print("a line of the log", file=sys.stderr)
        say(event="error", code="setup", exit_code=3, message="The actor forgot his text.")
        sys.exit(3)
    if role == "crash":
        sys.exit(70)
"""


class MRtoCTTest(ScriptedLoadableModuleTest):
    """Runs in Slicer, and over Testing/host where there is no Slicer. model: None for the bundled one."""

    model: str | None = None

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        self.logic = MRtoCTLogic()
        self.folder = tempfile.TemporaryDirectory(prefix="MRtoCTTest-")
        self.pulse = Path(self.folder.name) / "pulse"

    def tearDown(self) -> None:
        self.logic.cleanup()
        self.folder.cleanup()
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.delayDisplay(name)
            self.setUp()
            try:
                getattr(self, name)()
            finally:
                self.tearDown()

    def test_synthesize(self) -> None:
        """From the MR alone: a new CT beside it, on its grid, with everything that a CT node should say of itself."""
        mr = self.addHead("Somebody T1")
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(mr), study)
        stages: list[str] = []
        fractions: list[float] = []

        def listen(synthesis: Synthesis) -> None:
            stages.append(synthesis.stage)
            fractions.append(synthesis.fraction)

        ct = self.logic.synthesize(mr, model=self.model, onChanged=listen)

        self.assertEqual(ct.GetName(), "Somebody T1 sCT")
        self.assertSameGrid(mr, ct)
        voxels = slicer.util.arrayFromVolume(ct)
        self.assertEqual(voxels.dtype, np.int16)
        self.assertGreaterEqual(voxels.min(), -1024)
        self.assertLessEqual(voxels.max(), 3071)
        self.assertEqual(voxels[0, 0, 0], -1000)
        self.assertEqual(ct.GetVoxelValueUnits().GetCodeValue(), "[hnsf'U]")
        self.assertEqual(ct.GetVoxelValueQuantity().GetCodeValue(), "112031")
        self.assertEqual((ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()), (1000, 400))
        self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(ct)), study)
        for name in ("Model", "ModelVersion", "WeightsSHA256", "Version", "Device", "Seconds", "SourceVolume"):
            self.assertTrue(ct.GetAttribute(f"MRtoCT.{name}"), name)
        self.assertEqual(ct.GetAttribute("MRtoCT.SourceVolume"), mr.GetID())
        self.assertEqual(ct.GetAttribute("MRtoCT.Notice"), NOTICE)
        self.assertGreater(len(set(stages)), 3)
        self.assertEqual(fractions, sorted(fractions))
        for view in self.overlayViews():
            self.assertEqual(view.GetBackgroundVolumeID(), mr.GetID())
            self.assertEqual(view.GetForegroundVolumeID(), ct.GetID())
            self.assertEqual(view.GetForegroundOpacity(), 0.5)
        self.assertFalse(self.logic.isRunning)

    def test_obliqueUnderTransform(self) -> None:
        """An oblique, sagittally stored, anisotropic MR under a transform, into an output that is there already."""
        mr = self.addHead("Tilted", spacing=(5.0, 4.0, 3.0), tilt=20.0, sagittal=True)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Couch")
        matrix = vtk.vtkTransform()
        matrix.RotateX(30)
        matrix.Translate(10, -20, 30)
        transform.SetMatrixTransformToParent(matrix.GetMatrix())
        mr.SetAndObserveTransformNodeID(transform.GetID())
        output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")

        ct = self.logic.synthesize(mr, output, model=self.model)

        self.assertIs(ct, output)
        self.assertEqual(ct.GetName(), "Mine")
        self.assertSameGrid(mr, ct)
        self.assertEqual(ct.GetTransformNodeID(), transform.GetID())
        bounds = [[0.0] * 6, [0.0] * 6]
        mr.GetRASBounds(bounds[0])
        ct.GetRASBounds(bounds[1])
        np.testing.assert_allclose(bounds[0], bounds[1], atol=1e-6)

    def test_badInputs(self) -> None:
        """Each gets a sentence, and the scene stays as it was."""
        head = self.addHead("Head")
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        slicer.util.updateVolumeFromArray(labels, np.ones((20, 20, 20), np.int16))
        flat = slicer.util.addVolumeFromArray(np.full((20, 20, 20), 7, np.float32), name="Flat")
        before = self.nodes()
        for mr, output, options, said in [
            (None, None, {}, "T1"),
            (empty, None, {}, "empty"),
            (labels, None, {}, "not an image"),
            (head, head, {}, "is the input"),
            (head, labels, {}, "cannot hold"),
            (head, None, {"model": "no-such-model"}, "no-such-model"),
            (head, None, {"device": "abacus"}, "abacus"),
            (flat, None, {"model": self.model}, "."),
        ]:
            with self.assertRaises(SynthesisError) as raised:
                self.logic.synthesize(mr, output, **options)
            self.assertIn(said, str(raised.exception))
            self.assertNotIn("Traceback", str(raised.exception))
            self.assertEqual(self.nodes(), before)
            self.assertFalse(self.logic.isRunning)

    def test_failureLeavesTheOutput(self) -> None:
        """An engine that fails, or dies without a word, changes nothing."""
        head = self.addHead("Head")
        output = slicer.util.addVolumeFromArray(np.arange(8, dtype=np.int16).reshape(2, 2, 2), name="Old CT")
        before = self.nodes()
        for role, said in (("fail", "The actor forgot his text."), ("crash", "exit code 70")):
            self.act(role)
            with self.assertRaises(SynthesisError) as raised:
                self.logic.synthesize(head, output)
            self.assertIn(said, str(raised.exception))
            self.assertEqual(self.nodes(), before)
            np.testing.assert_array_equal(slicer.util.arrayFromVolume(output).ravel(), np.arange(8))
            self.assertIsNone(output.GetAttribute(volumes.MODEL_ATTRIBUTE))

    def test_cancel(self) -> None:
        """Within two seconds: no process, no file, no node. Meanwhile a second synthesis is refused."""
        head = self.addHead("Head")
        before = self.nodes()
        synthesis = self.startHanging(head)
        with self.assertRaises(SynthesisError) as raised:
            self.logic.synthesize(head)
        self.assertIn("already running", str(raised.exception))
        self.logic.cancel()
        self.assertEndsCancelled(synthesis)
        self.assertEqual(self.nodes(), before)

    def test_nodeRemovedWhileRunning(self) -> None:
        """The MR, or the output, goes: the synthesis ends."""
        for role in ("MR", "output"):
            head = self.addHead("Head")
            output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
            synthesis = self.startHanging(head, output)
            slicer.mrmlScene.RemoveNode(head if role == "MR" else output)
            self.assertEndsCancelled(synthesis)
            self.assertIn("removed", str(synthesis.error))

    def test_sceneClosedWhileRunning(self) -> None:
        """The scene is closed: the synthesis ends, and brings nothing into the new scene."""
        synthesis = self.startHanging(self.addHead("Head"))
        slicer.mrmlScene.Clear()
        self.assertEndsCancelled(synthesis)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])

    def test_panel(self) -> None:
        """A click starts, the next one cancels; then a click that goes through to the CT."""
        representation = slicer.util.getModule("MRtoCT").widgetRepresentation()
        panel = slicer.util.getModuleWidget("MRtoCT")
        head = self.addHead("Head T1")
        panel.enter()
        engine = panel.logic.engine
        try:
            self.process()
            self.assertIs(panel.ui.inputSelector.currentNode(), head)
            button = panel.ui.synthesizeButton
            self.assertTrue(button.enabled, button.toolTip)

            panel.logic.engine = self.actor("hang")
            button.click()
            self.assertTrue(self.waitFor(lambda: panel.ui.statusLabel.text == "Acting"), panel.ui.statusLabel.text)
            self.assertEqual(button.text, "Cancel")
            button.click()
            self.assertTrue(self.waitFor(lambda: button.text == "Synthesize CT", 2.0))
            self.assertIsNone(panel.ui.outputSelector.currentNode())

            panel.logic.engine = self.actor("make")
            button.click()
            self.assertTrue(self.waitFor(lambda: panel.ui.outputSelector.currentNode() is not None))
            self.assertEqual(panel.ui.outputSelector.currentNode().GetName(), "Head T1 sCT")
            self.assertEqual(panel.ui.findingsLabel.text, "This head is acted.")
            panel.ui.overlaySlider.value = 0.25
            for view in self.overlayViews():
                self.assertEqual(view.GetForegroundOpacity(), 0.25)
            self.reviewIn(panel)
        finally:
            panel.logic.engine = engine
            panel.logic.cancel()
            if not representation.isEntered:
                panel.exit()

    def reviewIn(self, panel: Any) -> None:
        """Change the window and the layout in the panel, as far as there are views; then leave all as it was."""
        ct = panel.ui.outputSelector.currentNode()
        selector = panel.ui.presetSelector
        selector.currentIndex = selector.findData("brain")
        self.assertEqual((ct.GetDisplayNode().GetWindow(), ct.GetDisplayNode().GetLevel()), (100, 50))
        selector = panel.ui.layoutSelector
        if selector.count == 0:
            self.delayDisplay("No views: layouts are not tested")
            return
        layoutNode = layouts.Layouts.node()
        before = layoutNode.GetViewArrangement()
        selector.currentIndex = selector.findData(layouts.COMPARE)
        self.process()
        shown = {layouts.MR_VIEW: panel.ui.inputSelector.currentNode(), layouts.CT_VIEW: ct}
        for name, volume in shown.items():
            view = slicer.util.getNode(f"vtkMRMLSliceCompositeNode{name}")
            self.assertEqual(view.GetBackgroundVolumeID(), volume.GetID())
            self.assertTrue(view.GetLinkedControl())
        fieldsOfView = [slicer.util.getNode(f"vtkMRMLSliceNode{name}").GetFieldOfView() for name in shown]
        np.testing.assert_allclose(*fieldsOfView, rtol=0.05)
        self.delayDisplay("MR and CT side by side")
        if selector.findData(layouts.BONE_3D) >= 0:
            selector.currentIndex = selector.findData(layouts.BONE_3D)
            self.process()
            rendering = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(ct)
            self.assertTrue(rendering.GetVisibility())
            self.delayDisplay("Bone in 3D")
        selector.currentIndex = selector.findData(layouts.SLICERS_OWN)
        self.assertEqual(layoutNode.GetViewArrangement(), before)

    @staticmethod
    def overlayViews() -> list[Any]:
        """Slicer's own slice views, not those side by side."""
        views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return [view for view in views if not layouts.isCompareView(view)]

    def addHead(
        self,
        name: str,
        spacing: tuple[float, float, float] = (4.0, 4.0, 4.0),
        tilt: float = 0.0,
        sagittal: bool = False,
    ) -> Any:
        """A volume node with a small head (0.8 litres, to be quick) of ellipsoids: scalp, skull, CSF, brain, noise.

        spacing: mm along i, j, k. tilt: degrees around the left-right axis. sagittal: slices run from left to right.
        """
        angle = np.radians(tilt)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        axes = np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]) if sagittal else np.diag([-1, -1, 1])
        matrix = turn @ axes @ np.diag(spacing)
        size = np.ceil(140 / np.array(spacing)).astype(int)
        k, j, i = np.indices(size[::-1])
        ras = np.tensordot(matrix, np.stack([i, j, k]) - ((size - 1) / 2)[:, None, None, None], axes=1)
        mr = np.zeros(ras.shape[1:], np.float32)
        for shrink, signal in ((0, 260.0), (4, 520.0), (9, 25.0), (15, 80.0), (18, 270.0), (24, 400.0)):
            semiaxes = np.array([52.0, 64.0, 58.0]) - shrink
            mr[np.sum((ras / semiaxes[:, None, None, None]) ** 2, axis=0) <= 1] = signal
        mr = np.abs(mr + np.random.default_rng(1).normal(0, 6, mr.shape)).astype(np.float32)
        toRas = np.eye(4)
        toRas[:3, :3] = matrix
        toRas[:3, 3] = -matrix @ ((size - 1) / 2) + [3, -7, 11]
        return slicer.util.addVolumeFromArray(mr, ijkToRAS=slicer.util.vtkMatrixFromArray(toRas), name=name)

    def actor(self, role: str) -> list[str]:
        """The command of a child process that plays the engine in this role."""
        script = Path(self.folder.name) / "actor.py"
        script.write_text(textwrap.dedent(_ACTOR), encoding="utf-8")
        return [engineCommand()[0], str(script), role, str(self.pulse)]

    def act(self, role: str) -> None:
        self.logic.engine = self.actor(role)

    def startHanging(self, mr: Any, output: Any = None) -> Synthesis:
        """Start a synthesis that never ends by itself; returns it when its processes run."""
        self.pulse.unlink(missing_ok=True)
        self.act("hang")
        self.logic.synthesize(mr, output, waitForCompletion=False)
        synthesis = Synthesis.current
        self.assertTrue(self.waitFor(self.pulse.exists))
        return synthesis

    def assertEndsCancelled(self, synthesis: Synthesis) -> None:
        self.assertTrue(self.waitFor(lambda: not synthesis.isRunning, 2.0))
        self.assertEqual(synthesis.state, State.CANCELLED)
        self.assertIsInstance(synthesis.error, SynthesisCancelled)
        self.assertFalse(self.logic.isRunning)
        self.assertFalse(synthesis.workspace.path.exists())
        beats = self.pulse.stat().st_size
        time.sleep(0.2)
        self.assertEqual(self.pulse.stat().st_size, beats, "a child of the engine is still alive")

    def assertSameGrid(self, mr: Any, ct: Any) -> None:
        self.assertEqual(ct.GetTransformNodeID(), mr.GetTransformNodeID())
        # CompareVolumeGeometry() calls it a mismatch if both have the same transform (Slicer 5.13 still does).
        transform = mr.GetTransformNodeID()
        for node in (mr, ct):
            node.SetAndObserveTransformNodeID(None)
        self.assertEqual(slicer.vtkSlicerVolumesLogic().CompareVolumeGeometry(mr, ct), "")
        for node in (mr, ct):
            node.SetAndObserveTransformNodeID(transform)

    @staticmethod
    def nodes() -> list[str]:
        """The IDs of the nodes that a synthesis could leave behind (Slicer itself adds others when it draws)."""
        classes = ("vtkMRMLVolumeNode", "vtkMRMLVolumeDisplayNode", "vtkMRMLStorageNode", "vtkMRMLTransformNode")
        return sorted(node.GetID() for name in classes for node in slicer.util.getNodesByClass(name))

    @staticmethod
    def process() -> None:
        slicer.app.processEvents()
        time.sleep(0.02)

    def waitFor(self, condition: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Let the application work until the condition holds; False if it does not within that time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self.process()
        return True
