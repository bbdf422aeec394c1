"""From single samples to the rows of the result table.

An arm is a row of the plan under one allocator. Speeds are compared by ratios of samples from the
same block: the ratio shown is the geometric mean of those ratios, its interval a BCa bootstrap over
blocks. The speed of an arm is a geometric mean as well, so that speeds and ratios agree; its other
figures are medians over blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from hz3py.analysis.intervals import Interval, mean_interval
from hz3py.analysis.ratios import geometric_mean, paired_log_ratios

UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class RssFigures:
    """Resident memory of one arm in KiB, medians over blocks; NaN where it was not measured.

    Attributes:
        mean: Time-weighted mean over the life of the process.
        p95: What it stayed below for 95 % of the time.
        peak: High-water mark kept by the kernel.
        idle: At the end of the idle time after the work.
    """

    mean: float
    p95: float
    peak: float
    idle: float


@dataclass(frozen=True)
class Arm:
    """One line of the result table: a row of the plan under one allocator.

    Attributes:
        label: Name of the row.
        workload: Program of the row.
        args: Its arguments as given.
        touch: How much of each block it wrote.
        threads: Threads of the row.
        allocator: Name of the allocator.
        version: Its version.
        path: Its file; None for the system malloc.
        interposed: Whether every sample proved that this allocator served it.
        blocks: Number of samples that count.
        failed: Number of samples that failed.
        status: "ok" if all samples count, "partial" if some do, else how they failed.
        detail: Why the last failed sample failed; empty if none did.
        unit: Unit of `throughput`.
        throughput: Geometric mean over blocks; higher is better.
        to_best: Ratio to the fastest allocator of the row (1 for itself).
        to_best_other: Ratio to the fastest of the other allocators of the row.
        cpu_s: User and system time in seconds, median over blocks.
        faults: Page faults, median over blocks.
        rss: Resident memory.
        works: What the samples say they ran; more than one entry means they differ.
    """

    label: str
    workload: str
    args: tuple[str, ...]
    touch: str
    threads: int
    allocator: str
    version: str
    path: str | None
    interposed: bool
    blocks: int
    failed: int
    status: str
    detail: str
    unit: str
    throughput: float
    to_best: Interval
    to_best_other: Interval
    cpu_s: float
    faults: float
    rss: RssFigures
    works: tuple[str, ...]


@dataclass(frozen=True)
class Overall:
    """One allocator over all rows.

    Attributes:
        allocator: Its name.
        rows: Rows in which it has a figure.
        missing: Rows in which all its samples failed.
        throughput: Geometric mean of its ratios to the fastest allocator of each row.
        wins: Rows in which it is the fastest.
        rss_mean: Geometric mean of mean resident memory over that of the leanest of each row.
        rss_peak: The same for peak resident memory.
    """

    allocator: str
    rows: int
    missing: int
    throughput: float
    wins: int
    rss_mean: float
    rss_peak: float


def arms(samples: pd.DataFrame) -> list[Arm]:
    """Summarise samples into one line per row and allocator.

    Args:
        samples: One line per sample, columns as in `hz3py.store.export.COLUMNS`.

    Returns:
        Rows and allocators in the order in which they first appear.
    """
    lines: list[Arm] = []
    for _, row in samples.groupby("label", sort=False):
        by_allocator = {str(name): group for name, group in row.groupby("allocator", sort=False)}
        speeds = {name: _speeds(group) for name, group in by_allocator.items()}
        for name, group in by_allocator.items():
            lines.append(_arm(name, group, speeds))
    return lines


def overall(lines: Sequence[Arm]) -> list[Overall]:
    """Summarise the lines of a table into one per allocator, best throughput first."""
    leanest_mean = _least(lines, "mean")
    leanest_peak = _least(lines, "peak")
    result = []
    for name in dict.fromkeys(line.allocator for line in lines):
        own = [line for line in lines if line.allocator == name]
        counted = [line for line in own if line.blocks]
        result.append(
            Overall(
                allocator=name,
                rows=len(counted),
                missing=len(own) - len(counted),
                throughput=_geometric(line.to_best.estimate for line in counted),
                wins=sum(line.to_best.estimate == 1.0 for line in counted),
                rss_mean=_geometric(
                    line.rss.mean / leanest_mean.get(line.label, math.nan) for line in counted
                ),
                rss_peak=_geometric(
                    line.rss.peak / leanest_peak.get(line.label, math.nan) for line in counted
                ),
            )
        )
    return sorted(result, key=lambda line: -_or_zero(line.throughput))


def disagreements(lines: Sequence[Arm]) -> list[str]:
    """Return the rows whose samples did not all run the same work, by what they report."""
    works: dict[str, set[str]] = {}
    for line in lines:
        works.setdefault(line.label, set()).update(line.works)
    return [label for label, found in works.items() if len(found) > 1]


def _speeds(group: pd.DataFrame) -> dict[int, float]:
    good = group[group["status"] == "ok"]
    pairs = zip(good["block"], good["throughput"], strict=True)
    return {int(block): float(speed) for block, speed in pairs if speed > 0}


def _ratio(
    name: str, speeds: Mapping[str, Mapping[int, float]], *, with_self: bool = False
) -> Interval:
    """Ratio of one allocator to the fastest one, itself counted or not."""
    rivals = {
        other: geometric_mean(values)
        for other, values in speeds.items()
        if values and (with_self or other != name)
    }
    if not rivals or not speeds[name]:
        return UNKNOWN
    best = max(rivals, key=lambda other: rivals[other])
    if best == name:
        return Interval(1.0, 1.0, 1.0)
    return mean_interval(paired_log_ratios(speeds[name], speeds[best])).exp()


def _arm(name: str, group: pd.DataFrame, speeds: Mapping[str, Mapping[int, float]]) -> Arm:
    first: dict[str, Any] = {str(key): value for key, value in group.iloc[0].items()}
    good = group[group["status"] == "ok"]
    bad = group[group["status"] != "ok"]
    return Arm(
        label=str(first["label"]),
        workload=str(first["workload"]),
        args=tuple(first["args"]),
        touch=str(first["touch"]),
        threads=int(first["threads"]),
        allocator=name,
        version=str(first["version"]),
        path=None if pd.isna(first["path"]) else str(first["path"]),
        interposed=bool(len(good) and good["interposed"].all()),
        blocks=len(good),
        failed=len(bad),
        status=_status(good, bad),
        detail=str(bad.iloc[-1]["detail"]) if len(bad) else "",
        unit=str((good if len(good) else group).iloc[0]["unit"]),
        throughput=geometric_mean(speeds[name]),
        to_best=_ratio(name, speeds, with_self=True),
        to_best_other=_ratio(name, speeds),
        cpu_s=_median(good, "cpu_s"),
        faults=_median(good, "faults"),
        rss=RssFigures(
            mean=_median(good, "rss_mean_kb"),
            p95=_median(good, "rss_p95_kb"),
            peak=_median(good, "rss_peak_kb"),
            idle=_median(good, "rss_idle_kb"),
        ),
        works=tuple(sorted({str(work) for work in good["work"]})),
    )


def _status(good: pd.DataFrame, bad: pd.DataFrame) -> str:
    if not len(bad):
        return "ok"
    return "partial" if len(good) else str(bad["status"].mode().iloc[0])


def _median(samples: pd.DataFrame, column: str) -> float:
    known = samples[column].astype(float).dropna()
    return float(known.median()) if len(known) else math.nan


def _least(lines: Sequence[Arm], figure: str) -> dict[str, float]:
    least: dict[str, float] = {}
    for line in lines:
        value = float(getattr(line.rss, figure))
        if not math.isnan(value):
            least[line.label] = min(value, least.get(line.label, math.inf))
    return least


def _geometric(values: Any) -> float:
    figures = [value for value in values if not math.isnan(value) and value > 0]
    return geometric_mean(dict(enumerate(figures)))


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
