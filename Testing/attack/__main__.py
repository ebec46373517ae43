"""Tries every hostile input, and prints what became of it: python -m attack [--budget SECONDS] [--corpus NAME]

Exit code 1 if anything did not end as it must.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from attack import corpora, fuzz
from attack.case import Case, Outcome, run
from decnn.cli.guarded import Guard


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--budget", type=float, default=1200.0, help="seconds for all corpora, and as much again to fuzz"
    )
    parser.add_argument(
        "--corpus", choices=sorted(corpora.ALL), action="append", help="only this one (can be repeated)"
    )
    parser.add_argument("--fuzz", type=float, default=None, help="seconds for the fuzzer, if not those of --budget")
    parser.add_argument("--verbose", action="store_true", help="print each case that ended otherwise than it must")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="also write the outcomes behind the last heading of it"
    )
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.budget
    outcomes: list[Outcome] = []
    left_out = 0
    with Guard(limit_s=60) as guard, tempfile.TemporaryDirectory(prefix="attack-") as folder:
        cases = list(itertools.chain(*(corpora.ALL[name](guard) for name in arguments.corpus or sorted(corpora.ALL))))
        for number, case in enumerate(_interleaved(cases)):
            if time.monotonic() > end:
                left_out = len(cases) - number
                break
            place = Path(folder) / str(number)
            place.mkdir()
            outcomes.append(run(case, place))
            if arguments.verbose and not outcomes[-1].right:
                last = outcomes[-1]
                print(f"WRONG {case.corpus}: {case.kind}: {last.code} {last.warnings}, not {case.expected}", flush=True)
        print(_table(outcomes))
        if arguments.write:
            _write(arguments.write, outcomes)
        if left_out:
            print(f"\n{left_out} cases were left out for want of time (--budget).")
        seconds = arguments.budget if arguments.fuzz is None else arguments.fuzz
        if seconds > 0:
            print(f"\n{fuzz.report(fuzz.fuzz(guard, Path(folder), seconds))}")
    return 0 if all(outcome.right for outcome in outcomes) else 1


def _interleaved(cases: list[Case]) -> Iterator[Case]:
    """One of each corpus in turn, so that a short budget sees all of them."""
    groups = defaultdict(list)
    for case in cases:
        groups[case.corpus].append(case)
    for several in itertools.zip_longest(*groups.values()):
        yield from (case for case in several if case is not None)


def _table(outcomes: list[Outcome]) -> str:
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.case.corpus, outcome.case.kind, outcome.case.expected].append(outcome)
    lines = ["| corpus | kind | cases | must be | was | wrong |", "|---|---|---|---|---|---|"]
    for (corpus, kind, expected), members in groups.items():
        was = Counter("+".join([o.code, *sorted(set(o.warnings))]) if o.warnings else o.code for o in members)
        words = ", ".join(f"{code} {count}" if len(was) > 1 else code for code, count in was.most_common())
        wrong = sum(not outcome.right for outcome in members) or ""
        lines.append(f"| {corpus} | {kind} | {len(members)} | {expected.replace('|', ' or ')} | {words} | {wrong} |")
    totals = Counter(outcome.case.corpus for outcome in outcomes)
    wrong = sum(not outcome.right for outcome in outcomes)
    lines.append("")
    lines.append(
        f"{len(outcomes)} cases ({', '.join(f'{name} {n}' for name, n in sorted(totals.items()))}), {wrong} wrong."
    )
    return "\n".join(lines)


def _write(path: Path, outcomes: list[Outcome]) -> None:
    """The outcomes in short, a row for each end that cases of a corpus met."""
    groups: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.case.corpus, outcome.code].append(outcome)
    lines = ["| corpus | outcome | cases | such as |", "|---|---|---|---|"]
    for (corpus, code), members in sorted(groups.items()):
        kinds = list(dict.fromkeys(outcome.case.kind for outcome in members))
        lines.append(f"| {corpus} | {code} | {len(members)} | {'; '.join(kinds[:: max(1, len(kinds) // 4)][:5])} |")
    wrong = sum(not outcome.right for outcome in outcomes)
    before, heading, after = path.read_text(encoding="utf-8").rpartition("\n## ")
    title = heading + after.partition("\n")[0]
    tail = "\n".join(lines)
    path.write_text(f"{before}{title}\n\n{len(outcomes)} cases, {wrong} wrong.\n\n{tail}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
