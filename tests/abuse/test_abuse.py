"""Programs that break the rules: each must be stopped with one line that names cause and address.

One native program plays every abuse; the table below is generated from what can be wrong, sizes,
functions, threads and origins of blocks, and `py` says what each build must print. A bare
crash does not count, and neither does going on. What is right must never be reported.
"""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conftest import Programs

pytestmark = pytest.mark.usefixtures("hz3_only")

NOT_STOPPED = 3  # exit status of a program that got away
KI = 1024
LARGEST_CLASS = 256 * KI
GUARD = 8  # bytes behind every block of the checked build
CHUNK = 64 * KI  # the unit of large blocks
LONG = 4 * KI * KI  # from this size on, how far a block is rounded up is nobody's business
MAPPING_ALIGNMENT = 4 * KI * KI
PAGE = 4 * KI

FOREIGN = (
    "foreign free: pointer {at} (not from hz3: stack, static or mapped memory, "
    "or another malloc (RTLD_DEEPBIND, static)) [E1]"
)
UNALLOCATED = (
    "invalid free: pointer {at} (no block starts here: freed before, or never allocated) [E2]"
)
MISALIGNED = "misaligned free: pointer {at} ({offset} bytes into a block of {bytes} bytes) [E3]"
INTERIOR = "interior free: pointer {at} ({offset} bytes into a block of {bytes} bytes) [E4]"
DOUBLE = "double free: pointer {at} (the block of {bytes} bytes is free already) [E5]"
DOUBLE_UNSIZED = "double free: pointer {at} (the block is free already) [E5]"
WRONG_SIZE = "wrong size: pointer {at} (a block of {bytes} bytes freed as one of {said}) [E6]"
WRONG_ALIGNMENT = (
    "wrong alignment: pointer {at} (a block of {bytes} bytes freed as one aligned to {said}) [E7]"
)
OVERFLOW = (
    "overflow: pointer {at} (bytes behind the end of a block of {bytes} bytes were written) [E8]"
)

FOREIGN_SHAPES = (
    "stack",
    "static",
    "code",
    "mapped",
    "mapped_inside",
    "unmapped",
    "break",
    "small_number",
    "non_canonical",
    "kernel",
    "top",
    "high_bits",
)
DOUBLE_SHAPES = ("double", "triple")
INNER_SHAPES = ("middle", "second_granule", "last_byte", "plus_one", "plus_eight", "page_inside")
OVERFLOW_SHAPES = ("one_too_long", "eight_too_long", "last_of_the_guard")
SIZE_SHAPES = ("size_plus_one", "size_minus_one", "half_the_size", "size_zero", "size_huge")
SHAPES = (
    *FOREIGN_SHAPES,
    *DOUBLE_SHAPES,
    *INNER_SHAPES,
    *OVERFLOW_SHAPES,
    *SIZE_SHAPES,
    "far_inside_arena",
    "too_aligned",
    "valid",
)
ALIGNED_ORIGINS = {
    "memalign": 64,
    "posix_memalign": 256,
    "new_aligned": 128,
    "mapping": MAPPING_ALIGNMENT,
}


class Case(NamedTuple):
    """One run of the program `abuse`."""

    shape: str
    size: int  # bytes asked for
    call: str = "free"
    where: str = "here"
    origin: str = "malloc"


def classes() -> list[int]:
    """List the block sizes in bytes: 8, steps of 16, then 8 and at last 4 per doubling."""
    sizes = [8, *range(16, 257, 16)]
    for steps, first, last in ((8, 256, 8 * KI), (4, 8 * KI, LARGEST_CLASS)):
        base = first
        while base < last:
            sizes += [base + base * step // steps for step in range(1, steps + 1)]
            base *= 2
    return sizes


def block_bytes(case: Case, *, checked: bool) -> int:
    """Return the size of the block that serves the case."""
    alignment = ALIGNED_ORIGINS.get(case.origin, 8)
    wanted = case.size + (GUARD if checked else 0)
    if max(wanted, alignment) <= LARGEST_CLASS:
        wanted = max(wanted, alignment)
        return next(b for b in classes() if b >= wanted and b % alignment == 0)
    unit = PAGE if alignment == MAPPING_ALIGNMENT else CHUNK
    return -(-wanted // unit) * unit


def offset_of(case: Case) -> int:
    """Return how far into the block the pointer of an inner shape lies."""
    return {
        "middle": case.size // 32 * 16,
        "second_granule": 16,
        "last_byte": case.size - 1,
        "plus_one": 1,
        "plus_eight": 8,
        "page_inside": 4096,
    }[case.shape]


def double_templates(case: Case, block: int, *, checked: bool) -> tuple[str, ...]:
    """Return what a second free may be called."""
    if case.origin == "mapping":
        return (FOREIGN,)  # the first one gave it back to the system
    if block > LARGEST_CLASS:
        return (DOUBLE_UNSIZED, UNALLOCATED)
    sized = DOUBLE.replace("{bytes}", str(block))
    if checked and case.where != "across":
        return (sized,)
    return (sized, DOUBLE_UNSIZED, UNALLOCATED)  # its pages may have gone elsewhere


def inner_templates(case: Case, block: int, shown: str) -> tuple[str, ...]:
    """Return what a free of a pointer behind the start of a block may be called."""
    offset = offset_of(case)
    if offset >= block:  # in some other block, which nobody has, or behind the last one
        return tuple(t.replace("{bytes}", r"\d+") for t in (UNALLOCATED, DOUBLE, INTERIOR))
    text = MISALIGNED if offset % 16 else INTERIOR
    return (text.replace("{offset}", str(offset)).replace("{bytes}", shown),)


def templates(case: Case, *, checked: bool) -> tuple[str, ...]:
    """Return the allowed messages, with {at} and {said} still open; none: nothing is said."""
    block = block_bytes(case, checked=checked)
    shown = str(case.size if checked else block) if checked or block < LONG else r"\d+"
    if case.shape in FOREIGN_SHAPES:
        return (FOREIGN,)
    if case.shape == "far_inside_arena":
        return (UNALLOCATED,)
    if case.shape in DOUBLE_SHAPES:
        return double_templates(case, block, checked=checked)
    if case.shape in INNER_SHAPES:
        return inner_templates(case, block, shown)
    if not checked or case.shape == "valid":
        return ()
    text = WRONG_SIZE if case.shape in SIZE_SHAPES else OVERFLOW
    text = WRONG_ALIGNMENT if case.shape == "too_aligned" else text
    return (text.replace("{bytes}", shown),)


def expected(case: Case, said: str, at: str, *, checked: bool) -> re.Pattern[str] | None:
    """Return a pattern for the one line on stderr; None when the program must get away."""
    allowed = templates(case, checked=checked)
    if not allowed:
        return None
    # Only figures that nobody can know stay patterns.
    lines = [
        re.escape(text.replace("{at}", at).replace("{said}", said))
        .replace(re.escape(r"\d+"), r"\d+")
        .replace(re.escape("{offset}"), r"\d+")
        for text in allowed
    ]
    return re.compile(rf"hz3: (?:{'|'.join(lines)})\n")


# Tiny, small, medium and run-sized blocks of spans; blocks of the large heap.
SIZES = (40, 64, 1000, 5000, 30_000, 200_000, LARGEST_CLASS, 1_000_000, 40_000_000)
SIZED_CALLS = ("delete_sized", "delete_array_sized", "free_sized")
ALIGNED_CALLS = ("delete_aligned",)
BOTH_CALLS = ("delete_sized_aligned", "free_aligned_sized")
REALLOC_CALLS = ("realloc", "reallocarray", "realloc_to_0")
CALLS = (
    "free",
    "delete",
    "delete_array",
    "delete_nothrow",
    *REALLOC_CALLS,
    *SIZED_CALLS,
    *ALIGNED_CALLS,
    *BOTH_CALLS,
)
PLACES = ("here", "thread", "batch", "across", "parked", "orphan")
PLAIN_ORIGINS = ("malloc", "calloc", "realloc", "new", "new_array", "new_nothrow")
ORIGINS = (*PLAIN_ORIGINS, *ALIGNED_ORIGINS)

BAD_POINTERS = (*DOUBLE_SHAPES, *INNER_SHAPES, "far_inside_arena")
TABLE: dict[str, list[Case]] = {
    "foreign": [
        Case(shape, 40, call, where)
        for shape, call, where in product(FOREIGN_SHAPES, CALLS, ("here", "thread"))
    ],
    "bad_pointers": [
        Case(shape, size, call)
        for shape, size, call in product(BAD_POINTERS, SIZES, ("free", "realloc", "delete_sized"))
    ],
    "bad_pointers_by_place": [
        Case(shape, size, "free", where)
        for shape, size, where in product(("second_granule", "plus_one"), SIZES, PLACES)
        if where not in ("across", "parked")
    ],
    "double_by_place": [
        Case(shape, size, call, where)
        for shape, size, call, where in product(
            DOUBLE_SHAPES, (8, *SIZES), ("free", "delete"), PLACES
        )
    ],
    "double_by_call_and_origin": [
        Case("double", 1000, call, "here", origin)
        for call, origin in product(CALLS, ORIGINS)
        if origin != "mapping" or call not in REALLOC_CALLS
    ],
    "inner_by_origin": [
        Case(shape, size, "free", "here", origin)
        for shape, size, origin in product(INNER_SHAPES[:-1], (100, 300_000), ORIGINS)
    ],
    "overflow": [
        Case(shape, size, call)
        for shape, size, call in product(
            OVERFLOW_SHAPES, (1, 8, *SIZES), ("free", "realloc", "delete")
        )
    ],
    "overflow_by_origin": [
        Case(shape, size, "free", "here", origin)
        for shape, size, origin in product(OVERFLOW_SHAPES, (24, 300, 300_000), ORIGINS)
    ],
    "wrong_size": [
        Case(shape, size, call)
        for shape, size, call in product(
            SIZE_SHAPES, (40, 5000, 200_000, 1_000_000), (*SIZED_CALLS, *BOTH_CALLS)
        )
    ],
    "wrong_alignment": [
        Case("too_aligned", size, call)
        for size, call in product(SIZES, (*ALIGNED_CALLS, *BOTH_CALLS))
    ],
    "valid": [
        *(Case("valid", size, call) for size, call in product((0, 1, 16, *SIZES), CALLS)),
        *(Case("valid", 1000, c, "here", o) for c, o in product(CALLS, ORIGINS)),
        *(Case("valid", size, "free", where) for size, where in product(SIZES, PLACES)),
    ],
}
# Runs that a word of the program's own would spoil: 0 bytes have no first byte to write to.
TABLE["valid"] = [case for case in TABLE["valid"] if case.size != 0]
LEAST_CASES = 200
AT_ONCE = 4


def problem(programs: Programs, case: Case, *, checked: bool) -> str | None:
    """Run one abuse; return what was wrong with the way it ended, or None."""
    outcome = programs.run("abuse", *case)
    announced = re.match(r"pointer (0x[0-9a-f]+|0)\nsaid (\d+)\n", outcome.out)
    if announced is None:
        return f"{outcome.report()}\nno pointer announced"
    line = expected(case, announced[2], announced[1], checked=checked)
    if line is None:
        right = (outcome.status, outcome.err) == (NOT_STOPPED, "")
    else:
        right = outcome.status == -signal.SIGABRT and line.fullmatch(outcome.err) is not None
    if right:
        return None
    return f"{outcome.report()}\nexpected: {'no message' if line is None else line.pattern}"


def check_all(programs: Programs, cases: Iterable[Case], *, checked: bool) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda case: problem(programs, case, checked=checked), cases)
        wrong = [text for text in found if text is not None]
    assert not wrong, f"{len(wrong)} did not end as promised, the first:\n{wrong[0]}"


def test_the_table_is_about_everything_that_the_program_can_do(programs: Programs) -> None:
    def listed(option: str) -> list[str]:
        return sorted(programs.run_plain("abuse", option).out.split())

    assert listed("--list") == sorted(SHAPES)
    assert listed("--list-calls") == sorted(CALLS)
    assert listed("--list-places") == sorted(PLACES)
    assert listed("--list-origins") == sorted(ORIGINS)
    every = [case for cases in TABLE.values() for case in cases]
    assert {case.shape for case in every} == set(SHAPES)
    assert len({case for case in every if case.shape != "valid"}) >= LEAST_CASES


@pytest.mark.parametrize("part", TABLE)
def test_abuses_end_as_promised(programs: Programs, part: str) -> None:
    check_all(programs, TABLE[part], checked=False)


@pytest.mark.parametrize("part", TABLE)
def test_the_checked_build_stops_at_once(checked_programs: Programs, part: str) -> None:
    check_all(checked_programs, TABLE[part], checked=True)


# With a limit on its address space a process gets large blocks that lie beside the tables.
def test_a_run_into_the_tables_is_stopped_at_once(checked_programs: Programs) -> None:
    words = f"ulimit -v 2000000 && exec '{checked_programs.path('overrun_mapping')}'"
    outcome = checked_programs.preload.run("/bin/sh", "-c", words)
    assert outcome.status == -signal.SIGSEGV, outcome.report()
    assert re.match(r"behind [0-9a-f]+-[0-9a-f]+ ---p ", outcome.out), outcome.report()


def test_a_handler_of_the_abort_may_allocate(
    programs: Programs, checked_programs: Programs
) -> None:
    for build in (programs, checked_programs):
        outcome = build.run("abort_handler", timeout_s=30)
        assert (outcome.status, outcome.out) == (7, "handled\n"), outcome.report()


def test_a_closed_stderr_does_not_keep_it_going(programs: Programs) -> None:
    words = f"exec '{programs.path('abuse')}' stack 40 free here 2>&-"
    outcome = programs.preload.run("/bin/sh", "-c", words)
    assert outcome.status == -signal.SIGABRT


WARN = {"HZ3_ON_INVALID_FREE": "warn"}


@pytest.mark.parametrize("shape", ["stack", "double", "middle", "plus_one"])
def test_warn_reports_and_goes_on(programs: Programs, shape: str) -> None:
    outcome = programs.run("abuse", *Case(shape, 40), env=WARN)
    assert outcome.status == NOT_STOPPED, outcome.report()
    assert re.fullmatch(r"hz3: \w+ free: pointer 0x[0-9a-f]+ [^\n]+ \[E\d\]\n", outcome.err)


@pytest.mark.parametrize(
    "case",
    [
        Case("stack", 40),
        Case("double", 40),
        Case("double", 1_000_000),
        Case("middle", 40),
        Case("one_too_long", 40),
        Case("size_plus_one", 40, "delete_sized"),
        Case("too_aligned", 40, "delete_aligned"),
    ],
    ids=lambda case: f"{case.shape}-{case.size}",
)
def test_warn_reports_once_and_goes_on_checked(checked_programs: Programs, case: Case) -> None:
    outcome = checked_programs.run("abuse", *case, env=WARN)
    assert outcome.status == NOT_STOPPED, outcome.report()
    assert re.fullmatch(r"hz3: [\w ]+: pointer 0x[0-9a-f]+ [^\n]+ \[E\d\]\n", outcome.err)
