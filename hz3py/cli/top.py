"""`hz3 top`: what a running process publishes of its allocator."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import click

from hz3py.cli.console import note, out, out_json
from hz3py.cli.options import json_option
from hz3py.cli.show import show
from hz3py.report import numbers
from hz3py.report.text import Column, Line, Section, Table
from hz3py.system.live_page import LivePage, ProcessEndedError, Reading, publishing

_KIB = 1024
_LEAST_INTERVAL_S = 0.1
_MOST_INTERVAL_S = 3600.0


@click.command()
@click.argument("pid", required=False, type=click.IntRange(min=1))
@click.option("--once", is_flag=True, help="Show the present figures and end.")
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(_LEAST_INTERVAL_S, _MOST_INTERVAL_S),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@json_option
def command(*, pid: int | None, once: bool, interval_s: float, as_json: bool) -> None:
    """Watch the allocator of the running process PID, or list the processes that publish.

    A process publishes if it was started with HZ3_LIVE_PAGE=1, or by `hz3 run --knob
    live_page=1 -- PROG`. Its figures are as old as its last slow event.
    """
    if pid is None:
        _list(as_json=as_json)
        return
    with closing(LivePage(pid)) as page:
        if as_json:
            out_json(_document(page, page.read()))
        elif once or not sys.stdout.isatty():
            reading = page.read()
            out(_headline(page, reading))
            show(_table(reading, None))
        else:
            _watch(page, interval_s)


def _list(*, as_json: bool) -> None:
    lines = []
    documents = []
    for pid in publishing():
        try:
            with closing(LivePage(pid)) as page:
                reading = page.read()
                documents.append(_document(page, reading))
                lines.append(
                    Line(
                        (
                            str(pid),
                            numbers.mib(page.rss_bytes() / _KIB),
                            numbers.mib(reading.gauges.get("live_bytes", 0) / _KIB),
                            numbers.duration(reading.age_s),
                            page.command(),
                        )
                    )
                )
        except ProcessEndedError:
            continue
    if as_json:
        out_json({"schema": 1, "processes": documents})
    elif lines:
        columns = ("process", "RSS MiB", "live MiB", "updated ago")
        shown = (*map(Column, columns), Column("command", number=False))
        show(Table(shown, (Section("", tuple(lines)),)))
    else:
        note("no process publishes; start one with `hz3 run --knob live_page=1 -- PROG`")


def _watch(page: LivePage, interval_s: float) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from hz3py.report.text import layout

    console = Console(highlight=False)
    earlier: tuple[float, Reading] | None = None
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                reading, now_s = page.read(), time.monotonic()
                rates = None if earlier is None else _rates(*earlier, reading, now_s)
                rows = layout(_table(reading, rates, busy_only=True), console.width)
                lines = [
                    Text(line, style="bold", no_wrap=True, overflow="ellipsis")
                    for line in _headline(page, reading).splitlines()
                ]
                lines += [Text(row.text, style="dim" if row.style else "") for row in rows]
                live.update(Group(*lines[: console.height]), refresh=True)
                earlier = now_s, reading
                time.sleep(interval_s)
    except KeyboardInterrupt:
        return
    except ProcessEndedError as error:
        note(str(error))


def _rates(then_s: float, then: Reading, now: Reading, now_s: float) -> dict[str, float]:
    """Return each counter's growth per second."""
    span_s = max(now_s - then_s, 1e-9)
    return {
        name: (value - then.counters.get(name, value)) / span_s
        for name, value in now.counters.items()
    }


def _headline(page: LivePage, reading: Reading) -> str:
    age = "just now" if reading.age_s < 1 else f"{numbers.duration(reading.age_s)} ago"
    return (
        f"process {page.pid}: {page.command()}\n"
        f"RSS {numbers.mib(page.rss_bytes() / _KIB)} MiB, publishing for "
        f"{numbers.duration(reading.uptime_s)}, updated {age}"
    )


def _table(
    reading: Reading, rates: Mapping[str, float] | None, *, busy_only: bool = False
) -> Table:
    """Gauges, then counters; of the latter all, or those that ever moved."""
    gauges = tuple(Line((name, _gauge(name, value))) for name, value in reading.gauges.items())
    counters = tuple(
        Line((name, numbers.count(value), "" if rates is None else numbers.count(rates[name])))
        for name, value in reading.counters.items()
        if value or not busy_only
    )
    columns = [Column("", number=False), Column("now")]
    if rates is None:
        counters = tuple(Line(line.cells[:2]) for line in counters)
    else:
        columns.append(Column("per second"))
        gauges = tuple(Line((*line.cells, "")) for line in gauges)
    return Table(tuple(columns), (Section("gauges", gauges), Section("counters", counters)))


def _gauge(name: str, value: int) -> str:
    return f"{numbers.mib(value / _KIB)} MiB" if name.endswith("_bytes") else str(value)


def _document(page: LivePage, reading: Reading) -> dict[str, Any]:
    return {
        "schema": 1,
        "pid": reading.pid,
        "command": page.command(),
        "rss_bytes": page.rss_bytes(),
        "uptime_s": round(reading.uptime_s, 3),
        "age_s": round(reading.age_s, 3),
        "gauges": reading.gauges,
        "counters": reading.counters,
    }
