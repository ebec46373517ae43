"""torch, on which the engine stands. Slicer itself never imports it; the PyTorch extension installs it."""

import importlib
import importlib.metadata
import logging
import shutil
import sys
from typing import Any

import slicer
from slicer.i18n import tr as _

from MRtoCTLib.errors import RestartNeeded, SynthesisError

TORCH_VERSION = ">=2.1"


def torchInstalled() -> bool:
    """Whether a fitting torch is installed; found out without importing it."""
    importlib.invalidate_caches()
    try:
        from slicer.packaging import pip_check  # new in Slicer 5.12
    except ImportError:
        return _installedVersionFits()
    return pip_check(f"torch{TORCH_VERSION}")


def torchVersion() -> str:
    """The version of the installed torch; "" if there is none. Found out without importing it."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return ""


def installTorch() -> bool:
    """Let the PyTorch extension ask the user and install torch; if it is missing, offer to install it first.

    Returns True once torch is there, False if the user has declined. Raises RestartNeeded once the extension is there;
    SynthesisError with instructions if something has failed.
    """
    if slicer.app.testingEnabled():  # there is nobody to ask
        raise SynthesisError(instructions())
    try:
        import PyTorchUtils
    except ImportError:
        return _installExtension()
    try:
        torch: Any = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=TORCH_VERSION
        )
    except Exception as error:
        if torchInstalled():  # it could not be imported here; the engine imports it in a process of its own
            logging.warning("PyTorch was installed, and then: %s", error)
            return True
        raise SynthesisError(
            _("PyTorch could not be installed ({reason}).").format(reason=error) + " " + instructions()
        ) from error
    return torch is not None


def _installExtension() -> bool:
    """Offer to install the extension "PyTorch": False if the user declines, else RestartNeeded or SynthesisError."""
    if not hasattr(slicer.app, "extensionsManagerModel"):  # an application without extensions
        raise SynthesisError(instructions())
    if not slicer.util.confirmOkCancelDisplay(
        _(
            "The synthesis needs PyTorch, which the extension 'PyTorch' installs, and that extension is not there. "
            "Shall it be downloaded and installed now? Slicer must then be restarted."
        )
    ):
        return False
    manager = slicer.app.extensionsManagerModel()
    wasInteractive = manager.interactive
    manager.interactive = False  # the user has been asked
    try:
        installed = manager.installExtensionFromServer("PyTorch", False)  # no restart: the scene may be unsaved
    finally:
        manager.interactive = wasInteractive
    if not installed:
        raise SynthesisError(_("The extension 'PyTorch' could not be installed.") + " " + instructions())
    raise RestartNeeded(
        _(
            "The extension 'PyTorch' is installed. Save the scene, restart Slicer and click 'Synthesize CT' again: "
            "PyTorch itself can then be installed. (If this message comes again, enable the extension in the "
            "Extensions Manager.)"
        )
    )


def instructions() -> str:
    """How to get torch, with and without a network."""
    return _(
        "The synthesis needs PyTorch {requirement}: install the extension 'PyTorch' in the Extensions Manager, restart "
        "Slicer, open the module 'PyTorch Utils' and click 'Install PyTorch'. For a machine without network: on one "
        "that has a network and the same operating system, run 'pip download torch --only-binary=:all: "
        "--python-version {python} --dest FOLDER'; copy FOLDER here, and run '\"{pythonSlicer}\" -m pip install "
        "--no-index --find-links FOLDER torch'."
    ).format(
        requirement=TORCH_VERSION,
        python="{}.{}".format(*sys.version_info),
        pythonSlicer=shutil.which("PythonSlicer") or "PythonSlicer",
    )


def _installedVersionFits() -> bool:
    from packaging.specifiers import SpecifierSet

    try:
        return importlib.metadata.version("torch") in SpecifierSet(TORCH_VERSION)
    except importlib.metadata.PackageNotFoundError:
        return False
