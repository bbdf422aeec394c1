"""From an open session to the screen: take the samples, publish, print, choose the exit code."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from hz3py.analysis.summary import Arm
from hz3py.cli import session as sessions
from hz3py.cli.console import EXIT_INTERRUPTED, note, out, out_json
from hz3py.cli.counting import count_events, events_table
from hz3py.cli.publish import Published, publish
from hz3py.cli.session import Session
from hz3py.cli.show import show
from hz3py.report.memory_tables import sampler_sentence
from hz3py.report.table import bench_table, legend, overall_table
from hz3py.report.text import Table
from hz3py.store import mimalloc_bench
from hz3py.store.records import RunRecord
from hz3py.store.results import Writer, read
from hz3py.system.machine import hz3_version

TEXT_WIDTH = 100


def present(
    session: Session,
    *,
    as_json: bool,
    command: str = "bench",
    table: Callable[[Sequence[Arm]], Table] = bench_table,
    series: bool = False,
    interval_s: float = sessions.DEFAULT_INTERVAL_S,
    counters: bool = False,
) -> int:
    """Take the samples of a session and show the result.

    Args:
        session: An open session.
        as_json: Print the JSON document instead of tables.
        command: Sub-command that can resume this run.
        table: Builds the main table.
        series: Whether resident memory over time is exported as CSV too.
        interval_s: First distance of the readings of resident memory, in seconds.
        counters: Whether every arm is run once more to count hardware events.

    Returns:
        The exit code.

    Raises:
        StoreError: Results could not be written.
    """
    folder = session.writer.directory
    outcome = sessions.take(session, interval_s)
    results = read(folder)
    if outcome.interrupted:
        sessions.announce_interrupt(session.plan, folder, len(results.samples), command)
    if not results.samples:
        return EXIT_INTERRUPTED
    published = publish(results, folder, series=series)
    events = count_events(session.plan) if counters and not outcome.interrupted else []
    if as_json:
        out_json({**published.document, **({"events": events} if events else {})})
    else:
        _print(published, table)
        if events:
            out()
            show(events_table(events))
        note(sampler_sentence(results.samples) or "memory was not sampled")
    return EXIT_INTERRUPTED if outcome.interrupted else published.exit_code


def present_imported(path: Path, folder: Path | None, *, as_json: bool) -> int:
    """Store the results of mimalloc-bench as a run of ours, and show them.

    Args:
        path: Its benchres.csv.
        folder: Where results go; None makes ./hz3-results/<time>-mimalloc-bench.
        as_json: Print the JSON document instead of tables.

    Raises:
        StoreError: The file has another form, or results cannot be written.
    """
    lines = mimalloc_bench.read_lines(path)
    first, *others = mimalloc_bench.records(lines, path.name, hz3_version() or "unknown")
    if not isinstance(first, RunRecord):
        raise TypeError("the first record is not that of a run")
    with Writer.create(folder or sessions.new_folder(first.suite), first) as writer:
        for record in others:
            writer.append(record)
        place = writer.directory
    published = publish(read(place), place)
    if as_json:
        out_json(published.document)
    else:
        _print(published, bench_table)
    return published.exit_code


def _print(published: Published, table: Callable[[Sequence[Arm]], Table]) -> None:
    show(table(published.arms))
    blocks = max(arm.blocks for arm in published.arms)
    if blocks:
        out()
        out(legend(blocks))
    if len({arm.label for arm in published.arms}) > 1:
        out()
        show(overall_table(published.totals))
    for part in published.memory:
        out()
        out(textwrap.fill(f"{part.heading}: {' '.join(part.text)}", TEXT_WIDTH))
        if part.table is not None:
            show(part.table)
    out()
    for text in published.warnings:
        note(f"warning: {text}")
    folder = published.files[0].parent
    out(f"results in {folder}: {', '.join(path.name for path in published.files)}")
    out(f"for a report: hz3 report {shlex.quote(str(folder))}")
