"""Resident memory over time: repeated runs laid over each other, phases, and who holds it.

Between two readings memory is taken to change linearly. Seconds count from the start of a program,
sizes are KiB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BAND_POINTS = 240
NAMES_OF_PHASES = {"work-begin": "work", "work-end": "idle", "idle-end": "end"}
START = "start"
LEAST_PHASE_S = 0.001
"""Shorter phases are left out: nobody looked at the memory in them."""


@dataclass(frozen=True)
class Trace:
    """Resident memory of one run.

    Attributes:
        seconds: Times of the readings, ascending.
        kb: Resident KiB at these times, same length.
        anon_kb: Anonymous KiB at these times; empty if it was not recorded.
        marks: Pairs (name, seconds) of phase marks, in order.
        work: Begin and end of the work in seconds.
    """

    seconds: tuple[float, ...]
    kb: tuple[float, ...]
    anon_kb: tuple[float, ...]
    marks: tuple[tuple[str, float], ...]
    work: tuple[float, float]


@dataclass(frozen=True)
class Band:
    """Several runs laid over each other.

    Attributes:
        seconds: Times, ascending, evenly spaced; shape (n,).
        low: Lowest of the runs that were alive; shape (n,).
        high: Highest of them; shape (n,).
        runs: Number of runs.
    """

    seconds: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    runs: int


@dataclass(frozen=True)
class Phase:
    """One phase of a program under one allocator, medians over runs.

    Attributes:
        name: What the mark at its beginning says; "start" before the first mark.
        seconds: Duration.
        mean_kb: Time-weighted mean.
        peak_kb: Largest reading.
        end_kb: Last reading.
    """

    name: str
    seconds: float
    mean_kb: float
    peak_kb: float
    end_kb: float


@dataclass(frozen=True)
class Split:
    """Mean resident memory during the work, by what backs it; medians over runs, NaN if unknown.

    Attributes:
        of_files_kb: Pages of files: code and constant data of the program and its libraries.
        anon_kb: All other pages: heap, stacks, written data.
    """

    of_files_kb: float
    anon_kb: float


def band(traces: Sequence[Trace]) -> Band | None:
    """Lay runs over each other; the band ends where fewer than half of them were still alive.

    Returns:
        None if no run has two readings.
    """
    usable = [trace for trace in traces if len(trace.seconds) > 1]
    if not usable:
        return None
    ends = sorted((trace.seconds[-1] for trace in usable), reverse=True)
    grid = np.linspace(0.0, ends[(len(ends) - 1) // 2], BAND_POINTS)
    levels = np.array(
        [np.interp(grid, trace.seconds, trace.kb, right=math.nan) for trace in usable]
    )
    return Band(
        seconds=grid,
        low=np.nanmin(levels, axis=0),
        high=np.nanmax(levels, axis=0),
        runs=len(usable),
    )


def phases(traces: Sequence[Trace]) -> list[Phase]:
    """Summarise the phases between marks over several runs of one program.

    Only phases that every run went through are returned, in the order of the first run.
    """
    by_run = [_phases_of(trace) for trace in traces if len(trace.seconds) > 1]
    if not by_run:
        return []
    common = [name for name in by_run[0] if all(name in found for found in by_run)]
    return [_median_phase(name, [found[name] for found in by_run]) for name in common]


def split(traces: Sequence[Trace]) -> Split:
    """Divide the mean of the work into pages of files and anonymous pages."""
    totals, anons = [], []
    for trace in traces:
        if trace.anon_kb and len(trace.seconds) > 1:
            totals.append(_mean(trace.seconds, trace.kb, *trace.work))
            anons.append(_mean(trace.seconds, trace.anon_kb, *trace.work))
    if not totals:
        return Split(math.nan, math.nan)
    anon = float(np.median(anons))
    return Split(float(np.median(totals)) - anon, anon)


def cost_share(cpu_s: Sequence[float], wall_s: Sequence[float]) -> float:
    """Return the share of one CPU that sampling took over several runs; NaN without time."""
    total = sum(wall_s)
    return sum(cpu_s) / total if total > 0 else math.nan


def _phases_of(trace: Trace) -> dict[str, Phase]:
    """Return the phases of one run; one that comes again is counted with a number."""
    names = [START, *(NAMES_OF_PHASES.get(name, name) for name, _ in trace.marks)]
    edges = [trace.seconds[0], *(at_s for _, at_s in trace.marks), trace.seconds[-1]]
    found: dict[str, Phase] = {}
    times: Mapping[str, int] = {name: names.count(name) for name in names}
    seen: dict[str, int] = {}
    for name, begin_s, end_s in zip(names, edges, edges[1:], strict=False):
        seen[name] = seen.get(name, 0) + 1
        title = f"{name} {seen[name]}" if times[name] > 1 else name
        if end_s - begin_s < LEAST_PHASE_S:
            continue
        inside = [
            kb for at, kb in zip(trace.seconds, trace.kb, strict=True) if begin_s <= at <= end_s
        ]
        end_kb = float(np.interp(end_s, trace.seconds, trace.kb))
        mean_kb = _mean(trace.seconds, trace.kb, begin_s, end_s)
        peak_kb = max([*inside, end_kb])
        found[title] = Phase(title, end_s - begin_s, mean_kb, peak_kb, end_kb)
    return found


def _median_phase(name: str, runs: Sequence[Phase]) -> Phase:
    figures = [
        [getattr(phase, figure) for phase in runs]
        for figure in ("seconds", "mean_kb", "peak_kb", "end_kb")
    ]
    return Phase(name, *(float(np.median(values)) for values in figures))


def _mean(seconds: Sequence[float], kb: Sequence[float], begin_s: float, end_s: float) -> float:
    """Return the time-weighted mean of a series within a window."""
    begin_s = max(begin_s, seconds[0])
    end_s = min(end_s, seconds[-1])
    if end_s <= begin_s:
        return float(np.interp(begin_s, seconds, kb))
    inner = [(at, level) for at, level in zip(seconds, kb, strict=True) if begin_s < at < end_s]
    times = np.array([begin_s, *(at for at, _ in inner), end_s])
    edges = np.interp([begin_s, end_s], seconds, kb)
    levels = np.array([edges[0], *(level for _, level in inner), edges[1]])
    area = float(np.sum(np.diff(times) * (levels[1:] + levels[:-1]) / 2))
    return area / (end_s - begin_s)
