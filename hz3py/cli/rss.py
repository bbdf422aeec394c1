"""`hz3 rss`: the resident memory of a program over time, under each allocator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from hz3py.cli import session as sessions
from hz3py.cli.knob_values import knob_table
from hz3py.cli.options import (
    ProgramCommand,
    allocator_options,
    chosen_allocators,
    json_option,
    output_options,
    program,
    refuse_beside_resume,
    refuse_unpreloadable,
)
from hz3py.cli.planned import show_plan
from hz3py.cli.present import present
from hz3py.cli.session import new_seed
from hz3py.cli.watched import OBSERVE_KNOB
from hz3py.errors import Hz3Error, UsageError
from hz3py.measure.plan import Plan
from hz3py.measure.run import measure
from hz3py.report.table import rss_table
from hz3py.resources import probe_path
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch
from hz3py.workloads.rows import Row, command_row

DEFAULT_BLOCKS = 3
DEFAULT_TIMEOUT_S = 3600.0
EMPTY_PROGRAM_TIMEOUT_S = 20.0


def _pattern(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        re.compile(value)
    except re.error as error:
        raise click.BadParameter(f"{value!r} is no regular expression: {error}") from error
    return value


@click.command(cls=ProgramCommand)
@allocator_options
@click.option(
    "--runs",
    "--blocks",
    "blocks",
    type=click.IntRange(min=1),
    default=DEFAULT_BLOCKS,
    show_default=True,
    help="How often the program runs under each allocator.",
)
@click.option(
    "--interval",
    "interval_ms",
    type=click.FloatRange(min=0.5, max=1000.0),
    default=2.0,
    show_default=True,
    help="Milliseconds between readings at first; grows for long programs.",
)
@click.option(
    "--idle",
    "idle_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0.2),
    help="End a program that stays alive once it has rested so long; the rest counts as idle.",
)
@click.option(
    "--mark",
    metavar="REGEX",
    callback=_pattern,
    help="Lines of output that match begin a phase, named by the first group or the match.",
)
@click.option("--timeout", type=click.FloatRange(min=0.1), help="Seconds until a run is hung.")
@output_options
@click.option("--dry-run", is_flag=True, help="Show what would run.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    names: str | None,
    extra: tuple[str, ...],
    blocks: int,
    interval_ms: float,
    idle_s: float | None,
    mark: str | None,
    timeout: float | None,
    folder: Path | None,
    resumed: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Show resident memory over time under each allocator.

    The program runs as often as --runs says under each allocator, in shuffled order, with all its
    child processes counted. Results are tables, rss.png, and series.csv; `hz3 report` makes one
    page of them.

    A program can mark its phases by writing lines to the descriptor whose number is in
    HZ3_PHASE_FD: `work-begin` and `work-end` bound what mean and p95 cover, any other word begins
    a phase of that name. --mark makes marks of lines that it prints; programs that keep back
    what they write to a pipe need `stdbuf -oL` or `python -u`. While the program rests, its exact
    account (PSS) is taken as well; hz3 adds its own account where it has the knob `observe`.
    """
    if resumed is not None:
        refuse_beside_resume(ctx)
        session = sessions.resume(resumed)
    else:
        row = _row(program(ctx), timeout or DEFAULT_TIMEOUT_S, idle_s or 0.0)
        plan = _plan(row, chosen_allocators(names, extra), blocks)
        if dry_run:
            show_plan(plan, as_json=as_json)
            return 0
        session = sessions.start(
            plan,
            folder,
            [],
            watch={"idle_s": idle_s or 0.0, "mark": mark, "observe": _can_observe()},
            fixed_kb=_fixed_kb(plan.allocators),
        )
    return present(
        session,
        as_json=as_json,
        command="rss",
        table=rss_table,
        series=True,
        interval_s=interval_ms / 1000,
    )


def _row(words: tuple[str, ...] | None, timeout_s: float, idle_s: float) -> Row:
    """Return the program as the one row of a run.

    Raises:
        UsageError: There is none.
    """
    if words is None:
        raise UsageError("no program to watch", "write `hz3 rss -- PROGRAM ARGS`")
    return replace(command_row(words, timeout_s), idle_s=idle_s)


def _plan(row: Row, allocators: Sequence[Allocator], blocks: int) -> Plan:
    """Return what will be run.

    Raises:
        PreloadError: The program cannot take a preload.
    """
    refuse_unpreloadable(row.argv(), allocators)
    return Plan(
        suite=f"rss-{row.label}",
        rows=(row,),
        allocators=tuple(allocators),
        blocks=blocks,
        seed=new_seed(),
    )


def _can_observe() -> bool:
    """Tell whether the installed hz3 can account for its memory."""
    try:
        return OBSERVE_KNOB in {info.name for info in knob_table()}
    except Hz3Error:
        return False


def _fixed_kb(allocators: Sequence[Allocator]) -> dict[str, float]:
    """Measure what a program that does nothing holds under each allocator, in KiB."""
    found = {}
    for allocator in allocators:
        launch = Launch((str(probe_path()),), allocator, timeout_s=EMPTY_PROGRAM_TIMEOUT_S)
        sample = measure(launch, expect_json=False)
        if sample.ok and sample.rss is not None:
            found[allocator.name] = sample.rss.peak_kb
    return found
