"""What tuning reads and writes: figures, profiles, requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tune_simulation as sim

from hz3py.errors import StoreError, UsageError
from hz3py.tuning import profile, requests
from hz3py.tuning.profile import Profile
from hz3py.tuning.search import Budget
from hz3py.tuning.session import Request
from hz3py.tuning.task import Guard, Task, parse_guard, read_figures


def test_figures_are_read_from_the_last_match() -> None:
    task = Task(
        "x", sim.TASK.rows, metric_regex=r"rps: ([\d.,]+)", guards=(Guard(r"p99 (\d+)", 0.05),)
    )
    reading = read_figures(task, "rps: 1\nrps: 1,250.5\np99 7\n")
    assert reading.figures == {"throughput": 1250.5, task.guards[0].name: 7.0}
    assert "matched nothing" in read_figures(task, "rps: 1").complaint
    assert "no ratio" in read_figures(task, "rps: 0 p99 1").complaint


@pytest.mark.parametrize("limit", ["5%", "+5", "many", "-100%"])
def test_a_wrong_limit_is_refused(limit: str) -> None:
    with pytest.raises(UsageError, match="signed percentage"):
        parse_guard("p99 (.*)", limit)


def test_a_profile_says_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    written = Profile(
        name='a "quoted" name',
        knobs={"remote_route": "owner_stash", "drain_limit": 96},
        evidence={"rss_ratio": 0.9, "rss_ci": [0.85, 0.95], "claim": True},
        machine={"cpu": "a\\b"},
        workload=json.loads(json.dumps(sim.TASK.to_json())),
        date="2026-01-01T00:00:00+00:00",
        version="1",
    )
    file = tmp_path / "profile.toml"
    file.write_text(profile.text(written), encoding="utf-8")
    assert profile.read(file) == written
    assert Task.from_json(profile.read(file).workload) == sim.TASK


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
    request = Request(sim.TASK, sim.SPACE, Budget(trials=3), minutes=1.5, transfer=(sim.TASK,))
    requests.save(request, tmp_path)
    assert requests.load(tmp_path, sim.TABLE) == request
    with pytest.raises(UsageError, match="default of knob"):
        requests.load(tmp_path, sim.TABLE[:-1])
    with pytest.raises(StoreError, match="cannot read"):
        requests.load(tmp_path / "nowhere", sim.TABLE)
