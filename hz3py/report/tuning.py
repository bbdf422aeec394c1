"""Pictures of a tuning session, drawn from its tune.json alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hz3py.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MEMORY = "#0072B2"
_MOST_TICKS = 7
_SPEED = "#D55E00"
_OTHER = "#BBBBBB"
_CHOSEN = "#009E73"
_MOST_COLUMNS = 3
_FORMATS = ("png",)


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw everything that there is enough data for.

    Args:
        document: Content of tune.json.
        folder: Where the pictures go.

    Raises:
        OSError: A file cannot be written.
    """
    files: list[Path] = []
    known = [each for each in document["configurations"] if each["rss_ratio"] is not None]
    if len(known) > 1:
        files += style.save(front_figure(document), folder / "front", _FORMATS)
    if any(len(points) > 1 for points in document["curves"].values()):
        files += style.save(response_figure(document["curves"]), folder / "response", _FORMATS)
    if document["importance"]:
        files += style.save(
            importance_figure(document["importance"]), folder / "importance", _FORMATS
        )
    return files


def front_figure(document: Mapping[str, Any]) -> Figure:
    """Draw every configuration by memory and throughput; the front, the default, the choice."""
    figure = style.new_figure(6.4, 4.6)
    axes = figure.subplots()
    known = [each for each in document["configurations"] if each["rss_ratio"] is not None]
    style.quiet(axes, grid="y")
    axes.axhline(0, color=style.FAINT, linewidth=1)
    axes.axvline(0, color=style.FAINT, linewidth=1)
    for kept, colour, label in (
        (True, _MEMORY, "guards kept"),
        (False, _OTHER, "a guard broken"),
    ):
        group = [each for each in known if each["knobs"] and each["guards_kept"] is kept]
        if group:
            axes.scatter(*_percents(group), s=26, color=colour, label=label, zorder=3)
    best = sorted((each for each in known if each["front"]), key=lambda each: each["rss_ratio"])
    if len(best) > 1:
        axes.plot(*_percents(best), color=_MEMORY, linewidth=1, alpha=0.6, label="front")
    axes.scatter([0], [0], s=60, marker="s", color=style.INK, label="defaults", zorder=4)
    if document.get("rss_ci") and document.get("throughput_ci"):
        _chosen(axes, document)
    axes.set_xlabel("resident memory against the defaults, % (left is less)", fontsize=9)
    axes.set_ylabel("throughput against the defaults, %", fontsize=9)
    axes.set_title(
        f"{document['workload']}: what the knobs trade\n"
        "dots: search, not confirmed; cross: fresh blocks with their interval",
        fontsize=10,
        loc="left",
        color=style.INK,
    )
    axes.legend(frameon=False, fontsize=8)
    return figure


def _chosen(axes: Axes, document: Mapping[str, Any]) -> None:
    x, y = _percent(document["rss_ratio"]), _percent(document["throughput_ratio"])
    low_x, high_x = (_percent(bound) for bound in document["rss_ci"])
    low_y, high_y = (_percent(bound) for bound in document["throughput_ci"])
    label = "confirmed" if document["claim"] else "judged, not confirmed"
    axes.errorbar(
        [x],
        [y],
        xerr=[[x - low_x], [high_x - x]],
        yerr=[[y - low_y], [high_y - y]],
        color=_CHOSEN,
        linewidth=1.6,
        capsize=3,
        marker="o",
        markersize=4,
        label=label,
        zorder=5,
    )


def response_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw one panel per knob: mean memory and throughput of all configurations with a value."""
    shown = {name: points for name, points in curves.items() if len(points) > 1}
    columns = min(_MOST_COLUMNS, len(shown))
    lines = math.ceil(len(shown) / columns)
    figure = style.new_figure(max(5.2, 3.6 * columns), 2.6 * lines + 0.9)
    figure.suptitle(
        "Response to each knob, averaged over all configurations with that value\n"
        "larger dots: more configurations",
        fontsize=10,
        color=style.INK,
    )
    panels: list[Axes] = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[len(shown) :]:
        panel.remove()
    for place, (panel, (name, points)) in enumerate(zip(panels, shown.items(), strict=False)):
        _response(panel, name, points)
        if place % columns == 0:
            panel.set_ylabel("against the defaults, %", fontsize=8, color=style.INK)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def _response(panel: Axes, name: str, points: Sequence[Mapping[str, Any]]) -> None:
    style.quiet(panel, grid="y")
    panel.axhline(0, color=style.INK, linewidth=0.6)
    places, ticks, words = knob_places([point["value"] for point in points])
    sizes = [14 + 10 * min(point["trials"], 8) for point in points]
    for figure, colour, label in (
        ("rss_ratio", _MEMORY, "resident memory"),
        ("throughput_ratio", _SPEED, "throughput"),
    ):
        key = figure.removesuffix("_ratio")
        values = [_percent(point[key]) for point in points]
        panel.plot(places, values, color=colour, linewidth=1, alpha=0.5)
        panel.scatter(places, values, s=sizes, color=colour, label=label, zorder=3)
    panel.set_xticks(ticks, words)
    panel.set_title(name, fontsize=9, loc="left", color=style.INK, fontweight="bold")


def knob_places(values: Sequence[int | str]) -> tuple[list[float], list[float], list[str]]:
    """Return where values go on the axis of a knob, and ticks with words that leave room.

    Args:
        values: Words, or numbers in rising order.
    """
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) < len(values):
        places = [float(place) for place in range(len(values))]
        return places, places, [str(value) for value in values]
    wide = max(numbers) >= 32 * max(1, min(numbers))
    places = [math.log2(number) if wide and number else float(number) for number in numbers]
    if wide:
        least = min((place for place, number in zip(places, numbers, strict=True) if number))
        places = [
            place if number else least - 1.5 for place, number in zip(places, numbers, strict=True)
        ]
    room = (places[-1] - places[0]) / (_MOST_TICKS - 1)
    ticks: list[tuple[float, str]] = []
    for place, number in zip(places, numbers, strict=True):
        if not ticks or place - ticks[-1][0] >= room:
            ticks.append((place, _short(number)))
    return places, [place for place, _ in ticks], [word for _, word in ticks]


def _short(number: int) -> str:
    for shift, suffix in ((30, "G"), (20, "M"), (10, "K")):
        if number >= 1 << shift and number % (1 << shift) == 0:
            return f"{number >> shift}{suffix}"
    return str(number)


def importance_figure(importance: Mapping[str, float]) -> Figure:
    """Draw how much of the objective each knob decides."""
    figure = style.new_figure(5.4, 1.0 + 0.34 * len(importance))
    axes = figure.subplots()
    style.quiet(axes, grid="x")
    names = sorted(importance, key=lambda name: importance[name])
    axes.barh(names, [importance[name] for name in names], color=_MEMORY, height=0.6)
    axes.set_title(
        "Which knobs decide the objective (share)", fontsize=10, loc="left", color=style.INK
    )
    axes.set_xlim(0, 1)
    return figure


def _percents(group: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    return (
        [_percent(each["rss_ratio"]) for each in group],
        [_percent(each["throughput_ratio"]) for each in group],
    )


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)
