"""The overview chart of the HTML report: speed against memory, one point per allocator."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hz3py.analysis.summary import Overall
from hz3py.report import numbers
from hz3py.report.scales import Scale, Tick

WIDTH = 360
RADIUS = 7
_CHARACTER_WIDTH = 6.8
# Where a name may stand beside its point, the best place first.
_LABEL_PLACES = (
    (11, 4, "start"),
    (-11, 4, "end"),
    (0, -11, "middle"),
    (0, 20, "middle"),
    (9, -9, "start"),
    (9, 17, "start"),
    (-9, -9, "end"),
    (-9, 17, "end"),
    (0, -26, "middle"),
    (0, 35, "middle"),
)


@dataclass(frozen=True)
class Label:
    """Where the name of a point stands, and which end of it."""

    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Point:
    """One allocator in the overview."""

    number: int
    name: str
    x: float
    y: float
    label: Label
    hint: str


@dataclass(frozen=True)
class Overview:
    """Speed against memory of all allocators over all rows."""

    points: tuple[Point, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


OVERVIEW_HEIGHT = 262


def overview(totals: Sequence[Overall], numbering: Mapping[str, int]) -> Overview | None:
    """Return the overview; None with fewer than two allocators that have both figures."""
    known = [t for t in totals if not (math.isnan(t.throughput) or math.isnan(t.rss_mean))]
    if len(known) < 2:
        return None
    most = max(line.rss_mean for line in known)
    x = Scale(1.0 - 0.06 * (most - 0.9), 1.0 + 1.12 * (most - 1.0) + 0.02, 44, 348)
    y = Scale(0.0, 1.05, 218, 12)
    ranked = sorted(known, key=lambda line: -line.throughput)
    places = [(x.at(line.rss_mean), y.at(line.throughput)) for line in ranked]
    labels = labelled(places, [line.allocator for line in ranked])
    points = tuple(
        Point(numbering[line.allocator], line.allocator, *place, label, _hint(line))
        for line, place, label in zip(ranked, places, labels, strict=True)
    )
    return Overview(points, x.ticks(4), y.ticks(4))


def _hint(line: Overall) -> str:
    return (
        f"{line.allocator}: speed {numbers.ratio(line.throughput)} of the fastest, "
        f"memory {numbers.ratio(line.rss_mean)} times the leanest"
    )


def labelled(places: Sequence[tuple[float, float]], names: Sequence[str]) -> list[Label]:
    """Find a place for the name of each point where it covers no point and no other name."""
    taken = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places]
    labels = []
    for (x, y), name in zip(places, names, strict=True):
        width = _CHARACTER_WIDTH * len(name)
        tried = [(x + dx, y + dy, anchor) for dx, dy, anchor in _LABEL_PLACES]
        boxes = [_box(at_x, at_y, anchor, width) for at_x, at_y, anchor in tried]
        free = [
            place
            for place, box in enumerate(boxes)
            if box[0] >= 0 and box[2] <= WIDTH and not any(_overlap(box, other) for other in taken)
        ]
        chosen = free[0] if free else 0
        taken.append(boxes[chosen])
        labels.append(Label(*tried[chosen]))
    return labels


def _box(x: float, y: float, anchor: str, width: float) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of a name."""
    left = {"start": x, "middle": x - width / 2, "end": x - width}[anchor]
    return (left, y - 10, left + width, y + 3)


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
