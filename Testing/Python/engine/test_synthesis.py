"""An MR becomes a CT on the same grid, in every orientation and scale, on whatever device there is."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from decnn import runner, synthesis
from decnn.devices import gpu_failed
from decnn.errors import Cancelled, Finding, InputError, SetupError
from decnn.inference import for_inference
from decnn.intensity import SKIN_MARGIN_MM
from decnn.model import load_model
from decnn.network import DECNN
from decnn.options import Options
from decnn.sweep import Sweep
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


def test_made_for_inference_it_gives_the_same_faster(tiny_model: Path) -> None:
    network = load_model(tiny_model).network
    fast = for_inference(network)
    slices = torch.rand(2, 4, 31, 40)
    with torch.inference_mode():
        (final, tentative), (fast_final, fast_tentative) = network(slices), fast(slices)
    for exact, found in zip((final, *tentative), (fast_final, *fast_tentative), strict=True):
        assert torch.allclose(exact, found, atol=1e-5)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules()), "the model itself is untouched"
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


@pytest.mark.parametrize("stem", [{"dilations": (1, 2)}, {"dilations": (), "pyramid": (5, 6)}, {"dilations": ()}])
@pytest.mark.parametrize("blocks", [0, 2])
def test_in_bfloat16_it_stays_near_and_the_model_stays_float32(stem: dict, blocks: int) -> None:
    torch.manual_seed(1)
    network = DECNN(in_channels=3, features=6, blocks=blocks, **stem).eval() if stem != {"dilations": ()} else None
    network = network or DECNN(in_channels=3, features=3, blocks=blocks, dilations=()).eval()
    slices = torch.rand(1, 3, 20, 24)
    with torch.inference_mode():
        exact, rounded = network(slices)[0], for_inference(network, torch.bfloat16)(slices)[0]
    assert rounded.dtype is torch.float32 and 0 < (exact - rounded).abs().max() < 0.02
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}


class Rounding(runner.Runner):
    """A runner whose "bfloat16" is off by so many HU in every hundredth voxel."""

    def __init__(self, off_hu: float) -> None:
        self.findings: list[Finding] = []
        options = Options(device="cpu", precision="bfloat16")
        super().__init__(DECNN(), torch.device("cpu"), options, 1000.0, self.findings)
        self.off = off_hu / 1000.0

    def _forward(self, slices: np.ndarray) -> tuple[np.ndarray, None]:
        ct = slices[:, 0].copy()
        ct.reshape(-1)[::100] += self.off * (self.dtype is torch.bfloat16)
        return ct, None


@pytest.mark.parametrize(("off_hu", "precision"), [(9.0, "bfloat16"), (17.0, "bfloat16"), (18.0, "float32")])
def test_bfloat16_is_left_where_it_would_change_the_ct(off_hu: float, precision: str) -> None:
    """10 HU in the mean of three views, whose errors are independent, are 17.3 HU in each."""
    tried = Rounding(off_hu)
    tried.choose_precision([np.zeros((1, 1, 30, 40), np.float32)] * 3)
    assert tried.precision == precision
    assert [finding.code for finding in tried.findings] == ([] if precision == "bfloat16" else ["precision"])


def test_the_precision_that_was_asked_for_is_told(slab: sitk.Image, mirror_model: Path) -> None:
    model = load_model(mirror_model)
    results = [synthesize(slab, model, Options(device="cpu", precision=p)) for p in ("float32", "bfloat16")]
    assert [result.precision for result in results] == ["float32", "bfloat16"]
    difference = np.abs(np.subtract(*(sitk.GetArrayFromImage(result.image).astype(float) for result in results)))
    assert np.mean(difference <= 10) >= 0.999


def test_views_are_fused_by_mean_or_median() -> None:
    views, spec = [np.full((2, 2, 2), value, np.float32) for value in (1.0, 2.0, 6.0)], {"views": ["a", "c", "s"]}
    assert (synthesis._fused([view.copy() for view in views], {**spec, "fusion": "median"}) == 2).all()
    assert (synthesis._fused([sum(views)], {**spec, "fusion": "mean"}) == 3).all()
    assert (synthesis._fused(views, {**spec, "fusion": "mean"}) == 3).all()


class SmallGpu(runner.Runner):
    """A runner on a GPU that can hold ``room`` slices, or breaks; the arithmetic is done on the CPU."""

    def __init__(self, room: int, may_leave_gpu: bool, error: Exception | None = None) -> None:
        options = Options(device="auto" if may_leave_gpu else "cuda", precision="float32")
        super().__init__(DECNN(), torch.device("cuda"), options, 1000.0, findings=[])
        self.room = room
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")
        self.tried: list[tuple[str, int]] = []
        self._measured = True  # there is no memory to ask for

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


ASKING = ("is_available", "device_count", "get_device_name", "get_device_properties", "is_bf16_supported")


def test_after_a_failure_nothing_asks_the_gpu_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of CUDA may last as long as the process: whatever asks the GPU then fails, too."""

    def forward(self: runner.Runner, slices: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if self.device.type == "cuda":
            for name in ASKING:
                monkeypatch.setattr(torch.cuda, name, refuse)
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return real(self, slices)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the GPU was asked")

    real = runner.Runner._forward
    network = DECNN()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    options = Options(device="auto", precision="float32")
    monkeypatch.setattr(runner.Runner, "_forward", forward)
    run = runner.Runner(network, torch.device("cuda"), options, 1000.0, findings=[])
    channels = network.in_channels
    slices = np.random.default_rng(1).normal(0, 1, (3, channels, 16, 12)).astype(np.float32)
    ct, _variance = run.run(slices)
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(slices[:1]))[0][:, 0].numpy()
    np.testing.assert_allclose(ct, expected, atol=1e-4)
    assert [finding.code for finding in run._findings] == ["gpu-failed"] and run.device.type == "cpu"
    # The network that was loaded stays on the CPU, whatever happens to its copy.
    for name, value in network.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, before[name])


def test_the_ct_is_written_as_far_as_its_margin_around_the_head(
    mirror_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the head reaches to the edges of the box that the network is given."""
    monkeypatch.setattr(
        runner.Runner, "_forward", lambda self, slices: (np.full_like(slices[:, 0], 0.5), None)
    )  # 500 HU everywhere
    mr, labels = phantom_head()
    ct = sitk.GetArrayFromImage(synthesize(mr, load_model(mirror_model), Options(device="cpu")).image)
    outside = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(labels > 0, squaredDistance=False, useImageSpacing=True)
    )
    assert (ct[outside <= SKIN_MARGIN_MM - 2.0] == 500).all()  # the mask is rounded
    assert (ct[outside > SKIN_MARGIN_MM + 4.0] == -1000).all()  # and a voxel has 3 mm


def test_a_synthesis_asks_for_its_device_once(
    slab: sitk.Image, mirror_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that failed the first time is told of, and not asked a second time."""
    asked = []

    def ask(name: str, findings: list[Finding]) -> torch.device:
        asked.append(name)
        findings.append(gpu_failed("cuda:0", "it broke"))
        return torch.device("cpu")

    monkeypatch.setattr("decnn.synthesis.select_device", ask)
    result = synthesize(slab, load_model(mirror_model), Options(device="auto"))
    assert asked == ["auto"] and "gpu-failed" in [finding.code for finding in result.findings]


def test_a_batch_is_what_fits_into_half_of_the_free_memory() -> None:
    assert [runner.fitting(free, 10, 16) for free in (0, 39, 40, 100, 1000)] == [1, 1, 2, 5, 16]
    assert runner.fitting(100, 0, 16) == 16


@pytest.mark.parametrize("batch", [3, 16, 40])
@pytest.mark.parametrize("view", ["axial", "sagittal"])
def test_batches_give_what_single_slices_give(tiny_model: Path, batch: int, view: str) -> None:
    network = load_model(tiny_model).network
    head = np.random.default_rng(0).random((37, 41, 43), np.float32)
    wanted = np.zeros(head.shape, bool)
    wanted[1:-1, 2:-2, 3:-3] = True
    found = []
    for size in (1, batch):
        one = runner.Runner(network, torch.device("cpu"), Options(device="cpu", precision="float32"), 1000.0, [])
        one.batch = size
        found.append(np.zeros(head.shape, np.float32))
        done: list[float] = []
        Sweep(head, head, wanted, neighbours=3).run(view, one, found[-1], step=done.append)
        assert done == sorted(done) and done[-1] == 1
    assert np.allclose(*found, atol=1e-5) and found[0].any()


def test_a_failure_on_the_cpu_is_not_tried_forever() -> None:
    gpu = SmallGpu(room=0, may_leave_gpu=True)
    gpu.device = torch.device("cpu")
    with pytest.raises(SetupError, match="failed on the CPU"):
        gpu._fall_back(RuntimeError("can't allocate memory"))
