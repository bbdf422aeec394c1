"""The same call table under hz3 and under the system malloc: outcomes must agree.

`allowed_differences.toml` lists, with reasons, where they may differ. An entry that no row needs
any more fails the test, so the list stays what it says.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from conftest import Programs

ALLOWED = Path(__file__).with_name("allowed_differences.toml")
MIN_ROWS = 20_000
QUICK_REQUESTS = 3_000_000
SLOW_REQUESTS = 13_000_000


@dataclass(frozen=True)
class Allowed:
    """One reviewed difference: the row's call, what libc answers, what hz3 answers, and why."""

    call: re.Pattern[str]
    libc: re.Pattern[str]
    hz3: re.Pattern[str]
    reason: str

    def covers(self, call: str, libc: str, hz3: str) -> bool:
        """Tell whether this entry explains a differing row."""
        patterns = ((self.call, call), (self.libc, libc), (self.hz3, hz3))
        return all(pattern.fullmatch(text) is not None for pattern, text in patterns)


def read_allowed() -> list[Allowed]:
    entries = tomllib.loads(ALLOWED.read_text(encoding="utf-8"))["difference"]
    return [
        Allowed(re.compile(e["call"]), re.compile(e["libc"]), re.compile(e["hz3"]), e["reason"])
        for e in entries
    ]


def read_rows(text: str) -> list[tuple[str, str]]:
    pairs = (line.partition(" -> ") for line in text.splitlines())
    return [(call, outcome) for call, _, outcome in pairs]


@pytest.mark.usefixtures("hz3_only")
def test_outcomes_agree_with_libc(programs: Programs) -> None:
    compare_with_libc(programs)


def test_outcomes_of_the_checked_build_agree_with_libc(checked_programs: Programs) -> None:
    compare_with_libc(checked_programs)


def compare_with_libc(programs: Programs) -> None:
    ours = read_rows(programs.run("api_table", timeout_s=200).expect_success().out)
    theirs = read_rows(programs.run_plain("api_table", timeout_s=200).expect_success().out)
    assert len(theirs) >= MIN_ROWS
    assert [call for call, _ in ours] == [call for call, _ in theirs]
    allowed = read_allowed()
    used: set[int] = set()
    differences = []
    for (call, hz3), (_, libc) in zip(ours, theirs, strict=True):
        if hz3 == libc:
            continue
        entry = next((i for i, a in enumerate(allowed) if a.covers(call, libc, hz3)), None)
        if entry is None:
            differences.append(f"{call}\n  libc: {libc}\n  hz3:  {hz3}")
        else:
            used.add(entry)
    shown = "\n".join(differences[:20])
    assert not differences, f"{len(differences)} of {len(ours)} rows differ:\n{shown}"
    unused = [a.reason for i, a in enumerate(allowed) if i not in used]
    assert not unused, f"allowed differences that no row needs: {unused}"


@pytest.mark.usefixtures("hz3_only")
def test_no_row_breaks_a_promise(programs: Programs) -> None:
    """No comparison here: rows that are wrong whatever libc does."""
    rows = read_rows(programs.run("api_table", timeout_s=200).expect_success().out)
    broken = re.compile(r"aligned=0|usable=0|holds=0|content=0|old=0|zeroed=0|kept=0|good=0")
    wrong = [f"{call} -> {outcome}" for call, outcome in rows if broken.search(outcome)]
    assert wrong == []


@pytest.mark.parametrize(
    "requests",
    [QUICK_REQUESTS, pytest.param(SLOW_REQUESTS, marks=pytest.mark.slow)],
)
def test_absurd_sizes_are_refused(programs: Programs, requests: int) -> None:
    outcome = programs.run("absurd_sizes", "--requests", requests, timeout_s=120)
    refused = int(outcome.expect_success().out.splitlines()[-1].split()[0])
    assert refused >= requests
    assert outcome.seconds < 60
