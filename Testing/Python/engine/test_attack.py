"""Every hostile input of Testing/attack ends as it must. ``make attack`` tries the contents as well, and fuzzes."""

from collections import Counter
from pathlib import Path

import pytest

from attack import corpora, fuzz
from attack.case import run
from decnn.cli.guarded import Guard

LEAST = {
    "images": 250, "DICOM folders": 90, "multi-frame DICOM": 60, "contents": 40, "models": 170, "exports": 120,
    "outputs": 80, "faults": 60,
}  # fmt: skip
# A head takes a second to be judged: one of each of these kinds is.
SLOW = {"contents"}
KINDS_OF_CONTENTS = (
    "noise around the head, as of MP2RAGE", "padding of -1024 on all sides", "a head cut on six sides",
    "a CT times 0.37", "two heads that touch", "a brain with 12 mm around",
)  # fmt: skip


def test_the_corpora_are_as_large_as_they_were() -> None:
    assert set(corpora.ALL) == set(LEAST)
    counts = {name: sum(1 for _ in corpora.ALL[name](None)) for name in sorted(set(LEAST) - SLOW)}
    assert all(count >= LEAST[name] for name, count in counts.items()), counts


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("corpus", sorted(set(LEAST) - SLOW))
def test_nothing_hostile_gets_through_and_nothing_good_is_refused(corpus: str, tmp_path: Path) -> None:
    wrong = []
    for number, case in enumerate(corpora.ALL[corpus](None)):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcome = run(case, folder)
        if not outcome.right:
            wrong.append((case.kind, outcome.code, outcome.warnings, case.expected))
    assert wrong == []


@pytest.mark.filterwarnings("ignore")
def test_no_other_contents_pass_for_a_head(tmp_path: Path) -> None:
    first = {case.kind: case for case in reversed(list(corpora.ALL["contents"](None)))}
    outcomes = {kind: run(first[kind], tmp_path) for kind in KINDS_OF_CONTENTS}
    assert {kind: (o.code, o.warnings) for kind, o in outcomes.items() if not o.right} == {}


def test_damaged_files_cost_the_guard_nothing(tmp_path: Path) -> None:
    with Guard(limit_s=30) as guard:
        outcomes: Counter[str] = fuzz.fuzz(guard, tmp_path, seconds=3)
    assert sum(outcomes.values()) > 20 and outcomes["damaged"] and not outcomes["internal"], outcomes
