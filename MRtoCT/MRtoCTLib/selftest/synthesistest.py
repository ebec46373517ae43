"""From an MR node to a CT node, and the bad ends."""

import time

import numpy as np
import slicer
import vtk

from decnn import NOTICE
from decnn.options import Options
from MRtoCTLib import nodes
from MRtoCTLib.errors import SynthesisError
from MRtoCTLib.selftest.case import SelfTestCase
from MRtoCTLib.tasks.synthesis import State, Synthesis


class SynthesisTests(SelfTestCase):
    """The logic alone."""

    def test_synthesize(self) -> None:
        """From the MR alone: a new CT beside it, on its grid, with everything that a CT node should say of itself."""
        self.needTorch()
        mr = self.addHead("Somebody T1")
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(mr), study)
        stages: list[str] = []
        fractions: list[float] = []

        def listen(synthesis: Synthesis) -> None:
            stages.append(synthesis.stage)
            fractions.append(synthesis.fraction)

        ct = self.logic.synthesize(mr, options=self.options, onChanged=listen)

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
        kept = ("Model", "ModelVersion", "WeightsSHA256", "Version", "Device", "Seconds", "SourceVolume", "Findings")
        for name in kept:
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

    def test_delivery(self) -> None:
        """How long the application stands still while a CT and its map come in; told, not judged."""
        voxels = np.random.default_rng(1).integers(0, 500, (176, 256, 256)).astype(np.float32)
        mr = slicer.util.addVolumeFromArray(voxels, name="Whole head")
        self.act("make")
        synthesis = self.logic.synthesize(mr, options=Options(confidence=True), waitForCompletion=False)
        self.assertTrue(self.waitFor(lambda: synthesis.stage == "Loading the CT" or not synthesis.isRunning, 120))
        gaps, turnsAfter = [], 0
        while turnsAfter < 10:  # what is shown is drawn after the end
            began = time.monotonic()
            self.process()
            gaps.append(time.monotonic() - began - self.PAUSE_SECONDS)
            turnsAfter += not synthesis.isRunning
        self.assertEqual(synthesis.state, State.DONE)
        self.assertIsNotNone(synthesis.confidenceNode)
        print(f"The longest gap at the delivery of {voxels.size / 1e6:.0f} million voxels: {max(gaps):.2f} s")

    def test_obliqueUnderTransform(self) -> None:
        """An oblique, sagittally stored, anisotropic MR under a transform, into an output that is there already."""
        self.needTorch()
        mr = self.addHead("Tilted", spacing=(5.0, 4.0, 3.0), tilt=20.0, sagittal=True)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Couch")
        matrix = vtk.vtkTransform()
        matrix.RotateX(30)
        matrix.Translate(10, -20, 30)
        transform.SetMatrixTransformToParent(matrix.GetMatrix())
        mr.SetAndObserveTransformNodeID(transform.GetID())
        output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")

        ct = self.logic.synthesize(mr, output, self.options)

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
        self.needTorch()
        head = self.addHead("Head")
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
        labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
        slicer.util.updateVolumeFromArray(labels, np.ones((20, 20, 20), np.int16))
        flat = slicer.util.addVolumeFromArray(np.full((20, 20, 20), 7, np.float32), name="Flat")
        before = self.nodes()
        for mr, output, options, said in [
            (None, None, Options(), "T1"),
            (empty, None, Options(), "empty"),
            (labels, None, Options(), "not an image"),
            (head, head, Options(), "is the input"),
            (head, labels, Options(), "cannot hold"),
            (head, None, Options(model="no-such-model"), "no-such-model"),
            (head, None, Options(device="abacus"), "abacus"),
            (flat, None, self.options, "."),
        ]:
            with self.assertRaises(SynthesisError) as raised:
                self.logic.synthesize(mr, output, options)
            self.assertIn(said, str(raised.exception))
            self.assertNotIn("Traceback", str(raised.exception))
            self.assertEqual(self.nodes(), before)
            self.assertFalse(self.logic.isRunning)

    def test_failureLeavesTheOutput(self) -> None:
        """An engine that fails, or dies without a word, changes nothing."""
        head = self.addHead("Head")
        output = slicer.util.addVolumeFromArray(np.arange(8, dtype=np.int16).reshape(2, 2, 2), name="Old CT")
        before = self.nodes()
        for role, said in (("fail", "The disk is full: free some space."), ("crash", "exit code 70")):
            self.act(role)
            with self.assertRaises(SynthesisError) as raised:
                self.logic.synthesize(head, output)
            self.assertIn(said, str(raised.exception))
            self.assertEqual(self.nodes(), before)
            np.testing.assert_array_equal(slicer.util.arrayFromVolume(output).ravel(), np.arange(8))
            self.assertIsNone(output.GetAttribute(nodes.MODEL_ATTRIBUTE))

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
