"""The documents of `--json`: keys may be added to them, never renamed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hz3py.analysis.intervals import Interval
from hz3py.analysis.summary import Arm, Overall
from hz3py.analysis.traces import cost_share, phases, split
from hz3py.report.memory_tables import Arms, last_rest, observations
from hz3py.store.records import SampleRecord

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


def memory_document(
    records: Sequence[SampleRecord], arms: Arms, fixed_kb: Mapping[str, float]
) -> dict[str, Any]:
    """Return what `hz3 rss --json` adds as `memory`, sizes in KiB.

    Args:
        records: The samples.
        arms: Their traces by row label and allocator.
        fixed_kb: Resident KiB of a program that does nothing, by allocator.
    """
    seen = [record for record in records if (record.sample.get("rss") or {}).get("samples")]
    cpu_s = [float(record.sample["rss"]["sampler_cpu_s"]) for record in seen]
    wall_s = [float((record.sample.get("exec") or {}).get("wall_s") or 0.0) for record in seen]
    readings = sum(int(record.sample["rss"]["samples"]) for record in seen)
    return {
        "arms": [
            {
                "label": label,
                "allocator": name,
                "phases": [asdict(phase) for phase in phases(traces)],
                **{key: _known(value) for key, value in asdict(split(traces)).items()},
                "fixed_kb": fixed_kb.get(name),
                "at_rest": last_rest(records, label, name),
            }
            for (label, name), traces in arms.items()
        ],
        "sampler": {
            "cpu_share": _known(cost_share(cpu_s, wall_s)),
            "readings": readings,
            "us_per_reading": round(1e6 * sum(cpu_s) / readings, 1) if readings else None,
        },
        "observations": [
            {"label": label, "allocator": name, **account}
            for (label, name), account in observations(records).items()
        ],
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
