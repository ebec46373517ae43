"""A torch or a GPU that is there and does not work is told of by a sentence of its own; cpu asks no GPU."""

import errno
import os

import pytest
import torch

from decnn.devices import import_torch, list_devices, select_device
from decnn.errors import Finding, InputError, SetupError, explain


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nand more")


def test_a_torch_that_cannot_speak_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "numpy", lambda *_: (_ for _ in ()).throw(RuntimeError("Numpy is not available")))
    with pytest.raises(SetupError, match="cannot exchange numbers with this numpy") as error:
        import_torch()
    assert error.value.code == "torch"


def test_the_cpu_asks_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", fail)
    monkeypatch.setattr(torch.cuda, "device_count", fail)
    assert select_device("cpu").type == "cpu"


def test_a_gpu_that_is_listed_and_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", fail)
    assert [device["name"] for device in list_devices()] == ["cpu"]
    assert select_device("auto").type == "cpu"
    monkeypatch.setattr("decnn.devices.list_devices", lambda: [{"name": "cuda:0"}, {"name": "cpu"}])
    monkeypatch.setattr(torch, "zeros", lambda *_, device="cpu", **__: fail() if device != "cpu" else torch.ones(1))
    with pytest.raises(SetupError, match=r"listed but does not work \(CUDA error: an illegal") as error:
        select_device("cuda")
    assert error.value.code == "device" and "\n" not in str(error.value)


@pytest.mark.parametrize(("broken", "chosen"), [({"cuda:0"}, "cuda:1"), ({"cuda:0", "cuda:1"}, "cpu")])
def test_auto_leaves_a_gpu_alone_that_does_not_work(
    monkeypatch: pytest.MonkeyPatch, broken: set[str], chosen: str
) -> None:
    """Tried before anything depends on it: an error of CUDA lasts as long as the process."""
    listed = [{"name": f"cuda:{n}", "description": f"GPU {n}"} for n in (0, 1)]
    listed.append({"name": "cpu", "description": "CPU"})
    monkeypatch.setattr("decnn.devices.list_devices", lambda: listed)
    monkeypatch.setattr("decnn.devices.import_torch", lambda: torch)
    monkeypatch.setattr(torch, "zeros", lambda *_, device: fail() if device in broken else torch.ones(1))
    findings: list[Finding] = []
    assert str(select_device("auto", findings)) == chosen
    assert [finding.code for finding in findings] == ["gpu-failed"] * len(broken)
    assert "The GPU cuda:0 GPU 0 failed (CUDA error: an illegal memory access was encountered)" in findings[0].message


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/a/b"), SetupError, "file-system"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/a/b"), SetupError, "file-system"),
        (OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), "/a"), InputError, "bad-path"),
        (OSError("without a number"), SetupError, "file-system"),
        (MemoryError(), SetupError, "memory"),
        (RuntimeError("itk: Failed to allocate memory for image."), SetupError, "memory"),
        (ImportError("numpy.core.multiarray failed to import"), SetupError, "installation"),
    ],
)
def test_ordinary_faults_are_no_defects(failure: Exception, kind: type, code: str) -> None:
    told = explain(failure)
    assert isinstance(told, kind) and told.code == code
    assert str(told).endswith(".") and ": " in str(told) and "defect" not in str(told)
