"""The charts of a tuning session as places on paper; templates/tune_charts.j2 draws them.

Changes are percentages against the defaults. Colours go by role: 0 memory, 1 throughput, 2 what
was judged on fresh blocks, 3 what breaks a guard.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hz3py.report.scales import Scale, Tick
from hz3py.report.tune_story import words
from hz3py.report.tuning import knob_places
from hz3py.report.verdict import change

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#8A8A8A")
MEMORY, SPEED, JUDGED, BROKEN = range(4)
LANE = 24
NAME_END = 166
_LEFT, _RIGHT, _TOP = 44, 348, 12
FRONT_BOTTOM, RESPONSE_BOTTOM = 236, 150

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Dot:
    """One configuration, or one value of a knob."""

    number: int
    x: float
    y: float
    radius: float
    hint: str


@dataclass(frozen=True)
class Cross:
    """What was judged on fresh blocks, with both intervals."""

    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    hint: str


@dataclass(frozen=True)
class Front:
    """Every configuration by memory and throughput."""

    dots: tuple[Dot, ...]
    path: str
    cross: Cross | None
    origin: tuple[float, float]
    guard: float | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Cliff:
    """Where throughput changes between two neighbouring values."""

    x: float
    text: str


@dataclass(frozen=True)
class Response:
    """How memory and throughput respond to one knob."""

    name: str
    dots: tuple[Dot, ...]
    paths: tuple[str, str]
    zero: float
    cliffs: tuple[Cliff, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Bar:
    """The share of one knob in the objective."""

    name: str
    y: float
    width: float
    text: str


def front(document: Document) -> Front | None:
    """Return the chart of memory against throughput; None with no configuration but the default."""
    known = [each for each in document["configurations"] if each["rss_ratio"] is not None]
    shown = [each for each in known if each["knobs"]]
    if not shown:
        return None
    sides = document["rss_ci"] or (), document["throughput_ci"] or ()
    x = _axis([*(_percent(e["rss_ratio"]) for e in shown), *map(_percent, sides[0])], _LEFT, _RIGHT)
    speeds = [_percent(each["throughput_ratio"]) for each in shown]
    y = _axis([*speeds, *map(_percent, sides[1])], FRONT_BOTTOM, _TOP)
    dots = tuple(
        Dot(
            MEMORY if each["guards_kept"] else BROKEN,
            x.at(_percent(each["rss_ratio"])),
            y.at(_percent(each["throughput_ratio"])),
            4.5,
            f"trial {int(each['trial']) + 1}: {words(each['knobs'])}: memory "
            f"{change(each['rss_ratio'])}, throughput {change(each['throughput_ratio'])}",
        )
        for each in shown
    )
    best = sorted((each for each in known if each["front"]), key=lambda each: each["rss_ratio"])
    corners = [
        (x.at(_percent(each["rss_ratio"])), y.at(_percent(each["throughput_ratio"])))
        for each in best
    ]
    task = document["request"]["task"]
    limit = None if task["objective"] == "throughput" else -100 * task["throughput_margin"]
    is_inside = limit is not None and y.low < limit < y.high
    return Front(
        dots=dots,
        path=_path(corners) if len(corners) > 1 else "",
        cross=_cross(document, x, y),
        origin=(x.at(0), y.at(0)),
        guard=y.at(limit) if limit is not None and is_inside else None,
        x_ticks=x.ticks(5),
        y_ticks=y.ticks(5),
    )


def _cross(document: Document, x: Scale, y: Scale) -> Cross | None:
    if not (document["rss_ci"] and document["throughput_ci"]):
        return None
    word = "confirmed" if document["claim"] else "judged, not confirmed"
    left, right = (x.at(_percent(bound)) for bound in document["rss_ci"])
    bottom, top = (y.at(_percent(bound)) for bound in document["throughput_ci"])
    return Cross(
        x=x.at(_percent(document["rss_ratio"])),
        y=y.at(_percent(document["throughput_ratio"])),
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        hint=f"{word} on fresh blocks: {words(document['judged_knobs'])}",
    )


def responses(document: Document) -> list[Response]:
    """Return one chart for each knob of which at least two values were measured."""
    return [
        _response(name, points, document["cliffs"])
        for name, points in document["curves"].items()
        if len(points) > 1
    ]


def _response(
    name: str, points: Sequence[Mapping[str, Any]], cliffs: Iterable[Mapping[str, Any]]
) -> Response:
    values = [point["value"] for point in points]
    at, tick_at, tick_words = knob_places(values)
    x = Scale(min(at), max(at), _LEFT + 8, _RIGHT - 8)
    figures = {key: [_percent(point[key]) for point in points] for key in ("rss", "throughput")}
    y = _axis([value for column in figures.values() for value in column], RESPONSE_BOTTOM, _TOP)
    dots, paths = [], []
    for number, (key, column) in zip((MEMORY, SPEED), figures.items(), strict=True):
        corners = [(x.at(place), y.at(value)) for place, value in zip(at, column, strict=True)]
        paths.append(_path(corners))
        for point, (left, top) in zip(points, corners, strict=True):
            what = "memory" if key == "rss" else key
            hint = f"{name}={point['value']}: {what} {change(point[key])}"
            dots.append(Dot(number, left, top, 2.5 + 0.5 * min(int(point["trials"]), 6), hint))
    by_value = dict(zip(map(str, values), at, strict=True))
    steps = tuple(
        Cliff(
            x.at((by_value[str(each["below"])] + by_value[str(each["above"])]) / 2),
            change(each["change"]),
        )
        for each in cliffs
        if each["knob"] == name
    )
    ticks = (Tick(x.at(place), word) for place, word in zip(tick_at, tick_words, strict=True))
    return Response(
        name, tuple(dots), (paths[0], paths[1]), y.at(0), steps, tuple(ticks), y.ticks(4)
    )


def importance(document: Document) -> list[Bar]:
    """Return one bar per knob, the most important one first."""
    scale = Scale(0.0, 1.0, 0.0, 150.0)
    ranked = sorted(document["importance"].items(), key=lambda pair: -pair[1])
    return [
        Bar(name, 4 + LANE * place, scale.at(value), f"{100 * value:.0f} %")
        for place, (name, value) in enumerate(ranked)
    ]


def _axis(values: Iterable[float], begin: float, end: float) -> Scale:
    """Return an axis that holds zero and all values, with some room."""
    inside = [0.0, *values]
    low, high = min(inside), max(inside)
    room = max(0.08 * (high - low), 0.5)
    return Scale(low - room, high + room, begin, end)


def _path(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in corners)


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1) if math.isfinite(ratio) else 0.0
