"""A model on disk: what is loaded is what was saved, and anything else is refused."""

import json
import shutil

import pytest
import torch

from decnn.errors import InputError, SetupError
from decnn.model import load_model, save_model
from decnn.network import DECNN, build_network


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A copy of the tiny model that a test may spoil."""
    return shutil.copytree(tiny_model, tmp_path / "test-model")


def edit(folder, **changes):
    spec = json.loads((folder / "model.json").read_text())
    for path, value in changes.items():
        section, _, key = path.partition("__")
        if key:
            spec[section][key] = value
        else:
            spec[section] = value
    (folder / "model.json").write_text(json.dumps(spec))


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_every_block_gives_a_tentative_ct_and_size_is_kept(blocks):
    network = DECNN(in_channels=3, features=6, blocks=blocks, dilations=(1, 2, 4))
    final, tentative = network(torch.zeros(2, 3, 17, 22))
    assert final.shape == (2, 1, 17, 22) and [ct.shape for ct in tentative] == [final.shape] * blocks


def test_the_papers_network_has_the_size_that_is_known_of_it():
    """facts: one input channel, F = 64: 223,938 / 373,956 / 523,974 parameters for N = 1 / 3 / 5."""
    sizes = [sum(p.numel() for p in DECNN(blocks=blocks).parameters()) for blocks in (1, 3, 5)]
    assert sizes == [223_938, 373_956, 523_974]


@pytest.mark.parametrize("shape", [(40, 48), (37, 51), (5, 3)])
def test_a_pyramid_keeps_the_size_of_any_slice_and_sees_all_of_it(shape):
    torch.manual_seed(0)
    network = DECNN(2, 4, blocks=1, dilations=(), pyramid=(5, 6, 7)).eval()
    slices = torch.rand(1, 2, *shape, requires_grad=True)
    final, (tentative,) = network(slices)
    assert final.shape == tentative.shape == (1, 1, *shape)
    final[0, 0, 0, 0].backward()
    # The paper's head would see the nearest 5 mm of a slice, and the block behind it 3 more.
    assert slices.grad[0, :, min(shape[0], 20) - 1, min(shape[1], 20) - 1].abs().sum() > 0


def test_networks_are_built_by_name():
    network = build_network("DECNN", {"in_channels": 2, "features": 3, "blocks": 1})
    assert isinstance(network, DECNN) and (network.in_channels, network.stages) == (2, 1)
    with pytest.raises(InputError, match="choose one of DECNN"):
        build_network("ResNet", {})
    with pytest.raises(InputError, match="cannot be built"):
        build_network("DECNN", {"features": 0})


def test_a_stem_is_plain_or_a_pyramid():
    with pytest.raises(ValueError, match="either"):
        DECNN(1, 4, dilations=(1,), pyramid=(8,))


def test_the_embedding_reaches_the_final_ct():
    torch.manual_seed(0)
    network = DECNN(features=4, blocks=2).eval()
    slices = torch.rand(1, 1, 12, 12)
    before, _ = network(slices)
    with torch.no_grad():
        network.blocks[0].tentative.bias += 1.0
    after, _ = network(slices)
    assert not torch.allclose(before, after)


def test_a_saved_model_comes_back_as_it_was(folder, tmp_path):
    model = load_model(folder)
    assert not model.network.training and model.name == "test-model"
    again = load_model(save_model(tmp_path / "again", model.network, model.spec))
    assert again.name == "again", "a model is called as its folder"
    slices = torch.rand(1, 4, 9, 9)
    assert torch.equal(model.network(slices)[0], again.network(slices)[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"views": ["axial", "oblique"]}, "unknown views"),
        ({"views": []}, "no views"),
        ({"fusion": "vote"}, "unknown fusion"),
        ({"input__neighbours": 5}, "input channels"),
        ({"output": {}}, "scale_hu"),
        ({"output__scale_hu": 0}, "not positive"),
        ({"network": {"name": "DECNN", "arguments": {"colour": "red"}}}, "colour"),
        ({"network": {"name": "ResNet", "arguments": {}}}, "no network 'ResNet'"),
        ({"name": "another"}, "calls itself another"),
    ],
)
def test_a_description_that_cannot_be_followed_is_refused(folder, change, reason):
    edit(folder, **change)
    with pytest.raises(SetupError, match=reason):
        load_model(folder)


def test_weights_that_are_not_the_described_ones_are_refused(folder):
    weights = folder / "weights.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(SetupError, match="changed"):
        load_model(folder)
    weights.unlink()
    with pytest.raises(SetupError, match="missing"):
        load_model(folder)
    with pytest.raises(InputError, match="no model"):
        load_model(folder.parent)


def test_weights_are_data_and_no_code(folder):
    """A pickle that would call something is not loaded, even with its SHA-256 in model.json."""
    from decnn.model import sha256

    class Call:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"head": Call()}, folder / "weights.pt")
    edit(folder, weights__sha256=sha256(folder / "weights.pt"))
    with pytest.raises(SetupError, match="do not fit"):
        load_model(folder)
