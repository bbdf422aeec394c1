"""The charts of the HTML report as places on paper; templates/charts.j2 draws them.

A chart is a panel 360 units wide, so that text keeps its size on a telephone; a wide screen shows
several panels side by side. Everything that belongs to an allocator carries its number, by which
the style sheet colours it and the script hides it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hz3py.analysis.summary import Arm
from hz3py.report import numbers
from hz3py.report.curves import Curve
from hz3py.report.scales import Scale, Tick, covering

WIDTH = 360
_COMMON_MARKS = ("work-begin", "work-end", "idle-end")
LABEL_END = 78
LANE = 24
_MOST_POINTS = 150


@dataclass(frozen=True)
class Bar:
    """One allocator in a speed panel; places are None where it has no figure."""

    number: int
    name: str
    y: float
    end: float | None
    low: float | None
    high: float | None
    text: str
    hint: str


@dataclass(frozen=True)
class SpeedPanel:
    """Speeds of one row relative to the fastest."""

    title: str
    note: str
    height: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    begin: float


def speed_panel(row: Sequence[Arm], numbering: Mapping[str, int], note: str) -> SpeedPanel:
    """Return the bars of one row.

    Args:
        row: Arms with the same label, at least one.
        numbering: Number of each allocator.
        note: What is said below the title.
    """
    highs = [arm.to_best.high for arm in row if arm.to_best.known]
    scale = Scale(0.0, min(1.4, max([1.0, *highs])), LABEL_END + 6, 268)
    bars = tuple(_bar(arm, place, scale, numbering) for place, arm in enumerate(row))
    ticks = tuple(Tick(scale.at(value), text) for value, text in ((0, "0"), (0.5, "0.5"), (1, "1")))
    return SpeedPanel(row[0].label, note, 8 + LANE * len(row), bars, ticks, scale.begin)


def _bar(arm: Arm, place: int, scale: Scale, numbering: Mapping[str, int]) -> Bar:
    y = 4 + LANE * place
    number = numbering[arm.allocator]
    if not arm.blocks:
        return Bar(number, arm.allocator, y, None, None, None, arm.status, arm.detail)
    shown = numbers.speed(arm.throughput, arm.unit)
    interval = numbers.bounds(arm.to_best)
    hint = f"{arm.allocator}: {shown}, {numbers.ratio(arm.to_best.estimate)} of the fastest"
    hint += f" (95 % interval {interval})" if interval else ""
    has_interval = arm.to_best.known and arm.to_best.low < arm.to_best.high
    return Bar(
        number=number,
        name=arm.allocator,
        y=y,
        end=scale.at(arm.to_best.estimate),
        low=scale.at(arm.to_best.low) if has_interval else None,
        high=scale.at(arm.to_best.high) if has_interval else None,
        text=shown,
        hint=hint,
    )


@dataclass(frozen=True)
class Dot:
    """One finished process."""

    x: float
    hint: str


@dataclass(frozen=True)
class Lane:
    """One allocator in a panel of dots: speeds on the left, memory on the right."""

    number: int
    name: str
    y: float
    speeds: tuple[Dot, ...]
    memory: tuple[Dot, ...]
    middle_speed: float | None
    middle_memory: float | None


@dataclass(frozen=True)
class DotPanel:
    """Every block of one row."""

    title: str
    height: float
    lanes: tuple[Lane, ...]
    speed_ticks: tuple[Tick, ...]
    memory_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Block:
    """Figures of one good sample: speed relative to the fastest arm, mean memory in MiB."""

    allocator: str
    block: int
    speed: float
    mib: float
    speed_text: str


def dot_panel(title: str, blocks: Sequence[Block], numbering: Mapping[str, int]) -> DotPanel:
    """Return the dots of one row, allocators in the order in which they appear."""
    speed_scale = Scale(
        0.0, covering(_largest(block.speed for block in blocks)), LABEL_END + 6, 208
    )
    memory_scale = Scale(0.0, covering(_largest(block.mib for block in blocks)), 226, 350)
    lanes = []
    for place, name in enumerate(dict.fromkeys(block.allocator for block in blocks)):
        own = [block for block in blocks if block.allocator == name]
        fast = [block for block in own if not math.isnan(block.speed)]
        held = [block for block in own if not math.isnan(block.mib)]
        lanes.append(
            Lane(
                number=numbering[name],
                name=name,
                y=4 + LANE * place,
                speeds=tuple(
                    Dot(speed_scale.at(b.speed), f"{name}, block {b.block + 1}: {b.speed_text}")
                    for b in fast
                ),
                memory=tuple(
                    Dot(
                        memory_scale.at(b.mib),
                        f"{name}, block {b.block + 1}: {numbers.significant(b.mib)} MiB",
                    )
                    for b in held
                ),
                middle_speed=_middle(speed_scale, [b.speed for b in fast]),
                middle_memory=_middle(memory_scale, [b.mib for b in held]),
            )
        )
    height = 8 + LANE * len(lanes)
    return DotPanel(title, height, tuple(lanes), speed_scale.ticks(2), memory_scale.ticks(2))


def _largest(values: Iterable[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=1.0)


def _middle(scale: Scale, values: Sequence[float]) -> float | None:
    return scale.at(statistics.median(values)) if values else None


@dataclass(frozen=True)
class Line:
    """Resident memory of one allocator: its path during the work and while idle, its spread."""

    number: int
    name: str
    work: str
    idle: str
    spread: str
    marks: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class RssPanel:
    """Resident memory of one row over time."""

    title: str
    width: float
    height: float
    lines: tuple[Line, ...]
    phases: tuple[tuple[float, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


RSS_SIZE = (360.0, 200.0)
WIDE_RSS_SIZE = (1080.0, 340.0)
_MOST_PHASES = 8


def rss_panel(
    curves: Sequence[Curve], numbering: Mapping[str, int], size: tuple[float, float] = RSS_SIZE
) -> RssPanel:
    """Return the lines of one row.

    Args:
        curves: Curves with the same label, at least one.
        numbering: Number of each allocator.
        size: Width and height.
    """
    tops = [max(curve.mib) for curve in curves]
    tops += [float(curve.band.high.max()) / 1024 for curve in curves if curve.band is not None]
    x = Scale(0.0, max(curve.seconds[-1] for curve in curves) or 1.0, 40, size[0] - 10)
    y = Scale(0.0, covering(max(tops)), size[1] - 28, 14)
    lines = tuple(_line(curve, numbering[curve.allocator], x, y) for curve in curves)
    is_wide = size[0] > WIDTH
    own = [mark for mark in curves[0].marks if mark[0] not in _COMMON_MARKS][:_MOST_PHASES]
    phases = tuple((x.at(at_s), name) for name, at_s in own) if is_wide else ()
    return RssPanel(curves[0].label, *size, lines, phases, x.ticks(8 if is_wide else 4), y.ticks(4))


def _line(curve: Curve, number: int, x: Scale, y: Scale) -> Line:
    end = math.inf if curve.work_end_s is None else curve.work_end_s
    points = list(zip(curve.seconds, curve.mib, strict=True))
    work = [point for point in points if point[0] <= end]
    rest = [point for point in points if point[0] > end]
    spread = ""
    if curve.band is not None:
        times = curve.band.seconds.tolist()
        highs = [(at, kb / 1024) for at, kb in zip(times, curve.band.high.tolist(), strict=True)]
        lows = [(at, kb / 1024) for at, kb in zip(times, curve.band.low.tolist(), strict=True)]
        spread = _path([*highs[::2], *reversed(lows[::2])], x, y) + "Z"
    marks = []
    for name, at_s in curve.marks:
        level = next((mib for at, mib in points if at >= at_s), points[-1][1])
        if name not in ("work-begin", "idle-end"):
            marks.append((x.at(at_s), y.at(level), name))
    if curve.work_end_s is not None and not curve.marks and work:
        marks.append((x.at(work[-1][0]), y.at(work[-1][1]), "end of the work"))
    return Line(
        number=number,
        name=curve.allocator,
        work=_path(thinned(work), x, y),
        idle=_path(thinned([*work[-1:], *rest]), x, y) if rest else "",
        spread=spread,
        marks=tuple(marks),
    )


def thinned(
    points: Sequence[tuple[float, float]], most: int = _MOST_POINTS
) -> Sequence[tuple[float, float]]:
    """Return at most about `most` points that keep every dip and peak: extremes of each stretch."""
    if len(points) <= most:
        return points
    size = math.ceil(2 * len(points) / most)
    kept: list[tuple[float, float]] = [points[0]]
    for begin in range(0, len(points), size):
        stretch = points[begin : begin + size]
        ends = (min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1]))
        kept += sorted(set(ends))
    return [*kept, points[-1]]


def _path(points: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    words = [f"{x.at(at):g},{y.at(level):g}" for at, level in points]
    return "M" + "L".join(words) if words else ""


@dataclass(frozen=True)
class Step:
    """One part of resident memory in a waterfall: from where the parts above it end."""

    name: str
    y: float
    begin: float
    width: float
    text: str
    kind: str


@dataclass(frozen=True)
class Waterfall:
    """Where resident memory sits, part after part, up to what the kernel counts."""

    title: str
    number: int
    height: float
    steps: tuple[Step, ...]


_SMALL_BYTES = 0.01 * 2**20


def waterfall(
    title: str, number: int, parts: Mapping[str, float], totals: Mapping[str, float]
) -> Waterfall | None:
    """Return the steps of one account.

    Args:
        title: Row and allocator.
        number: Number of the allocator.
        parts: Bytes by name, in the order in which they are drawn; empty parts are left out.
        totals: Bytes by name, drawn from zero below the parts.
    """
    shown = [(name, size) for name, size in parts.items() if size > 0]
    if not shown:
        return None
    whole = max([sum(size for _, size in shown), *totals.values()])
    scale = Scale(0.0, whole, 172, 290)
    steps: list[Step] = []
    reached = 0.0
    for name, size in [*shown, *totals.items()]:
        is_total = len(steps) >= len(shown)
        begin = scale.at(0.0 if is_total else reached)
        end = scale.at(size if is_total else reached + size)
        text = f"{numbers.mib(size / 1024) if size >= _SMALL_BYTES else '< 0.01'} MiB"
        kind = "total" if is_total else "part"
        steps.append(
            Step(name, 4 + 22 * len(steps), begin, max(1.0, round(end - begin, 1)), text, kind)
        )
        reached += 0.0 if is_total else size
    return Waterfall(title, number, 8 + 22 * len(steps), tuple(steps))
