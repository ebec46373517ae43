"""How torch comes to be installed: by the PyTorch extension, at the user's click, and never here."""

import sys
import types

import pytest

import host

host.start_gui()

import slicer  # noqa: E402

from MRtoCTLib import dependencies  # noqa: E402
from MRtoCTLib.errors import RestartNeeded, SynthesisError  # noqa: E402


@pytest.fixture(autouse=True)
def somebody_to_ask(monkeypatch):
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda requirement: False)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, False),  # the user clicked Cancel
        (object(), True),
        (OSError("no network"), "could not be installed (no network)"),
    ],
)
def test_the_pytorch_extension_is_asked(no_torch, monkeypatch, answer, said) -> None:
    asked = []

    class Logic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            asked.append((askConfirmation, torchVersionRequirement))
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=Logic))
    if isinstance(said, bool):
        assert dependencies.installTorch() is said
    else:
        with pytest.raises(SynthesisError) as raised:
            dependencies.installTorch()
        assert said in str(raised.value)
        assert "--no-index" in str(raised.value)  # the way without a network
    assert asked == [(True, ">=2.1")]


def test_torch_that_only_slicer_itself_cannot_import(monkeypatch) -> None:
    """It was installed, and the engine imports it in a process of its own."""

    class Logic:
        def installTorch(self, askConfirmation, torchVersionRequirement):
            raise ImportError("a DLL of another version is loaded already")

    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=Logic))
    assert dependencies.installTorch()


@pytest.mark.parametrize("confirmed", [False, True])
@pytest.mark.parametrize("succeeds", [False, True])
def test_the_extension_is_offered(no_torch, monkeypatch, confirmed, succeeds) -> None:
    class ExtensionsManager:
        interactive = True

        def installExtensionFromServer(self, name, restart):
            assert not self.interactive
            installed.append((name, restart))
            return succeeds

    manager, installed = ExtensionsManager(), []
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    monkeypatch.setattr(slicer.app, "extensionsManagerModel", lambda: manager, raising=False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: confirmed)
    if not confirmed:
        assert dependencies.installTorch() is False
        assert installed == []
        return
    with pytest.raises(RestartNeeded if succeeds else SynthesisError) as raised:
        dependencies.installTorch()
    assert ("restart Slicer" if succeeds else "--no-index") in str(raised.value)
    assert installed == [("PyTorch", False)]
    assert manager.interactive


@pytest.mark.parametrize("testing", [True, False])
def test_where_nothing_can_be_installed(no_torch, monkeypatch, testing) -> None:
    """In tests there is nobody to ask; some applications have no extensions."""
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: testing)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(SynthesisError, match="Extensions Manager"):
        dependencies.installTorch()


def test_the_instructions_are_exact() -> None:
    text = dependencies.instructions()
    assert "--python-version {}.{} ".format(*sys.version_info) in text
    assert 'PythonSlicer" -m pip install --no-index' in text
