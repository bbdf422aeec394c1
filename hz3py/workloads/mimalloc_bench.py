"""The programs of an existing mimalloc-bench build, as rows.

Only programs with a fixed amount of work are run: their speed is one over the wall time. Those that
work for a fixed time (larson, xmalloc-test, glibc-thread) tell their speed in words of their own;
our programs of the same names stand in for them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hz3py.errors import UsageError
from hz3py.workloads.rows import OWN_TOUCH, Row

SUITE = "mimalloc-bench"
BLOCKS = 5
TIMEOUT_S = 600.0
PROGRAMS_FOLDER = Path("out") / "bench"
TIMED = ("larson", "larson-sized", "xmalloc-test", "glibc-thread")
MOST_ALLOC_TEST_THREADS = 16


@dataclass(frozen=True)
class Program:
    """A program and the arguments that mimalloc-bench gives it.

    Attributes:
        label: Name of the row.
        name: Its file in out/bench.
        args: Arguments; {threads}, {threads2} (twice as many), {threads16} (at most 16) are
            filled in.
        files: Arguments that are files of the folder, relative to it.
        stdin: File that it reads as standard input, relative to the folder.
        several: Whether it is run on machines with several CPUs only.
        expected_s: Rough duration.
    """

    label: str
    name: str
    args: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    stdin: str = ""
    several: bool = False
    expected_s: float = 3.0


PROGRAMS = (
    Program("cfrac", "cfrac", ("17545186520507317056371138836327483792789528",)),
    Program("espresso", "espresso", files=("bench/espresso/largest.espresso",)),
    Program("barnes", "barnes", stdin="bench/barnes/input"),
    Program("alloc-test1", "alloc-test", ("1",)),
    Program("alloc-testN", "alloc-test", ("{threads16}",), several=True),
    Program("sh6benchN", "sh6bench", ("{threads2}",)),
    Program("sh8benchN", "sh8bench", ("{threads2}",)),
    Program("cache-scratch1", "cache-scratch", ("1", "1000", "1", "2000000", "{threads}")),
    Program(
        "cache-scratchN",
        "cache-scratch",
        ("{threads}", "1000", "1", "2000000", "{threads}"),
        several=True,
    ),
    Program("cache-thrash1", "cache-thrash", ("1", "1000", "1", "2000000", "{threads}")),
    Program(
        "cache-thrashN",
        "cache-thrash",
        ("{threads}", "1000", "1", "2000000", "{threads}"),
        several=True,
    ),
    Program("malloc-large", "malloc-large"),
    Program("mstressN", "mstress", ("{threads}", "50", "25")),
    Program("mleak10", "mleak", ("5",)),
    Program("mleak100", "mleak", ("50",)),
    Program("rptestN", "rptest", ("{threads}", "0", "1", "2", "500", "1000", "100", "8", "16000")),
    Program("glibc-simple", "glibc-simple"),
)


@dataclass(frozen=True)
class Found:
    """What a folder offers.

    Attributes:
        rows: The rows that can be run.
        notes: One sentence each about what cannot.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def find_rows(folder: Path, cpus: int, only: Sequence[str] = ()) -> Found:
    """Look for the programs of a mimalloc-bench build.

    Args:
        folder: Its checkout, with out/bench in it.
        cpus: CPUs that this process may use; the number of threads.
        only: Words; a row is kept if its label contains one of them. Empty keeps all.

    Raises:
        UsageError: There is no such build, or no row is left.
    """
    programs = (folder / PROGRAMS_FOLDER).absolute()
    if not programs.is_dir():
        raise UsageError(
            f"{folder} holds no build of mimalloc-bench: there is no {PROGRAMS_FOLDER} in it",
            "build it there with its build-bench-env.sh, and name the checkout itself",
        )
    wanted = [
        program
        for program in PROGRAMS
        if (cpus > 1 or not program.several)
        and (not only or any(word in program.label for word in only))
    ]
    usable = [program for program in wanted if _is_usable(program, programs, folder)]
    missing = [program.label for program in wanted if program not in usable]
    if not usable:
        raise UsageError(
            f"{programs} holds none of the programs that are known",
            f"known: {', '.join(sorted({program.name for program in PROGRAMS}))}",
        )
    notes = []
    if missing:
        notes.append(f"not built or without its input, and left out: {', '.join(missing)}")
    timed = [name for name in TIMED if (programs / name).is_file()]
    if timed:
        notes.append(
            f"left out because they run for a fixed time: {', '.join(timed)}; "
            "`hz3 bench` has programs of its own for them"
        )
    rows = tuple(_row(program, programs, folder.absolute(), cpus) for program in usable)
    return Found(rows, tuple(notes))


def _is_usable(program: Program, programs: Path, folder: Path) -> bool:
    inputs = [*program.files, *([program.stdin] if program.stdin else [])]
    return os.access(programs / program.name, os.X_OK) and all(
        (folder / name).is_file() for name in inputs
    )


def _row(program: Program, programs: Path, folder: Path, cpus: int) -> Row:
    numbers: Mapping[str, int] = {
        "{threads}": cpus,
        "{threads2}": 2 * cpus,
        "{threads16}": min(cpus, MOST_ALLOC_TEST_THREADS),
    }
    args = tuple(str(numbers[word]) if word in numbers else word for word in program.args)
    words = (str(programs / program.name), *args, *(str(folder / name) for name in program.files))
    if program.stdin:
        # A shell that turns into the program at once; measured programs get no standard input.
        words = ("/bin/sh", "-c", 'exec "$0" < "$1"', words[0], str(folder / program.stdin))
    return Row(
        label=program.label,
        workload=program.name,
        args=words[1:],
        touch=OWN_TOUCH,
        threads=cpus if any("{" in word for word in program.args) else 1,
        command=words[0],
        expected_s=program.expected_s,
        timeout_s=TIMEOUT_S,
    )
