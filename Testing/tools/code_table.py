"""Writes the table of decnn.codes into docs/troubleshooting.md, behind its last heading."""

from pathlib import Path

from decnn.codes import table

TEXT = Path(__file__).resolve().parents[2] / "docs" / "troubleshooting.md"
HEADING = "## By code\n"


def written() -> str:
    """The text with today's table."""
    before, _, _ = TEXT.read_text(encoding="utf-8").partition(HEADING)
    return f"{before}{HEADING}\n{table()}\n"


if __name__ == "__main__":
    TEXT.write_text(written(), encoding="utf-8")
