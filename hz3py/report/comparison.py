"""The result of `hz3 compare`: a JSON document, and a table made from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.analysis.comparison import (
    UNDECIDED,
    WITHIN_NOISE,
    Condition,
    Difference,
    worst,
)
from hz3py.analysis.criteria import MEAN
from hz3py.report.text import Column, Line, Section, Table
from hz3py.report.verdict import bounds, change

SCHEMA = 1


def comparison_document(
    sides: tuple[str, str],
    found: Sequence[Difference],
    conditions: Sequence[Condition],
    *,
    paired: bool,
    margin: float,
    warnings: Sequence[str],
) -> dict[str, Any]:
    """Return what `hz3 compare --json` prints; ratios are candidate over baseline.

    Args:
        sides: What the baseline and the candidate are.
        found: All differences.
        conditions: What must not be there.
        paired: Whether blocks were paired.
        margin: Differences within this fraction are noise.
        warnings: One sentence each.
    """
    judged = [
        (condition, item, condition.judge(item))
        for condition in conditions
        for item in found
        if item.metric == condition.metric
    ]
    return {
        "schema": SCHEMA,
        "verdict": _verdict([answer for _, _, answer in judged], found),
        "baseline": sides[0],
        "candidate": sides[1],
        "paired": paired,
        "margin": margin,
        "blocks": min((min(item.samples) for item in found if item.row != MEAN), default=0),
        "criteria": [_entry(item, margin) for item in found],
        "geomean": {item.metric: _known(item.ratio.estimate) for item in found if item.row == MEAN},
        "worst": {
            metric: {"workload": item.row, "ratio": item.ratio.estimate}
            for metric, item in worst(found).items()
        },
        "broken": [
            {"condition": condition.text, "workload": item.row, "ratio": item.ratio.estimate}
            for condition, item, answer in judged
            if answer == "broken"
        ],
        "undecided": [
            {"condition": condition.text, "workload": item.row, "ratio": item.ratio.estimate}
            for condition, item, answer in judged
            if answer == "undecided"
        ],
        "warnings": list(warnings),
    }


def comparison_table(document: Mapping[str, Any]) -> Table:
    """Return one section per row with one line per metric."""
    columns = (
        Column("metric", number=False),
        Column("difference"),
        Column("95 % interval"),
        Column("samples"),
        Column("", number=False),
    )
    by_row: dict[str, list[Line]] = {}
    for entry in document["criteria"]:
        name = "all rows, geometric mean" if entry["workload"] == MEAN else entry["workload"]
        count = entry["samples"]
        line = Line(
            (
                entry["metric"],
                change(entry["ratio"]),
                bounds(entry),
                "" if not any(count) else str(count[0]) if document["paired"] else _both(count),
                entry["state"],
            ),
            "failed" if entry["state"] in ("slower", "fatter") else "",
        )
        by_row.setdefault(name, []).append(line)
    return Table(columns, tuple(Section(name, tuple(lines)) for name, lines in by_row.items()))


def _both(count: Sequence[int]) -> str:
    return f"{count[0]}, {count[1]}"


def _entry(item: Difference, margin: float) -> dict[str, Any]:
    return {
        "metric": item.metric,
        "workload": item.row,
        "ratio": _known(item.ratio.estimate),
        "ci": [_known(item.ratio.low), _known(item.ratio.high)],
        "margin": margin,
        "kind": "difference",
        "state": item.word,
        "samples": list(item.samples),
    }


def _verdict(answers: Sequence[str], found: Sequence[Difference]) -> str:
    """NO-GO if a condition is broken; otherwise what can be said of the differences as a whole."""
    if "broken" in answers:
        return "NO-GO"
    words = {item.word for item in found if item.row != MEAN}
    if "undecided" in answers:
        return "UNDECIDED"
    if words == {WITHIN_NOISE}:
        return "EQUIVALENT"
    return "UNDECIDED" if words <= {UNDECIDED} and not answers else "GO"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
