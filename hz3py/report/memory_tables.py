"""Tables about resident memory: phases, who holds it, moments of rest, the cost of looking."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.analysis.traces import Phase, Trace, cost_share, phases, split
from hz3py.report import numbers
from hz3py.report.text import Column, Line, Section, Table
from hz3py.report.waterfall import steps
from hz3py.store.records import SampleRecord

BASELINE = "system"
FEW_READINGS = 20
"""A series with fewer readings says little about the course of memory."""

Arms = Mapping[tuple[str, str], Sequence[Trace]]


_PHASE_FIGURES = {
    "mean MiB": "mean_kb",
    "peak MiB": "peak_kb",
    "MiB at its end": "end_kb",
    "seconds": "seconds",
}


def phase_table(arms: Arms) -> Table | None:
    """Return figures of every phase, one column per allocator; None if no phases were marked."""
    names = list(dict.fromkeys(name for _, name in arms))
    columns = (Column("phase", number=False), *(Column(name) for name in names))
    sections = []
    for label in dict.fromkeys(label for label, _ in arms):
        found = {
            name: {phase.name: phase for phase in phases(traces)}
            for (row, name), traces in arms.items()
            if row == label
        }
        titles = list(dict.fromkeys(title for line in found.values() for title in line))
        if len(titles) < 2:
            continue
        for heading, figure in _PHASE_FIGURES.items():
            lines = tuple(
                Line((title, *(_figure(found.get(name, {}).get(title), figure) for name in names)))
                for title in titles
            )
            sections.append(Section(f"{label}: {heading}", lines))
    return Table(columns, tuple(sections)) if sections else None


def _figure(phase: Phase | None, figure: str) -> str:
    if phase is None:
        return numbers.UNKNOWN
    value = float(getattr(phase, figure))
    return numbers.mib(value) if figure.endswith("_kb") else numbers.significant(value)


def split_table(arms: Arms, fixed_kb: Mapping[str, float]) -> Table | None:
    """Return what backs the memory of every arm, and how much more that is than under the system.

    Args:
        arms: Traces by row label and allocator.
        fixed_kb: Resident KiB of a program that does nothing, by allocator; may be empty.

    Returns:
        None if it was not recorded.
    """
    columns = [Column("allocator", number=False), Column("mean"), Column("files"), Column("heap")]
    columns.append(Column("heap, more than system"))
    if fixed_kb:
        columns.append(Column("empty program"))
    sections = []
    for label in dict.fromkeys(label for label, _ in arms):
        found = {name: split(traces) for (row, name), traces in arms.items() if row == label}
        if all(math.isnan(part.anon_kb) for part in found.values()):
            continue
        base = found[BASELINE].anon_kb if BASELINE in found else math.nan
        lines = []
        for name, part in found.items():
            sizes = (part.of_files_kb + part.anon_kb, part.of_files_kb, part.anon_kb)
            more = numbers.UNKNOWN if name == BASELINE else _difference(part.anon_kb - base)
            cells = [name, *(numbers.mib(kb) for kb in sizes), more]
            if fixed_kb:
                cells.append(numbers.mib(fixed_kb.get(name, math.nan)))
            lines.append(Line(tuple(cells)))
        sections.append(Section(label, tuple(lines)))
    return Table(tuple(columns), tuple(sections)) if sections else None


def _difference(kb: float) -> str:
    if math.isnan(kb):
        return numbers.UNKNOWN
    return f"{'+' if kb >= 0 else '-'}{numbers.mib(abs(kb))}"


def rest_table(samples: Sequence[SampleRecord]) -> Table | None:
    """Return the last exact account of a moment of rest of every arm; None if there is none."""
    columns = (
        Column("allocator", number=False),
        Column("at s"),
        Column("PSS"),
        Column("anonymous"),
        Column("huge pages"),
        Column("lazily freed"),
        Column("swapped"),
    )
    arms = dict.fromkeys((record.label, record.allocator) for record in samples)
    sections: dict[str, list[Line]] = {}
    for label, name in arms:
        account = last_rest(samples, label, name)
        if account is not None:
            sections.setdefault(label, []).append(_rest_line(name, account))
    if not sections:
        return None
    return Table(columns, tuple(Section(label, tuple(lines)) for label, lines in sections.items()))


def last_rest(
    samples: Sequence[SampleRecord], label: str, allocator: str
) -> dict[str, float] | None:
    """Return the last exact account of a moment of rest of one arm; None if there is none."""
    for record in reversed(samples):
        if (record.label, record.allocator, record.status) == (label, allocator, "ok"):
            quiet = (record.sample.get("rss") or {}).get("quiet")
            if quiet:
                return dict(quiet[-1])
    return None


def _rest_line(name: str, account: Mapping[str, float]) -> Line:
    kinds = ("pss", "anon", "huge", "lazy_free", "swap")
    sizes = (numbers.mib(float(account.get(kind, math.nan))) for kind in kinds)
    return Line((name, numbers.significant(account["at_s"]), *sizes))


def sampler_sentence(samples: Sequence[SampleRecord]) -> str:
    """Return what looking at the memory cost; empty without samples that were looked at."""
    seen = [record.sample for record in samples if (record.sample.get("rss") or {}).get("samples")]
    if not seen:
        return ""
    cpu_s = [float(sample["rss"]["sampler_cpu_s"]) for sample in seen]
    readings = sum(int(sample["rss"]["samples"]) for sample in seen)
    wall_s = [float((sample.get("exec") or {}).get("wall_s") or 0.0) for sample in seen]
    share = 100 * cost_share(cpu_s, wall_s)
    each = 1e6 * sum(cpu_s) / readings
    intervals = [float(s["rss"]["interval_s"]) for s in seen if s["rss"].get("interval_s")]
    every = f", one every {numbers.significant(1000 * max(intervals))} ms" if intervals else ""
    return (
        f"sampling took {numbers.significant(share)} % of one CPU: "
        f"{numbers.count(readings)} readings{every}, {numbers.significant(each)} µs each"
    )


def short_series(samples: Sequence[SampleRecord]) -> list[str]:
    """Return one sentence per row whose programs end before much could be read."""
    by_row: dict[str, list[int]] = {}
    for record in samples:
        rss = record.sample.get("rss")
        if record.status == "ok" and rss:
            by_row.setdefault(record.label, []).append(int(rss["samples"]))
    return [
        f"{label} ends too soon for a series: {statistics.median(counts):g} readings per run; "
        "trust the peak, which the kernel keeps, and repeat with --runs"
        for label, counts in by_row.items()
        if statistics.median(counts) < FEW_READINGS
    ]


def observations(samples: Sequence[SampleRecord]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the allocator's own account of each arm that has one, of its last good sample."""
    return {
        (record.label, record.allocator): dict(record.sample["observation"])
        for record in samples
        if record.status == "ok" and record.sample.get("observation")
    }


def parts_of(observation: Mapping[str, Any]) -> dict[str, float]:
    """Return the parts of an account in order: words for people to bytes; empty without parts."""
    if not observation.get("parts"):
        return {}
    return {
        step.label.replace("_", " "): float(step.size_bytes)
        for step in steps(observation)
        if step.name
    }


def parts_table(accounts: Mapping[tuple[str, str], Mapping[str, Any]]) -> Table | None:
    """Return where resident memory sits by the allocator's own account; None without one."""
    sections = []
    for (label, name), account in accounts.items():
        parts = parts_of(account)
        totals = sum(parts.values())
        if not totals:
            continue
        lines = [_part_line(part, size, totals) for part, size in parts.items() if size]
        lines += [_part_line(title, size, math.nan) for title, size in totals_of(account).items()]
        sections.append(Section(f"{label}, {name}", tuple(lines)))
    columns = (Column("part", number=False), Column("MiB"), Column("share"))
    return Table(columns, tuple(sections)) if sections else None


def totals_of(account: Mapping[str, Any]) -> dict[str, float]:
    """Return the sums that an account ends with: bytes by title."""
    titles = {"resident_bytes": "allocator's sum", "kernel_resident_bytes": "kernel's count"}
    return {
        title: float(account[key])
        for key, title in titles.items()
        if isinstance(account.get(key), (int, float))
    }


def _part_line(name: str, size: float, whole: float) -> Line:
    share = "" if math.isnan(whole) else f"{100 * size / whole:.0f} %"
    return Line((name, numbers.mib(size / 1024), share))
