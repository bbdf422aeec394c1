"""Tuning without processes: simulated studies, confirmation, guards, and what a study teaches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tune_simulation as sim

from hz3py.errors import UsageError, WorkloadFailedError
from hz3py.tuning import insight, storage
from hz3py.tuning.blocks import Block
from hz3py.tuning.choose import build
from hz3py.tuning.confirm import Confirm
from hz3py.tuning.goals import Goals
from hz3py.tuning.outcome import Result
from hz3py.tuning.profile import Profile
from hz3py.tuning.search import Budget, Candidate, candidates
from hz3py.tuning.session import Request, tune
from hz3py.tuning.space import Knobs, Space, key_of
from hz3py.tuning.task import Task, parse_guard
from hz3py.tuning.verify import verify
from hz3py.tuning.watch import Silence

SEEDS = range(10)


TRIALS = 40


def study_of(
    truth: Callable[[Knobs], tuple[float, float]], seed: int, folder: Path, task: Task = sim.TASK
) -> Result:
    request = Request(task, sim.SPACE, Budget(trials=TRIALS), seed=seed, storage="memory:")
    return tune(request, folder / str(seed), blocks=sim.Simulation(truth, seed))


def test_a_planted_optimum_is_found_in_nine_of_ten_studies(tmp_path: Path) -> None:
    gains = []
    for seed in SEEDS:
        found = study_of(sim.optimum, seed, tmp_path).confirmation
        assert found is not None
        gains.append(-sim.optimum(found.knobs)[0] if found.claim else 0.0)
    assert sum(gain >= sim.GOOD_GAIN for gain in gains) >= 9, gains
    assert max(gains) <= sim.BEST_GAIN


def test_where_nothing_helps_nothing_is_claimed_in_nine_of_ten_studies(tmp_path: Path) -> None:
    claims = []
    for seed in SEEDS:
        result = study_of(sim.flat, seed, tmp_path)
        assert result.confirmation is not None
        claims.append(result.confirmation.claim)
        assert (result.profile is None) == (not result.confirmation.claim)
        assert result.confirmation.reasons
    assert sum(claims) <= 1


def test_a_gain_that_costs_too_much_speed_is_not_claimed(tmp_path: Path) -> None:
    def dear(knobs: Knobs) -> tuple[float, float]:
        return (-0.2, -0.1) if knobs else (0.0, 0.0)

    result = study_of(dear, 1, tmp_path)
    assert result.confirmation is not None
    assert not result.confirmation.claim
    assert result.document["knobs"] == {}
    assert not any(
        each["guards_kept"] for each in result.document["configurations"] if each["knobs"]
    )


def test_a_change_that_does_not_matter_is_dropped(tmp_path: Path) -> None:
    def one_matters(knobs: Knobs) -> tuple[float, float]:
        return (-0.2 if knobs.get("remote_route") == "owner_stash" else 0.0), 0.0

    found = study_of(one_matters, 3, tmp_path).confirmation
    assert found is not None
    assert found.claim
    assert dict(found.knobs) == {"remote_route": "owner_stash"}
    assert any(not change.kept for change in found.changes)


def test_of_two_changes_that_do_the_same_one_is_kept(tmp_path: Path) -> None:
    def either(knobs: Knobs) -> tuple[float, float]:
        helps = knobs.get("stash_spill") == 0 or int(knobs.get("pack_bestfit_k", 4)) > 4
        return (-0.3 if helps else 0.0), 0.0

    names = ["stash_spill", "pack_bestfit_k"]
    space = build(sim.TABLE, names=names, fixed={"remote_route": "owner_stash"})
    simulation = sim.Simulation(either, 1)
    goals = Goals(sim.TASK)
    both = {"pack_bestfit_k": 9, "remote_route": "owner_stash", "stash_spill": 0}
    blocks = [simulation([both], number)[0] for number in range(6)]

    found = Confirm(space, goals, simulation, Silence()).run([Candidate(both, 1, blocks)])

    assert found.claim
    assert set(found.knobs) & {"stash_spill", "pack_bestfit_k"} == {
        change.name for change in found.changes if change.kept
    }
    assert len(found.knobs) == 2
    assert found.rss.estimate < 0.8


def test_the_shrinkage_of_the_search_is_told(tmp_path: Path) -> None:
    result = study_of(sim.optimum, 0, tmp_path)
    assert 0.7 < result.document["searched_ratio"] < 1
    assert 0.7 < result.document["confirmed_ratio"] < 1
    assert result.document["schema"] == 1
    assert result.document["trials"] == TRIALS


def test_throughput_and_pareto_are_objectives_as_well(tmp_path: Path) -> None:
    def faster(knobs: Knobs) -> tuple[float, float]:
        return 0.0, 0.2 if int(knobs.get("pack_bestfit_k", 4)) > 8 else 0.0

    speed = Task("speed", sim.TASK.rows, objective="throughput")
    found = study_of(faster, 2, tmp_path, speed).confirmation
    assert found is not None
    assert found.claim
    assert found.throughput.low > 1

    both = Task("both", sim.TASK.rows, objective="pareto")
    result = study_of(sim.optimum, 4, tmp_path, both)
    assert result.confirmation is not None
    assert any(each["front"] for each in result.document["configurations"])


def test_hopeless_trials_end_early(tmp_path: Path) -> None:
    def bad(knobs: Knobs) -> tuple[float, float]:
        return (0.5, -0.5) if knobs else (0.0, 0.0)

    result = study_of(bad, 5, tmp_path)
    lengths = {each["blocks"] for each in result.document["configurations"] if each["knobs"]}
    assert max(lengths) <= 4


def test_a_study_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    simulation = sim.Simulation(sim.optimum, 7)

    def breaks(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        if simulation.blocks == 30:
            simulation.blocks += 1
            raise KeyboardInterrupt
        return simulation(knobs, number, task=task)

    request = Request(sim.TASK, sim.SPACE, Budget(trials=12, blocks=4), seed=7)
    with pytest.raises(KeyboardInterrupt):
        tune(request, tmp_path, blocks=breaks)
    result = tune(request, tmp_path, blocks=breaks)
    assert result.trials == 12
    assert result.ended == "all trials are done"


def test_a_study_is_not_joined_with_other_arguments(tmp_path: Path) -> None:
    request = Request(
        sim.TASK, sim.SPACE, Budget(trials=1, blocks=2), storage=f"journal:{tmp_path}/log"
    )
    tune(request, tmp_path / "one", blocks=sim.Simulation(sim.flat, 1))
    other = Request(
        sim.TASK, build(sim.TABLE, names=["shards"]), Budget(trials=1), storage=request.storage
    )
    with pytest.raises(UsageError, match="study 'tune' has other knobs"):
        tune(other, tmp_path / "two", blocks=sim.Simulation(sim.flat, 1))


def test_a_guard_breaks_beside_another_only_if_that_is_shown() -> None:
    goals = Goals(sim.TASK)
    noise = [0.1, -0.15, 0.12, -0.18, 0.02, -0.11]

    def blocks(speeds: list[float]) -> list[Block]:
        return [Block({("rss_mean", "x"): -0.5, ("throughput", "x"): speed}) for speed in speeds]

    reference = blocks([0.0, 0.01, -0.01, 0.0, 0.01, -0.01])
    assert sum(noise) / len(noise) < math.log(0.98)  # the mean alone would break the guard
    assert not goals.breaks_beside(blocks(noise), reference)
    assert goals.breaks_beside(blocks([speed - 0.4 for speed in noise]), reference)
    assert not goals.breaks_beside(blocks([speed + 0.4 for speed in noise]), reference)


def test_a_broken_guard_of_the_user_stops_a_claim() -> None:
    task = Task("x", sim.TASK.rows, guards=(parse_guard("p99 (.*)", "+5%"),))
    blocks = [
        Block({("rss_mean", "x"): -0.1, ("throughput", "x"): 0.0, (task.guards[0].name, "x"): 0.2})
        for _ in range(6)
    ]
    goals = Goals(task)
    assert goals.hopeless(blocks) == task.guards[0].name
    assert goals.violations(blocks)[task.guards[0].name] > 0


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [(lambda _: (-0.1, 0.0), "GO"), (lambda _: (0.1, 0.0), "NO-GO"), (sim.flat, "UNDECIDED")],
)
def test_a_profile_is_verified(truth: Callable[[Knobs], tuple[float, float]], verdict: str) -> None:
    made = Profile("x", {"drain_limit": 96})
    assert verify(made, sim.TASK, sim.Simulation(truth, 3)).verdict == verdict


def test_a_default_that_fails_ends_the_search(tmp_path: Path) -> None:
    def fails(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        raise WorkloadFailedError("the workload fails under the default configuration already")

    with pytest.raises(WorkloadFailedError):
        tune(Request(sim.TASK, sim.SPACE, storage="memory:"), tmp_path, blocks=fails)


def test_a_candidate_that_fails_is_never_a_finalist(tmp_path: Path) -> None:
    simulation = sim.Simulation(lambda _: (-0.3, 0.0), 1)

    def crashes(knobs: Sequence[Knobs], number: int, *, task: Task | None = None) -> list[Block]:
        good = simulation(knobs, number)
        return [
            Block(failure="x: crashed") if "remote_route" in each else block
            for each, block in zip(knobs, good, strict=True)
        ]

    request = Request(sim.TASK, sim.SPACE, Budget(trials=15), seed=2, storage="memory:")
    result = tune(request, tmp_path, blocks=crashes)
    assert result.confirmation is not None
    assert "remote_route" not in result.confirmation.knobs
    assert any(each["failure"] for each in result.document["configurations"])


def test_cliffs_and_front_come_from_the_curves(tmp_path: Path) -> None:
    def cliff(knobs: Knobs) -> tuple[float, float]:
        return 0.0, -0.3 if int(knobs.get("pack_bestfit_k", 4)) > 8 else 0.0

    space: Space = build(sim.TABLE, names=["pack_bestfit_k"])
    goals = Goals(sim.TASK)
    simulation = sim.Simulation(cliff, 1)
    found = []
    for number, value in enumerate([2, 6, 10, 14]):
        knobs: dict[str, int | str] = {"pack_bestfit_k": value}
        blocks = [simulation([knobs], 0)[0] for _ in range(5)]
        found.append(Candidate(knobs, number, blocks))
    points = insight.curves(found, space, goals)["pack_bestfit_k"]
    assert [point.value for point in points] == [2, 6, 10, 14]
    twice = {
        "pack_bestfit_k": [insight.Point(p.value, 2, p.rss, p.throughput, 0.01) for p in points]
    }
    assert [(c.below, c.above) for c in insight.cliffs(twice)] == [(6, 10)]
    assert insight.front(found, goals)


def test_the_knob_that_decides_is_the_most_important(tmp_path: Path) -> None:
    """Also where zero is a mode of its own, which the search proposes apart from the range."""

    def only_delay(knobs: Knobs) -> tuple[float, float]:
        return (-0.4 if int(knobs.get("purge_delay_ms", 1000)) < 400 else 0.0), 0.0

    names = ["pack_bestfit_k", "purge_delay_ms", "drain_limit", "bin_bytes"]
    for seed in range(4):
        request = Request(
            sim.TASK, build(sim.TABLE, names=names), Budget(trials=25), seed=seed, storage="memory:"
        )
        found = tune(request, tmp_path / str(seed), blocks=sim.Simulation(only_delay, seed))
        shares = found.document["importance"]
        assert next(iter(shares)) == "purge_delay_ms", shares
        assert shares["purge_delay_ms"] > 0.5
        assert set(shares) == {*names, "remote_route"}


def test_equal_proposals_share_their_blocks(tmp_path: Path) -> None:
    space = build(sim.TABLE, names=["stash_spill"], fixed={"remote_route": "owner_stash"})
    request = Request(
        sim.TASK, space, Budget(trials=12, blocks=3), storage=f"journal:{tmp_path}/log"
    )
    tune(request, tmp_path / "one", blocks=sim.Simulation(sim.flat, 1))
    study = storage.open_study(request.storage, "tune", "rss")
    found = candidates(study)
    assert len({key_of(each.knobs) for each in found}) == len(found) <= 2
    assert max(len(each.blocks) for each in found) <= 9
