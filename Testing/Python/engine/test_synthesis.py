"""An MR becomes a CT on the same grid, in every orientation and scale, on whatever device there is."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from decnn import runner, synthesis
from decnn.errors import Cancelled, Finding, InputError, SetupError
from decnn.model import load_model
from decnn.options import Options
from decnn.runner import without_batch_norm
from decnn.synthesis import SynthesisResult, synthesize
from phantom import phantom_head


@pytest.fixture(scope="module")
def mirrored(slab: sitk.Image, mirror_model: Path) -> SynthesisResult:
    return synthesize(slab, load_model(mirror_model), Options(device="cpu"))


def test_the_ct_is_in_hu_on_the_grid_of_the_mr_with_air_around(slab: sitk.Image, mirrored: SynthesisResult) -> None:
    ct = mirrored.image
    assert ct.GetPixelID() == sitk.sitkInt16
    for what in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(ct, what)() == getattr(slab, what)()
    array = sitk.GetArrayFromImage(ct)
    assert array.min() >= -1024 and array.max() <= 3071
    assert (array[:, :5, :5] == -1000).all(), "a corner of the field of view, far from the head"
    assert mirrored.device == "cpu"
    assert [finding.code for finding in mirrored.findings] == ["field-of-view", "cut"]


def test_an_oblique_sagittal_anisotropic_flipped_mr_is_mirrored_in_place(mirror_model: Path) -> None:
    """The model returns the MR itself: were any of the three views turned, moved or flipped, it would not fit."""
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(0.2, -0.15, 0.3)
    sagittal = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    direction = (np.array(rotation.GetMatrix()).reshape(3, 3) @ sagittal).ravel()
    mr, labels = phantom_head((110, 120, 18), (2.0, 1.8, 4.0), tuple(direction), origin=(311.5, -77.25, 1234.0))
    result = synthesize(mr, load_model(mirror_model), Options(device="cpu"))
    assert result.image.GetDirection() == mr.GetDirection() and result.image.GetOrigin() == mr.GetOrigin()
    head = sitk.GetArrayFromImage(labels) > 0
    signal, ct = sitk.GetArrayFromImage(mr), sitk.GetArrayFromImage(result.image)

    def fit(shifted: np.ndarray) -> float:
        return float(np.corrcoef(signal[head], shifted[head])[0, 1])

    assert fit(ct) > 0.97
    for axis in range(3):
        assert max(fit(np.roll(ct, step, axis)) for step in (-1, 1)) < fit(ct) - 0.02
    slope, offset = np.polyfit(signal[head], ct[head], 1)
    assert offset == pytest.approx(-1000, abs=60), "no signal is air"
    assert slope * 400 == pytest.approx(1000, abs=150), "white matter is the median of the head"


def test_the_scale_of_the_mr_does_not_matter(slab: sitk.Image, mirror_model: Path, mirrored: SynthesisResult) -> None:
    z_score = (slab - 150.0) / 130.0
    again = sitk.GetArrayFromImage(synthesize(z_score, load_model(mirror_model), Options(device="cpu")).image).astype(
        float
    )
    assert np.abs(again - sitk.GetArrayFromImage(mirrored.image)).mean() < 5


def test_progress_never_goes_back_and_findings_of_the_caller_are_kept(slab: sitk.Image, tiny_model: Path) -> None:
    seen: list[tuple[float, str]] = []
    known = [Finding("warning", "known", "Known already.")]
    result = synthesize(
        slab,
        load_model(tiny_model),
        Options(device="cpu"),
        report=lambda fraction, stage: seen.append((fraction, stage)),
        checked=known,
    )
    assert result.findings[:1] == known
    assert [finding.code for finding in result.findings[1:]] == ["cut"]
    fractions = [fraction for fraction, _ in seen]
    assert np.diff(fractions).min() > -1e-12 and fractions[0] < 0.05 and fractions[-1] == 1
    stages = list(dict.fromkeys(stage for _, stage in seen))
    assert [stage for stage in stages if "view" in stage] == [
        "Synthesizing axial view",
        "Synthesizing coronal view",
        "Synthesizing sagittal view",
    ]


@pytest.mark.parametrize("steps", [0, 3, 50])
def test_cancel_is_heard_at_every_step(slab: sitk.Image, mirror_model: Path, steps: int) -> None:
    asked = []

    def should_cancel() -> bool:
        asked.append(None)
        return len(asked) > steps

    with pytest.raises(Cancelled):
        synthesize(slab, load_model(mirror_model), Options(device="cpu"), should_cancel=should_cancel)
    assert len(asked) == steps + 1


def test_a_bad_input_and_a_bad_device_are_refused_here_too(slab: sitk.Image, mirror_model: Path) -> None:
    model = load_model(mirror_model)
    with pytest.raises(InputError, match="at least 16"):
        synthesize(slab[:, :, :10], model)
    with pytest.raises(InputError, match="no device 'gpu'"):
        synthesize(slab, model, Options(device="gpu"))
    with pytest.raises(SetupError, match="cuda:99 is not there"):
        synthesize(slab, model, Options(device="cuda:99"))


def test_noise_with_the_coherence_of_tissue_is_no_head(mirror_model: Path) -> None:
    noise = np.random.default_rng(0).normal(100, 30, (40, 40, 40)).astype(np.float32)
    image = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(noise), 2.0)
    image.SetSpacing((3, 3, 3))
    with pytest.raises(InputError, match="head"):
        synthesize(image, load_model(mirror_model), Options(device="cpu"))


def test_a_network_that_gives_no_numbers_is_reported(slab: sitk.Image, mirror_model: Path) -> None:
    model = load_model(mirror_model)
    with torch.no_grad():
        model.network.final.bias.fill_(float("nan"))
    with pytest.raises(SetupError, match="gave no numbers"):
        synthesize(slab, model, Options(device="cpu"))


def test_folding_the_batch_norm_changes_nothing_but_the_speed(tiny_model: Path) -> None:
    network = load_model(tiny_model).network
    folded = without_batch_norm(network)
    slices = torch.rand(2, 4, 31, 40)
    with torch.inference_mode():
        assert torch.allclose(network(slices)[0], folded(slices)[0], atol=1e-5)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules()), "the model itself is untouched"
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


def test_views_are_fused_by_mean_or_median() -> None:
    views = [np.full((2, 2, 2), value, np.float32) for value in (1.0, 2.0, 6.0)]
    assert (synthesis._fused([view.copy() for view in views], "median") == 2).all()
    assert (synthesis._fused(views, "mean") == 3).all()


class SmallGpu(runner.Runner):
    """A runner on a GPU that can hold ``room`` slices, or breaks; the arithmetic is done on the CPU."""

    def __init__(self, room: int, may_leave_gpu: bool, error: Exception | None = None) -> None:
        super().__init__(nn.Identity(), torch.device("cuda"), may_leave_gpu, findings=[])
        self.room = room
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
        self.tried: list[tuple[str, int]] = []

    def _forward(self, slices: np.ndarray) -> tuple[np.ndarray, None]:
        self.tried.append((self.device.type, len(slices)))
        if self.device.type == "cuda" and len(slices) > self.room:
            raise self.error
        return slices[:, 0], None


SLICES = np.arange(16, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 4, 5), np.float32)


def test_a_gpu_with_little_memory_gets_smaller_batches() -> None:
    gpu = SmallGpu(room=4, may_leave_gpu=True)
    assert (gpu.run(SLICES)[0] == SLICES[:4, 0]).all()
    assert gpu.tried == [("cuda", 16), ("cuda", 8), ("cuda", 4)]
    assert (gpu.batch, gpu.device.type, gpu._findings) == (4, "cuda", [])


@pytest.mark.parametrize("may_leave_gpu", [True, False])
def test_a_gpu_without_room_for_one_slice_leaves_the_work_to_the_cpu_and_says_so(may_leave_gpu: bool) -> None:
    gpu = SmallGpu(room=0, may_leave_gpu=may_leave_gpu)
    assert (gpu.run(SLICES)[0] == SLICES[:1, 0]).all()
    assert gpu.device.type == "cpu"
    (finding,) = gpu._findings
    assert (finding.severity, finding.code) == ("warning", "gpu-memory")


def test_a_gpu_that_fails_is_left_only_if_the_choice_was_ours() -> None:
    broken = RuntimeError("CUDA error: no kernel image is available for execution on the device\nand more")
    gpu = SmallGpu(room=0, may_leave_gpu=True, error=broken)
    gpu.run(SLICES)
    assert [finding.code for finding in gpu._findings] == ["gpu-failed"]
    with pytest.raises(SetupError, match="no kernel image is available .*: choose another, or 'cpu'"):
        SmallGpu(room=0, may_leave_gpu=False, error=broken).run(SLICES)


def test_a_failure_on_the_cpu_is_not_tried_forever() -> None:
    gpu = SmallGpu(room=0, may_leave_gpu=True)
    gpu.device = torch.device("cpu")
    with pytest.raises(SetupError, match="failed on the CPU"):
        gpu._fall_back(RuntimeError("can't allocate memory"))
