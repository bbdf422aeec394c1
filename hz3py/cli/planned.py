"""`--dry-run`: what a run would do."""

from __future__ import annotations

import shlex

from hz3py.cli.console import out, out_json
from hz3py.cli.show import show
from hz3py.measure.plan import Plan, expected_s
from hz3py.report.numbers import duration, plural, significant
from hz3py.report.text import Column, Line, Section, Table


def show_plan(plan: Plan, *, as_json: bool) -> None:
    """Print rows, allocators, and the estimated duration of a plan; nothing is started."""
    if as_json:
        out_json(
            {
                "schema": 1,
                **plan.to_json(),
                "samples": plan.size,
                "estimate_s": round(plan.estimate_s(), 1),
            }
        )
        return
    columns = (Column("row", number=False), Column("s per sample"), Column("runs", number=False))
    lines = tuple(
        Line((row.label, significant(expected_s(row)), shlex.join(row.argv()))) for row in plan.rows
    )
    show(Table(columns, (Section("", lines),)))
    out()
    out(f"allocators: {', '.join(allocator.name for allocator in plan.allocators)}")
    out(
        f"{plural(plan.size, 'sample')} in {plural(plan.blocks, 'block')}, "
        f"about {duration(plan.estimate_s())}, seed {plan.seed}"
    )
