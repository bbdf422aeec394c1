"""Programs that break the rules: each must be stopped with one line that names cause and address.

One native program plays every shape of abuse; the tables below say which cause hz3 must name. A
bare crash does not count, and neither does going on.
"""

from __future__ import annotations

import itertools
import re
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Programs

pytestmark = pytest.mark.usefixtures("hz3_only")

NOT_STOPPED = 3
# Small, medium and run-sized blocks of spans; blocks of the large heap; own mappings.
SIZES = (40, 1000, 5000, 30_000, 200_000, 1_000_000, 40_000_000)
CALLS = ("free", "realloc", "delete", "aligned_delete")
DOUBLE = "double free|invalid free"  # once its pages went elsewhere, no block starts there any more
INTERIOR = "invalid free"
FOREIGN = "foreign free"
CAUSES = {
    "double": DOUBLE,
    "triple": DOUBLE,
    "stack": FOREIGN,
    "static": FOREIGN,
    "code": FOREIGN,
    "mapped": FOREIGN,
    "mapped_inside": FOREIGN,
    "unmapped": FOREIGN,
    "break": FOREIGN,
    "small_number": FOREIGN,
    "non_canonical": FOREIGN,
    "kernel": FOREIGN,
    "top": FOREIGN,
    "high_bits": FOREIGN,
    "middle": INTERIOR,
    "second_granule": INTERIOR,
    "last_byte": INTERIOR,
    "plus_one": INTERIOR,
    "plus_eight": INTERIOR,
    "page_inside": "invalid free|double free",  # may be the start of a block that is free
    "far_inside_arena": INTERIOR,
}
FOREIGN_SHAPES = sorted(name for name, cause in CAUSES.items() if cause == FOREIGN)
OWN_SHAPES = sorted(name for name, cause in CAUSES.items() if cause != FOREIGN)


def check_stopped(
    programs: Programs, shape: str, size: int, call: str, where: str, **env: str
) -> str | None:
    """Run one abuse; return what was wrong with the way it was stopped, or None."""
    outcome = programs.run("abuse", shape, size, call, where, env=env)
    pointer = re.search(r"^pointer (0x[0-9a-f]+|0)$", outcome.out, re.M)
    if pointer is None:
        return f"{outcome.report()}\nno pointer announced"
    line = re.compile(
        rf"hz3: (?:{CAUSES[shape]}): pointer {pointer.group(1)} \([^\n]+\)\n",
    )
    if outcome.status == -signal.SIGABRT and line.fullmatch(outcome.err):
        return None
    return outcome.report()


def check_all(
    programs: Programs, shape: str, where: tuple[str, ...], sizes: tuple[int, ...]
) -> None:
    wrong = [
        problem
        for size, call, place in itertools.product(sizes, CALLS, where)
        if (problem := check_stopped(programs, shape, size, call, place)) is not None
    ]
    assert not wrong, f"{len(wrong)} not stopped as promised, the first:\n{wrong[0]}"


def test_every_shape_has_an_expected_cause(programs: Programs) -> None:
    assert sorted(programs.run_plain("abuse", "--list").out.split()) == sorted(CAUSES)


@pytest.mark.parametrize("shape", FOREIGN_SHAPES)
def test_foreign_pointers_are_refused(programs: Programs, shape: str) -> None:
    check_all(programs, shape, ("here", "thread"), SIZES[:1])


@pytest.mark.parametrize("shape", OWN_SHAPES)
def test_bad_pointers_into_blocks_are_refused(programs: Programs, shape: str) -> None:
    check_all(programs, shape, ("here", "thread"), SIZES)


@pytest.mark.parametrize("where", ["across", "parked"])
def test_double_frees_by_two_threads_are_refused(programs: Programs, where: str) -> None:
    check_all(programs, "double", (where,), SIZES)


def test_a_closed_stderr_does_not_keep_it_going(programs: Programs) -> None:
    words = f"exec '{programs.path('abuse')}' stack 40 free here 2>&-"
    outcome = programs.preload.run("/bin/sh", "-c", words)
    assert outcome.status == -signal.SIGABRT


def test_warn_reports_and_goes_on(programs: Programs) -> None:
    for shape in ("stack", "double", "middle"):
        outcome = programs.run(
            "abuse", shape, 40, "free", "here", env={"HZ3_ON_INVALID_FREE": "warn"}
        )
        assert outcome.status == NOT_STOPPED, outcome.report()
        assert re.search(rf"^hz3: (?:{CAUSES[shape]}): pointer 0x[0-9a-f]+ ", outcome.err, re.M)
