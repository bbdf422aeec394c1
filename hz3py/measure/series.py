"""From a series of resident-memory samples and phase marks to the numbers of a result.

Pure functions. Between two samples memory is taken to change linearly, so a mean does not depend
on how densely the sampler happened to look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from hz3py.measure.sample import Rss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORK_BEGIN = "work-begin"
WORK_END = "work-end"
IDLE_END = "idle-end"


@dataclass(frozen=True)
class Recording:
    """What the sampler process printed.

    Attributes:
        series: Pairs (seconds since the program ran, KiB), in order.
        anon_kb: Anonymous KiB of each pair; empty if it was not recorded.
        marks: Phase mark to seconds; of a repeated mark the first.
        phases: All marks in order, repeated ones too.
        quiet: Exact accounts of moments at which the program rested: seconds, names to KiB.
        stopped: When a rest began and when we ended the program for it; None if it ended itself.
        cpu_s: CPU seconds of the sampler.
        samples: Number of samples before thinning.
        interval_s: Distance of the readings at the end.
    """

    series: list[tuple[float, float]] = field(default_factory=list)
    marks: Mapping[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    samples: int = 0
    anon_kb: list[float] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    quiet: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    stopped: tuple[float, float] | None = None
    interval_s: float = 0.0


def parse_recording(text: str) -> Recording:
    """Read the sampler's lines; unknown ones are passed over.

    Raises:
        ValueError: A known line has the wrong form.
    """
    series: list[tuple[float, float]] = []
    anon_kb: list[float] = []
    phases: list[tuple[str, float]] = []
    quiet: list[tuple[float, dict[str, float]]] = []
    stopped: tuple[float, float] | None = None
    figures = {"cpu": 0.0, "samples": 0.0, "interval": 0.0}
    for line in text.splitlines():
        match line.split():
            case ["row", at_s, kb, *anon]:
                series.append((float(at_s), float(kb)))
                anon_kb += [float(word) for word in anon[:1]]
            case ["mark", name, at_s]:
                phases.append((name, float(at_s)))
            case ["quiet", at_s, *words]:
                pairs = (word.split("=", 1) for word in words)
                quiet.append((float(at_s), {name: float(kb) for name, kb in pairs}))
            case ["stopped", begin_s, end_s]:
                stopped = (float(begin_s), float(end_s))
            case [("cpu" | "samples" | "interval") as name, value]:
                figures[name] = float(value)
    phases = _with_rest(phases, stopped)
    marks: dict[str, float] = {}
    for name, at in phases:
        marks.setdefault(name, at)
    return Recording(
        series=series,
        marks=marks,
        cpu_s=figures["cpu"],
        samples=int(figures["samples"]),
        anon_kb=anon_kb if len(anon_kb) == len(series) else [],
        phases=phases,
        quiet=quiet,
        stopped=stopped,
        interval_s=figures["interval"],
    )


def _with_rest(
    phases: list[tuple[str, float]], stopped: tuple[float, float] | None
) -> list[tuple[str, float]]:
    """Mark the rest before we ended the program, where the program did not mark it itself."""
    if stopped is None:
        return phases
    names = {name for name, _ in phases}
    ours = [(WORK_END, stopped[0]), (IDLE_END, stopped[1])]
    return sorted(
        [*phases, *(mark for mark in ours if mark[0] not in names)], key=lambda mark: mark[1]
    )


def summarise(recording: Recording, peak_kb: float) -> Rss:
    """Reduce `recording` to the numbers that results show.

    Args:
        recording: The sampler's output.
        peak_kb: The kernel's high-water mark of the program itself, in KiB.

    Returns:
        Mean and 95th percentile over the work phase (the whole life without marks). A program
        that was over before the second sample is taken to have sat at its peak.
    """
    series = recording.series
    marks = recording.marks
    begin_s = marks.get(WORK_BEGIN, 0.0)
    end_s = marks.get(WORK_END, series[-1][0] if series else 0.0)
    levels = _levels(series, begin_s, end_s)
    return Rss(
        mean_kb=_mean(levels) if levels else peak_kb,
        p95_kb=_quantile(levels, 0.95) if levels else peak_kb,
        peak_kb=max([peak_kb, *(kb for _, kb in series)]),
        idle_kb=_idle(series, marks),
        series=series,
        sampler_cpu_s=recording.cpu_s,
        samples=recording.samples,
        anon_kb=recording.anon_kb,
        marks=recording.phases,
        quiet=[{"at_s": at_s, **account} for at_s, account in recording.quiet],
        interval_s=recording.interval_s,
    )


def _levels(
    series: Sequence[tuple[float, float]], begin_s: float, end_s: float
) -> list[tuple[float, float]]:
    """Cut the series to a window: pairs (KiB, seconds spent there)."""
    levels = []
    for (from_s, from_kb), (to_s, to_kb) in pairwise(series):
        low_s, high_s = max(from_s, begin_s), min(to_s, end_s)
        if high_s > low_s:
            slope = (to_kb - from_kb) / (to_s - from_s)
            middle_kb = from_kb + slope * ((low_s + high_s) / 2 - from_s)
            levels.append((middle_kb, high_s - low_s))
    return levels


def _mean(levels: Sequence[tuple[float, float]]) -> float:
    return sum(kb * seconds for kb, seconds in levels) / sum(seconds for _, seconds in levels)


def _quantile(levels: Sequence[tuple[float, float]], share: float) -> float:
    """Return the level below which memory stays for `share` of the time."""
    left_s = share * sum(seconds for _, seconds in levels)
    ordered = sorted(levels)
    for kb, seconds in ordered:
        left_s -= seconds
        if left_s <= 0:
            return kb
    return ordered[-1][0]


def _idle(series: Sequence[tuple[float, float]], marks: Mapping[str, float]) -> float | None:
    """Return the median while the program idled after its work."""
    if WORK_END not in marks or IDLE_END not in marks:
        return None
    kept = [kb for at_s, kb in series if marks[WORK_END] < at_s <= marks[IDLE_END]]
    return median(kept) if kept else None
