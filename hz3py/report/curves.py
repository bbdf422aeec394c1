"""Resident memory over time, as traces of all samples and one typical curve per arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hz3py.analysis.traces import Band, Trace, band
from hz3py.store.records import SampleRecord

_WORK = ("work-begin", "work-end")


@dataclass(frozen=True)
class Curve:
    """Resident memory of one sample.

    Attributes:
        label: Row of the plan.
        allocator: Name of the allocator.
        seconds: Times of the readings since the program started, ascending.
        mib: Resident MiB at these times, same length.
        work_end_s: When the work was over and the idle time began; None without idle time.
        marks: Pairs (name, seconds) of phase marks, in order.
        band: Lowest and highest of all samples of the arm; None for a single one.
    """

    label: str
    allocator: str
    seconds: tuple[float, ...]
    mib: tuple[float, ...]
    work_end_s: float | None
    marks: tuple[tuple[str, float], ...] = ()
    band: Band | None = None


def typical_curves(samples: Iterable[SampleRecord], idle_s: Mapping[str, float]) -> list[Curve]:
    """Choose for every arm the sample whose mean resident memory is the median of its blocks.

    Args:
        samples: Records of a run; those that failed are passed over.
        idle_s: Seconds of idle time by row label; rows without are 0.

    Returns:
        One curve per arm that has one, in the order in which arms first appear.
    """
    return [_curve(records, idle_s) for records in _by_arm(samples).values()]


def traces(
    samples: Iterable[SampleRecord], idle_s: Mapping[str, float]
) -> dict[tuple[str, str], list[Trace]]:
    """Return resident memory of all good samples by row label and allocator.

    Args:
        samples: Records of a run; those that failed are passed over.
        idle_s: Seconds of idle time by row label; rows without are 0.
    """
    return {
        arm: [trace(record, idle_s.get(record.label, 0.0)) for record in records]
        for arm, records in _by_arm(samples).items()
    }


def trace(record: SampleRecord, idle_s: float = 0.0) -> Trace:
    """Return resident memory of one sample that has a series.

    Args:
        record: The sample.
        idle_s: Seconds for which the program idled at its end, if it did not mark that itself.
    """
    rss = record.sample["rss"]
    series: list[tuple[float, float]] = rss["series"]
    marks = tuple((str(name), float(at_s)) for name, at_s in rss.get("marks") or ())
    first = dict(reversed(marks))
    end_s = _wall_s(record.sample, series) - idle_s if idle_s > 0 else float(series[-1][0])
    return Trace(
        seconds=tuple(float(second) for second, _ in series),
        kb=tuple(float(kb) for _, kb in series),
        anon_kb=tuple(float(kb) for kb in rss.get("anon_kb") or ()),
        marks=marks,
        work=(first.get(_WORK[0], 0.0), first.get(_WORK[1], max(0.0, end_s))),
    )


def _by_arm(samples: Iterable[SampleRecord]) -> dict[tuple[str, str], list[SampleRecord]]:
    by_arm: dict[tuple[str, str], list[SampleRecord]] = {}
    for record in samples:
        if record.status == "ok" and (record.sample.get("rss") or {}).get("series"):
            by_arm.setdefault((record.label, record.allocator), []).append(record)
    return by_arm


def _typical(records: list[SampleRecord]) -> SampleRecord:
    ranked = sorted(records, key=lambda record: float(record.sample["rss"]["mean_kb"]))
    return ranked[(len(ranked) - 1) // 2]


def _curve(records: list[SampleRecord], idle_s: Mapping[str, float]) -> Curve:
    record = _typical(records)
    idle = idle_s.get(record.label, 0.0)
    chosen = trace(record, idle)
    is_marked = any(name == _WORK[1] for name, _ in chosen.marks)
    return Curve(
        label=record.label,
        allocator=record.allocator,
        seconds=chosen.seconds,
        mib=tuple(kb / 1024 for kb in chosen.kb),
        work_end_s=chosen.work[1] if idle > 0 or is_marked else None,
        marks=chosen.marks,
        band=band([trace(each, idle) for each in records]) if len(records) > 1 else None,
    )


def _wall_s(sample: Mapping[str, Any], series: list[tuple[float, float]]) -> float:
    return float((sample.get("exec") or {}).get("wall_s", series[-1][0]))
