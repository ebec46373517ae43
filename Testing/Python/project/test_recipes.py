"""The five recipes of CONTRIBUTING.md: each change touches at most two source files, and works."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MOST_FILES = 2
Change = Callable[..., str]


@pytest.fixture
def change(tmp_path: Path) -> Change:
    """change({file: (old, new)}, program, *files): what the program prints in a copy of MRtoCT/ with these edits."""

    def run(edits: dict[str, tuple[str, str]], program: str, *added: str) -> str:
        assert len(edits) + len({Path(name).parent for name in added}) <= MOST_FILES
        module = tmp_path / "MRtoCT"
        if not module.exists():
            shutil.copytree(ROOT / "MRtoCT", module, ignore=shutil.ignore_patterns("__pycache__"))
        for name, (old, new) in edits.items():
            text = (module / name).read_text(encoding="utf-8")
            assert text.count(old) == 1, (name, old)
            (module / name).write_text(text.replace(old, new), encoding="utf-8")
        paths = [module, ROOT / "Testing", ROOT / "Testing/Python/support"]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_another_default_ct_window(change: Change) -> None:
    shown = change(
        {"decnn/hu.py": ('DEFAULT_WINDOW = "bone"', 'DEFAULT_WINDOW = "synthrad"')},
        """
        import host; host.start()
        import numpy as np, slicer, fake_engine
        from MRtoCTLib.logic import MRtoCTLogic
        logic = MRtoCTLogic()
        logic.engine = fake_engine.command("make")
        mr = slicer.util.addVolumeFromArray(np.ones((4, 5, 6), np.float32), name="MR")
        display = logic.synthesize(mr).GetDisplayNode()
        print(display.GetWindow(), display.GetLevel())
        """,
    )
    assert shown == "2500.0 200.0"


def test_a_second_bundled_model(change: Change, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "MRtoCT/Resources/Models/test-model"
    shutil.copytree(ROOT / "MRtoCT", tmp_path / "MRtoCT", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tiny_model, folder)
    listed = change(
        {},
        """
        import host; host.start()
        from MRtoCTLib.logic import MRtoCTLogic
        print([(model.name, model.title, model.terms) for model in MRtoCTLogic.models()][-1])
        """,
        "Resources/Models/test-model/model.json",
    )
    assert listed == "('test-model', 'A model of the tests', 'Any use.')"


def test_a_new_input_check(change: Change) -> None:
    found = change(
        {
            "decnn/checks/image.py": (
                "    findings = check_header(header_of(image))\n",
                "    findings = check_header(header_of(image))\n    if image.GetSize()[0] == image.GetSize()[1]:\n"
                '        findings.append(warning("square", "The slices are square."))\n',
            ),
            "decnn/codes.py": (
                "CODES = {\n",
                'CODES = {\n    "square": Code("warning", "the slices are square", "nothing"),\n',
            ),
        },
        """
        import numpy as np, SimpleITK as sitk
        from decnn.checks.image import check_image
        from decnn.codes import CODES
        image = sitk.GetImageFromArray(np.random.default_rng(0).random((70, 80, 80)))
        image.SetSpacing((2, 2, 2))
        codes = [finding.code for finding in check_image(image)]
        print("square" in codes, CODES["square"].severity)
        """,
    )
    assert found == "True warning"


def test_a_new_metric(change: Change) -> None:
    shown = change(
        {
            "decnn/evaluation/metrics.py": (
                "METRICS = (\n",
                'METRICS = (\n    Metric("median_hu", "Median error", "HU", 1, "", '
                "lambda c: float(np.median(c.difference))),\n",
            )
        },
        """
        import numpy as np
        from decnn.evaluation.metrics import metrics_of, score
        ct = np.zeros((9, 9, 9))
        print(score(ct + 7, ct, ct == 0)["median_hu"], metrics_of(3)[0].title, metrics_of(2)[0].key)
        """,
    )
    assert shown == "7.0 Median error median_hu"


def test_another_network(change: Change, tmp_path: Path) -> None:
    made = change(
        {
            "decnn/network.py": (
                'NETWORKS: dict[str, type[SliceNetwork]] = {"DECNN": DECNN}',
                textwrap.dedent("""
                class Plain(SliceNetwork):
                    def __init__(self, in_channels: int) -> None:
                        super().__init__()
                        self.in_channels, self.stages = in_channels, 0
                        self.only = nn.Conv2d(in_channels, 1, 3, padding=1)

                    def forward(self, slices):
                        return self.only(slices), []


                NETWORKS: dict[str, type[SliceNetwork]] = {"DECNN": DECNN, "Plain": Plain}
                """),
            )
        },
        f"""
        import json, torch
        from decnn.inference import for_inference
        from decnn.model import load_model, save_model
        from decnn.network import build_network
        spec = json.loads({json.dumps(json.dumps(_spec()))})
        folder = save_model({str(tmp_path / "plain")!r}, build_network("Plain", {{"in_channels": 3}}), spec)
        model = load_model(folder)
        final, stages = for_inference(model.network)(torch.zeros(1, 3, 8, 9))
        print(model.name, tuple(final.shape), stages)
        """,
    )
    assert made == "plain (1, 1, 8, 9) []"


def _spec() -> dict:
    return {
        "version": "1",
        "network": {"name": "Plain", "arguments": {"in_channels": 3}},
        "input": {"neighbours": 3, "depth_channel": False, "normalization": ""},
        "views": ["axial"],
        "fusion": "mean",
        "output": {"scale_hu": 1000},
    }
