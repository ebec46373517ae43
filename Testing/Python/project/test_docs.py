"""The texts' commands can be parsed, the quick ones run, and the scripts use what is there."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import check_texts
from decnn.__main__ import _parser as engine_parser

ROOT = Path(__file__).resolve().parents[3]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
QUICK = {"info"}


def blocks(language: str) -> list[tuple[str, str]]:
    found = []
    for path in TEXTS:
        for block in re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M):
            found.append((path.name, block))
    return found


def commands() -> list[tuple[str, list[str]]]:
    """(text, words) of each engine command in the texts."""
    found = []
    for name, block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            for start in (["mrtoct"], ["python", "-m", "decnn"]):
                if words[: len(start)] == start:
                    found.append((name, words[len(start) :]))
    return found


@pytest.mark.parametrize(("name", "words"), commands(), ids=lambda value: " ".join(value) if value else "")
def test_a_command_of_the_texts_can_be_given(name: str, words: list[str]) -> None:
    engine_parser().parse_args(words)
    if words[0] in QUICK:
        subprocess.run([sys.executable, "-m", "decnn", *words], check=True, capture_output=True, timeout=60)


def test_there_are_commands() -> None:
    assert len(commands()) >= 10


def test_every_make_target_of_the_texts_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wanted = {target for _, block in blocks("sh") for target in re.findall(r"^make ([\w-]+)", block, re.M)}
    wanted |= {t for path in TEXTS for t in re.findall(r"`make ([\w-]+)`", path.read_text(encoding="utf-8"))}
    assert {"demo", "test"} <= wanted
    assert [target for target in sorted(wanted) if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_scripts_are_python_and_end() -> None:
    scripts = [block for _, block in blocks("python")]
    trees = [ast.parse(script) for script in scripts]
    assert any("sys.exit(" in script for script in scripts), "the script of docs/python.md ends Slicer"
    assert trees


def test_a_long_sentence_and_a_dead_link_are_found(tmp_path: Path) -> None:
    path = tmp_path / "text.md"
    path.write_text("Short one. " + "word " * 41 + "end.\n\nA [link](nowhere.md), a [page](https://example.org).\n")
    found = check_texts.faults(path, "text.md")
    assert len(found) == 2 and "42 words" in found[0] and "nowhere.md" in found[1]
    path.write_text("| " + "cell | " * 60 + "\n\n```sh\n" + "word " * 50 + "\n```\n")
    assert check_texts.faults(path, "text.md") == []
