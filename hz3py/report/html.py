"""The report as one HTML file that needs nothing else: no network, no fonts, no other file."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.analysis.summary import Arm
from hz3py.report import charts, memory_tables, numbers, overview, page, style
from hz3py.report.curves import Curve
from hz3py.report.story import Story, are_level, blocks_of, own_ratios, parts
from hz3py.report.table import heading
from hz3py.store.export import frame

_MOST_DATA_POINTS = 300
_DESCRIPTION = ("size", "block_bytes", "span_bytes")


def render(story: Story) -> str:
    """Return the report as HTML.

    Names and texts of the run are escaped; the page forbids itself to load anything.
    """
    told = {part.key: part for part in parts(story)}
    numbering = {name: number for number, name in enumerate(story.allocators)}
    accounts = memory_tables.observations(story.records)
    least = _least_memory(story)
    return page.template("report.html.j2").render(
        title=f"hz3 report: {story.title}",
        story=story,
        parts=told,
        details=[told[key] for key in ("rows", "allocators", "knobs", "machine") if key in told],
        command=shlex.join(["hz3", *story.run.argv]),
        cards=_cards(story),
        colours=_colours(story.allocators),
        numbering=numbering,
        overview=overview.overview(story.totals, numbering) if story.has_speed else None,
        lines=[_line(arm, numbering, least.get(arm.label)) for arm in story.arms],
        speed_panels=_speed_panels(story, numbering) if story.has_speed else [],
        rss_panels=_rss_panels(story, numbering),
        wide_panel=next(iter(_rss_panels(story, numbering, charts.WIDE_RSS_SIZE)), None),
        dot_panels=[
            charts.dot_panel(label, blocks, numbering) for label, blocks in blocks_of(story).items()
        ],
        waterfalls=_waterfalls(accounts, numbering),
        tables=_account_tables(accounts),
        data=data(story),
        charts=charts,
        overview_height=overview.OVERVIEW_HEIGHT,
    )


def _colours(names: Sequence[str]) -> list[tuple[str, str]]:
    """Colours on a light and on a dark ground, by number of the allocator."""
    chosen = style.colours(names)
    return page.grounds(chosen[name] for name in names)


def _cards(story: Story) -> list[tuple[str, str, str]]:
    """The figures at the top: what, how much, and beside what."""
    known = [line for line in story.totals if not math.isnan(line.throughput)]
    if story.verdict is not None:
        known = []  # who wins is the verdict's to say
    held = [line for line in known if not math.isnan(line.rss_mean)]
    rows = len(story.labels)
    cards = []
    if len(known) > 1 and story.has_speed:
        first, second = known[:2]
        fraction = f"{numbers.ratio(first.throughput)} of the best per row"
        note = f"{fraction}; first in {first.wins} of {rows}"
        if are_level(story, first, second):
            cards.append(("Speed", "level", f"{first.allocator} and {second.allocator}"))
        else:
            cards.append(("Fastest", first.allocator, note))
    if len(held) > 1:
        least = min(held, key=lambda line: line.rss_mean)
        cards.append(
            ("Least memory", least.allocator, f"{_times(least.rss_mean)} the leanest per row")
        )
    speed, memory = own_ratios(story)
    if known and story.has_speed and not math.isnan(speed) and not math.isnan(memory):
        beside = f"{_times(memory)} memory of the best other per row"
        cards.append(("hz3", f"{_times(speed)} speed", beside))
    failed = sum(arm.failed for arm in story.arms)
    done = sum(arm.blocks for arm in story.arms)
    note = f"{numbers.plural(failed, 'sample')} failed" if failed else "none failed"
    cards.append(("Samples", str(done), f"{numbers.plural(story.blocks, 'block')}; {note}"))
    return cards


def _times(value: float) -> str:
    return f"{numbers.ratio(value)} \N{MULTIPLICATION SIGN}"


def _least_memory(story: Story) -> dict[str, float]:
    """Return the smallest mean of resident memory of each row."""
    least: dict[str, float] = {}
    for arm in story.arms:
        if not math.isnan(arm.rss.mean):
            least[arm.label] = min(arm.rss.mean, least.get(arm.label, math.inf))
    return least


def _line(arm: Arm, numbering: Mapping[str, int], least_kb: float | None) -> dict[str, Any]:
    """One line of the result table: cells with what they are sorted by."""
    rss = arm.rss
    cells = [
        (numbers.speed(arm.throughput, arm.unit), arm.throughput),
        (numbers.ratio(arm.to_best.estimate), arm.to_best.estimate),
        (numbers.bounds(arm.to_best), arm.to_best.low),
        *((numbers.mib(kb), kb) for kb in (rss.mean, rss.p95, rss.peak, rss.idle)),
        (numbers.count(arm.faults), arm.faults),
        (numbers.significant(arm.cpu_s), arm.cpu_s),
    ]
    failure = f"{arm.status}: {arm.detail}" if arm.failed else ""
    if arm.failed and arm.blocks:
        failure = f"{arm.failed} of {arm.failed + arm.blocks} failed: {arm.detail}"
    return {
        "label": arm.label,
        "allocator": arm.allocator,
        "number": numbering[arm.allocator],
        "cells": [(text, "" if math.isnan(value) else repr(value)) for text, value in cells],
        "best": bool(arm.blocks) and arm.to_best.estimate == 1.0,
        "leanest": arm.rss.mean == least_kb,
        "share": 0 if math.isnan(arm.to_best.estimate) else round(100 * arm.to_best.estimate),
        "failure": failure,
    }


def _speed_panels(story: Story, numbering: Mapping[str, int]) -> list[charts.SpeedPanel]:
    found = []
    for label in story.labels:
        row = [arm for arm in story.arms if arm.label == label]
        note = heading(row[0]).removeprefix(label).strip(" ()")
        found.append(charts.speed_panel(row, numbering, note))
    return found


def _rss_panels(
    story: Story, numbering: Mapping[str, int], size: tuple[float, float] = charts.RSS_SIZE
) -> list[charts.RssPanel]:
    by_row: dict[str, list[Curve]] = {}
    for curve in story.curves:
        by_row.setdefault(curve.label, []).append(curve)
    return [charts.rss_panel(curves, numbering, size) for curves in by_row.values()]


def _waterfalls(
    accounts: Mapping[tuple[str, str], Mapping[str, Any]], numbering: Mapping[str, int]
) -> list[charts.Waterfall]:
    drawn = (
        charts.waterfall(
            f"{label}, {name}",
            numbering[name],
            memory_tables.parts_of(account),
            memory_tables.totals_of(account),
        )
        for (label, name), account in accounts.items()
    )
    return [waterfall for waterfall in drawn if waterfall is not None]


def _account_tables(
    accounts: Mapping[tuple[str, str], Mapping[str, Any]],
) -> list[tuple[str, list[str], list[list[str]]]]:
    """Size classes, segments and counters of each account: heading, columns, lines."""
    found = []
    for (label, name), account in accounts.items():
        where = f"{label}, {name}"
        classes = [entry for entry in account.get("classes") or () if _is_used(entry)]
        keys = list(dict.fromkeys(str(key) for entry in classes for key in entry))
        lines = [[_word(entry.get(key, "")) for key in keys] for entry in classes]
        if lines:
            found.append((f"Size classes: {where}", [_title(key) for key in keys], lines))
        for title in ("segments", "counters"):
            values = account.get(title)
            if isinstance(values, Mapping) and values:
                pairs = [[_title(key), _word(value)] for key, value in values.items()]
                found.append((f"{title.capitalize()}: {where}", [title, "value"], pairs))
    return found


def _title(key: Any) -> str:
    return str(key).replace("_", " ")


def _is_used(entry: Any) -> bool:
    """Tell whether a size class holds anything beside its own description."""
    return isinstance(entry, Mapping) and any(
        bool(value) for key, value in entry.items() if key not in _DESCRIPTION
    )


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return str(value)
    return f"{value:,}".replace(",", " ")


def data(story: Story) -> dict[str, Any]:
    """Everything that the charts were drawn from, for programs that read the report."""
    samples = frame(story.records).drop(columns="work")
    lines = [
        {str(key): _plain(value) for key, value in line.items()}
        for line in samples.to_dict(orient="records")
    ]
    curves = [
        {
            "label": curve.label,
            "allocator": curve.allocator,
            "work_end_s": curve.work_end_s,
            "seconds_mib": [
                [round(at, 4), round(mib, 3)]
                for at, mib in charts.thinned(
                    list(zip(curve.seconds, curve.mib, strict=True)), _MOST_DATA_POINTS
                )
            ],
        }
        for curve in story.curves
    ]
    return {
        "schema": 1,
        "summary": dict(story.document),
        "plan": dict(story.run.plan),
        "verdict": None if story.verdict is None else dict(story.verdict),
        "samples": lines,
        "curves": curves,
        "observations": [
            {"label": label, "allocator": name, **account}
            for (label, name), account in memory_tables.observations(story.records).items()
        ],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, tuple):
        return list(value)
    return value.item() if hasattr(value, "item") else value
