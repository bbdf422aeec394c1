"""`hz3 verify`: measure again, on this machine, whether a profile still pays."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from hz3py.cli.console import out, out_json
from hz3py.cli.options import ProgramCommand, json_option, program
from hz3py.cli.session import new_seed, stoppable

EXIT_CODES = {"GO": 0, "EQUIVALENT": 1, "NO-GO": 1, "UNDECIDED": 3}


@click.command(cls=ProgramCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--blocks", type=click.IntRange(min=4), help="How often both sides run.")
@click.option("--seed", type=int, help="Seed of the order of samples [default: the time].")
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, file: Path, blocks: int | None, seed: int | None, as_json: bool
) -> int:
    """Measure the profile FILE against the defaults, on this machine, and judge it.

    The workload is the one that the profile was made for, or `-- PROGRAM ARGS`. The exit code says
    GO (0), NO-GO (1) or UNDECIDED (3).
    """
    from hz3py.cli import tune_show
    from hz3py.cli.knob_values import variables
    from hz3py.system.allocators import find
    from hz3py.tuning import profile, verify, work
    from hz3py.tuning.blocks import Measured
    from hz3py.tuning.session import Request
    from hz3py.tuning.space import Space
    from hz3py.tuning.task import Task

    read = profile.read(file)
    variables(read.settings())
    words = program(ctx)
    if words is None:
        task = verify.task_of(read)
    else:
        made = work.of_command(words)
        task = Task(made.name, made.rows)
    for row in task.rows:
        row.argv()
    watch = tune_show.watch(Request(task, Space((), {}, {})))
    measure = Measured(
        task, find(["hz3"])[0], seed=new_seed() if seed is None else seed, append=_forget
    )
    try:
        with stoppable():
            result = verify.verify(read, task, measure, blocks=blocks, watch=watch)
    finally:
        watch.ended()
    if as_json:
        out_json(_document(result, file))
    else:
        out(f"{result.verdict}: {file} after {result.blocks} blocks")
        if not math.isnan(result.rss.low):
            out(f"  resident memory {tune_show.with_bounds(result.rss)}")
            out(f"  throughput      {tune_show.with_bounds(result.throughput)}")
        for reason in result.reasons:
            out(f"  {reason}")
    return EXIT_CODES[result.verdict]


def _forget(_record: object) -> None:
    """Keep no samples: the verdict is all that is asked for."""


def _document(result: Any, file: Path) -> dict[str, Any]:
    def known(interval: Any) -> tuple[float | None, list[float] | None]:
        if math.isnan(interval.low):
            return None, None
        return round(interval.estimate, 6), [round(interval.low, 6), round(interval.high, 6)]

    throughput, rss = known(result.throughput), known(result.rss)
    return {
        "schema": 1,
        "verdict": result.verdict,
        "profile": str(file),
        "throughput_ratio": throughput[0],
        "throughput_ci": throughput[1],
        "rss_ratio": rss[0],
        "rss_ci": rss[1],
        "blocks": result.blocks,
        "reasons": list(result.reasons),
    }
