"""`hz3 bench --counters`: hardware events of every arm, from one extra run each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hz3py.cli.console import note
from hz3py.measure.plan import Plan
from hz3py.report.numbers import count as short
from hz3py.report.text import Column, Line, Section, Table
from hz3py.system import perf
from hz3py.system.launch import Launch

NOT_HERE = "hardware events are not counted: this machine has no `perf`, or does not show them"


def count_events(plan: Plan) -> list[dict[str, Any]]:
    """Run every arm of a plan once under `perf stat`.

    Returns:
        One entry per row and allocator with its events; none where nothing can be counted, which
        is said once.
    """
    events = perf.supported()
    if not events:
        note(NOT_HERE)
        return []
    found = []
    for row in plan.rows:
        for allocator in plan.allocators:
            env = {**row.env, **plan.variables.get(allocator.name, {})}
            launch = Launch(row.argv(), allocator, env, timeout_s=row.timeout_s)
            counts = perf.count(launch, events)
            found.append({"label": row.label, "allocator": allocator.name, "events": counts})
    return found


def events_table(found: Sequence[dict[str, Any]]) -> Table:
    """Return one section per row with the events of each allocator."""
    names = list(dict.fromkeys(event for entry in found for event in entry["events"]))
    columns = (Column("allocator", number=False), *(Column(name) for name in names))
    rows: dict[str, list[Line]] = {}
    for entry in found:
        cells = [short(entry["events"].get(name, float("nan"))) for name in names]
        rows.setdefault(entry["label"], []).append(Line((entry["allocator"], *cells)))
    return Table(columns, tuple(Section(label, tuple(lines)) for label, lines in rows.items()))
