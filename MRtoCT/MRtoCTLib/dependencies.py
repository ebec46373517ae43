"""torch, on which the engine stands. Slicer itself never imports it; the PyTorch extension installs it."""

import importlib
import importlib.metadata
from typing import Any

import slicer
from slicer.i18n import tr as _

from .errors import SynthesisError

TORCH_VERSION = ">=2.1"


def torchInstalled() -> bool:
    """Whether a fitting torch is installed; found out without importing it."""
    importlib.invalidate_caches()
    try:
        from slicer.packaging import pip_check  # new in Slicer 5.12
    except ImportError:
        return _installedVersionFits()
    return pip_check(f"torch{TORCH_VERSION}")


def installTorch() -> None:
    """Let the PyTorch extension ask the user and install torch.

    Raises SynthesisError with instructions if the extension is missing, the user declines or the installation fails.
    """
    if slicer.app.testingEnabled():  # there is nobody to ask
        raise SynthesisError(instructions())
    try:
        import PyTorchUtils
    except ImportError as error:
        raise SynthesisError(instructions()) from error
    try:
        torch: Any = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=TORCH_VERSION
        )
    except Exception as error:
        raise SynthesisError(
            _("PyTorch could not be installed ({reason}).").format(reason=error) + " " + instructions()
        ) from error
    if torch is None:
        raise SynthesisError(_("PyTorch was not installed.") + " " + instructions())


def instructions() -> str:
    """How to get torch, with and without a network."""
    return _(
        "The synthesis needs PyTorch {version}: install the extension 'PyTorch' in the Extensions Manager, restart "
        "Slicer, open the module 'PyTorch Utils' and click 'Install PyTorch'. On a machine without network: download "
        "the wheels of torch for this Python elsewhere, and run 'PythonSlicer -m pip install --no-index "
        "--find-links FOLDER torch'."
    ).format(version=TORCH_VERSION)


def _installedVersionFits() -> bool:
    from packaging.specifiers import SpecifierSet

    try:
        return importlib.metadata.version("torch") in SpecifierSet(TORCH_VERSION)
    except importlib.metadata.PackageNotFoundError:
        return False
