"""What the self-tests share: a head, an engine that is played by a child process, and what must hold at every end."""

import tempfile
import time
import unittest
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from decnn.options import Options
from MRtoCTLib import dependencies
from MRtoCTLib.display import layouts
from MRtoCTLib.errors import SynthesisCancelled
from MRtoCTLib.logic import MRtoCTLogic
from MRtoCTLib.tasks.process import engineCommand
from MRtoCTLib.tasks.synthesis import State, Synthesis


class SelfTestCase(ScriptedLoadableModuleTest):
    """Runs in Slicer, and over Testing/host where there is no Slicer."""

    options = Options()
    """Of the syntheses by the real engine: the bundled model."""
    PAUSE_SECONDS = 0.02

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        self.logic = MRtoCTLogic()
        self.folder = tempfile.TemporaryDirectory(prefix="MRtoCTTest-")
        self.pulse = Path(self.folder.name) / "pulse"
        self._pretence = unittest.mock.patch.object(dependencies, "torchInstalled", return_value=True)

    def needTorch(self) -> None:
        """Skip the rest of a test that needs the real engine's network, where there is no torch."""
        if not dependencies.torchInstalled():
            self.skipTest("PyTorch is not installed")

    def tearDown(self) -> None:
        self._pretence.stop()
        self.logic.cleanup()
        self.folder.cleanup()
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.delayDisplay(name)
            self.setUp()
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                self.delayDisplay(f"{name} was skipped: {reason}")
            finally:
                self.tearDown()

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
        k, j, i = np.indices(tuple(size[::-1]))
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
        return [engineCommand()[0], str(Path(__file__).with_name("actor.py")), role, str(self.pulse)]

    def act(self, role: str) -> None:
        """Let the actor play the engine from now on; it needs no torch."""
        self.logic.engine = self.actor(role)
        if not isinstance(dependencies.torchInstalled, unittest.mock.Mock):
            self._pretence.start()

    def startHanging(self, mr: Any, output: Any = None) -> Synthesis:
        """Start a synthesis that never ends by itself; returns it when its processes run."""
        self.pulse.unlink(missing_ok=True)
        self.act("hang")
        synthesis = self.logic.synthesize(mr, output, waitForCompletion=False)
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

    @classmethod
    def process(cls) -> None:
        slicer.app.processEvents()
        time.sleep(cls.PAUSE_SECONDS)

    def waitFor(self, condition: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Let the application work until the condition holds; False if it does not within that time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self.process()
        return True
