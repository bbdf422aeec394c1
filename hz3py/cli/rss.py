"""`hz3 rss`: the resident memory of a program over time, under each allocator."""

from __future__ import annotations

from pathlib import Path

import click

from hz3py.cli import session as sessions
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
from hz3py.errors import UsageError
from hz3py.measure.plan import Plan
from hz3py.report.table import rss_table
from hz3py.workloads.rows import command_row

DEFAULT_BLOCKS = 3
DEFAULT_TIMEOUT_S = 3600.0


@click.command(cls=ProgramCommand)
@allocator_options
@click.option(
    "--blocks",
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
    timeout: float | None,
    folder: Path | None,
    resumed: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Show resident memory over time under each allocator.

    The program runs as often as --blocks says under each allocator, in shuffled order, with all
    its child processes counted. Results are a table, rss.png, and series.csv.
    """
    if resumed is not None:
        refuse_beside_resume(ctx)
        session = sessions.resume(resumed)
    else:
        words = program(ctx)
        if words is None:
            raise UsageError("no program to watch", "write `hz3 rss -- PROGRAM ARGS`")
        allocators = tuple(chosen_allocators(names, extra))
        refuse_unpreloadable(words, allocators)
        row = command_row(words, timeout or DEFAULT_TIMEOUT_S)
        plan = Plan(
            suite=f"rss-{row.label}",
            rows=(row,),
            allocators=allocators,
            blocks=blocks,
            seed=new_seed(),
        )
        if dry_run:
            show_plan(plan, as_json=as_json)
            return 0
        session = sessions.start(plan, folder, [])
    return present(
        session,
        as_json=as_json,
        command="rss",
        table=rss_table,
        series=True,
        interval_s=interval_ms / 1000,
    )
