"""Tuning without processes: search space, simulated studies, confirmation, profiles."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hz3py.errors import StoreError, UsageError, WorkloadFailedError
from hz3py.tuning import insight, profile, requests, storage
from hz3py.tuning.blocks import Block
from hz3py.tuning.goals import Goals
from hz3py.tuning.profile import Profile
from hz3py.tuning.search import Budget, Candidate, candidates
from hz3py.tuning.session import Request, Result, tune
from hz3py.tuning.space import Knobs, Space, build, key_of
from hz3py.tuning.task import Guard, Task, parse_guard, read_figures
from hz3py.tuning.verify import verify
from hz3py.workloads.rows import Row, command_row

SEEDS = range(10)
TRIALS = 40
SPREAD = 0.02
"""Standard deviation of the log ratio of one block, as on a quiet machine."""


@dataclass(frozen=True)
class Info:
    """A knob as the allocator describes it."""

    name: str
    type: str
    default: int | bool | str
    min: int = 0
    max: int = 0
    choices: list[str] = field(default_factory=list)


TABLE = [
    Info("shards", "int", 0, 0, 64),
    Info("remote_route", "choice", "transfer", choices=["owner_stash", "transfer"]),
    Info("drain_limit", "int", 62, 1, 4096),
    Info("stash_max_objs", "int", 1024, 0, 65536),
    Info("stash_spill", "bool", True, 0, 1),
    Info("pack_bestfit_k", "int", 4, 0, 64),
    Info("purge_delay_ms", "int", 1000, 0, 3_600_000),
    Info("on_invalid_free", "choice", "abort", choices=["abort", "warn"]),
    Info("newcomer_bytes", "bytes", 4096, 0, 1 << 30),
]
SPACE = build(TABLE)
TASK = Task("planted", (command_row(("/bin/true",), 1.0),))


class Fixed:
    """A trial that proposes what it is told to."""

    def __init__(self, **values: object) -> None:
        self.asked: list[str] = []
        self._values = values

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.asked.append(name)
        value = self._values.get(name, low)
        assert isinstance(value, int)
        return min(max(value, low), high)

    def suggest_categorical(self, name: str, choices: Sequence[object]) -> object:
        self.asked.append(name)
        return self._values.get(name, choices[0])


def optimum(knobs: Knobs) -> tuple[float, float]:
    """Two hills in memory, one of them behind a switch; a small stash costs throughput."""
    k = int(knobs.get("pack_bestfit_k", 4))
    rss = -0.10 * (math.exp(-(((k - 11) / 3) ** 2)) - math.exp(-((7 / 3) ** 2)))
    speed = 0.0
    if knobs.get("remote_route") == "owner_stash":
        drain = int(knobs.get("drain_limit", 62))
        rss -= 0.06 * math.exp(-(math.log(drain / 200) ** 2))
        speed = -0.06 if int(knobs.get("stash_max_objs", 1024)) < 128 else 0.0
    return rss, speed


BEST_GAIN = 0.16
GOOD_GAIN = 0.10


def flat(_knobs: Knobs) -> tuple[float, float]:
    """No knob does anything."""
    return 0.0, 0.0


class Simulation:
    """Stands in for the measuring of blocks; every block has noise of its own."""

    def __init__(self, truth: Callable[[Knobs], tuple[float, float]], seed: int) -> None:
        self.blocks = 0
        self._truth = truth
        self._random = np.random.default_rng(seed)

    def __call__(
        self, knobs: Sequence[Knobs], number: int, *, rows: Sequence[Row] | None = None
    ) -> list[Block]:
        self.blocks += 1
        base = self._random.normal(0.0, SPREAD / math.sqrt(2), 2)
        found = []
        for each in knobs:
            own = self._random.normal(0.0, SPREAD / math.sqrt(2), 2)
            rss, speed = np.array(self._truth(each)) + own - base
            found.append(Block({("rss_mean", "x"): rss, ("throughput", "x"): speed}))
        return found


def study_of(
    truth: Callable[[Knobs], tuple[float, float]], seed: int, folder: Path, task: Task = TASK
) -> Result:
    request = Request(task, SPACE, Budget(trials=TRIALS), seed=seed, storage="memory:")
    return tune(request, folder / str(seed), blocks=Simulation(truth, seed))


def test_a_planted_optimum_is_found_in_nine_of_ten_studies(tmp_path: Path) -> None:
    gains = []
    for seed in SEEDS:
        found = study_of(optimum, seed, tmp_path).confirmation
        assert found is not None
        gains.append(-optimum(found.knobs)[0] if found.claim else 0.0)
    assert sum(gain >= GOOD_GAIN for gain in gains) >= 9, gains
    assert max(gains) <= BEST_GAIN


def test_where_nothing_helps_nothing_is_claimed_in_nine_of_ten_studies(tmp_path: Path) -> None:
    claims = []
    for seed in SEEDS:
        result = study_of(flat, seed, tmp_path)
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


def test_the_shrinkage_of_the_search_is_told(tmp_path: Path) -> None:
    result = study_of(optimum, 0, tmp_path)
    assert 0.7 < result.document["searched_ratio"] < 1
    assert 0.7 < result.document["confirmed_ratio"] < 1
    assert result.document["schema"] == 1
    assert result.document["trials"] == TRIALS


def test_throughput_and_pareto_are_objectives_as_well(tmp_path: Path) -> None:
    def faster(knobs: Knobs) -> tuple[float, float]:
        return 0.0, 0.2 if int(knobs.get("pack_bestfit_k", 4)) > 8 else 0.0

    speed = Task("speed", TASK.rows, objective="throughput")
    found = study_of(faster, 2, tmp_path, speed).confirmation
    assert found is not None
    assert found.claim
    assert found.throughput.low > 1

    both = Task("both", TASK.rows, objective="pareto")
    result = study_of(optimum, 4, tmp_path, both)
    assert result.confirmation is not None
    assert any(each["front"] for each in result.document["configurations"])


def test_hopeless_trials_end_early(tmp_path: Path) -> None:
    def bad(knobs: Knobs) -> tuple[float, float]:
        return (0.5, -0.5) if knobs else (0.0, 0.0)

    result = study_of(bad, 5, tmp_path)
    lengths = {each["blocks"] for each in result.document["configurations"] if each["knobs"]}
    assert max(lengths) <= 4


def test_a_study_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    simulation = Simulation(optimum, 7)

    def breaks(
        knobs: Sequence[Knobs], number: int, *, rows: Sequence[Row] | None = None
    ) -> list[Block]:
        if simulation.blocks == 30:
            simulation.blocks += 1
            raise KeyboardInterrupt
        return simulation(knobs, number, rows=rows)

    request = Request(TASK, SPACE, Budget(trials=12, blocks=4), seed=7)
    with pytest.raises(KeyboardInterrupt):
        tune(request, tmp_path, blocks=breaks)
    result = tune(request, tmp_path, blocks=breaks)
    assert result.trials == 12
    assert result.ended == "all trials are done"


def test_a_study_is_not_joined_with_other_arguments(tmp_path: Path) -> None:
    request = Request(TASK, SPACE, Budget(trials=1, blocks=2), storage=f"journal:{tmp_path}/log")
    tune(request, tmp_path / "one", blocks=Simulation(flat, 1))
    other = Request(TASK, build(TABLE, names=["shards"]), Budget(trials=1), storage=request.storage)
    with pytest.raises(UsageError, match="about another knobs"):
        tune(other, tmp_path / "two", blocks=Simulation(flat, 1))


def test_knobs_without_effect_are_not_asked_for() -> None:
    trial = Fixed(remote_route="transfer", pack_bestfit_k=4)
    assert SPACE.suggest(trial) == {}
    assert trial.asked == ["remote_route", "pack_bestfit_k"]
    trial = Fixed(
        remote_route="owner_stash", pack_bestfit_k=4, drain_limit=100, stash_max_objs=1024
    )
    assert SPACE.suggest(trial) == {"drain_limit": 96, "remote_route": "owner_stash"}


def test_dropping_a_switch_drops_what_hangs_on_it() -> None:
    knobs: Mapping[str, int | str] = {"remote_route": "owner_stash", "drain_limit": 96}
    assert SPACE.without(knobs, "remote_route") == {}
    assert SPACE.without(knobs, "drain_limit") == {"remote_route": "owner_stash"}


def test_the_proposal_of_the_defaults_changes_nothing() -> None:
    everything = build(TABLE, names=["all"])
    assert everything.suggest(Fixed(**everything.default_parameters())) == {}


def test_zero_is_a_mode_of_its_own_where_it_means_one() -> None:
    space = build(TABLE, names=["purge_delay_ms"])
    assert space.suggest(Fixed(**{"purge_delay_ms=0": True})) == {"purge_delay_ms": 0}
    assert space.suggest(Fixed(**{"purge_delay_ms=0": False, "purge_delay_ms": 90})) == {
        "purge_delay_ms": 96
    }


def test_all_leaves_out_what_is_not_for_speed_and_takes_what_is_new() -> None:
    names = [dimension.name for dimension in build(TABLE, names=["all"]).dimensions]
    assert "on_invalid_free" not in names
    assert "newcomer_bytes" in names
    assert names.index("remote_route") < names.index("drain_limit")


def test_a_fixed_switch_takes_its_dependents_out() -> None:
    space = build(TABLE, fixed={"remote_route": "transfer"})
    assert [dimension.name for dimension in space.dimensions] == ["pack_bestfit_k"]
    kept = build(TABLE, fixed={"remote_route": "owner_stash"})
    assert kept.suggest(Fixed(pack_bestfit_k=4, drain_limit=62, stash_max_objs=1024)) == {
        "remote_route": "owner_stash"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["pack_bestfit"]}, "unknown knob 'pack_bestfit'"),
        ({"names": ["on_invalid_free"]}, "not for tuning"),
        ({"ranges": {"drain_limit": "90:10"}}, "range 90:10 of drain_limit is empty"),
        ({"ranges": {"drain_limit": "10"}}, "is not LO:HI"),
        ({"ranges": {"drain_limit": "0:10"}}, "0 is not possible for knob drain_limit"),
        ({"fixed": {"remote_route": "nowhere"}}, "has no choice 'nowhere'"),
        ({"fixed": {"drain_limit": "many"}}, "'many' is no value of knob drain_limit"),
        ({"names": ["drain_limit"], "fixed": {"remote_route": "transfer"}}, "nothing is left"),
        ({"fixed": {"shards": "1"}, "ranges": {"shards": "1:8"}}, "both fixed and given a range"),
    ],
)
def test_a_wrong_space_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(TABLE, **options)  # type: ignore[arg-type]


def test_figures_are_read_from_the_last_match() -> None:
    task = Task("x", TASK.rows, metric_regex=r"rps: ([\d.,]+)", guards=(Guard(r"p99 (\d+)", 0.05),))
    reading = read_figures(task, "rps: 1\nrps: 1,250.5\np99 7\n")
    assert reading.figures == {"throughput": 1250.5, task.guards[0].name: 7.0}
    assert "matched nothing" in read_figures(task, "rps: 1").complaint
    assert "no ratio" in read_figures(task, "rps: 0 p99 1").complaint


@pytest.mark.parametrize("limit", ["5%", "+5", "many", "-100%"])
def test_a_wrong_limit_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="signed percentage"):
        parse_guard("p99 (.*)", limit)


def test_a_broken_guard_of_the_user_stops_a_claim() -> None:
    task = Task("x", TASK.rows, guards=(parse_guard("p99 (.*)", "+5%"),))
    blocks = [
        Block({("rss_mean", "x"): -0.1, ("throughput", "x"): 0.0, (task.guards[0].name, "x"): 0.2})
        for _ in range(6)
    ]
    goals = Goals(task)
    assert goals.hopeless(blocks) == task.guards[0].name
    assert goals.violations(blocks)[task.guards[0].name] > 0


def test_a_profile_says_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    written = Profile(
        name='a "quoted" name',
        knobs={"remote_route": "owner_stash", "drain_limit": 96},
        evidence={"rss_ratio": 0.9, "rss_ci": [0.85, 0.95], "claim": True},
        machine={"cpu": "a\\b"},
        workload=json.loads(json.dumps(TASK.to_json())),
        date="2026-01-01T00:00:00+00:00",
        version="1",
    )
    file = tmp_path / "profile.toml"
    file.write_text(profile.text(written), encoding="utf-8")
    assert profile.read(file) == written
    assert Task.from_json(profile.read(file).workload) == TASK


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("knobs = [", "not valid TOML"),
        ("[knobs]\n", "no profile of hz3"),
        ('kind = "hz3-profile"\nschema = 9\n[knobs]\n', "schema 9"),
        ('kind = "hz3-profile"\nschema = 1\n[knobs]\na = [1]\n', "not a plain value"),
    ],
)
def test_a_damaged_profile_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "profile.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        profile.read(file)


def test_a_request_says_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    request = Request(TASK, SPACE, Budget(trials=3), minutes=1.5, transfer=TASK.rows)
    requests.save(request, tmp_path)
    assert requests.load(tmp_path, TABLE) == request
    with pytest.raises(UsageError, match="default of knob"):
        requests.load(tmp_path, TABLE[:-1])
    with pytest.raises(StoreError, match="cannot read"):
        requests.load(tmp_path / "nowhere", TABLE)


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [(lambda _: (-0.1, 0.0), "GO"), (lambda _: (0.1, 0.0), "NO-GO"), (flat, "UNDECIDED")],
)
def test_a_profile_is_verified(truth: Callable[[Knobs], tuple[float, float]], verdict: str) -> None:
    made = Profile("x", {"drain_limit": 96})
    assert verify(made, TASK, Simulation(truth, 3)).verdict == verdict


def test_a_default_that_fails_ends_the_search(tmp_path: Path) -> None:
    def fails(
        knobs: Sequence[Knobs], number: int, *, rows: Sequence[Row] | None = None
    ) -> list[Block]:
        raise WorkloadFailedError("the workload fails under the default configuration already")

    with pytest.raises(WorkloadFailedError):
        tune(Request(TASK, SPACE, storage="memory:"), tmp_path, blocks=fails)


def test_a_candidate_that_fails_is_never_a_finalist(tmp_path: Path) -> None:
    simulation = Simulation(lambda _: (-0.3, 0.0), 1)

    def crashes(
        knobs: Sequence[Knobs], number: int, *, rows: Sequence[Row] | None = None
    ) -> list[Block]:
        good = simulation(knobs, number)
        return [
            Block(failure="x: crashed") if "remote_route" in each else block
            for each, block in zip(knobs, good, strict=True)
        ]

    request = Request(TASK, SPACE, Budget(trials=15), seed=2, storage="memory:")
    result = tune(request, tmp_path, blocks=crashes)
    assert result.confirmation is not None
    assert "remote_route" not in result.confirmation.knobs
    assert any(each["failure"] for each in result.document["configurations"])


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("sqlite:////nowhere/at/all/study.db", StoreError, "cannot be used"),
        ("postgresql://a:secret@127.0.0.1:1/x", StoreError, "cannot be used"),
        ("nothing at all", UsageError, "--storage"),
        ("nonsense://host/x", UsageError, "--storage"),
    ],
)
def test_a_storage_that_does_not_answer_is_one_line(
    url: str, error: type[Exception], message: str
) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg2")
    with pytest.raises(error, match=message) as caught:
        storage.open_study(url, "x", "rss")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_cliffs_and_front_come_from_the_curves(tmp_path: Path) -> None:
    def cliff(knobs: Knobs) -> tuple[float, float]:
        return 0.0, -0.3 if int(knobs.get("pack_bestfit_k", 4)) > 8 else 0.0

    space: Space = build(TABLE, names=["pack_bestfit_k"])
    goals = Goals(TASK)
    simulation = Simulation(cliff, 1)
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


def test_equal_proposals_share_their_blocks(tmp_path: Path) -> None:
    space = build(TABLE, names=["stash_spill"], fixed={"remote_route": "owner_stash"})
    request = Request(TASK, space, Budget(trials=12, blocks=3), storage=f"journal:{tmp_path}/log")
    tune(request, tmp_path / "one", blocks=Simulation(flat, 1))
    study = storage.open_study(request.storage, "tune", "rss")
    found = candidates(study)
    assert len({key_of(each.knobs) for each in found}) == len(found) <= 2
    assert max(len(each.blocks) for each in found) <= 9
