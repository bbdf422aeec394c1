"""Where resident memory sits, as a waterfall: from what the application uses to all there is.

Both forms are made from the document that `hz3 run --observe` and `hz3py.observe` give. A document
of a newer library may have parts that this module has no words for; they are shown by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hz3py.errors import UsageError
from hz3py.report import numbers, style
from hz3py.report.text import Column, Line, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OUTSIDE = "non_heap"

_WORDS = {
    "live": "live blocks",
    "large_live": "live large blocks",
    "thread_cache": "free, in thread caches",
    "remote_stash": "free, gathered for others",
    "stash": "free, in stashes",
    "spill": "free, in spills",
    "page_queue": "free, in page queues",
    "transfer": "free, in the transfer cache",
    "central": "free, in used spans",
    "tail_waste": "ends of spans",
    "free_pages": "free pages",
    "large_cache": "freed large blocks",
    "metadata": "metadata",
    OUTSIDE: "outside of hz3",
}
_IN_USE = ("live", "large_live")
_BAR_CHARACTERS = 30
_MIB = 1 << 20

_USED = "#0072B2"
_IDLE = "#D55E00"
_UPKEEP = "#7A7A7A"
_TOTAL = "#222222"


@dataclass(frozen=True)
class Step:
    """One bar of a waterfall.

    Attributes:
        name: Name of the part, or "" for a sum.
        label: What it is.
        start_bytes: Where the bar begins: the parts before it.
        size_bytes: Its length, in resident bytes.
    """

    name: str
    label: str
    start_bytes: int
    size_bytes: int


def steps(observation: Mapping[str, Any]) -> list[Step]:
    """Order the parts: in use, idle, upkeep, the sum of the heap, the rest, the process.

    Args:
        observation: The document.

    Raises:
        UsageError: This is no such document.
    """
    parts = observation.get("parts")
    if not isinstance(parts, Mapping) or not parts:
        raise UsageError("this is no observation", "make one with `hz3 run --observe FILE`")
    order = [name for name in _WORDS if name in parts and name != OUTSIDE]
    order += [name for name in parts if name not in _WORDS]
    result: list[Step] = []
    total = 0
    for name in order:
        result.append(Step(name, _WORDS.get(name, name), total, parts[name]))
        total += parts[name]
    result.append(Step("", "heap of hz3", 0, total))
    if OUTSIDE in parts:
        result.append(Step(OUTSIDE, _WORDS[OUTSIDE], total, parts[OUTSIDE]))
        result.append(Step("", "process", 0, total + parts[OUTSIDE]))
    return result


def waterfall_table(observation: Mapping[str, Any]) -> Table:
    """Return the waterfall as text.

    Args:
        observation: The document.

    Raises:
        UsageError: This is no such document.
    """
    all_steps = steps(observation)
    whole = max(all_steps[-1].size_bytes, 1)
    lines = tuple(
        Line(
            (
                step.label,
                _mib(step.size_bytes),
                f"{100 * step.size_bytes / whole:.1f} %",
                _bar(step, whole),
            ),
            "" if step.name else "heading",
        )
        for step in all_steps
        if step.size_bytes or not step.name
    )
    columns = (Column("part", number=False), Column("MiB"), Column("share"), Column("", False))
    return Table(columns, (Section("", lines),))


def remarks(observation: Mapping[str, Any]) -> list[str]:
    """Return what else a reader should know: the kernel's count, the classes with most waste.

    Args:
        observation: The document.
    """
    result = []
    kernel = observation.get("kernel_heap_resident_bytes", 0)
    if kernel:
        off = 100 * (observation["heap_resident_bytes"] / kernel - 1)
        count = _mib(kernel)
        result.append(f"the kernel counts {count} MiB in the heap ({off:+.1f} %)")
    worst = [
        f"{row['block_bytes']} bytes ({_mib(row['waste_bytes'])} MiB)"
        for row in observation.get("top_waste", [])[:3]
    ]
    if worst:
        result.append(f"most idle memory in blocks of {', '.join(worst)}")
    if observation.get("locks_missed"):
        locks = numbers.plural(observation["locks_missed"], "lock")
        result.append(f"{locks} could not be had: the figures are approximate")
    return result


def _mib(size_bytes: int) -> str:
    mib = size_bytes / _MIB
    return f"{mib:.2f}" if mib < 1 else numbers.significant(mib)


def _bar(step: Step, whole: int) -> str:
    left = round(_BAR_CHARACTERS * step.start_bytes / whole)
    right = round(_BAR_CHARACTERS * (step.start_bytes + step.size_bytes) / whole)
    if right == left and step.size_bytes:
        return " " * left + "▏"
    return " " * left + "█" * (right - left)


def waterfall_figure(observation: Mapping[str, Any], title: str = "") -> Figure:
    """Draw the waterfall: each bar begins where the one above it ends.

    Args:
        observation: The document.
        title: What was observed, for example the program.

    Raises:
        UsageError: This is no such document.
    """
    shown = [step for step in steps(observation) if step.size_bytes or not step.name]
    figure = style.new_figure(8.0, 1.3 + 0.32 * len(shown))
    about = f"Where resident memory sits: {title}" if title else "Where resident memory sits"
    figure.suptitle(about, fontsize=11, color=style.INK)
    axes: Axes = figure.subplots()
    style.quiet(axes, grid="x")
    whole = max(shown[-1].size_bytes, 1)
    for place, step in enumerate(shown):
        _draw(axes, place, step, whole)
    axes.set_yticks(range(len(shown)), [step.label for step in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * whole / _MIB)
    axes.set_xlabel("resident MiB", fontsize=8, color=style.INK, loc="left")
    handles = [
        axes.barh([0], [0], color=colour, label=label)
        for colour, label in ((_USED, "in use"), (_IDLE, "idle"), (_UPKEEP, "upkeep and others"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(axes: Axes, place: int, step: Step, whole: int) -> None:
    start, size = step.start_bytes / _MIB, step.size_bytes / _MIB
    axes.barh(place, size, left=start, height=0.66, color=_colour(step.name))
    text = f"{_mib(step.size_bytes)} ({100 * step.size_bytes / whole:.0f} %)"
    gap = 0.008 * whole / _MIB
    axes.text(start + size + gap, place, text, va="center", fontsize=8, color=style.INK)


def _colour(name: str) -> str:
    if not name:
        return _TOTAL
    if name in _IN_USE:
        return _USED
    return _UPKEEP if name in ("metadata", OUTSIDE) else _IDLE
