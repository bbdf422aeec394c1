"""Resident memory over time: repeated runs over each other, phases, and what backs the memory."""

from __future__ import annotations

import math
import os
import re
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hz3py.analysis.traces import Trace, band, cost_share, phases, split
from hz3py.measure.marks import MOST_CHARACTERS, LineMarks, mark_name
from hz3py.report.scales import Scale, covering, plain, round_step


def trace(*levels: float, marks: tuple[tuple[str, float], ...] = (), anon: float = 0.5) -> Trace:
    """A trace with one reading per second."""
    seconds = tuple(float(second) for second in range(len(levels)))
    return Trace(
        seconds=seconds,
        kb=tuple(levels),
        anon_kb=tuple(anon * level for level in levels),
        marks=marks,
        work=(0.0, seconds[-1] if seconds else 0.0),
    )


def test_a_band_holds_every_run() -> None:
    found = band([trace(0, 10, 10), trace(0, 30, 20), trace(0, 20, 40)])
    assert found is not None
    assert found.runs == 3
    assert (found.seconds[0], found.seconds[-1]) == (0.0, 2.0)
    middle = int(np.argmin(np.abs(found.seconds - 1.0)))
    assert found.low[middle] == pytest.approx(10, abs=0.2)
    assert found.high[middle] == pytest.approx(30, abs=0.2)
    assert np.all(found.low <= found.high)


def test_a_band_ends_where_half_of_the_runs_have_ended() -> None:
    found = band([trace(1, 1), trace(1, 1, 1, 1), trace(*[1] * 9)])
    assert found is not None
    assert found.seconds[-1] == 3.0
    assert not np.isnan(found.high).any()


def test_runs_without_a_course_make_no_band() -> None:
    assert band([]) is None
    assert band([trace(5)]) is None


def test_phases_lie_between_marks() -> None:
    marks = (("load", 1.0), ("work-begin", 2.0), ("work-end", 4.0))
    found = phases([trace(0, 10, 20, 30, 40, 40, 5, marks=marks)])
    assert [phase.name for phase in found] == ["start", "load", "work", "idle"]
    start, load, work, idle = found
    assert (start.mean_kb, start.end_kb) == (5.0, 10.0)
    assert (load.mean_kb, load.peak_kb, load.seconds) == (15.0, 20.0, 1.0)
    assert (work.mean_kb, work.end_kb) == (30.0, 40.0)
    assert (idle.peak_kb, idle.end_kb) == (40.0, 5.0)


def test_phases_are_medians_over_the_runs_that_all_have_them() -> None:
    one = trace(10, 10, 10, marks=(("a", 1.0), ("only-once", 1.5)))
    two = trace(20, 20, 20, marks=(("a", 1.0),))
    three = trace(90, 90, 90, marks=(("a", 1.0),))
    found = phases([one, two, three])
    assert [phase.name for phase in found] == ["start", "a"]
    assert found[0].mean_kb == 20.0


def test_a_phase_that_comes_again_is_counted() -> None:
    marks = (("fill", 1.0), ("drop", 2.0), ("fill", 3.0))
    found = phases([trace(1, 1, 9, 1, 9, marks=marks)])
    assert [phase.name for phase in found] == ["start", "fill 1", "drop", "fill 2"]


def test_memory_is_split_by_what_backs_it() -> None:
    part = split([trace(100, 100, anon=0.75), trace(200, 200, anon=0.75), trace(300, 300)])
    assert part.anon_kb == 150.0
    assert part.anon_kb + part.of_files_kb == 200.0
    older = Trace((0.0, 1.0), (1.0, 1.0), (), (), (0.0, 1.0))
    assert math.isnan(split([older]).anon_kb)


def test_the_cost_of_looking_is_a_share_of_the_time() -> None:
    assert cost_share([0.01, 0.03], [1.0, 3.0]) == pytest.approx(0.01)
    assert math.isnan(cost_share([], []))


@given(st.floats(1e-6, 1e9))
def test_an_axis_ends_at_a_round_value_close_above(largest: float) -> None:
    end = covering(largest)
    assert largest <= end * (1 + 1e-9)
    assert end <= 2.0 * largest
    step = round_step(largest / 4)
    assert float(plain(step, step)) == pytest.approx(step, rel=1e-6, abs=1e-7)


@given(st.floats(0.1, 1e6), st.integers(1, 9))
def test_ticks_are_round_and_on_paper(high: float, count: int) -> None:
    scale = Scale(0.0, high, 40, 350)
    ticks = scale.ticks(count)
    assert len(ticks) <= 2 * count + 2
    assert all(40 <= tick.at <= 350 for tick in ticks)
    values = [float(tick.text) for tick in ticks]
    assert values == sorted(set(values))


def test_what_lies_beyond_an_axis_is_cut() -> None:
    assert Scale(0.0, 1.0, 100, 0).at(7.0) == 0
    assert Scale(0.0, 1.0, 100, 0).at(-1.0) == 100


@pytest.mark.parametrize(
    ("pattern", "line", "name"),
    [
        (r"phase (\w+)", "now phase load begins", "load"),
        (r"phase", "now phase load begins", "phase"),
        (r"(x)?ready", "ready", "ready"),
        (r".*", "Größe: 5 <b>", "Gr-e:-5-b"),
        (r".+", "§§§", "mark"),
        (r".+", "a" * 99, "a" * MOST_CHARACTERS),
    ],
)
def test_marks_have_plain_names(pattern: str, line: str, name: str) -> None:
    found = re.search(pattern, line)
    assert found is not None
    assert mark_name(found) == name


def test_lines_become_marks_also_when_they_come_in_pieces() -> None:
    reader, writer = os.pipe()
    with closing(LineMarks(re.compile("^step (.)"), writer)) as lines:
        lines.feed(1, b"step a\nno\nst")
        lines.feed(2, b"step x\n")
        lines.feed(1, b"ep b\nstep c")
    assert os.read(reader, 100) == b"a\nx\nb\n"
    assert os.read(reader, 100) == b"", "the pipe is still open"
    os.close(reader)
