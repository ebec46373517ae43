"""Pictures of the panel for README, over the stand-ins of Testing/host: python Testing/tools/screenshots.py FOLDER

The engine is the real one with the bundled model; the head is the tests' phantom, so that no patient is shown.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import host

host.start_gui()

import SimpleITK as sitk  # noqa: E402
import slicer  # noqa: E402

from host import application  # noqa: E402
from phantom import phantom_head  # noqa: E402

MODULE = Path(__file__).resolve().parents[2] / "MRtoCT" / "MRtoCT.py"
WIDTH = 430
# Far enough for the remaining time to be told.
FRACTION_SHOWN = 0.4
PATIENCE_SECONDS = 1800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where panel-rest.png, panel-running.png and panel-done.png go")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    module = application.load_module(MODULE)
    view = module.widgetRepresentation()
    panel = slicer.util.getModuleWidget("MRtoCT")
    view.show()
    view.enter()
    _wait(lambda: panel.logic._devicesQuery is None)
    _add_head()
    _wait(lambda: panel.ui.synthesizeButton.enabled)
    panel.ui.advancedCollapsibleButton.collapsed = False
    _take(view, folder / "panel-rest.png")
    panel.ui.synthesizeButton.click()
    panel.ui.logCollapsibleButton.collapsed = False
    _wait(lambda: panel.synthesisSection._synthesis.fraction > FRACTION_SHOWN)
    _take(view, folder / "panel-running.png")
    panel.ui.logCollapsibleButton.collapsed = True
    panel.ui.advancedCollapsibleButton.collapsed = True
    _wait(lambda: not panel.logic.isRunning)
    if panel.synthesisSection._synthesis.error is not None:
        raise panel.synthesisSection._synthesis.error
    _take(view, folder / "panel-done.png")
    view.exit()
    panel.cleanup()


def _add_head() -> None:
    image = phantom_head()[0]
    head = slicer.util.addVolumeFromArray(sitk.GetArrayFromImage(image), name="Phantom T1")
    head.SetSpacing(image.GetSpacing())


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the panel does not get on")
        slicer.app.processEvents()
        time.sleep(0.02)


def _take(view: object, path: Path) -> None:
    """Save the panel, as high as its contents are."""
    for _turn in range(5):
        slicer.app.processEvents()
        view.resize(WIDTH, view.layout().totalHeightForWidth(WIDTH))
    slicer.app.processEvents()
    if not view.grab().save(str(path)):
        raise OSError(f"{path} cannot be written")
    print(path)


if __name__ == "__main__":
    main()
