"""The panel under a user's hand."""

from typing import Any

import numpy as np
import slicer
import vtk

from MRtoCTLib.display import contour, layouts
from MRtoCTLib.selftest.case import SelfTestCase


class PanelTests(SelfTestCase):
    """Clicks, and what they bring about."""

    def test_panel(self) -> None:
        """A click starts, the next one cancels; then a click that goes through to the CT."""
        representation = slicer.util.getModule("MRtoCT").widgetRepresentation()
        panel = slicer.util.getModuleWidget("MRtoCT")
        head = self.addHead("Head T1")
        engine = panel.logic.engine
        self.act("make")
        panel.enter()
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
            self.assertEqual(panel.ui.findingsLabel.text, "The slices are thick.")
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
        panel.ui.boneContourCheckBox.checked = True
        self.assertEqual(contour.contourOf(ct).GetTransformNodeID(), ct.GetTransformNodeID())
        panel.ui.boneContourCheckBox.checked = False
        self.assertIsNone(contour.contourOf(ct))
        self.profileIn(panel)
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
        np.testing.assert_allclose(fieldsOfView[0], fieldsOfView[1], rtol=0.05)
        self.delayDisplay("MR and CT side by side")
        if selector.findData(layouts.BONE_3D) >= 0:
            selector.currentIndex = selector.findData(layouts.BONE_3D)
            self.process()
            rendering = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(ct)
            self.assertTrue(rendering.GetVisibility())
            self.delayDisplay("Bone in 3D")
        selector.currentIndex = selector.findData(layouts.SLICERS_OWN)
        self.assertEqual(layoutNode.GetViewArrangement(), before)

    def profileIn(self, panel: Any) -> None:
        """Plot MR and CT along a line, and let it go again."""
        layoutNode = layouts.Layouts.node()
        before = layoutNode.GetViewArrangement() if layoutNode is not None else None
        tables = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode")
        line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "Across")
        for x in (-20, 26):
            line.AddControlPointWorld(vtk.vtkVector3d(x, -7, 11))
        panel.ui.lineSelector.setCurrentNode(line)
        (chart,) = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
        self.assertEqual(chart.GetNumberOfPlotSeriesNodes(), 2)
        table = chart.GetNthPlotSeriesNode(1).GetTableNode()
        self.assertEqual(table.GetTable().GetNumberOfRows(), 93)  # 46 mm in steps of 0.5 mm
        self.assertTrue(np.all(slicer.util.arrayFromTableColumn(table, "ct") == -1000))
        self.delayDisplay("A profile along a line")
        slicer.mrmlScene.RemoveNode(line)
        self.process()
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLPlotChartNode"), [])
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode"), tables)
        if layoutNode is not None:
            layoutNode.SetViewArrangement(before)
