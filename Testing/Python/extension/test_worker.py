"""The engine as a child process: what it says arrives, and nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fake_engine
import host

host.start()

from MRtoCTLib.tasks.process import HAND_OUT_SECONDS, EngineProcess, engineCommand  # noqa: E402
from MRtoCTLib.tasks.workspace import Workspace, removeAbandoned  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


class Listener:
    """Starts a process and keeps what it says."""

    def __init__(self, command: list[str]) -> None:
        self.events: list[dict] = []
        self.log: list[str] = []
        self.process = EngineProcess(command, self.events.append, self.log.append)

    def poll_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.events, self.log)
            self.process.poll()
            time.sleep(0.01)

    def poll_to_the_end(self, seconds: float = 20.0) -> None:
        self.poll_until(self.process.poll, seconds)

    def child(self) -> int:
        """The PID of the process's own child, which it tells in its log."""
        self.poll_until(lambda: any(line.startswith("child") for line in self.log))
        return int(next(line for line in self.log if line.startswith("child")).split()[1])


def has_ended(pid: int) -> bool:
    """Whether that process ends within the moment that the system takes to carry a SIGKILL out."""
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            # A zombie has ended; whether it is buried depends on the container.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def start():
    listeners = []

    def start_one(role: str) -> Listener:
        listeners.append(Listener([*fake_engine.command(role), "synthesize"]))
        return listeners[-1]

    yield start_one
    for listener in listeners:
        listener.process.stop()


def test_endless_output_does_not_hold_the_application_up(start) -> None:
    flood = start("flood")
    flood.poll_until(lambda: len(flood.events) > 20_000)
    pauses = []
    for _ in range(20):
        began = time.monotonic()
        assert not flood.process.poll()
        pauses.append(time.monotonic() - began)
    assert sorted(pauses)[10] < 4 * HAND_OUT_SECONDS
    flood.process.cancel()
    flood.poll_to_the_end(5.0)


def test_events_and_log_are_told_apart(start) -> None:
    chatter = start("chatter")
    chatter.poll_to_the_end()
    assert chatter.events == [{"event": "progress", "fraction": 0.25, "stage": "Acting"}]
    assert sorted(chatter.log) == sorted(
        ["a library says: \u00fcber", "[1, 2]", "[" * 1000, '{"no": "event"}', "\ufffd broken", "on stderr"]
    )
    assert chatter.process.exitCode == 0


def test_exit_code_of_a_failure(start) -> None:
    failing = start("fail")
    failing.poll_to_the_end()
    assert failing.process.exitCode == 3
    assert failing.events[-1]["message"] == "The disk is full: free some space."


def test_cancel_asks_first(start) -> None:
    hanging = start("hang")
    hanging.poll_until(lambda: bool(hanging.events))
    hanging.process.cancel()
    hanging.poll_to_the_end()
    assert hanging.process.exitCode == -signal.SIGTERM  # it went when asked, and did not have to be killed


def test_cancel_kills_what_does_not_listen_and_its_children(start) -> None:
    stubborn = start("stubborn")
    child = stubborn.child()
    began = time.monotonic()
    stubborn.process.cancel()
    stubborn.poll_to_the_end()
    assert time.monotonic() - began < 2.0
    assert has_ended(child)


def test_a_child_does_not_outlive_its_launcher(start) -> None:
    orphan = start("orphan")
    child = orphan.child()
    orphan.poll_to_the_end()
    assert orphan.process.exitCode == 9
    assert has_ended(child)


def test_stop_waits_and_keeps_silent(start) -> None:
    stubborn = start("stubborn")
    child = stubborn.child()
    heard = len(stubborn.log)
    stubborn.process.stop()
    assert stubborn.process.poll()
    assert has_ended(child)
    assert len(stubborn.log) == heard


def test_the_real_engine_is_found_wherever_we_are(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    engine = Listener([*engineCommand(), "--version"])
    engine.poll_to_the_end(60)
    assert (engine.process.exitCode, engine.log) == (0, ["0.1.0"])


def test_workspace_is_private_and_goes() -> None:
    workspace = Workspace()
    (workspace.path / "mr.nrrd").write_text("a patient")
    assert workspace.path.stat().st_mode & 0o777 == 0o700
    workspace.remove()
    assert not workspace.path.exists()
    workspace.remove()


_OWNER = """
    import signal, sys, time
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started under
    import host; host.start()
    from MRtoCTLib.tasks.workspace import Workspace
    workspace = Workspace()
    (workspace.path / "mr.nrrd").write_text("a patient")
    print(workspace.path, flush=True)
    time.sleep(600)
"""


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGHUP])
def test_the_workspace_of_a_dead_owner_goes_at_the_next_start(tmp_path, monkeypatch, number) -> None:
    """However it died; and that of a living one stays, however old."""
    owner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_OWNER)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    folder = Path(owner.stdout.readline().strip())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    age(folder, 48 * 3600)
    removeAbandoned()
    assert (folder / "mr.nrrd").exists() and str(owner.pid) in folder.name
    owner.send_signal(number)
    owner.wait(10)
    if folder.exists():
        age(folder, 10)
        removeAbandoned()
    assert not folder.exists()


def test_the_folder_of_an_older_version_goes_a_day_later(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old = tmp_path / "MRtoCT-synthesis-abcdef"
    old.mkdir()
    removeAbandoned()
    assert old.exists()
    age(old, 25 * 3600)
    removeAbandoned()
    assert not old.exists()


def test_the_engine_removes_the_workspace_of_a_dead_owner(tmp_path) -> None:
    """Its pipe breaks, and nobody else may come for days."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "mr.nrrd").write_text("a patient")
    command = [*engineCommand(), "check", str(folder / "mr.nrrd"), "--progress", "json"]
    engine = subprocess.Popen(
        command,
        env={**os.environ, "MRTOCT_WORKSPACE": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT / "MRtoCT",
    )
    engine.stdout.close()
    engine.wait(60)
    assert not folder.exists()


def test_exit_leaves_nothing(tmp_path) -> None:
    """As when Slicer quits in the middle of a synthesis: Python ends without anybody having cleaned up."""
    program = """
        import sys, time, numpy as np
        import host; host.start()
        import slicer, fake_engine
        from decnn.options import Options
        from MRtoCTLib.tasks.synthesis import Synthesis
        mr = slicer.util.addVolumeFromArray(np.ones((4, 4, 4), np.float32), name="MR")
        log = []
        job = Synthesis(fake_engine.command("stubborn"), mr, None, Options(), onLog=log.append)
        while not any(line.startswith("child") for line in log):
            job.poll()
        print([line for line in log if line.startswith("child")][0].split()[1], job.workspace.path)
    """
    paths = [str(ROOT / "MRtoCT"), str(ROOT / "Testing"), str(ROOT / "Testing/Python/support")]
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    child, folder = ended.stdout.split()
    assert has_ended(int(child))
    assert not Path(folder).exists()
