"""A small host for the module where there is no Slicer application: tests and `make demo`.

PyPI's slicer-core is Slicer's real MRML scene, logics and slicer.util. This package adds our own stand-ins for the rest
that the module touches. A stand-in behaves as Slicer does or fails loudly: what it does not know is an AttributeError,
never a silent success. Slicer itself never imports this package.

- start(): scene, slicer.ScriptedLoadableModule, slicer.i18n, slicer.packaging, slicer.parameterNodeWrapper
- start_gui(): in addition qt and ctk (PySide6, off-screen), slicer.app, slicer.modules and the MRML widgets
"""

import sys

import slicer

from host import i18n, packaging, parameter_node, scene, scripted_module


def start() -> None:
    """Make `import slicer` enough for MRtoCTLib.logic, with an empty scene. May be called again."""
    for name, module in {
        "i18n": i18n,
        "packaging": packaging,
        "parameterNodeWrapper": parameter_node,
        "ScriptedLoadableModule": scripted_module,
    }.items():
        setattr(slicer, name, module)
        sys.modules[f"slicer.{name}"] = module
    if not hasattr(slicer, "mrmlScene"):
        slicer.mrmlScene = scene.new_scene()


def start_gui() -> None:
    """start(), and what the panel needs. May be called again."""
    start()
    from host import application

    application.start()
