"""The documents of `--json`: keys may be added to them, never renamed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.analysis.intervals import Interval
from hz3py.analysis.summary import Arm, Overall

SCHEMA = 1


def bench_document(
    *,
    suite: str,
    machine: Mapping[str, Any],
    seconds: float,
    warnings: Sequence[str],
    arms: Sequence[Arm],
    totals: Sequence[Overall],
    directory: str,
) -> dict[str, Any]:
    """Return the result of a run: what `hz3 bench --json` prints and summary.json holds.

    Args:
        suite: Name of the suite.
        machine: Description of the machine.
        seconds: Time spent measuring.
        warnings: One sentence each.
        arms: Lines of the result table.
        totals: One line per allocator over all rows.
        directory: Where the records lie.

    Returns:
        JSON-ready data; figures that are not known are null, sizes are in KiB.
    """
    return {
        "schema": SCHEMA,
        "suite": suite,
        "machine": dict(machine),
        "seconds": round(seconds, 3),
        "warnings": list(warnings),
        "rows": [_row(arm) for arm in arms],
        "allocators": [_total(line) for line in totals],
        "directory": directory,
    }


def _row(arm: Arm) -> dict[str, Any]:
    return {
        "label": arm.label,
        "workload": arm.workload,
        "args": list(arm.args),
        "touch": arm.touch,
        "threads": arm.threads,
        "allocator": arm.allocator,
        "version": arm.version,
        "path": arm.path,
        "interposed": arm.interposed,
        "blocks": arm.blocks,
        "failed": arm.failed,
        "unit": arm.unit,
        "throughput": _known(arm.throughput),
        "ratio_to_best": _known(arm.to_best.estimate),
        "ci": _bounds(arm.to_best),
        "ratio_to_best_other": _known(arm.to_best_other.estimate),
        "ci_to_best_other": _bounds(arm.to_best_other),
        "cpu_s": _known(arm.cpu_s),
        "faults": _known(arm.faults),
        "rss_kb": {
            "mean": _known(arm.rss.mean),
            "p95": _known(arm.rss.p95),
            "peak": _known(arm.rss.peak),
            "idle": _known(arm.rss.idle),
        },
        "status": arm.status,
        "detail": arm.detail,
    }


def _total(line: Overall) -> dict[str, Any]:
    return {
        "allocator": line.allocator,
        "rows": line.rows,
        "missing": line.missing,
        "fastest_in": line.wins,
        "ratio_to_best": _known(line.throughput),
        "rss_mean_to_leanest": _known(line.rss_mean),
        "rss_peak_to_leanest": _known(line.rss_peak),
    }


def _bounds(interval: Interval) -> list[float | None]:
    return [_known(interval.low), _known(interval.high)]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
