"""A synthetic CT beside a reference CT: errors that are known come out as they are, in the right place."""

from typing import Any

import numpy as np
import slicer
import vtk

from MRtoCTLib.display import maps, overlay
from MRtoCTLib.errors import ComparisonError
from MRtoCTLib.selftest.case import SelfTestCase

_SOFT_TISSUE_ERROR, _BONE_ERROR = 35, -100
_RESULTS = ("vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode", "vtkMRMLScalarVolumeNode")


class ComparisonTests(SelfTestCase):
    """By the real engine, in its child process."""

    def test_referenceComparison(self) -> None:
        """The reference stands under a transform and on a grid of its own that puts it back onto the synthetic CT."""
        ct, reference = self.addPair()

        results = self.logic.compare(ct, reference)

        self.assertEqual(results.table.GetName(), "sCT vs CT metrics")
        table = results.table.GetTable()
        for mask in ("tight mask", "wide mask"):
            found = {
                table.GetValueByName(row, "Metric").ToString(): table.GetValueByName(row, mask).ToDouble()
                for row in range(table.GetNumberOfRows())
            }
            self.assertAlmostEqual(found["Mean absolute error, soft tissue"], abs(_SOFT_TISSUE_ERROR), delta=1)
            self.assertAlmostEqual(found["Mean absolute error, bone"], abs(_BONE_ERROR), delta=1)
            self.assertAlmostEqual(found["Mean error, bone"], _BONE_ERROR, delta=1)
            self.assertAlmostEqual(found["Bone overlap (Dice)"], 1, delta=0.01)
        self.assertSameGrid(ct, results.difference)
        self.assertEqual(results.difference.GetName(), "sCT minus CT")
        voxels = slicer.util.arrayFromVolume(ct)
        difference = slicer.util.arrayFromVolume(results.difference)
        self.assertLess(abs(np.median(difference[voxels > 250]) - _BONE_ERROR), 2)
        self.assertEqual(np.median(difference[voxels < -500]), 0)
        display = results.difference.GetDisplayNode()
        self.assertEqual(display.GetWindowLevelMin(), -display.GetWindowLevelMax())
        overlay.showOverlay(None, results.difference)
        self.assertTrue(slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(results.difference).GetVisibility())
        self.assertEqual(results.chart.GetNumberOfPlotSeriesNodes(), 2)
        before = self.results()
        self.assertEqual(self.logic.compare(ct, reference), results)
        self.assertEqual(self.results(), before)
        maps.removeMap(results.difference)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"), [])

    def test_referenceThatCannotBeCompared(self) -> None:
        """It gets a sentence, and the scene stays as it was."""
        ct, reference = self.addPair()
        before = self.results()
        reference.GetParentTransformNode().SetMatrixTransformToParent(_matrix(0, 900, 0, 0))
        for other, said in ((reference, "do not overlap"), (ct, "itself"), (self.addHead("T1"), "not in HU")):
            with self.assertRaises(ComparisonError) as raised:
                self.logic.compare(ct, other)
            self.assertIn(said, str(raised.exception))
        self.assertEqual([n - (name == _RESULTS[-1]) for name, n in zip(_RESULTS, self.results(), strict=True)], before)

    def addPair(self) -> tuple[Any, Any]:
        """A synthetic CT and its reference, of a small head."""
        k, j, i = np.indices((34, 36, 35))
        radius = np.sqrt(((i - 17) / 13) ** 2 + ((j - 18) / 15) ** 2 + ((k - 17) / 14) ** 2)
        truth = np.select([radius < 0.75, radius < 0.9, radius < 1], [30, 1000, 40], -1000).astype(np.int16)
        errors = np.select([truth > 250, truth > -200], [_BONE_ERROR, _SOFT_TISSUE_ERROR], 0).astype(np.int16)
        toRas = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Multiply4x4(
            _matrix(25, 12, -30, 40), slicer.util.vtkMatrixFromArray(np.diag([-4.0, -4.0, 4.0, 1.0])), toRas
        )
        ct = slicer.util.addVolumeFromArray(truth + errors, ijkToRAS=toRas, name="sCT")
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Couch")
        transform.SetMatrixTransformToParent(_matrix(-40, 5, 60, -20))
        elsewhere = _matrix(-40, 5, 60, -20)
        elsewhere.Invert()
        vtk.vtkMatrix4x4.Multiply4x4(elsewhere, toRas, elsewhere)
        reference = slicer.util.addVolumeFromArray(truth, ijkToRAS=elsewhere, name="CT")
        reference.SetAndObserveTransformNodeID(transform.GetID())
        for node in (ct, reference):
            node.CreateDefaultDisplayNodes()
        return ct, reference

    @staticmethod
    def results() -> list[int]:
        """How many nodes there are of each kind that a comparison makes."""
        return [slicer.mrmlScene.GetNumberOfNodesByClass(name) for name in _RESULTS]


def _matrix(degrees: float, *translation: float) -> vtk.vtkMatrix4x4:
    transform = vtk.vtkTransform()
    transform.Translate(*translation)
    transform.RotateWXYZ(degrees, 1, 0.5, 2)
    return transform.GetMatrix()
