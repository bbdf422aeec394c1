"""Resident memory over time, one typical sample per arm, ready to be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hz3py.store.records import SampleRecord


@dataclass(frozen=True)
class Curve:
    """Resident memory of one sample.

    Attributes:
        label: Row of the plan.
        allocator: Name of the allocator.
        seconds: Times of the readings since the program started, ascending.
        mib: Resident MiB at these times, same length.
        work_end_s: When the work was over and the idle time began; None without idle time.
    """

    label: str
    allocator: str
    seconds: tuple[float, ...]
    mib: tuple[float, ...]
    work_end_s: float | None


def typical_curves(samples: Iterable[SampleRecord], idle_s: Mapping[str, float]) -> list[Curve]:
    """Choose for every arm the sample whose mean resident memory is the median of its blocks.

    Args:
        samples: Records of a run; those that failed are passed over.
        idle_s: Seconds of idle time by row label; rows without are 0.

    Returns:
        One curve per arm that has one, in the order in which arms first appear.
    """
    by_arm: dict[tuple[str, str], list[SampleRecord]] = {}
    for record in samples:
        if record.status == "ok" and (record.sample.get("rss") or {}).get("series"):
            by_arm.setdefault((record.label, record.allocator), []).append(record)
    return [_curve(_typical(records), idle_s) for records in by_arm.values()]


def _typical(records: list[SampleRecord]) -> SampleRecord:
    ranked = sorted(records, key=lambda record: float(record.sample["rss"]["mean_kb"]))
    return ranked[(len(ranked) - 1) // 2]


def _curve(record: SampleRecord, idle_s: Mapping[str, float]) -> Curve:
    series: list[tuple[float, float]] = record.sample["rss"]["series"]
    idle = idle_s.get(record.label, 0.0)
    wall_s = _wall_s(record.sample, series)
    return Curve(
        label=record.label,
        allocator=record.allocator,
        seconds=tuple(float(second) for second, _ in series),
        mib=tuple(float(kb) / 1024 for _, kb in series),
        work_end_s=max(0.0, wall_s - idle) if idle > 0 else None,
    )


def _wall_s(sample: Mapping[str, Any], series: list[tuple[float, float]]) -> float:
    return float((sample.get("exec") or {}).get("wall_s", series[-1][0]))
