"""How pictures look: one fixed colour per allocator, readable by the colour-blind, quiet axes."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette; hz3 has the colour that stands out most.
_COLOURS = {
    "hz3": "#D55E00",
    "system": "#7A7A7A",
    "tcmalloc": "#0072B2",
    "mimalloc": "#E69F00",
    "jemalloc": "#009E73",
    "tbbmalloc": "#CC79A7",
    "scudo": "#56B4E9",
}
_FURTHER = ("#332288", "#44AA99", "#882255", "#999933", "#AA4499", "#117733")

INK = "#222222"
FAINT = "#DDDDDD"
ALARM = "#B00020"
RASTER_DPI = 144


def colours(allocators: Iterable[str]) -> dict[str, str]:
    """Return a colour for each allocator: its own if it is known, else the next free one."""
    chosen: dict[str, str] = {}
    free = itertools.cycle(_FURTHER)
    for name in allocators:
        if name not in chosen:
            chosen[name] = _COLOURS.get(name) or next(free)
    return chosen


def on_dark(colour: str) -> str:
    """Return a colour, given as #RRGGBB, made light enough to be read on a dark ground."""
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    luminance = (0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]) / 255
    white = max(0.12, 0.62 - luminance)
    return "#" + "".join(f"{round(part + (255 - part) * white):02X}" for part in parts)


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure that no window system and no global state knows of."""
    if "MPLCONFIGDIR" not in os.environ and not _can_be_made(_settings_folder()):
        # Where it cannot keep its settings, matplotlib complains and looks for fonts each time.
        folder = Path(tempfile.gettempdir(), f"hz3-matplotlib-{os.getuid()}")
        os.environ["MPLCONFIGDIR"] = str(folder)
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), layout="constrained", facecolor="white")


def quiet(axes: Axes, *, grid: str) -> None:
    """Take away what is not needed to read the figures, and draw a faint grid on one axis.

    Args:
        axes: What to change.
        grid: "x" or "y".
    """
    for side in ("top", "right", "left" if grid == "x" else "bottom"):
        axes.spines[side].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
    axes.tick_params(length=0, colors=INK, labelsize=8)
    axes.grid(visible=True, axis="x" if grid == "x" else "y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: Figure, stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write a figure in several formats.

    Args:
        figure: The figure.
        stem: Path without suffix.
        formats: Suffixes without the dot, for example "png" and "svg".

    Returns:
        The files.

    Raises:
        OSError: A file cannot be written.
    """
    paths = [stem.with_suffix(f".{suffix}") for suffix in formats]
    for path in paths:
        figure.savefig(path, dpi=RASTER_DPI)
    return paths


def _settings_folder() -> Path:
    """Return the folder in which matplotlib keeps its settings by default."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(home, "matplotlib")


def _can_be_made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
