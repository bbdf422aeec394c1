"""`hz3 bench`: a suite or any command under several allocators, interleaved in blocks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import click

from hz3py.cli import session as sessions
from hz3py.cli.console import note
from hz3py.cli.options import (
    ProgramCommand,
    allocator_options,
    chosen_allocators,
    json_option,
    output_options,
    program,
    refuse_beside_resume,
    refuse_unpreloadable,
    split,
)
from hz3py.cli.planned import show_plan
from hz3py.cli.present import present, present_imported
from hz3py.cli.session import new_seed
from hz3py.errors import UsageError
from hz3py.measure.plan import Plan
from hz3py.report.numbers import plural
from hz3py.workloads import mimalloc_bench, suites
from hz3py.workloads.catalogue import TOUCHES
from hz3py.workloads.rows import Row, command_row

DEFAULT_SUITE = "quick"
COMMAND_BLOCKS = 10
COMMAND_TIMEOUT_S = 600.0
FEW_BLOCKS = 5
"""With fewer blocks the intervals are wide, or cannot be given at all."""


Threads = int | Literal["written"]


def _thread_count(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> Threads | None:
    """Read --threads: a number, or the word `written`."""
    if value is None:
        return None
    if value == "written":
        return "written"
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a number above 0 nor `written`")


@dataclass(frozen=True)
class Work:
    """What is measured, before allocators are chosen."""

    name: str
    rows: tuple[Row, ...]
    blocks: int
    notes: tuple[str, ...] = ()


@click.command(cls=ProgramCommand)
@click.argument("suite", required=False)
@click.option("--suite", "suite_option", metavar="NAME|FILE", help="The same as SUITE.")
@allocator_options
@click.option("--workloads", metavar="WORDS", help="Only rows with these workloads, by comma.")
@click.option(
    "--threads",
    metavar="N|written",
    callback=_thread_count,
    help="Threads of multi-threaded rows; `written` takes the suite's own without the limit.",
)
@click.option("--blocks", type=click.IntRange(min=1), help="How often every arm runs.")
@click.option("--touch", type=click.Choice(TOUCHES), help="How much of each block is written.")
@click.option("--timeout", type=click.FloatRange(min=0.1), help="Seconds until a sample is hung.")
@click.option("--seed", type=int, help="Seed of the order of samples [default: the time].")
@click.option(
    "--mimalloc-bench",
    "foreign",
    type=click.Path(path_type=Path, file_okay=False),
    help="Run the programs of this build of mimalloc-bench.",
)
@click.option(
    "--import-mimalloc-bench",
    "imported",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Show the results in this benchres.csv; nothing is run.",
)
@click.option("--counters", is_flag=True, help="Count hardware events in one extra run each.")
@output_options
@click.option("--dry-run", is_flag=True, help="Show what would run and how long it would take.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    suite: str | None,
    suite_option: str | None,
    names: str | None,
    extra: tuple[str, ...],
    workloads: str | None,
    threads: Threads | None,
    blocks: int | None,
    touch: str | None,
    timeout: float | None,
    seed: int | None,
    foreign: Path | None,
    imported: Path | None,
    counters: bool,
    folder: Path | None,
    resumed: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Compare allocators on speed and resident memory.

    SUITE is quick (default, a few minutes), seeds (the tables of the design notes), full, or a
    TOML file. With `-- PROGRAM ARGS` any command is measured instead, by its wall time.

    Each sample is a process of its own. A block holds every allocator once, in balanced and
    shuffled order; every finished sample is on the disk before the next one starts. Ctrl-C keeps
    them, and --resume goes on.
    """
    if resumed is not None:
        refuse_beside_resume(ctx)
        return present(sessions.resume(resumed), as_json=as_json)
    if imported is not None:
        return present_imported(imported, folder, as_json=as_json)
    words = program(ctx)
    if suite and suite_option:
        raise UsageError("the suite is given twice", "give SUITE or --suite, not both")
    chosen = suite or suite_option
    if foreign is not None:
        work = _foreign_work(foreign, workloads, suite=chosen, threads=threads, touch=touch)
    elif words is None:
        work = _suite_work(chosen or DEFAULT_SUITE, workloads, threads, touch)
    else:
        work = _command_work(words, suite=chosen, workloads=workloads, threads=threads, touch=touch)
    allocators = chosen_allocators(names, extra)
    if words is not None:
        refuse_unpreloadable(words, allocators)
    plan = Plan(
        suite=work.name,
        rows=work.rows if timeout is None else _limited(work.rows, timeout),
        allocators=tuple(allocators),
        blocks=blocks or work.blocks,
        seed=new_seed() if seed is None else seed,
    )
    if dry_run:
        return _dry_run(plan, work.notes, as_json=as_json)
    doubts = [*work.notes, *_few_blocks(plan.blocks)]
    return present(sessions.start(plan, folder, doubts), as_json=as_json, counters=counters)


def _dry_run(plan: Plan, notes: Sequence[str], *, as_json: bool) -> int:
    for text in notes:
        note(text)
    show_plan(plan, as_json=as_json)
    return 0


def _few_blocks(blocks: int) -> list[str]:
    if blocks >= FEW_BLOCKS:
        return []
    return [
        f"only {plural(blocks, 'block')}: intervals are wide or missing; --blocks 10 narrows them"
    ]


def _limited(rows: Sequence[Row], timeout_s: float) -> tuple[Row, ...]:
    return tuple(replace(row, timeout_s=timeout_s) for row in rows)


def _suite_work(
    name: str, workloads: str | None, threads: Threads | None, touch: str | None
) -> Work:
    suite = suites.find(name)
    selection = suites.resolve(
        suite,
        cpus=len(os.sched_getaffinity(0)),
        threads=threads,
        touch=touch,
        only=split(workloads),
        which=shutil.which,
    )
    return Work(suite.name, selection.rows, suite.blocks, selection.notes)


def _foreign_work(folder: Path, workloads: str | None, **not_for_programs: object) -> Work:
    """Measure the programs of a mimalloc-bench build."""
    for name, value in not_for_programs.items():
        if value is not None:
            raise UsageError(
                f"--{name} does not go with --mimalloc-bench",
                "its programs are run as it runs them; leave one of the two out",
            )
    found = mimalloc_bench.find_rows(folder, len(os.sched_getaffinity(0)), split(workloads))
    return Work(mimalloc_bench.SUITE, found.rows, mimalloc_bench.BLOCKS, found.notes)


def _command_work(words: tuple[str, ...], **not_for_commands: object) -> Work:
    """Measure the user's command; it decides on its own threads and memory."""
    for name, value in not_for_commands.items():
        if value is not None:
            raise UsageError(
                f"--{name} does not go with a program after `--`",
                "it chooses among packaged workloads; leave one of the two out",
            )
    row = command_row(words, COMMAND_TIMEOUT_S)
    return Work(row.label, (row,), COMMAND_BLOCKS)
