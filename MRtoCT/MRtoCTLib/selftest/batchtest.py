"""Many heads: in one run of the engine, and one after the other by the logic."""

import csv
import os
import threading
from pathlib import Path

import slicer

from MRtoCTLib import nodes
from MRtoCTLib.selftest.case import SelfTestCase
from MRtoCTLib.tasks import workspace
from MRtoCTLib.tasks.process import EngineProcess, engineCommand

_RUNS = 20


class BatchTests(SelfTestCase):
    """Nothing piles up, and one bad head does not stop the others."""

    def test_batch(self) -> None:
        """A folder of files by the engine's command line, as README tells: a table says how each one went."""
        self.needTorch()
        folder = Path(self.folder.name)
        head = self.addHead("Head")
        for name in ("first.nrrd", "third.nrrd"):
            nodes.writeVolume(head, folder / name)
        (folder / "second.nrrd").write_text("no image")
        inputs = [str(folder / name) for name in ("first.nrrd", "second.nrrd", "third.nrrd")]
        options = ["--output-dir", str(folder / "results"), "--device", "cpu", "--progress", "json"]
        options += self.options.as_arguments()
        log: list[str] = []
        engine = EngineProcess([*engineCommand(), "synthesize", *inputs, *options], lambda event: None, log.append)
        try:
            self.assertTrue(self.waitFor(engine.poll, 1200), log)  # the bundled model, on a busy machine
        finally:
            engine.stop()
        self.assertEqual(engine.exitCode, 2, log)  # that of the input that is none
        with open(folder / "results" / "summary.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["status"] for row in rows], ["done", "failed", "done"], rows)
        self.assertTrue(rows[1]["message"])
        for row in (rows[0], rows[2]):
            voxels = nodes.readVoxels(Path(row["output"]))
            self.assertEqual(voxels.shape, slicer.util.arrayFromVolume(head).shape)

    def test_manyRuns(self) -> None:
        """The loop of README's script, with an engine that is quick: no node, file, process or thread is left."""
        head = self.addHead("Head")
        self.act("make")
        output = self.logic.synthesize(head)
        before, children, threads = self.nodes(), self.children(), self.threads()
        for _run in range(_RUNS):
            self.assertIs(self.logic.synthesize(head, output), output)
        self.process()
        self.assertEqual(self.nodes(), before)
        self.assertLessEqual(self.children(), children)
        self.assertTrue(self.waitFor(lambda: self.threads() <= threads, 5.0))
        self.assertEqual(workspace.openFolders(), [])

    @staticmethod
    def children() -> int:
        """How many child processes there are; 0 where the system does not tell."""
        try:
            return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
        except OSError:
            return 0

    @staticmethod
    def threads() -> int:
        """How many threads read from an engine."""
        return sum(thread.name.startswith("MRtoCT") for thread in threading.enumerate())
