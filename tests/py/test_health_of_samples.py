"""Disturbed samples are flagged by rule, told, and left out only when asked."""

from __future__ import annotations

import functools
import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hz3py.analysis.resolution import resolution
from hz3py.cli import ab, doctor, doctor_measure
from hz3py.cli.app import main
from hz3py.measure import steady
from hz3py.measure.arms import run_blocks
from hz3py.measure.bench import Bench
from hz3py.measure.sample import Rss, Sample
from hz3py.measure.steady import SteadyCores
from hz3py.system import machine
from hz3py.system.health import disturbances
from hz3py.system.launch import Launch

SECOND = os.sysconf("SC_CLK_TCK")
QUIET = {
    "time": 100.0,
    "steal_ticks": 0,
    "busy_ticks": 1000,
    "own_cpu_s": 5.0,
    "swap_in_pages": 0,
    "swap_out_pages": 0,
    "throttled": 0,
    "core_to_core_ns": 80.0,
}
CPUS = os.cpu_count() or 1


def after(**changes: float) -> dict[str, float]:
    """One second later, in which our own programs used one CPU."""
    later = {"time": 101.0, "busy_ticks": 1000 + SECOND, "own_cpu_s": 6.0}
    return {**QUIET, **later, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ()),
        ({"swap_out_pages": 1}, ("swap",)),
        ({"throttled": 2}, ("throttling",)),
        ({"core_to_core_ns": 119.0}, ()),
        ({"core_to_core_ns": 121.0}, ("cores",)),
        ({"core_to_core_ns": 50.0}, ("cores",)),
        ({"core_to_core_ns": None}, ()),
        ({"steal_ticks": SECOND * CPUS // 20 or 1, "busy_ticks": 1000 + 2 * SECOND}, None),
        ({"busy_ticks": 1000 + SECOND + CPUS * SECOND // 5}, ("load",)),
        ({"busy_ticks": 1000 + SECOND + CPUS * SECOND // 50}, ()),
        ({"time": 100.1, "busy_ticks": 1000 + SECOND + CPUS * SECOND}, ()),
    ],
)
def test_each_disturbance_has_its_rule(
    changes: dict[str, float], words: tuple[str, ...] | None
) -> None:
    found = disturbances(QUIET, after(**changes))
    assert found == words if words is not None else "steal" in found


def test_a_machine_that_shows_nothing_disturbs_nothing() -> None:
    bare = {"time": 1.0}
    assert disturbances(bare, {"time": 2.0}) == ()


def test_the_snapshot_counts_the_work_of_this_process() -> None:
    before = machine.snapshot()
    sum(number * number for number in range(2_000_000))
    later = machine.snapshot()
    assert later["own_cpu_s"] > before["own_cpu_s"]
    assert later["busy_ticks"] >= before["busy_ticks"]


class Machine:
    """Stands in for `measure` and for the machine: the third block of each run is disturbed."""

    def __init__(self) -> None:
        self.taken = 0
        self.swapped = 0
        self.far_after = 10**9  # samples

    def __call__(self, launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        self.taken += 1
        disturbed = self.taken in (5, 6)
        self.swapped += disturbed
        rss = Rss(100.0 + self.taken, 100.0, 100.0, None, [], 0.0, 2)
        return Sample(
            status="ok",
            exec={"wall_s": 0.1, "user_s": 0.1, "sys_s": 0.0, "minor_faults": 9},
            result={
                "throughput": 10.0 if disturbed else 1000.0 + self.taken % 3,
                "unit": "ops/s",
                "ops": 5,
                "failed": 0,
            },
            rss=rss,
            interposed=True,
        )

    def snapshot(self) -> dict[str, Any]:
        return {**QUIET, "swap_in_pages": self.swapped}

    def distance(self) -> float:
        return 330.0 if self.taken > self.far_after else 80.0


@pytest.fixture
def disturbed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine()
    monkeypatch.setattr(
        Bench.__init__,
        "__kwdefaults__",
        {
            **Bench.__init__.__kwdefaults__,
            "snapshot": made.snapshot,
            "cores": SteadyCores(made.distance),
        },
    )
    for module in (ab, doctor_measure):
        monkeypatch.setattr(module, "run_blocks", functools.partial(run_blocks, measure=made))
    monkeypatch.setattr(ab, "new_seed", lambda: 7)
    monkeypatch.chdir(tmp_path)
    text = """
schema = 1
blocks = 8
question = "?"
[baseline]
allocator = "system"
[[candidates]]
allocator = "system"
[[workloads]]
label = "job"
command = ["true"]
threads = 2
[[criteria]]
metric = "throughput"
kind = "equivalence"
margin = 0.05
"""
    (tmp_path / "e.toml").write_text(text, encoding="utf-8")
    return made


def test_disturbed_samples_are_told_and_left_out_by_rule(
    disturbed: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["ab", "e.toml", "--json", "--out", "all"])
    everything = json.loads(capsys.readouterr().out)
    assert everything["blocks"] == 8
    assert any("2 of 16 samples were disturbed (swap)" in text for text in everything["warnings"])
    disturbed.taken = 0
    assert main(["ab", "e.toml", "--json", "--out", "some", "--exclude-unfit"]) == 0
    fit = json.loads(capsys.readouterr().out)
    assert (fit["verdict"], fit["blocks"]) == ("EQUIVALENT", 7)
    assert any("2 of 16 samples left out as unfit" in text for text in fit["warnings"])


def test_cpus_that_did_not_stay_as_near_are_told(
    disturbed: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steady, "_PAUSE_S", 0.0)
    main(["ab", "e.toml", "--json", "--out", "near"])
    near = json.loads(capsys.readouterr().out)
    assert not any("cache line" in text for text in near["warnings"])
    disturbed.taken = 100
    disturbed.far_after = 100 + 11
    main(["ab", "e.toml", "--json", "--out", "moved"])
    moved = json.loads(capsys.readouterr().out)
    assert any("a cache line took 80 to 330 ns" in text for text in moved["warnings"])
    assert any("1 of 16 samples were taken again" in text for text in moved["warnings"])
    assert not any("disturbed" in text for text in moved["warnings"])
    lines = Path("moved", "records.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [line for line in map(json.loads, lines) if line["kind"] == "sample"]
    assert [sample["core_to_core_ns"] for sample in samples] == 11 * [80.0] + 5 * [330.0]
    assert [sample["repeats"] for sample in samples] == 11 * [0] + [1] + 4 * [0]


def test_cpus_that_never_rest_leave_a_disturbed_sample(
    disturbed: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    distances_ns = itertools.cycle((80.0, 330.0))
    monkeypatch.setattr(disturbed, "distance", lambda: next(distances_ns))
    monkeypatch.setattr(steady, "_PAUSE_S", 0.0)
    monkeypatch.setattr(steady, "_TRIES", 0)
    monkeypatch.setitem(Bench.__init__.__kwdefaults__, "cores", SteadyCores(disturbed.distance))
    main(["ab", "e.toml", "--json", "--out", "restless"])
    told = json.loads(capsys.readouterr().out)
    assert any("16 of 16 samples were disturbed (cores" in text for text in told["warnings"])
    assert disturbed.taken == 16 * 3


def test_the_doctor_says_what_can_be_told_apart(
    disturbed: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "check_all", list)
    monkeypatch.setattr(doctor_measure, "_allocator", lambda: doctor_measure.find(["system"])[0])
    disturbed.taken = 100
    assert main(["doctor", "--measure", "--seconds", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["resolution"]
    assert found["blocks"] >= 4
    speed = next(item for item in found["metrics"] if item["metric"] == "throughput")
    assert 0 < speed["spread"] < 0.01
    assert speed["blocks_needed"]["0.01"] <= speed["blocks_needed"]["0.05"] + 10
    assert speed["seconds_needed"]["0.05"] > 0
    assert main(["doctor", "--measure", "--seconds", "5"]) == 0
    assert "against itself" in capsys.readouterr().out


def test_a_biased_self_check_is_noticed() -> None:
    generator = np.random.default_rng(1)
    fair = resolution("cpu", "row", generator.normal(0, 0.01, 12))
    assert fair is not None
    assert not fair.biased
    assert fair.smallest < 0.01
    assert fair.blocks[0.05] == 3
    biased = resolution("cpu", "row", generator.normal(0.05, 0.01, 12))
    assert biased is not None
    assert biased.biased
    assert resolution("cpu", "row", np.array([0.1, 0.2])) is None
