"""From a search to the last blocks: who is measured again, who goes on, and how often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tune_simulation as sim

from hz3py.analysis.evidence import half_width
from hz3py.analysis.looks import assurance
from hz3py.tuning.blocks import Block
from hz3py.tuning.choose import build
from hz3py.tuning.confirm import (
    LEAST_FINAL_BLOCKS,
    MOST_FINAL_BLOCKS,
    Confirm,
    blocks_for,
    first_block,
)
from hz3py.tuning.finalists import FINALISTS, shortlist
from hz3py.tuning.goals import Goals
from hz3py.tuning.ranges import DEFAULT_KNOBS, HUNCHES
from hz3py.tuning.search import Budget, Candidate
from hz3py.tuning.session import Request, tune
from hz3py.tuning.space import Knobs
from hz3py.tuning.task import Task
from hz3py.tuning.watch import Silence

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


def last_blocks(truth: tuple[float, float], spread: float, seed: int) -> int:
    """How many last blocks a session takes for one candidate if nobody says how many."""

    def measure(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        del task
        random = np.random.default_rng((seed, number))
        noise = random.normal(0.0, spread, (len(knobs), 2))
        return [
            Block({("rss_mean", "x"): truth[0] + rss, ("throughput", "x"): truth[1] + speed})
            for rss, speed in noise
        ]

    knobs: Knobs = {"pack_bestfit_k": 9}
    searched = Candidate(dict(knobs), 1, blocks_of(-0.2, 0.0))
    confirm = Confirm(build(sim.TABLE), GOALS, measure, Silence(), final_blocks=None)
    return confirm.run([searched]).blocks


def test_the_noise_decides_how_many_last_blocks_are_taken() -> None:
    quiet = [last_blocks((-0.2, 0.0), 0.005, seed) for seed in range(5)]
    noisy = [last_blocks((-0.2, 0.0), 0.04, seed) for seed in range(5)]
    assert max(quiet) <= 24
    assert max(noisy) > 40
    assert np.mean(noisy) > 2 * np.mean(quiet)


def test_nobody_waits_for_a_vain_hope() -> None:
    """Where no gain is to be seen, no number of blocks shows one."""
    taken = [last_blocks((0.0, 0.0), 0.02, seed) for seed in range(10)]
    assert sum(blocks in (0, 12) for blocks in taken) >= 7


@pytest.mark.parametrize(("seen", "more"), [(4, 8), (6, 12), (12, 40)])
def test_assurance_is_how_often_a_claim_comes_true(seen: int, more: int) -> None:
    """Truths of which nothing is known before, measured twice: so many intervals lie below 0."""
    random = np.random.default_rng(seen)
    told, came = [], []
    for _ in range(12000):
        truth = random.uniform(-0.2, 0.2)
        first = random.normal(truth, 0.05, seen)
        later = random.normal(truth, 0.05, more)
        told.append(assurance(first, more, confidence=0.975))
        came.append(float(np.mean(later)) + half_width(later, 0.975) < 0)
    for low, high in [(0.0, 0.2), (0.2, 0.8), (0.8, 0.95), (0.95, 1.0)]:
        inside = [hit for chance, hit in zip(told, came, strict=True) if low <= chance < high]
        expected = [chance for chance in told if low <= chance < high]
        assert np.mean(inside) == pytest.approx(np.mean(expected), abs=0.06)


@pytest.mark.parametrize("left_s", [300.0, 600.0, 1200.0])
def test_the_time_is_kept_and_goes_to_the_last_blocks(left_s: float) -> None:
    """Counts the samples that a confirmation with six finalists and four changes asks for."""
    sample_s = 2.0
    names = ["pack_bestfit_k", "purge_delay_ms", "bin_bytes", "shards"]
    asked: list[int] = []

    def measure(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        del number, task
        asked.append(1 + len(knobs))
        around = 0.001 * (len(asked) % 3)
        return [Block({("rss_mean", "x"): -0.2, ("throughput", "x"): around}) for _ in knobs]

    found = [
        Candidate(
            {"bin_bytes": 8192, "pack_bestfit_k": 9, "purge_delay_ms": 64, "shards": place},
            place,
            blocks_of(-0.2, 0.0),
        )
        for place in range(1, 7)
    ]
    count = blocks_for(left_s, sample_s, len(found), len(names))
    confirm = Confirm(build(sim.TABLE, names=names), GOALS, measure, Silence(), final_blocks=count)
    done = confirm.run(found)
    assert done.blocks == count > LEAST_FINAL_BLOCKS
    assert 0.6 * left_s < sum(asked) * sample_s <= left_s
    assert blocks_for(1.0, 1.0, 6, 4) == LEAST_FINAL_BLOCKS
    assert blocks_for(1e9, 1.0, 6, 4) == MOST_FINAL_BLOCKS


def test_who_looks_again_takes_fresh_blocks() -> None:
    knobs: Knobs = {"shards": 2}
    assert first_block(4, [knobs]) == first_block(4, [knobs], 0)
    assert len({first_block(4, [knobs], extensions) for extensions in range(4)}) == 4


def test_a_session_in_which_all_fails_still_ends(tmp_path: Path) -> None:
    def broken(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        del number, task
        return [Block({}, failure="it fell over") if each else blocks_of(0, 0)[0] for each in knobs]

    space = build(sim.TABLE, names=["pack_bestfit_k", "stash_spill"], fixed={"shards": "3"})
    request = Request(sim.TASK, space, Budget(trials=8), seed=1, storage="memory:")
    result = tune(request, tmp_path / "all", blocks=broken)
    assert result.document["importance"] == {}
    assert not result.document["claim"]


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


def test_a_hunch_outside_the_space_is_not_tried() -> None:
    space = build(sim.TABLE, ranges={"purge_delay_ms": "0:100"})
    assert [hunch["purge_delay_ms"] for hunch in HUNCHES if space.holds(hunch)] == [16]
    assert not space.holds({})
    assert build(sim.TABLE).holds({})
    assert all(build(sim.TABLE).holds(hunch) for hunch in HUNCHES)
    assert not build(sim.TABLE, fixed={"purge_delay_ms": "500"}).holds(HUNCHES[0])


def test_a_hunch_that_was_given_up_is_tried_again(tmp_path: Path) -> None:
    simulation = sim.Simulation(sim.flat, 1)

    def stopping(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        if simulation.blocks == 10:
            raise KeyboardInterrupt
        return simulation(knobs, number, task=task)

    (tmp_path / "it").mkdir()
    request = Request(sim.TASK, build(sim.TABLE), Budget(trials=7), seed=1)
    with pytest.raises(KeyboardInterrupt):
        tune(request, tmp_path / "it", blocks=stopping)
    result = tune(request, tmp_path / "it", blocks=simulation)
    knobs = [each["knobs"] for each in result.document["configurations"]]
    assert all(hunch in knobs for hunch in HUNCHES)
