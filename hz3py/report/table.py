"""The tables of a run: one section per row of the plan, and one line per allocator overall."""

from __future__ import annotations

from collections.abc import Sequence

from hz3py.analysis.summary import Arm, Overall
from hz3py.report import numbers
from hz3py.report.numbers import plural
from hz3py.report.text import Column, Line, Section, Table

_SPEED = (Column("speed"), Column("vs best"), Column("95 % interval"))
_RSS = (Column("RSS mean"), Column("p95", optional=True), Column("peak"), Column("idle"))
_COST = (Column("faults", optional=True), Column("CPU s", optional=True))


def bench_table(arms: Sequence[Arm]) -> Table:
    """Return speed, resident memory and cost of every arm, the fastest of each row marked."""
    return Table(
        (Column("allocator", number=False), *_SPEED, *_RSS, *_COST),
        _sections(arms, with_speed=True),
    )


def rss_table(arms: Sequence[Arm]) -> Table:
    """Return resident memory of every arm with its time, the leanest of each row marked."""
    return Table(
        (Column("allocator", number=False), *_RSS, Column("time"), *_COST),
        _sections(arms, with_speed=False),
    )


def legend(blocks: int) -> str:
    """Return the line that explains the columns.

    Args:
        blocks: Samples per arm.
    """
    return (
        f"{plural(blocks, 'block')}: geometric mean of speeds, median of the rest; "
        "RSS is resident memory in MiB: mean and p95 of the work, peak, and after idling"
    )


def overall_table(lines: Sequence[Overall], *, with_speed: bool = True) -> Table:
    """Return one line per allocator over all rows; failed rows are a column if there are any.

    Args:
        lines: One per allocator.
        with_speed: Whether speeds mean anything.
    """
    titles: list[str] = ["speed vs best", "fastest in"] if with_speed else []
    titles += ["mean RSS vs leanest", "peak RSS vs leanest"]
    has_failures = any(line.missing for line in lines)
    if has_failures:
        titles.append("failed rows")
    body = []
    for line in lines:
        cells = [line.allocator]
        if with_speed:
            cells += [numbers.ratio(line.throughput), f"{line.wins} of {line.rows}"]
        cells += [numbers.ratio(line.rss_mean), numbers.ratio(line.rss_peak)]
        if has_failures:
            cells.append(str(line.missing) if line.missing else "")
        body.append(Line(tuple(cells)))
    columns = (Column("allocator", number=False), *(Column(title) for title in titles))
    return Table(columns, (Section("", tuple(body)),))


def heading(arm: Arm) -> str:
    """Return the heading of a row: its label, and how it ran."""
    threads = plural(arm.threads, "thread")
    touched = {
        "none": "blocks not written",
        "first": "first byte of blocks written",
        "ends": "first and last byte of blocks written",
        "full": "blocks written in full",
    }.get(arm.touch)
    return f"{arm.label} ({threads}, {touched})" if touched else arm.label


def _sections(arms: Sequence[Arm], *, with_speed: bool) -> tuple[Section, ...]:
    sections = []
    for label in dict.fromkeys(arm.label for arm in arms):
        row = [arm for arm in arms if arm.label == label]
        best = _fastest(row) if with_speed else _leanest(row)
        lines = tuple(_line(arm, best=arm is best, with_speed=with_speed) for arm in row)
        sections.append(Section(heading(row[0]), lines))
    return tuple(sections)


def _fastest(row: Sequence[Arm]) -> Arm | None:
    return next((arm for arm in row if arm.to_best.estimate == 1.0), None)


def _leanest(row: Sequence[Arm]) -> Arm | None:
    known = [arm for arm in row if arm.rss.mean == arm.rss.mean]
    return min(known, key=lambda arm: arm.rss.mean, default=None)


def _line(arm: Arm, *, best: bool, with_speed: bool) -> Line:
    if not arm.blocks:
        return Line((arm.allocator, f"{arm.status}: {arm.detail}"), "failed")
    shown = numbers.speed(arm.throughput, arm.unit)
    rss = tuple(numbers.mib(kb) for kb in (arm.rss.mean, arm.rss.p95, arm.rss.peak, arm.rss.idle))
    cost = (numbers.count(arm.faults), numbers.significant(arm.cpu_s))
    note = (f"{arm.failed} of {arm.failed + arm.blocks} failed",) if arm.failed else ()
    name = arm.allocator + (f" ({note[0]})" if note else "")
    if with_speed:
        ratio = (numbers.ratio(arm.to_best.estimate), numbers.bounds(arm.to_best))
        return Line((name, shown, *ratio, *rss, *cost), "best" if best else "")
    return Line((name, *rss, shown, *cost), "best" if best else "")
