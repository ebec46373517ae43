"""The panel's section Advanced: the model with its card, and the device."""

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from decnn import catalog
from decnn.errors import InputError
from MRtoCTLib.logic import MRtoCTLogic
from MRtoCTLib.parameters import MRtoCTParameterNode


class AdvancedSection:
    """Shows model and device of a parameter node, and changes them. ui: the controls of Resources/UI/MRtoCT.ui."""

    def __init__(self, ui: Any, logic: MRtoCTLogic) -> None:
        self.ui = ui
        self._logic = logic
        self._parameterNode: MRtoCTParameterNode | None = None
        self._cardTooltip = ui.modelCardButton.toolTip
        for model in logic.models():
            ui.modelSelector.addItem(model.title, model.name)
        self.showDevices([])
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelSelected)
        ui.deviceSelector.connect("currentIndexChanged(int)", self.onDeviceSelected)
        ui.modelCardButton.connect("clicked(bool)", self.onModelCardButton)

    def setParameterNode(self, parameterNode: MRtoCTParameterNode | None) -> None:
        """Show this parameter node, and write into no other. None: into none."""
        self._parameterNode = parameterNode
        if parameterNode is None:
            return
        _select(self.ui.modelSelector, parameterNode.model)
        _select(self.ui.deviceSelector, parameterNode.device)
        self.ui.modelTermsLabel.text = self._terms(parameterNode.model)
        hasCard = self._logic.modelCard(parameterNode.model) is not None
        self.ui.modelCardButton.enabled = hasCard
        self.ui.modelCardButton.toolTip = self._cardTooltip if hasCard else _("This model has no card.")

    def _terms(self, model: str) -> str:
        """What a model is for, and its terms, as sentences; "" if it does not say."""
        try:
            entry = catalog.model_entry(model or catalog.DEFAULT_MODEL)
        except InputError:
            return ""
        terms = _("Terms of the model: {terms}").format(terms=entry.terms) if entry.terms else ""
        return " ".join(part for part in (entry.summary, terms) if part)

    def showDevices(self, devices: list[dict[str, Any]]) -> None:
        """devices: as the engine lists them; until it has answered, none."""
        selector = self.ui.deviceSelector
        wasBlocked = selector.blockSignals(True)
        selector.clear()
        selector.addItem(_("Automatic"), "auto")
        for device in devices or [{"name": "cpu", "description": _("CPU"), "memory_gb": None}]:
            memory = _(", {memory:.0f} GB").format(memory=device["memory_gb"]) if device["memory_gb"] else ""
            selector.addItem(device["description"] + memory, device["name"])
        if self._parameterNode is not None:
            _select(selector, self._parameterNode.device)
        selector.blockSignals(wasBlocked)

    def onModelSelected(self, index: int) -> None:
        if self._parameterNode is not None and index >= 0:
            self._parameterNode.model = self.ui.modelSelector.itemData(index)

    def onDeviceSelected(self, index: int) -> None:
        if self._parameterNode is not None and index >= 0:
            self._parameterNode.device = self.ui.deviceSelector.itemData(index)

    def onModelCardButton(self, checked: bool = False) -> None:
        card = self._logic.modelCard(self._parameterNode.model) if self._parameterNode is not None else None
        if card is not None and not qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(card))):
            slicer.util.errorDisplay(_("No program opens the model's card: read the file {path}.").format(path=card))


def _select(selector: Any, value: str) -> None:
    """Select the entry with this value; one that is not in the list, such as a model's folder, is added to it."""
    if not value and selector.count:
        selector.currentIndex = 0
        return
    index = selector.findData(value)
    if value and index < 0:
        selector.addItem(value, value)
        index = selector.findData(value)
    selector.currentIndex = index
