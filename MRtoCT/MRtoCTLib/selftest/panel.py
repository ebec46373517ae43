"""The panel under a user's hand."""

from typing import Any

import numpy as np
import slicer

from .. import layouts
from .case import SelfTestCase


class PanelTests(SelfTestCase):
    """Clicks, and what they bring about."""

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
