"""Ratios, intervals and summaries: their laws, and their values on data that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hz3py.analysis import intervals
from hz3py.analysis.intervals import mean_interval
from hz3py.analysis.ratios import geometric_mean, paired_log_ratios
from hz3py.analysis.summary import Arm, arms, disagreements, overall
from hz3py.store.export import COLUMNS

figures = st.floats(1e-6, 1e12)
by_block = st.dictionaries(st.integers(0, 20), figures, min_size=1, max_size=8)


@given(values=by_block, baseline=by_block)
def test_swapping_the_sides_turns_the_sign(
    values: dict[int, float], baseline: dict[int, float]
) -> None:
    there = paired_log_ratios(values, baseline)
    back = paired_log_ratios(baseline, values)
    assert there.shape == (len(values.keys() & baseline.keys()),)
    np.testing.assert_allclose(there, -back, rtol=1e-12, atol=1e-12)


@given(values=by_block, factors=st.lists(st.floats(0.01, 100), min_size=21, max_size=21))
def test_a_disturbance_of_a_whole_block_cancels_out(
    values: dict[int, float], factors: list[float]
) -> None:
    baseline = {block: 2 * figure for block, figure in values.items()}
    disturbed = {block: figure * factors[block] for block, figure in values.items()}
    with_it = {block: figure * factors[block] for block, figure in baseline.items()}
    np.testing.assert_allclose(
        paired_log_ratios(disturbed, with_it), paired_log_ratios(values, baseline), atol=1e-9
    )


@pytest.mark.parametrize("figure", [0.0, -1.0, math.nan, math.inf])
def test_figures_without_a_logarithm_are_refused(figure: float) -> None:
    with pytest.raises(ValueError, match="block 3"):
        paired_log_ratios({3: figure}, {3: 1.0})


def test_geometric_mean() -> None:
    assert geometric_mean({0: 1.0, 1: 4.0}) == pytest.approx(2.0)
    assert math.isnan(geometric_mean({}))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=12))
def test_an_interval_holds_its_estimate(values: list[float]) -> None:
    interval = mean_interval(np.array(values))
    assert interval.low <= interval.estimate <= interval.high
    assert min(values) - 1e-9 <= interval.low
    assert interval.high <= max(values) + 1e-9
    assert interval == mean_interval(np.array(values))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_values_have_no_interval(count: int) -> None:
    interval = mean_interval(np.ones(count))
    assert not interval.known
    assert math.isnan(interval.estimate) == (count == 0)


def test_equal_values_have_an_interval_of_no_width() -> None:
    interval = mean_interval(np.full(5, 0.25))
    assert (interval.low, interval.estimate, interval.high) == (0.25, 0.25, 0.25)


def test_intervals_cover_the_truth_about_as_often_as_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 999)
    generator = np.random.default_rng(20)
    covered = 0
    for _ in range(300):
        interval = mean_interval(generator.normal(0.1, 0.05, size=20), confidence=0.9)
        covered += interval.low <= 0.1 <= interval.high
    # 90 % of 300 is 270; the bootstrap is a little narrow with 20 values.
    assert 245 <= covered <= 285


def samples(speeds: Mapping[tuple[str, str], list[float | None]], **changes: Any) -> pd.DataFrame:
    """One line per (row, allocator) and block; None is a crashed sample."""
    lines = []
    for (label, allocator), figures_of_arm in speeds.items():
        for block, figure in enumerate(figures_of_arm):
            lines.append(
                {
                    "label": label,
                    "workload": "random_mixed",
                    "args": ("1",),
                    "touch": "none",
                    "threads": 1,
                    "allocator": allocator,
                    "version": "1",
                    "path": None if allocator == "system" else f"/lib/{allocator}.so",
                    "block": block,
                    "position": 0,
                    "status": "ok" if figure else "crashed",
                    "detail": "" if figure else "killed by SIGSEGV",
                    "interposed": bool(figure),
                    "unit": "ops/s",
                    "throughput": figure or math.nan,
                    "wall_s": 1.0,
                    "cpu_s": 0.5,
                    "faults": 10.0,
                    "rss_mean_kb": 100.0 if allocator == "system" else 200.0,
                    "rss_p95_kb": 110.0,
                    "rss_peak_kb": 120.0,
                    "rss_idle_kb": math.nan,
                    "work": "same" if figure else "",
                    "time": "",
                    **changes,
                }
            )
    table: pd.DataFrame = pd.DataFrame(lines, columns=list(COLUMNS))
    return table


def named(lines: list[Arm], label: str, allocator: str) -> Arm:
    return next(arm for arm in lines if (arm.label, arm.allocator) == (label, allocator))


def test_ratios_are_to_the_fastest_of_the_row() -> None:
    lines = arms(
        samples(
            {
                ("a", "hz3"): [4.0, 8.0, 4.0],
                ("a", "system"): [2.0, 4.0, 2.0],
                ("b", "hz3"): [1.0, 1.0, 1.0],
                ("b", "system"): [2.0, 2.0, 2.0],
            }
        )
    )
    assert [(arm.label, arm.allocator) for arm in lines] == [
        ("a", "hz3"),
        ("a", "system"),
        ("b", "hz3"),
        ("b", "system"),
    ]
    fast, slow = named(lines, "a", "hz3"), named(lines, "a", "system")
    assert fast.to_best.estimate == 1.0
    assert fast.throughput == pytest.approx((4.0 * 8.0 * 4.0) ** (1 / 3))
    assert slow.throughput / fast.throughput == pytest.approx(slow.to_best.estimate)
    assert fast.to_best_other.estimate == pytest.approx(2.0)
    assert slow.to_best.estimate == pytest.approx(0.5)
    assert slow.to_best.low == pytest.approx(0.5)
    assert slow.to_best_other.estimate == pytest.approx(0.5)


@settings(deadline=None, max_examples=25)
@given(
    speeds=st.lists(st.lists(st.floats(1.0, 1e9), min_size=3, max_size=3), min_size=2, max_size=5)
)
def test_exactly_the_best_has_ratio_one_and_none_is_above(speeds: list[list[float]]) -> None:
    table = {("row", f"a{n}"): list(figures) for n, figures in enumerate(speeds)}
    lines = arms(samples({key: list(value) for key, value in table.items()}))
    ratios = [arm.to_best.estimate for arm in lines]
    assert 1.0 in ratios
    assert all(0 < ratio <= 1.0 + 1e-9 for ratio in ratios)


def test_an_arm_that_failed_in_part_keeps_its_good_blocks() -> None:
    lines = arms(samples({("a", "hz3"): [4.0, None, 4.0], ("a", "system"): [2.0, 2.0, 2.0]}))
    arm = named(lines, "a", "hz3")
    assert (arm.status, arm.blocks, arm.failed) == ("partial", 2, 1)
    assert arm.interposed
    assert arm.detail == "killed by SIGSEGV"
    assert named(lines, "a", "system").to_best.estimate == pytest.approx(0.5)


def test_an_arm_that_always_failed_has_no_figures() -> None:
    lines = arms(samples({("a", "hz3"): [None, None], ("a", "system"): [2.0, 2.0]}))
    arm = named(lines, "a", "hz3")
    assert (arm.status, arm.blocks, arm.interposed) == ("crashed", 0, False)
    assert math.isnan(arm.throughput)
    assert math.isnan(arm.to_best.estimate)
    alone = named(lines, "a", "system")
    assert alone.to_best.estimate == 1.0
    assert math.isnan(alone.to_best_other.estimate)


def test_the_overall_line_is_a_geometric_mean_over_rows() -> None:
    lines = overall(
        arms(
            samples(
                {
                    ("a", "hz3"): [4.0, 4.0],
                    ("a", "system"): [1.0, 1.0],
                    ("b", "hz3"): [1.0, 1.0],
                    ("b", "system"): [1.0, 1.0],
                    ("c", "hz3"): [1.0, 1.0],
                    ("c", "system"): [None, None],
                }
            )
        )
    )
    best, other = lines
    assert (best.allocator, best.rows, best.missing) == ("hz3", 3, 0)
    assert best.throughput == pytest.approx(1.0)
    assert best.rss_mean == pytest.approx((2.0 * 2.0 * 1.0) ** (1 / 3))
    assert (other.allocator, other.rows, other.missing) == ("system", 2, 1)
    assert other.throughput == pytest.approx(0.5)
    assert other.rss_mean == pytest.approx(1.0)


def test_rows_that_ran_different_work_are_named() -> None:
    table = samples({("a", "hz3"): [1.0, 1.0], ("b", "hz3"): [1.0, 1.0]})
    assert disagreements(arms(table)) == []
    table.loc[0, "work"] = "other"
    assert disagreements(arms(table)) == ["a"]
