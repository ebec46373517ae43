"""The figures of a run as Markdown, and the block of docs/performance.md that takes them."""

from pathlib import Path
from typing import Any

from bench import on_paper

BEGIN, END = "<!-- bench: made by `make bench`, do not edit -->", "<!-- /bench -->"


def write(page: Path, result: dict[str, Any]) -> None:
    """Puts the figures between the two comments of a text."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{markdown(result)}\n{END}{after}", encoding="utf-8")


def markdown(result: dict[str, Any]) -> str:
    head = result["head"]
    parts = [
        f"Head: {head['name']}, {_times(head['size'])} voxels of 1 mm. Machine: {result['device']}, "
        f"{result['threads']} threads. {_versions(result['versions'])}. Commit {result['made']['commit']}, "
        f"{result['made']['date']}.",
        _summary(result),
        "### From command to file\n\n" + _heads(result),
        "### Networks, alone\n\n" + _networks(result),
        "### The bundled network by other ways\n\n" + _tried(result["tried"]),
        "### Larger heads and fields of view\n\n" + _sizes({**result["by_volume"], **result["by_field"]}),
        "### Many heads\n\n" + _many(result),
    ]
    return "\n\n".join(parts)


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if name not in ("decnn", "python"))


def _summary(result: dict[str, Any]) -> str:
    lines = [
        f"- {result['seconds_per_head']} s a head in {result['precision']}, of them "
        f"{result['outside_network_seconds']} s outside of the network.",
        f"- {result['speedup_over_0_9_0']} times as fast as 0.9.0, {result['speedup_over_0_9_0_in_float32']} times in "
        f"float32, {result['speedup_over_0_9_0_on_avx2']} times where a processor has AVX2 alone.",
        f"- bfloat16 is {result['speedup_over_float32']} times as fast as float32.",
        f"- The network reaches {result['network_gflops']} GFLOP/s, {result['fraction_of_peak']:.0%} of the "
        f"{result['peak_gflops']} of one convolution.",
    ]
    if result["peak_rss_gb"] is not None:
        lines.append(f"- {result['peak_rss_gb']} GB of memory at most for 256 x 256 x 256 voxels.")
    return "\n".join(lines)


def _heads(result: dict[str, Any]) -> str:
    heads = result["heads"]
    rows = [(name, seconds, heads["peak_rss_gb"].get(name)) for name, seconds in heads["seconds_per_head"].items()]
    stages = [(stage, seconds) for stage, seconds in heads["stage_seconds"].items()]
    return f"{_table(('engine', 's', 'GB'), rows)}\n\n{_table(('stage, in ' + result['precision'], 's'), stages)}"


def _networks(result: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = []
    faster = result["speedup_over_peers"]
    for name, row in {**result["networks"], **result["peers"]}.items():
        for precision in ("float32", "bfloat16"):
            if precision in row:
                cell = row[precision]
                gflops = cell.get("network_gflops", "")
                rows.append((name, precision, cell["seconds_per_head"], gflops, row.get("scaled_from", "")))
        if "missing" in row:
            rows.append((name, "", "not measured", "", row["missing"].replace("|", "/")))
    times = [(name, times) for name, times in faster.items()]
    head = ("network", "precision", "s a head", "GFLOP/s", "timed on")
    against = ("each in its faster precision", "takes so many times as long as the bundled one")
    return f"{_table(head, rows)}\n\n{_table(against, times)}"


def _tried(tried: dict[str, dict[str, Any]]) -> str:
    rows = [
        (name, row["milliseconds"], row["change_hu"])
        if "milliseconds" in row
        else (name, "not measured", row["missing"].replace("|", "/"))
        for name, row in tried.items()
    ]
    return _table(("way", "ms a slice", "mean change of the CT, HU"), rows)


def _sizes(rows: dict[str, dict[str, Any]]) -> str:
    head = ("head, or field of view", "s", "of them outside of the network", "GB")
    cells = [(name, row["seconds"], row["outside_network_seconds"], row["peak_rss_gb"]) for name, row in rows.items()]
    return _table(head, cells)


def _many(result: dict[str, Any]) -> str:
    rates = _table(("workers on this machine", "heads an hour"), list(result["heads_an_hour"].items()))
    return f"{rates}\n\n100,000 such heads on such machines, worked out from these figures:\n\n" + on_paper.in_words(
        result["on_paper"]
    )


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join("-" if cell is None else str(cell) for cell in line) + " |" for line in lines)


def _times(size: list[int]) -> str:
    return " x ".join(map(str, size))
