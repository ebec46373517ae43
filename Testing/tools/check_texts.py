"""Checks the papers of the house: python Testing/tools/check_texts.py. Part of `make lint`.

README and training/README stay short, no sentence of README and docs is long, and every relative link leads somewhere.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_WORDS_IN_A_SENTENCE = 40
# file: (most lines, most words)
LIMITS = {"README.md": (120, 900), "training/README.md": (90, 900)}
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown text: no code, no tables' rules; a list item or a table's cell ends a sentence."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*>|#]|\d+\.)\s?)|\|", text)
    found = []
    for block in blocks:
        flat = re.sub(r"\s+", " ", re.sub(r"^[\s>*#-]+", "", block)).strip()
        found += [part for part in re.split(r"(?<=[.!?:;])\s+", flat) if part]
    return found


def faults(path: Path, name: str) -> list[str]:
    """What is wrong with a text, a line each."""
    text = path.read_text(encoding="utf-8")
    found = []
    if name in LIMITS:
        lines, words = text.count("\n"), len(text.split())
        if lines > LIMITS[name][0] or words > LIMITS[name][1]:
            found.append(f"{name}: {lines} lines and {words} words, at most {LIMITS[name][0]} and {LIMITS[name][1]}")
    for sentence in sentences(text):
        if len(sentence.split()) > MOST_WORDS_IN_A_SENTENCE:
            found.append(f"{name}: {len(sentence.split())} words in one sentence: {sentence[:80]}...")
    for target in _LINK.findall(text):
        if not re.match(r"\w+:", target) and not (path.parent / target).exists():
            found.append(f"{name}: the link {target} leads nowhere")
    return found


def main() -> int:
    """Prints the faults of all texts; 1 if there are any."""
    names = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "training/README.md"]
    names += [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))]
    found = [fault for name in names for fault in faults(ROOT / name, name)]
    print("\n".join(found) or f"{len(names)} texts are well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
