"""Pictures: every arm is in them, colours are fixed, failures are said."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hz3py.analysis.intervals import Interval
from hz3py.analysis.summary import Arm, RssFigures
from hz3py.report import overview, plots, style
from hz3py.report.curves import Curve, typical_curves
from hz3py.store.records import SampleRecord

KNOWN = ("hz3", "system", "tcmalloc", "mimalloc", "jemalloc", "tbbmalloc", "scudo")
NAN = math.nan


def arm(label: str, allocator: str, ratio: float, **changes: Any) -> Arm:
    made = Arm(
        label=label,
        workload="random_mixed",
        args=(),
        touch="none",
        threads=1,
        allocator=allocator,
        version="1",
        path=None,
        interposed=True,
        blocks=5,
        failed=0,
        status="ok",
        detail="",
        unit="ops/s",
        throughput=ratio * 1e8,
        to_best=Interval(ratio, 0.9 * ratio, 1.1 * ratio) if ratio < 1 else Interval(1, 1, 1),
        to_best_other=Interval(NAN, NAN, NAN),
        cpu_s=1.0,
        faults=1.0,
        rss=RssFigures(1.0, 1.0, 1.0, NAN),
        works=(),
    )
    return replace(made, **changes)


def texts(figure: Figure) -> list[str]:
    panels = [text.get_text() for panel in figure.axes for text in panel.texts]
    titles = [panel.get_title(loc="left") for panel in figure.axes if panel.get_visible()]
    return panels + titles


@pytest.mark.parametrize("rows", [1, 2, 4, 10])
def test_speed_has_a_panel_per_row_and_a_bar_per_allocator(rows: int, tmp_path: Path) -> None:
    lines = [
        arm(f"row {number}", name, ratio)
        for number in range(rows)
        for name, ratio in (("hz3", 1.0), ("system", 0.4), ("mine", 0.7))
    ]
    figure = plots.speed_figure(lines)
    shown = [panel for panel in figure.axes if panel.get_visible()]
    assert [panel.get_title(loc="left") for panel in shown] == [f"row {n}" for n in range(rows)]
    for panel in shown:
        bars = [bar for bar in panel.patches if isinstance(bar, Rectangle)]
        assert [bar.get_width() for bar in bars] == [1.0, 0.4, 0.7]
        assert to_hex(panel.patches[0].get_facecolor()) == style.colours(["hz3"])["hz3"].lower()
    assert "100 M ops/s" in texts(figure)
    paths = style.save(figure, tmp_path / "throughput", ("png", "svg"))
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in paths[1].read_text()


@pytest.mark.parametrize("names", [1, 2, 12])
@pytest.mark.parametrize(
    "label", ["x", "a label that is much longer than its panel is wide, really"]
)
def test_any_number_of_allocators_finds_room(names: int, label: str, tmp_path: Path) -> None:
    lines = [
        arm(label, f"allocator-{number}", 1.0 if number == 0 else 0.5) for number in range(names)
    ]
    style.save(plots.speed_figure(lines), tmp_path / "throughput", ("png",))
    curves = [curve(label, f"allocator-{number}", None) for number in range(names)]
    style.save(plots.rss_figure(curves), tmp_path / "rss", ("png",))


def test_a_failed_arm_is_written_in_its_place() -> None:
    lost = arm("row", "mine", NAN, blocks=0, failed=5, status="timeout", throughput=NAN)
    figure = plots.speed_figure([arm("row", "hz3", 1.0), lost, arm("other", "hz3", 1.0)])
    assert "timeout" in texts(figure)
    assert "not run" in texts(figure)


def curve(label: str, allocator: str, work_end_s: float | None) -> Curve:
    seconds = tuple(step / 10 for step in range(11))
    return Curve(label, allocator, seconds, tuple(10 + 5 * s for s in seconds), work_end_s)


@pytest.mark.parametrize("work_end_s", [None, 0.6, 0.0, 5.0])
def test_rss_marks_where_the_work_ended(work_end_s: float | None, tmp_path: Path) -> None:
    figure = plots.rss_figure([curve("row", name, work_end_s) for name in ("hz3", "system")])
    (panel,) = figure.axes
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert len(dots) == (2 if work_end_s is not None and work_end_s < 1.0 else 0)
    if work_end_s == 0.6:
        assert list(np.asarray(dots[0].get_xdata())) == [0.6]
    assert panel.get_ylim()[0] == 0
    assert panel.get_ylabel() == "resident MiB"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["hz3", "system"]
    style.save(figure, tmp_path / "rss", ("png",))


def test_colours_are_fixed_and_differ() -> None:
    own = style.colours(KNOWN)
    assert len(set(own.values())) == len(KNOWN)
    assert style.colours(reversed(KNOWN)) == own
    mixed = style.colours(["a", "hz3", "b"])
    assert mixed["hz3"] == own["hz3"]
    assert len({mixed["a"], mixed["b"], *own.values()}) == len(KNOWN) + 2


def test_more_allocators_than_colours_can_be_drawn() -> None:
    assert len(style.colours(f"a{number}" for number in range(60))) == 60


def record(block: int, mean_kb: float, status: str = "ok") -> SampleRecord:
    series = [[0.0, mean_kb], [0.5, mean_kb], [1.0, mean_kb]]
    return SampleRecord(
        run_id="r",
        time="",
        suite="s",
        label="row",
        workload="w",
        args=(),
        touch="none",
        threads=1,
        allocator="hz3",
        version="",
        path=None,
        block=block,
        position=0,
        seed=0,
        sample={
            "status": status,
            "exec": {"wall_s": 1.0},
            "rss": {"mean_kb": mean_kb, "series": series},
        },
    )


def test_the_curve_of_an_arm_is_its_median_sample() -> None:
    records = [record(0, 3072), record(1, 1024), record(2, 2048), record(3, 9999, "crashed")]
    (chosen,) = typical_curves(records, {"row": 0.3})
    assert chosen.mib == (2.0, 2.0, 2.0)
    assert chosen.work_end_s == pytest.approx(0.7)
    (plain,) = typical_curves(records, {})
    assert plain.work_end_s is None


def test_a_home_that_cannot_be_written_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(blocker))
    style.new_figure(1, 1)
    assert Path(os.environ["MPLCONFIGDIR"]).is_relative_to(tempfile.gettempdir())


@given(
    st.lists(st.tuples(st.floats(60, 300), st.floats(30, 200)), min_size=1, max_size=5, unique=True)
)
def test_names_stay_on_paper_and_off_each_other(places: list[tuple[float, float]]) -> None:
    names = [f"alloc{number}" for number in range(len(places))]
    labels = overview.labelled(places, names)
    assert len(labels) == len(places)
    for label in labels:
        left, _, right, _ = overview._box(label.x, label.y, label.anchor, 6.8 * 6)
        assert -50 < left < right < overview.WIDTH + 50


def test_names_of_close_points_do_not_cover_each_other() -> None:
    places = [(280.0, 100.0), (240.0, 104.0), (246.0, 108.0)]
    labels = overview.labelled(places, ["tcmalloc", "system", "jemalloc"])
    boxes = [overview._box(label.x, label.y, label.anchor, 6.8 * 8) for label in labels]
    pairs = [(a, b) for a in range(3) for b in range(a)]
    assert not any(overview._overlap(boxes[a], boxes[b]) for a, b in pairs)
