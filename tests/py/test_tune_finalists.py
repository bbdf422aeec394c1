"""From a search to the last blocks: who is measured again, who goes on, and how often."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import tune_simulation as sim

from hz3py.analysis.looks import assurance
from hz3py.tuning.blocks import Block
from hz3py.tuning.choose import build
from hz3py.tuning.confirm import (
    LEAST_FINAL_BLOCKS,
    MOST_EARLY_BLOCKS,
    MOST_FINAL_BLOCKS,
    blocks_for,
    early_blocks,
    slimming_blocks,
)
from hz3py.tuning.finalists import FINALISTS, shortlist
from hz3py.tuning.goals import Goals
from hz3py.tuning.ranges import DEFAULT_KNOBS, HUNCHES
from hz3py.tuning.search import Budget, Candidate
from hz3py.tuning.session import Request, tune
from hz3py.tuning.space import Knobs
from hz3py.tuning.task import Task

GOALS = Goals(sim.TASK)


def blocks_of(rss: float, speed: float, count: int = 6) -> list[Block]:
    """Blocks around these log ratios, whose mean is exact."""
    around = [0.004 * (place - (count - 1) / 2) for place in range(count)]
    return [
        Block({("rss_mean", "x"): rss + each, ("throughput", "x"): speed + each}) for each in around
    ]


def cliff(knobs: Knobs) -> tuple[float, float]:
    """Most of the memory is free of charge; the last of it costs more speed than allowed."""
    delay = int(knobs.get("purge_delay_ms", 1000))
    return -0.65 * max(0.0, 1 - delay / 1000), -0.03 * math.exp(-delay / 20)


def test_what_the_best_costs_does_not_stop_a_claim_on_what_is_free(tmp_path: Path) -> None:
    space = build(sim.TABLE, names=["purge_delay_ms", "pack_bestfit_k"])
    claims = []
    for seed in range(10):
        request = Request(sim.TASK, space, Budget(trials=40), seed=seed, storage="memory:")
        result = tune(request, tmp_path / str(seed), blocks=sim.Simulation(cliff, seed))
        assert result.confirmation is not None
        if result.confirmation.claim:
            claims.append(cliff(result.confirmation.knobs))
    assert len(claims) >= 7
    assert all(rss < -0.3 and speed > math.log1p(-0.02) for rss, speed in claims)


def test_the_best_and_the_safest_are_measured_again() -> None:
    greedy = [
        Candidate({"pack_bestfit_k": place}, place, blocks_of(-0.5 - place / 100, -0.019))
        for place in range(8)
    ]
    mild = Candidate({"shards": 1}, 20, blocks_of(-0.3, 0.0))
    idle = Candidate({"shards": 2}, 21, blocks_of(-0.1, 0.01))
    chosen = shortlist([mild, idle, *greedy], GOALS)
    assert len(chosen) == FINALISTS
    assert chosen[0] is greedy[7]
    assert mild in chosen
    assert idle not in chosen


def test_a_short_search_leaves_no_place_empty() -> None:
    few = [
        Candidate({"shards": place}, place, blocks_of(-0.1 * place, 0.0)) for place in range(1, 6)
    ]
    assert {each.number for each in shortlist(few, GOALS)} == {1, 2, 3, 4, 5}
    broken = Candidate({"shards": 9}, 9, blocks_of(-0.9, -0.1))
    worse = Candidate({"shards": 8}, 8, blocks_of(0.1, 0.1))
    assert shortlist([broken, worse], GOALS) == []


def test_low_noise_takes_few_last_blocks_and_high_noise_many() -> None:
    quiet = GOALS.chance_to_claim(blocks_of(-0.2, 0.0), 12, 0.95)
    near = GOALS.chance_to_claim(blocks_of(-0.2, math.log1p(-0.0199)), 12, 0.95)
    assert quiet > 0.95
    assert near < 0.2


@pytest.mark.parametrize(("seen", "more"), [(6, 12), (12, 40)])
def test_assurance_is_how_often_a_claim_comes_true(seen: int, more: int) -> None:
    """Truths of which nothing is known before, measured twice: so many intervals lie below 0."""
    random = np.random.default_rng(seen)
    spread = 0.05
    told, came = [], []
    for _ in range(4000):
        truth = random.uniform(-0.2, 0.2)
        first = random.normal(truth, spread, seen)
        later = random.normal(truth, spread, more)
        told.append(assurance(first, more))
        reach = 1.96 * spread / math.sqrt(more)
        came.append(float(np.mean(later)) + reach < 0)
    for low, high in [(0.0, 0.2), (0.2, 0.8), (0.8, 1.0)]:
        inside = [hit for chance, hit in zip(told, came, strict=True) if low <= chance < high]
        expected = [chance for chance in told if low <= chance < high]
        assert np.mean(inside) == pytest.approx(np.mean(expected), abs=0.1)


def test_time_goes_to_the_last_blocks() -> None:
    assert early_blocks(4) == 4
    assert early_blocks(20) == 10
    assert early_blocks(200) == MOST_EARLY_BLOCKS
    assert blocks_for(1.0, 1.0, 6, 4) == LEAST_FINAL_BLOCKS
    assert blocks_for(1e9, 1.0, 6, 4) == MOST_FINAL_BLOCKS
    sample_s, finalists, knobs = 2.0, 6, 4
    for left_s in (300.0, 600.0, 1200.0):
        count = blocks_for(left_s, sample_s, finalists, knobs)
        choice = early_blocks(count) * (finalists + 1)
        slimming = slimming_blocks(count) * (2 * knobs + 1)
        spent = sample_s * (choice + slimming + 3 * count)
        assert 0.9 * left_s < spent <= left_s
    assert 3 * count > 2 * (choice + slimming)


def tried_first(task: Task, tmp_path: Path) -> list[dict[str, int | str]]:
    request = Request(task, build(sim.TABLE), Budget(trials=6), seed=1, storage="memory:")
    result = tune(request, tmp_path, blocks=sim.Simulation(sim.flat, 1))
    tried = sorted(result.document["configurations"], key=lambda each: each["trial"])
    return [each["knobs"] for each in tried]


def test_what_has_helped_before_is_tried_first(tmp_path: Path) -> None:
    assert {name for hunch in HUNCHES for name in hunch} <= set(DEFAULT_KNOBS)
    assert tried_first(sim.TASK, tmp_path / "rss")[: 1 + len(HUNCHES)] == [{}, *HUNCHES]
    speed = Task("speed", sim.TASK.rows, objective="throughput")
    assert tried_first(speed, tmp_path / "speed")[1] not in HUNCHES
