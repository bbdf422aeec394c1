"""`hz3 compare`: paired within a run, honest about two runs, and a gate for CI."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hz3py.analysis import intervals
from hz3py.analysis.comparison import independent_interval, parse_condition, word
from hz3py.analysis.criteria import METRICS
from hz3py.analysis.intervals import Interval
from hz3py.cli.app import main
from hz3py.errors import UsageError
from hz3py.measure.arms import Arm, plan_of, run_blocks
from hz3py.measure.sample import Rss, Sample
from hz3py.store.records import RunRecord
from hz3py.store.results import Writer
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch
from hz3py.workloads.rows import Row

SYSTEM = Allocator("system", None, "2.36", True, "", "system")
ROWS = tuple(Row(label=name, workload=name, command="/bin/true") for name in ("one", "two"))
Store = Callable[..., str]


class Machine:
    """Stands in for `measure`; a whole block is fast or slow together."""

    def __init__(self, speeds: Mapping[str, float], seed: int, ops: int, swing: float) -> None:
        self._speeds = speeds
        self._random = random.Random(seed)
        self._ops = ops
        self._swing = swing
        self._taken = 0
        self._mood = 1.0

    def __call__(self, launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        if self._taken % len(self._speeds) == 0:
            self._mood = self._random.gauss(1, self._swing)
        self._taken += 1
        name = launch.allocator.name
        speed = 1e6 * self._speeds[name] * self._mood * self._random.gauss(1, 0.003)
        rss = Rss(100.0, 100.0, 100.0, None, [], 0.0, 2)
        return Sample(
            status="ok",
            exec={"wall_s": 0.1, "user_s": 0.1, "sys_s": 0.0, "minor_faults": 9},
            result={"throughput": speed, "unit": "ops/s", "ops": self._ops, "failed": 0},
            rss=rss,
            interposed=True,
        )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a function that stores a run with made-up speeds and returns its folder."""
    monkeypatch.chdir(tmp_path)

    def make(
        folder: str,
        speeds: Mapping[str, float],
        *,
        blocks: int = 10,
        seed: int = 1,
        ops: int = 1000,
        swing: float = 0.0,
        host: str = "here",
    ) -> str:
        arms = [Arm(name, SYSTEM) for name in speeds]
        plan = plan_of("s", arms, ROWS, blocks=blocks, seed=seed)
        machine = {"host": host}
        run = RunRecord(folder, "2026-01-01T00:00:00", "s", plan.to_json(), machine, (), "1")
        with Writer.create(tmp_path / folder, run) as writer:
            run_blocks(
                arms,
                ROWS,
                blocks=blocks,
                seed=seed,
                run_id=folder,
                append=writer.append,
                measure=Machine(speeds, seed, ops, swing),
            )
        return folder

    return make


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main(["compare", *words, "--json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def states(document: Mapping[str, Any], metric: str) -> dict[str, str]:
    return {
        entry["workload"]: entry["state"]
        for entry in document["criteria"]
        if entry["metric"] == metric
    }


def test_two_allocators_of_a_run_are_paired(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("r", {"x": 1.0, "y": 1.05}, swing=0.2)
    found = compared(capsys, "r:x", "r:y")
    assert found["paired"]
    assert found["warnings"] == []
    assert states(found, "throughput") == dict.fromkeys(("one", "two", "mean"), "faster")
    assert states(found, "rss_mean") == dict.fromkeys(("one", "two", "mean"), "within noise")
    assert states(found, "rss_idle") == {}
    assert found["geomean"]["throughput"] == pytest.approx(1.05, rel=0.01)
    assert found["blocks"] == 10


def test_two_runs_are_not_paired_and_that_is_said(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("a", {"x": 1.0})
    store("b", {"x": 0.9}, seed=2, host="elsewhere")
    found = compared(capsys, "a", "b")
    assert not found["paired"]
    assert states(found, "throughput")["one"] == "slower"
    assert any("not paired" in text for text in found["warnings"])
    assert any("differ in host" in text for text in found["warnings"])
    assert found["worst"]["throughput"]["ratio"] < 0.95


def test_pairing_sees_through_what_hits_a_whole_block(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("a", {"x": 1.0, "y": 0.97}, swing=0.15)
    store("b", {"x": 1.0, "y": 0.97}, swing=0.15, seed=5)
    assert states(compared(capsys, "a:x", "a:y"), "throughput")["one"] == "slower"
    assert states(compared(capsys, "a:x", "b:y"), "throughput")["one"] == "undecided"


@pytest.mark.parametrize(
    ("speed", "condition", "code"),
    [
        (0.95, "throughput<-2%", 1),
        (0.95, "throughput<-8%", 0),
        (1.00, "throughput<-2%", 0),
        (1.10, "throughput>+5%", 1),
        (1.00, "rss_mean>2%", 0),
    ],
)
def test_conditions_are_a_gate(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    speed: float,
    condition: str,
    code: int,
) -> None:
    store("r", {"x": 1.0, "y": speed})
    assert main(["compare", "r:x", "r:y", "--fail-on", condition]) == code
    assert ("broken: " in capsys.readouterr().out) == (code == 1)


def test_a_gate_that_cannot_be_told_is_undecided(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("r", {"x": 1.0, "y": 0.9}, blocks=2)
    assert main(["compare", "r:x", "r:y", "--fail-on", "throughput<-2%"]) == 3
    assert "undecided: throughput<-2%" in capsys.readouterr().out


def test_rows_that_did_different_work_are_left_out(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store("a", {"x": 1.0})
    store("b", {"x": 1.0}, ops=2000)
    assert main(["compare", "a", "b"]) == 2
    assert "no row to compare" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("r", "r"), "r and r name no allocator"),
        (("r:x", "r:z"), "r has no allocator 'z'"),
        (("r:x", "nothing"), "cannot read nothing"),
        (("r:x", "r:y", "--fail-on", "speed<-2%"), "unknown metric 'speed'"),
        (("r:x", "r:y", "--fail-on", "throughput below 2"), "is not a condition"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: Store,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    store("r", {"x": 1.0, "y": 1.0})
    assert main(["compare", *words]) in (2, 5)
    assert message in capsys.readouterr().err


def test_words_follow_the_direction_of_the_metric() -> None:
    lower, higher = Interval(0.9, 0.85, 0.95), Interval(1.1, 1.05, 1.15)
    assert word(METRICS["throughput"], higher, 0.01) == "faster"
    assert word(METRICS["rss_peak"], lower, 0.01) == "leaner"
    assert word(METRICS["rss_peak"], higher, 0.01) == "fatter"
    assert word(METRICS["faults"], lower, 0.01) == "fewer"
    assert word(METRICS["cpu"], higher, 0.01) == "more"
    assert word(METRICS["cpu"], Interval(1.0, 0.995, 1.005), 0.01) == "within noise"
    assert word(METRICS["cpu"], Interval(1.0, 0.9, 1.1), 0.01) == "undecided"
    assert word(METRICS["cpu"], Interval(1.0, math.nan, math.nan), 0.01) == "undecided"


def test_unpaired_intervals_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hz3py.analysis.comparison.RESAMPLES", 199)
    monkeypatch.setattr(intervals, "RESAMPLES", 199)
    generator = np.random.default_rng(3)
    hits = 0
    for seed in range(600):
        first, second = generator.normal(0, 1, 12), generator.normal(0, 3, 9)
        found = independent_interval(first, second, seed=seed)
        hits += found.low <= 0 <= found.high
    assert hits / 600 == pytest.approx(0.95, abs=0.025)


def test_equal_samples_have_no_width() -> None:
    found = independent_interval(np.full(4, 1.0), np.full(4, 0.5))
    assert (found.low, found.high) == (0.5, 0.5)
    assert not independent_interval(np.full(2, 1.0), np.full(4, 0.5)).known


def test_conditions_are_read_with_their_sign() -> None:
    found = parse_condition(" rss_mean > +5 % ")
    assert (found.metric, found.below, found.ratio) == ("rss_mean", False, 1.05)
    with pytest.raises(UsageError):
        parse_condition("throughput<-2")
