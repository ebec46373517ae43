"""The bench measures what it says; here on a slab and small networks, where its figures mean nothing."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk
import torch
from torch import nn

from bench import heads, page, peers
from bench.on_paper import on_paper
from decnn.bench import arithmetic

ROOT = Path(__file__).resolve().parents[3]
ROW = {"peak_gflops": 9.0, "network_gflops": 8.0, "fraction_of_peak": 0.9, "seconds_per_head": 20.0}
SIZES = {"seconds": 30.0, "outside_network_seconds": 4.0, "peak_rss_gb": 0.9}


def test_the_command_measures_a_head(
    engine: Callable[..., subprocess.CompletedProcess[str]], slab: sitk.Image, tiny_model: Path, tmp_path: Path
) -> None:
    sitk.WriteImage(sitk.Cast(slab, sitk.sitkInt16), str(tmp_path / "mr.nrrd"))
    done = engine("bench", tmp_path / "mr.nrrd", "--model", tiny_model, "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert sum(facts["stage_seconds"].values()) == pytest.approx(facts["seconds_per_head"], abs=0.2)
    assert 0 < facts["outside_network_seconds"] < facts["seconds_per_head"]
    assert {"Finding the head", "Synthesizing sagittal view"} <= set(facts["stage_seconds"])
    row = facts["network"]["float32"]
    assert row["fraction_of_peak"] == pytest.approx(row["network_gflops"] / row["peak_gflops"], abs=0.01)
    assert 0.1 < facts["peak_rss_gb"] < 2 and facts["import_seconds"]["torch"] > 0


def test_a_head_that_the_engine_refuses_is_told(
    engine: Callable[..., subprocess.CompletedProcess[str]], tiny_model: Path, tmp_path: Path
) -> None:
    done = engine("bench", tmp_path / "none.nrrd", "--model", tiny_model, "--device", "cpu")
    assert done.returncode == 3 and "There is no file" in done.stderr


def test_work_is_counted_in_multiplications_and_additions() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ConvTranspose2d(3, 4, 2, stride=2))
    wanted = 2 * (2 * 3 * 9 * 20) + 2 * (3 * 4 * 4 * 20)
    assert arithmetic.gflop_of(network, torch.rand(1, 2, 4, 5)) == pytest.approx(wanted * 1e-9)


def test_a_peer_that_cannot_be_built_says_why_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def small() -> peers.Peer:
        slices = torch.rand(1, 1, 8, 8)
        return peers.Peer(nn.Conv2d(1, 1, 3), slices, lambda part, network: network(part), 10.0, "1 of 10 slices")

    def missing() -> peers.Peer:
        raise ImportError("No module named 'torchvision'")

    monkeypatch.setattr(peers, "PEERS", {peers._NNUNET: small, "other": missing})
    rows = peers.peers()
    assert rows["other"] == {"missing": "ImportError: No module named 'torchvision'"}
    plain, mirrored = rows[peers._NNUNET], rows[f"{peers._NNUNET}, mirrored"]
    assert mirrored["float32"]["seconds_per_head"] == pytest.approx(8 * plain["float32"]["seconds_per_head"])
    assert mirrored["scaled_from"] == "1 of 10 slices, 1 of 8 mirror images"


@pytest.mark.slow
def test_batches_are_timed_with_one_worker_and_with_two(
    slab: sitk.Image, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "_HEADS", 2)
    sitk.WriteImage(sitk.Cast(slab, sitk.sitkInt16), str(tmp_path / "mr.nrrd"))
    rates = heads.heads_an_hour(tmp_path / "mr.nrrd", tmp_path, "--model", str(tiny_model))
    assert set(rates) == {"1", "2"} and min(rates.values()) > 0
    for workers in rates:
        assert len(list((tmp_path / f"by{workers}").glob("*_sCT.nrrd"))) == 2


def test_many_heads_on_paper() -> None:
    paper = on_paper(36.0, {"1": 100.0, "2": 120.0}, {"mr": 8.0, "ct": 2.0})
    assert (paper["machine_hours"], paper["machine_hours_one_by_one"], paper["machines_for_a_day"]) == (833, 1000, 35)
    assert (paper["terabytes_read"], paper["terabytes_written"]) == (0.8, 0.2)
    assert paper["megabytes_a_second_of_all_for_a_day"] == 11.6


def test_the_page_takes_the_figures_between_its_comments(tmp_path: Path) -> None:
    result: dict[str, Any] = {
        **ROW,
        "head": {"name": "a head", "size": [1, 2, 3]},
        "device": "a processor",
        "threads": 2,
        "versions": {"torch": "2", "monai": "1.5", "python": "3"},
        "made": {"command": "python -m bench", "commit": "abc", "date": "2026-01-01"},
        "precision": "bfloat16",
        "outside_network_seconds": 4.0,
        "speedup_over_0_9_0": 2.5,
        "speedup_over_0_9_0_in_float32": 1.4,
        "speedup_over_0_9_0_on_avx2": 1.3,
        "speedup_over_float32": 1.8,
        "peak_rss_gb": 0.9,
        "heads": {
            "seconds_per_head": {"float32": 40.0},
            "peak_rss_gb": {"float32": 0.8},
            "stage_seconds": {"Done": 1.0},
        },
        "networks": {"ours": {"float32": ROW}},
        "peers": {"theirs": {"float32": {"seconds_per_head": 80.0}, "scaled_from": "a part"}, "x": {"missing": "a|b"}},
        "speedup_over_peers": {"theirs": 4.0},
        "tried": {"kept": {"milliseconds": 30.0, "change_hu": 0.5}, "y": {"missing": "no"}},
        "by_volume": {"2 litres": SIZES},
        "by_field": {"256^3 of 1 mm": SIZES},
        "heads_an_hour": {"1": 100.0, "2": 120.0},
        "on_paper": on_paper(36.0, {"1": 100.0, "2": 120.0}, {"mr": 8.0, "ct": 2.0}),
    }
    text = tmp_path / "page.md"
    text.write_text(f"before\n\n{page.BEGIN}\nold\n{page.END}\n\nafter\n")
    page.write(text, result)
    page.write(text, result)
    written = text.read_text()
    assert written.startswith("before\n\n<!-- bench") and written.endswith("<!-- /bench -->\n\nafter\n")
    assert "old" not in written and written.count("833 machine hours") == 1
    for row in (
        "| theirs | float32 | 80.0 |  | a part |",
        "| x |  | not measured |  | a/b |",
        "| y | not measured | no |",
    ):
        assert row in written


def test_the_docs_have_the_place_for_it() -> None:
    text = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1
