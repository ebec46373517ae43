"""Where the network can run: the CPU, NVIDIA GPUs, Apple GPUs; with their real names. torch is imported only on use."""

import os
import platform
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from decnn.errors import Finding, InputError, SetupError, warning

if TYPE_CHECKING:
    import torch

# As torch names them: of x86, x86 and ARM.
_BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
_NAME = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def check_device_name(name: str) -> str:
    """Returns ``name`` if it is auto, cpu, cuda, cuda:N or mps; raises InputError otherwise. Does not import torch."""
    if not _NAME.fullmatch(name):
        raise InputError(f"There is no device {name!r}: choose auto, cpu, cuda, cuda:0 (or another number) or mps.")
    return name


def import_torch() -> ModuleType:
    """The torch module; SetupError with the way to get it if it is missing or broken."""
    try:
        import torch
    except Exception as error:  # a broken installation may raise anything
        raise SetupError(
            f"PyTorch cannot be loaded ({error}): in 3D Slicer install the PyTorch extension and let it install torch, "
            "elsewhere run 'pip install torch'.",
            code="torch",
        ) from error
    try:
        torch.zeros(1).numpy()
    except Exception as error:
        raise SetupError(
            f"This torch ({getattr(torch, '__version__', 'of no version')}) cannot exchange numbers with this numpy "
            f"({error}): install versions that fit, such as numpy below 2 for torch 2.2.",
            code="torch",
        ) from error
    return torch


def select_device(name: str, findings: list[Finding] | None = None) -> "torch.device":
    """The torch device of that name; auto takes the first GPU that is there and works, else the CPU.

    Args:
        name: see ``check_device_name``.
        findings: takes what has to be told of a GPU that auto leaves alone.

    Raises:
        InputError: not a name of a device.
        SetupError: this machine, or this torch, does not have it.
    """
    check_device_name(name)
    torch = import_torch()
    if name == "cpu":
        return torch.device("cpu")  # and CUDA is not even asked
    there = list_devices()
    if name == "auto":
        for device in there:
            failure = _failure_of(device["name"])
            if not failure:
                return torch.device(device["name"])
            if findings is not None:
                findings.append(gpu_failed(f"{device['name']} {device['description']}", failure))
        return torch.device("cpu")
    wanted = "cuda:0" if name == "cuda" else name
    names = [device["name"] for device in there]
    if wanted not in names:
        raise SetupError(
            f"The device {name} is not there (this machine has {', '.join(names)}): choose another, or 'auto'.",
            code="device",
        )
    failure = _failure_of(wanted)
    if failure:
        raise SetupError(
            f"The device {name} is listed but does not work ({failure}): update its driver or PyTorch, or choose "
            "'cpu'.",
            code="device",
        )
    return torch.device(wanted)


def gpu_failed(name: str, failure: str) -> Finding:
    """What is told of a GPU that failed where the user left the choice to us."""
    return warning(
        "gpu-failed",
        f"The GPU {name} failed ({failure}), so the CPU did the work: the CT is the same, it took longer.",
    )


def _failure_of(name: str) -> str:
    """Why nothing can be computed on a device that is listed; "" if it can. An error in CUDA lasts for the process."""
    if name == "cpu":
        return ""
    torch = import_torch()
    try:
        torch.zeros(1, device=name).add(1).cpu()
    except RuntimeError as error:
        return first_line(error)
    return ""


def first_line(error: Exception) -> str:
    """Of what torch has to say of an error."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def list_devices() -> list[dict[str, Any]]:
    """Devices with name ("cuda:0"), description (the vendor's name) and memory_gb (None where it cannot be told)."""
    torch = import_torch()
    devices: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        try:
            devices.append(
                {
                    "name": f"cuda:{index}",
                    "description": torch.cuda.get_device_name(index),
                    "memory_gb": round(torch.cuda.get_device_properties(index).total_memory / 2**30, 1),
                }
            )
        except RuntimeError:
            continue  # it is listed, but does not answer: nothing can be computed on it
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "description": f"Apple GPU ({_cpu_name()})", "memory_gb": _memory_gb()})
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices.append({"name": "cpu", "description": f"{_cpu_name()}, {cores} cores", "memory_gb": _memory_gb()})
    return devices


def computes_in_bfloat16(kind: str) -> bool:
    """Whether a kind of device ("cpu", "cuda", "mps") has instructions for bfloat16; where it is emulated, it is slow.

    Asks the processor and no clock: one machine always gives one answer.
    """
    torch = import_torch()
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if kind != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # torch before 2.6
        return False
    return any(torch.cpu.get_capabilities().get(name, False) for name in _BFLOAT16_INSTRUCTIONS)


def describe(device: "torch.device") -> str:
    """ "cpu", or a GPU's name in torch followed by the vendor's, such as "cuda:0 NVIDIA H100"."""
    if device.type == "cpu":
        return "cpu"
    names = {known["name"]: known["description"] for known in list_devices()}
    return f"{device} {names.get(str(device), '')}".rstrip()


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
