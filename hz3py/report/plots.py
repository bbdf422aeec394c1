"""The two pictures of a run: speed of every row, and resident memory over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hz3py.analysis.summary import Arm
from hz3py.report import numbers, style
from hz3py.report.curves import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_COLUMNS = 3
_PANEL_WIDTH = 3.9
_ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
_RIGHT_END = 1.62
"""Right end of the speed axis; what lies beyond 1 holds the absolute figures."""
_MOST_LEFT_OF_TEXT = 1.25
_MOST_LEGEND_COLUMNS = 6
_MOST_PHASES = 8


def speed_figure(arms: Sequence[Arm]) -> Figure:
    """Draw one panel per row: speed of each allocator relative to the fastest, with interval.

    Args:
        arms: Lines of the result table, at least one.
    """
    labels = list(dict.fromkeys(arm.label for arm in arms))
    names = list(dict.fromkeys(arm.allocator for arm in arms))
    title = "Speed relative to the fastest allocator: longer is better"
    if any(_has_whisker(arm) for arm in arms):
        blocks = numbers.plural(max(arm.blocks for arm in arms), "block")
        title += f"\nwhiskers: 95 % interval of the ratio over {blocks}"
    figure, panels = _figure(labels, 0.7 + 0.25 * max(len(names), 2), title)
    for panel, label in zip(panels, labels, strict=True):
        _speed_panel(panel, [arm for arm in arms if arm.label == label], names)
    for panel in _lowest(panels):
        panel.set_xlabel("speed / speed of the fastest", fontsize=8, color=style.INK, loc="left")
    return figure


def _speed_panel(panel: Axes, row: Sequence[Arm], names: Sequence[str]) -> None:
    by_name = {arm.allocator: arm for arm in row}
    colours = style.colours(names)
    style.quiet(panel, grid="x")
    panel.set_title(row[0].label, fontsize=9, loc="left", color=style.INK, fontweight="bold")
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.set_xlim(0, _RIGHT_END)
    panel.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "0.25", "0.5", "0.75", "1"])
    for place, name in enumerate(names):
        arm = by_name.get(name)
        if arm is not None and arm.blocks:
            _bar(panel, place, arm, colours[name])
        else:
            text = "not run" if arm is None else arm.status
            panel.text(0.02, place, text, va="center", fontsize=8, color=style.ALARM)


def _bar(panel: Axes, place: int, arm: Arm, colour: str) -> None:
    """Draw the bar of one arm, its whisker, and its absolute speed behind them."""
    end = arm.to_best.estimate
    panel.barh(place, end, height=0.68, color=colour)
    if _has_whisker(arm):
        low, high = arm.to_best.low, arm.to_best.high
        panel.plot([low, high], [place, place], color=style.INK, linewidth=1.2)
        for bound in (low, high):
            panel.plot([bound] * 2, [place - 0.16, place + 0.16], color=style.INK, linewidth=1.2)
        end = min(max(end, high), _MOST_LEFT_OF_TEXT)
    text = numbers.speed(arm.throughput, arm.unit)
    panel.text(end + 0.025, place, text, va="center", fontsize=8, color=style.INK, bbox=_ON_WHITE)


def _has_whisker(arm: Arm) -> bool:
    return arm.to_best.known and arm.to_best.low < arm.to_best.high


def rss_figure(curves: Sequence[Curve]) -> Figure:
    """Draw one panel per row: resident memory over time, one line per allocator.

    The idle time after the work is drawn thin; a dot marks where it begins.

    Args:
        curves: At least one.
    """
    labels = list(dict.fromkeys(curve.label for curve in curves))
    names = list(dict.fromkeys(curve.allocator for curve in curves))
    title = (
        "Resident memory over time: lower is better\n"
        "line: the sample with the median mean of each allocator"
    )
    if any(curve.band is not None for curve in curves):
        title += "; shade: lowest to highest"
    if any(curve.work_end_s is not None for curve in curves):
        title += "\ndot: end of the work; thin line: idle afterwards"
    figure, panels = _figure(labels, 2.3 if len(labels) > _MOST_COLUMNS else 3.2, title)
    colours = style.colours(names)
    for place, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        _rss_panel(panel, [curve for curve in curves if curve.label == label], colours)
        if place % _columns(labels) == 0:
            panel.set_ylabel("resident MiB", fontsize=8, color=style.INK)
    for panel in _lowest(panels):
        panel.set_xlabel("seconds since the start", fontsize=8, color=style.INK)
    handles = [panels[0].plot([], [], color=colours[name], lw=2.2, label=name)[0] for name in names]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(names), _MOST_LEGEND_COLUMNS),
        frameon=False,
        fontsize=9,
    )
    return figure


def _figure(labels: Sequence[str], panel_height: float, title: str) -> tuple[Figure, list[Axes]]:
    """Return a titled figure with one panel per label; heights are in inches."""
    columns = _columns(labels)
    lines = math.ceil(len(labels) / columns)
    figure = style.new_figure(max(7.0, _PANEL_WIDTH * columns), lines * panel_height + 1.2)
    figure.suptitle(title, fontsize=11, color=style.INK)
    panels: list[Axes] = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[len(labels) :]:
        panel.remove()
    return figure, panels[: len(labels)]


def _columns(labels: Sequence[str]) -> int:
    return min(_MOST_COLUMNS, len(labels))


def _lowest(panels: Sequence[Axes]) -> Sequence[Axes]:
    """The panels below which there is none."""
    return panels[-min(_MOST_COLUMNS, len(panels)) :]


def _rss_panel(panel: Axes, curves: Sequence[Curve], colours: dict[str, str]) -> None:
    style.quiet(panel, grid="y")
    panel.set_title(curves[0].label, fontsize=9, loc="left", color=style.INK, fontweight="bold")
    for curve in curves:
        colour = colours[curve.allocator]
        if curve.band is not None:
            low, high = curve.band.low / 1024, curve.band.high / 1024
            panel.fill_between(curve.band.seconds, low, high, color=colour, alpha=0.12, lw=0)
        end = math.inf if curve.work_end_s is None else curve.work_end_s
        work = [pair for pair in zip(curve.seconds, curve.mib, strict=True) if pair[0] <= end]
        rest = [pair for pair in zip(curve.seconds, curve.mib, strict=True) if pair[0] > end]
        panel.plot(*_axes(work), color=colour, linewidth=1.6, solid_joinstyle="round")
        if rest and work:
            panel.plot(*_axes([work[-1], *rest]), color=colour, linewidth=0.9)
            panel.plot(*work[-1], marker="o", markersize=4, color=colour)
    _phase_names(panel, curves)
    panel.set_ylim(bottom=0)
    longest_s = max(curve.seconds[-1] for curve in curves)
    panel.set_xlim(0, 1.02 * longest_s if longest_s > 0 else 1.0)


def _phase_names(panel: Axes, curves: Sequence[Curve]) -> None:
    """Write the program's own phases at the top, where they begin in the first curve."""
    own = [mark for mark in curves[0].marks if mark[0] not in ("work-begin", "work-end")]
    for name, at_s in own[:_MOST_PHASES]:
        if name != "idle-end":
            panel.axvline(at_s, color=style.FAINT, linewidth=1, linestyle=":", zorder=0)
            panel.text(
                at_s, 1.0, f" {name}", fontsize=7, color=style.INK, va="top",
                transform=panel.get_xaxis_transform(), bbox=_ON_WHITE,
            )  # fmt: skip


def _axes(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
