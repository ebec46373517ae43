"""The panel's section Compare: the synthetic CT and a reference CT."""

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from MRtoCTLib import validation
from MRtoCTLib.display.results import Results
from MRtoCTLib.panel.runcontrols import showError, showRun, startOrCancel
from MRtoCTLib.panel.scrolling import bringIntoView
from MRtoCTLib.tasks import comparison
from MRtoCTLib.tasks.base import State


class CompareSection:
    """Compares the selected CT.

    Args:
        ui: the controls of Resources/UI/MRtoCT.ui.
        logic: MRtoCTLogic.
        onResults: called with the Results of a comparison that the user asked for here.
    """

    def __init__(self, ui: Any, logic: Any, onResults: Callable[[Results], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._onResults = onResults
        self._mrNode: Any = None
        self._ctNode: Any = None
        self._comparison: comparison.Comparison | None = None
        self._status = ""
        self._tooltip = ui.compareButton.toolTip
        ui.compareButton.connect("clicked(bool)", self.onCompareButton)
        ui.referenceSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onReferenceChanged)
        ui.registerCheckBox.connect("toggled(bool)", self.onRegisterToggled)
        ui.compareCollapsibleButton.connect("contentsCollapsed(bool)", self.onCollapsed)
        self._show()

    def setVolumes(self, mrNode: Any, ctNode: Any) -> None:
        """Offer this CT, and the MR to which the reference can be registered; None if there is none."""
        if ctNode is not self._ctNode and not self._isRunning:
            self._status, self._comparison = "", None  # what came of it was about another CT
        self._mrNode, self._ctNode = mrNode, ctNode
        self._show()

    def cleanup(self) -> None:
        """The panel goes away."""
        running, self._logic = self._comparison, None
        if running is not None:
            running.abort()

    def onReferenceChanged(self, node: Any) -> None:
        self._show()

    def onRegisterToggled(self, checked: bool) -> None:
        self._show()

    def onCollapsed(self, collapsed: bool) -> None:
        if not collapsed:
            bringIntoView(self.ui.compareStatusLabel)

    def onCompareButton(self, checked: bool = False) -> None:
        startOrCancel(self._comparison, _("The comparison could not be started."), self._start)

    def _start(self) -> None:
        self._status = ""
        self._logic.compare(
            self._ctNode,
            self.ui.referenceSelector.currentNode(),
            self._mrNode if self.ui.registerCheckBox.checked else None,
            waitForCompletion=False,
            onChanged=self._onComparisonChanged,
            onLog=self.ui.logTextEdit.appendPlainText,
        )

    @property
    def _isRunning(self) -> bool:
        return self._comparison is not None and self._comparison.isRunning

    def _onComparisonChanged(self, changed: comparison.Comparison) -> None:
        if self._logic is None:
            return  # the panel is gone
        self._comparison = changed
        if changed.state is State.DONE:
            self._status = self._reportOf(changed)
        elif not changed.isRunning:
            self._status = str(changed.error)
        self._show()
        if not changed.isRunning:
            bringIntoView(self.ui.compareStatusLabel)
        if changed.state is State.DONE:
            self._onResults(changed.result)
        if changed.state is State.FAILED and changed.error is not None:
            showError(changed.error)

    @staticmethod
    def _reportOf(done: comparison.Comparison) -> str:
        scores = done.facts["tight"]
        sentences = [
            _("'{ct}' and '{reference}': mean absolute error {mae:.0f} HU, mean error {me:+.0f} HU (body).").format(
                ct=done.ctNode.GetName(),
                reference=done.referenceNode.GetName(),
                mae=scores["mae_hu"],
                me=scores["me_hu"],
            ),
            str(done.facts["reference"]["placement"]),
            *(finding["message"] for finding in done.findings),
        ]
        return "\n".join(sentences)

    def _problem(self) -> str:
        registers = self.ui.registerCheckBox.checked
        mrNode = self._mrNode if registers else None
        problem = validation.problemOfComparison(self._ctNode, self.ui.referenceSelector.currentNode(), mrNode)
        if not problem and registers and mrNode is None:
            return _("Select the MR to which the reference is to be registered.")
        return problem

    def _show(self) -> None:
        """Bring the controls up to date."""
        running = self._isRunning
        problem = "" if running else self._problem()
        showRun(
            self.ui.compareButton,
            self.ui.compareProgressBar,
            self._comparison,
            start=_("Compare"),
            hint=self._tooltip,
            cancelHint=_("Stop the comparison. The scene stays as it was."),
            problem=problem,
        )
        for control in (self.ui.referenceSelector, self.ui.registerCheckBox):
            control.enabled = not running
        stage = self._comparison.stage if self._comparison is not None else ""
        self.ui.compareStatusLabel.text = stage if running else self._status or problem
