"""Intervals that cover, looks that do not deceive, and verdicts: on simulated experiments."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from hz3py.analysis import evidence as proofs
from hz3py.analysis import intervals
from hz3py.analysis.criteria import METRICS, Criterion, check, expand, for_self_check, position
from hz3py.analysis.evidence import holm, one_sided_p, sign_flip, trusted_interval
from hz3py.analysis.intervals import Interval
from hz3py.analysis.looks import (
    Look,
    automatic_looks,
    blocks_needed,
    fixed_look,
    look_at,
    power,
    resolvable,
)
from hz3py.analysis.order_effects import drift, position_effect
from hz3py.analysis.pairing import different_work, evidence, order_doubts
from hz3py.analysis.verdict import Decision, Evidence, decide
from hz3py.errors import UsageError
from hz3py.store.export import COLUMNS

EXPERIMENTS = 2000
NOISE: dict[str, Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tail": lambda rng, shape: rng.standard_t(4, size=shape),
    "skewed": lambda rng, shape: rng.normal(size=shape) + rng.exponential(size=shape) - 1,
}
ONE = Look(20, 0.95)


@pytest.fixture
def quick_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples: thousands of experiments average over their noise."""
    monkeypatch.setattr(intervals, "RESAMPLES", 399)
    monkeypatch.setattr(proofs, "RESAMPLES", 399)


def covered(noise: str, blocks: int, seed: int) -> float:
    """Return how often the interval holds the truth, which is zero."""
    draws = NOISE[noise](np.random.default_rng(seed), (EXPERIMENTS, blocks)) * 0.02
    hits = [
        found.low <= 0.0 <= found.high
        for found in (trusted_interval(draw, seed=place) for place, draw in enumerate(draws))
    ]
    return float(np.mean(hits))


@pytest.mark.usefixtures("quick_bootstrap")
@pytest.mark.parametrize(
    ("noise", "blocks"),
    [("normal", 10), ("normal", 20), ("heavy tail", 10), ("heavy tail", 20), ("skewed", 10)],
)
def test_the_interval_covers_as_often_as_it_says(noise: str, blocks: int) -> None:
    assert covered(noise, blocks, seed=11) == pytest.approx(0.95, abs=0.015)


def test_the_plain_bootstrap_does_not_cover_at_ten_blocks() -> None:
    draws = np.random.default_rng(5).normal(size=(EXPERIMENTS, 10))
    found = stats.bootstrap(
        (draws,), np.mean, axis=-1, n_resamples=399, batch=50, random_state=np.random.default_rng(1)
    ).confidence_interval
    assert np.mean((found.low <= 0) & (found.high >= 0)) < 0.92


def test_too_few_blocks_have_no_interval_and_equal_ones_have_no_width() -> None:
    assert not trusted_interval(np.array([0.1, 0.2])).known
    assert not trusted_interval(np.empty(0)).known
    flat = trusted_interval(np.full(5, 0.25))
    assert (flat.low, flat.estimate, flat.high) == (0.25, 0.25, 0.25)


def test_the_sign_flip_test_is_exact_and_knows_its_floor() -> None:
    found = sign_flip(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert found.p == pytest.approx(2 / 32)
    assert found.floor == pytest.approx(2 / 32)
    assert sign_flip(np.linspace(1, 2, 20)).floor == pytest.approx(2 / 10_000)
    assert math.isnan(sign_flip(np.array([1.0, 2.0])).p)


def test_sign_flips_do_not_mind_which_arm_is_called_the_candidate() -> None:
    values = np.random.default_rng(3).normal(0.5, 1, 9)
    assert sign_flip(values).p == pytest.approx(sign_flip(-values).p)


def test_a_one_sided_p_is_students() -> None:
    values = np.array([0.01, 0.03, -0.01, 0.02, 0.0])
    expected = stats.ttest_1samp(values, 0.05, alternative="less").pvalue
    assert one_sided_p(values, 0.05) == pytest.approx(expected)
    assert one_sided_p(np.full(4, 0.1), 0.2) == 0.0
    assert one_sided_p(np.full(4, 0.1), 0.1) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(new >= old for new, old in zip(adjusted, p_values, strict=True))
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    assert [adjusted[place] for place in order] == sorted(adjusted)
    assert min(adjusted) == pytest.approx(min(1.0, min(p_values) * len(p_values)))


def test_looks_spend_the_permitted_error_and_no_more() -> None:
    for looks in (
        automatic_looks(),
        automatic_looks(most=20),
        automatic_looks(most=3),
        automatic_looks(families=3, step=4),
        fixed_look(12, families=2),
    ):
        assert sum(look.error for look in looks) <= 0.05 + 1e-12
        blocks = [look.blocks for look in looks]
        assert blocks == sorted(set(blocks))
    assert automatic_looks(most=20)[-1].blocks == 20
    assert all(look.blocks % 3 == 0 for look in automatic_looks(step=3))
    assert look_at(fixed_look(12), 12) is not None
    assert look_at(fixed_look(12), 11) is None


@pytest.mark.parametrize(("spread", "distance"), [(0.02, 0.02), (0.03, 0.02), (0.01, 0.03)])
def test_the_planned_blocks_bring_the_planned_power(spread: float, distance: float) -> None:
    blocks = blocks_needed(spread, distance)
    assert blocks is not None
    draws = np.random.default_rng(2).normal(distance, spread, (EXPERIMENTS, blocks))
    reach = stats.t.isf(0.025, blocks - 1) * draws.std(axis=1, ddof=1) / math.sqrt(blocks)
    found = float(np.mean(draws.mean(axis=1) - reach > 0))
    assert found >= 0.8 - 0.03
    assert power(blocks - 2, spread, distance) < 0.8


def test_blocks_needed_says_when_no_number_will_do() -> None:
    assert blocks_needed(0.02, 0.0) is None
    assert blocks_needed(0.2, 1e-4) is None
    assert blocks_needed(0.0, 0.02) == 3


def test_what_blocks_resolve_fits_what_they_need() -> None:
    distance = resolvable(0.02, 12)
    needed = blocks_needed(0.02, distance)
    assert needed is not None
    assert abs(needed - 12) <= 1


def judged(kind: str, low: float, high: float, margin: float = 0.02) -> tuple[str, bool | None]:
    criterion = check(Criterion("throughput", kind, margin, "w"), ["w"])  # type: ignore[arg-type]
    return position(Interval((low + high) / 2, low, high), criterion)


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("superiority", 0.03, 0.05, ("better", True)),
        ("superiority", 0.01, 0.05, ("undecided", None)),
        ("superiority", -0.01, 0.01, ("equivalent", False)),
        ("superiority", -0.05, -0.03, ("worse", False)),
        ("non-inferiority", 0.001, 0.05, ("better", True)),
        ("non-inferiority", -0.01, 0.05, ("equivalent", True)),
        ("non-inferiority", -0.03, 0.05, ("undecided", None)),
        ("non-inferiority", -0.05, -0.03, ("worse", False)),
        ("equivalence", -0.01, 0.01, ("equivalent", True)),
        ("equivalence", -0.01, 0.03, ("undecided", None)),
        ("equivalence", 0.03, 0.05, ("better", False)),
        ("equivalence", -0.05, -0.03, ("worse", False)),
    ],
)
def test_the_place_of_the_interval_decides(
    kind: str, low: float, high: float, expected: tuple[str, bool | None]
) -> None:
    assert judged(kind, low, high) == expected


def test_less_memory_is_better() -> None:
    criterion = Criterion("rss_mean", "superiority", 0.10, "w")
    table = {("rss_mean", "w"): np.log([0.85, 0.86, 0.84, 0.85, 0.86, 0.85])}
    made = decide([criterion], Evidence(table, {}), ONE)
    assert made.verdict == "GO"
    assert made.judgements[0].ratio.estimate == pytest.approx(0.8516, abs=1e-3)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        (Criterion("troughput"), "did you mean throughput"),
        (Criterion("cpu", "better"), "unknown kind"),  # type: ignore[arg-type]
        (Criterion("cpu", "superiority", 0.1, "nowhere"), "unknown workload"),
        (Criterion("cpu", "superiority", 2.0), "not a fraction"),
        (Criterion("cpu", "equivalence", 0.0), "needs a margin"),
    ],
)
def test_wrong_criteria_are_refused(criterion: Criterion, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(criterion, ["w"])
    assert message in f"{caught.value} {caught.value.hint}"


def test_criteria_about_all_workloads_become_one_for_each() -> None:
    expanded = expand([Criterion("cpu", workload="all"), Criterion("cpu", workload="mean")], "ab")
    assert [item.workload for item in expanded] == ["a", "b", "mean"]


def run_series(
    effects: dict[str, float], spread: float, blocks: int, rng: np.random.Generator
) -> dict[tuple[str, str], NDArray[np.float64]]:
    return {(metric, "w"): rng.normal(effect, spread, blocks) for metric, effect in effects.items()}


def sequentially(
    criteria: list[Criterion], effects: dict[str, float], spread: float, seed: int
) -> Decision:
    """Run one simulated experiment with planned looks until it is decided."""
    looks = automatic_looks()
    table = run_series(effects, spread, looks[-1].blocks, np.random.default_rng(seed))
    for look in looks:
        part = {key: values[: look.blocks] for key, values in table.items()}
        made = decide(criteria, Evidence(part, {}), look)
        if made.verdict != "UNDECIDED":
            break
    return made


BOTH = [
    Criterion("rss_mean", "superiority", 0.0, "w"),
    Criterion("throughput", "non-inferiority", 0.02, "w"),
]


@pytest.mark.usefixtures("quick_bootstrap")
def test_one_arm_against_itself_is_rarely_go_even_with_several_looks() -> None:
    made = [sequentially(BOTH[:1], {"rss_mean": 0.0}, 0.02, seed) for seed in range(500)]
    # Two-sided 5 %: half of the wrong decisions are in the good direction.
    assert np.mean([item.verdict == "GO" for item in made]) <= 0.05
    assert np.mean([item.verdict == "NO-GO" for item in made]) <= 0.05


@pytest.mark.usefixtures("quick_bootstrap")
def test_looking_without_a_plan_would_deceive() -> None:
    series = np.random.default_rng(1).normal(0, 0.02, (400, 32))
    peeking = [
        any(stats.ttest_1samp(row[:end], 0).pvalue < 0.05 for end in range(5, 33, 3))
        for row in series
    ]
    assert np.mean(peeking) > 0.10


@pytest.mark.usefixtures("quick_bootstrap")
def test_a_true_gain_is_found_and_a_loss_of_three_percent_is_refused() -> None:
    good = [sequentially(BOTH, {"rss_mean": -0.05, "throughput": 0.0}, 0.02, s) for s in range(100)]
    assert np.mean([item.verdict == "GO" for item in good]) > 0.9
    slow = [sequentially(BOTH[1:], {"throughput": -0.03 - 0.02}, 0.02, seed) for seed in range(100)]
    assert np.mean([item.verdict == "NO-GO" for item in slow]) > 0.9


@pytest.mark.usefixtures("quick_bootstrap")
def test_a_self_check_says_equivalent_and_never_go() -> None:
    made = [
        sequentially(for_self_check(BOTH), {"rss_mean": 0.0, "throughput": 0.0}, 0.015, seed)
        for seed in range(200)
    ]
    words = [item.verdict for item in made]
    assert "GO" not in words
    assert words.count("EQUIVALENT") > 180
    assert words.count("NO-GO") <= 10


@pytest.mark.usefixtures("quick_bootstrap")
def test_many_criteria_do_not_add_up_to_a_wrong_no_go() -> None:
    names = [name for name in METRICS if name != "alloc_failed"]
    family = [Criterion(name, "non-inferiority", 0.02, "w") for name in names]
    generator = np.random.default_rng(4)
    # Every candidate lies exactly at the margin: the worst case that is still allowed.
    verdicts = []
    for _ in range(300):
        table = {(item.metric, "w"): generator.normal(item.bad_bound, 0.02, 10) for item in family}
        verdicts.append(decide(family, Evidence(table, {}), Look(10, 0.95)).verdict)
    assert verdicts.count("NO-GO") / len(verdicts) <= 0.05


def test_failed_allocations_must_not_increase() -> None:
    criterion = Criterion("alloc_failed", workload="w")
    worse = decide([criterion], Evidence({}, {"w": (0, 1)}), ONE)
    assert (worse.verdict, worse.judgements[0].state) == ("NO-GO", "worse")
    same = decide([criterion], Evidence({}, {"w": (3, 3)}), ONE)
    assert (same.verdict, same.judgements[0].state) == ("EQUIVALENT", "equivalent")


def test_the_worst_workload_decides() -> None:
    criteria = expand([Criterion("throughput", "non-inferiority", 0.02)], ["a", "b"])
    table = {
        ("throughput", "a"): np.random.default_rng(1).normal(0.10, 0.005, 10),
        ("throughput", "b"): np.random.default_rng(2).normal(-0.05, 0.005, 10),
    }
    made = decide(criteria, Evidence(table, {}), ONE)
    assert made.verdict == "NO-GO"
    assert "b: throughput worse by less than 2 %: not met" in made.reasons[0]


def test_undecided_says_how_many_blocks_are_missing() -> None:
    values = np.array([0.03, -0.05, 0.02, -0.04, 0.01, -0.03])
    criterion = Criterion("throughput", "non-inferiority", 0.02, "w")
    made = decide([criterion], Evidence({("throughput", "w"): values}, {}), Look(6, 0.95))
    assert made.verdict == "UNDECIDED"
    needed = made.judgements[0].needed
    assert needed is not None
    assert needed > 6
    assert f"about {needed} blocks would decide" in made.reasons[0]


def test_who_ran_first_and_when_is_noticed() -> None:
    generator = np.random.default_rng(6)
    first = np.arange(20) % 2 == 0
    noise = generator.normal(0, 0.01, 20)
    assert position_effect(noise + np.where(first, 0.03, -0.03), first).suspicious
    assert not position_effect(noise, first).suspicious
    assert drift(noise + np.linspace(0, 0.1, 20)).suspicious
    assert not drift(noise).suspicious
    assert math.isnan(drift(noise[:4]).p)


def sample(label: str, arm: str, block: int, **figures: object) -> dict[str, object]:
    line: dict[str, object] = dict.fromkeys(COLUMNS, math.nan)
    line |= {"label": label, "allocator": arm, "block": block, "position": block % 2}
    line |= {"status": "ok", "work": "w", "program": "p 1", "operations": 1000.0}
    return line | figures


def samples(lines: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=list(COLUMNS))


def test_pairs_are_formed_within_blocks_and_rows() -> None:
    table = samples(
        [
            sample("x", "base", 0, throughput=100.0),
            sample("x", "new", 0, throughput=110.0),
            sample("x", "base", 1, throughput=200.0),
            sample("x", "new", 1, throughput=200.0, failed_allocations=2.0),
            sample("y", "base", 0, throughput=50.0),
            sample("y", "new", 0, throughput=50.0),
            sample("y", "base", 1, status="crashed"),
            sample("y", "new", 1, throughput=60.0),
        ]
    )
    found = evidence(table, "base", "new", ["throughput", "alloc_failed"])
    assert found.log_ratios["throughput", "x"] == pytest.approx([math.log(1.1), 0.0])
    assert found.log_ratios["throughput", "y"] == pytest.approx([0.0])
    assert found.log_ratios["throughput", "mean"] == pytest.approx([math.log(1.1) / 2])
    assert found.counts == {"x": (0, 2), "y": (0, 0)}


def test_a_figure_of_zero_has_no_ratio() -> None:
    table = samples([sample("x", arm, 0, faults=0.0) for arm in ("base", "new")])
    with pytest.raises(UsageError, match="faults of x cannot be compared"):
        evidence(table, "base", "new", ["faults"])


def two_arms(**candidate: object) -> pd.DataFrame:
    lines = [sample("x", "base", block) for block in range(3)]
    return samples([*lines, *(sample("x", "new", block, **candidate) for block in range(3))])


def test_different_work_is_found_out() -> None:
    assert different_work(two_arms()) == []
    assert "number of operations" in different_work(two_arms(operations=999.0))[0]
    assert "program's file" in different_work(two_arms(program="p 2"))[0]
    assert "the work differs" in different_work(two_arms(work="other"))[0]


def test_programs_that_work_for_a_given_time_may_differ_in_operations() -> None:
    lines = [
        sample("x", arm, block, operations=1000.0 + 7 * block + (arm == "new"))
        for arm in ("base", "new")
        for block in range(3)
    ]
    assert different_work(samples(lines)) == []


def test_order_doubts_name_the_row() -> None:
    generator = np.random.default_rng(8)
    lines = []
    for block in range(16):
        for place, arm in enumerate(("base", "new") if block % 2 else ("new", "base")):
            speed = 100.0 * math.exp(generator.normal(0, 0.005) + 0.06 * (place == 0))
            lines.append(sample("x", arm, block, throughput=speed, position=place))
    doubts = order_doubts(samples(lines), "base", "new")
    assert len(doubts) == 1
    assert doubts[0].startswith(("x: whoever ran first was +5", "x: whoever ran first was +6"))
