"""`hz3 ab` from file to verdict, with programs that only pretend and speeds that are made up."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hz3py.cli import ab
from hz3py.cli.app import main
from hz3py.errors import StoreError, UsageError
from hz3py.measure.arms import run_blocks
from hz3py.measure.sample import Rss, Sample
from hz3py.report.verdict import index
from hz3py.store import ledger
from hz3py.store.results import read
from hz3py.system.launch import Launch
from hz3py.workloads.experiments import parse

TEXT = """
schema = 1
name = "trial"
question = "Is the candidate better?"
source = "somebody said so"
blocks = 12

[baseline]
allocator = "system"

[[candidates]]
allocator = "system"
env = { SPEED = "1.0", MEMORY = "1.0" }

[[workloads]]
label = "job"
command = ["true"]

[[criteria]]
metric = "throughput"
kind = "non-inferiority"
margin = 0.02

[[criteria]]
metric = "rss_mean"
kind = "superiority"
margin = 0.05

[[criteria]]
metric = "alloc_failed"
"""


class Machine:
    """Stands in for `measure`: speed and memory as the arm's variables say, with noise."""

    def __init__(self, noise: float = 0.004) -> None:
        self.taken = 0
        self.noise = noise
        self.break_at: Callable[[int], BaseException | None] = lambda _: None
        self.status: Callable[[Launch], str] = lambda _: "ok"
        self.ops: Callable[[Launch], int] = lambda _: 1000
        self._random = random.Random(7)

    def __call__(self, launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        self.taken += 1
        trouble = self.break_at(self.taken)
        if trouble is not None:
            raise trouble
        speed = 1e6 * float(launch.env.get("SPEED", 1)) * self._random.gauss(1, self.noise)
        memory = 5e4 * float(launch.env.get("MEMORY", 1)) * self._random.gauss(1, self.noise)
        status: Any = self.status(launch)
        return Sample(
            status=status,
            detail="" if status == "ok" else "as told",
            exec={"wall_s": 0.1, "user_s": 0.1, "sys_s": 0.0, "minor_faults": 9},
            result={
                "unit": "ops/s",
                "throughput": speed,
                "ops": self.ops(launch),
                "failed": int(launch.env.get("FAILED", 0)),
                "workload": "job",
            },
            rss=Rss(memory, memory, memory, None, [(0.0, memory), (0.1, memory)], 0.0, 2),
            interposed=True,
        )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine()
    monkeypatch.setattr(ab, "run_blocks", functools.partial(run_blocks, measure=made))
    monkeypatch.setattr(ab, "new_seed", lambda: 7)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes the experiment, with some of its text replaced."""

    def make(*changes: tuple[str, str]) -> str:
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "trial.toml").write_text(text, encoding="utf-8")
        return "trial.toml"

    return make


LEAN = ('MEMORY = "1.0"', 'MEMORY = "0.8"')


def verdict_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_leaner_and_equally_fast_candidate_is_go(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", write(LEAN), "--json"]) == 0
    found = verdict_of(capsys)
    assert found["verdict"] == "GO"
    assert found["blocks"] == 12
    assert machine.taken == 24
    states = {entry["metric"]: entry["state"] for entry in found["criteria"]}
    assert states == {
        "throughput": "equivalent",
        "rss_mean": "better",
        "alloc_failed": "equivalent",
    }
    memory = next(entry for entry in found["criteria"] if entry["metric"] == "rss_mean")
    assert memory["ci"][0] < memory["ratio"] < memory["ci"][1] < 0.95
    assert memory["p"] >= memory["p_floor"] > 0


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        (('SPEED = "1.0"', 'SPEED = "0.95"'), "throughput"),
        ((LEAN[0], LEAN[0]), "rss_mean"),
        (('SPEED = "1.0"', 'SPEED = "1.0", FAILED = "1"'), "alloc_failed"),
    ],
)
def test_a_candidate_that_fails_one_criterion_is_no_go(
    machine: Machine,
    write: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    metric: str,
) -> None:
    changes = [change] if metric == "rss_mean" else [change, LEAN]
    assert main(["ab", write(*changes), "--json"]) == 1
    found = verdict_of(capsys)
    assert found["verdict"] == "NO-GO"
    assert [entry["metric"] for entry in found["criteria"] if entry["met"] is False] == [metric]
    assert metric in found["candidates"][0]["reasons"][0]


def test_noise_is_undecided_and_says_what_it_takes(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.noise = 0.2
    assert main(["ab", write(LEAN), "--json", "--blocks", "5"]) == 3
    found = verdict_of(capsys)
    assert found["verdict"] == "UNDECIDED"
    undecided = [entry for entry in found["criteria"] if entry["met"] is None]
    assert any(entry["blocks_needed"] for entry in undecided)


def test_an_arm_against_itself_is_equivalent(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", write(LEAN), "--aa", "--json"]) == 0
    found = verdict_of(capsys)
    assert (found["verdict"], found["self_check"]) == ("EQUIVALENT", True)
    assert [arm["name"] for arm in found["arms"]] == ["baseline", "again"]


def test_automatic_blocks_end_at_the_first_look_that_decides(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", write(LEAN, ("blocks = 12", 'blocks = "auto"')), "--json"]) == 0
    found = verdict_of(capsys)
    assert (found["verdict"], found["blocks"]) == ("GO", 8)
    assert found["criteria"][0]["confidence"] == pytest.approx(0.995)
    assert [look["blocks"] for look in found["looks"]] == [8, 14, 22, 32]


def test_a_spent_budget_ends_the_run_and_is_told(
    machine: Machine,
    write: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(0, 100_000, 30))
    monkeypatch.setattr(
        ab.judging.StopRule.__init__, "__kwdefaults__", {"clock": lambda: next(clock)}
    )
    assert main(["ab", write(LEAN), "--json", "--budget", "2.1"]) in (0, 3)
    found = verdict_of(capsys)
    assert found["blocks"] == 4
    assert any("budget" in text for text in found["warnings"])


def test_the_best_of_several_candidates_decides_at_a_shared_error(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    second = '[[candidates]]\nname = "fat"\nallocator = "system"\nenv = { MEMORY = "1.3" }\n\n'
    path = write(LEAN, ("[[workloads]]", second + "[[workloads]]"))
    assert main(["ab", path, "--json"]) == 0
    found = verdict_of(capsys)
    assert {item["name"]: item["verdict"] for item in found["candidates"]} == {
        "candidate": "GO",
        "fat": "NO-GO",
    }
    assert found["criteria"][0]["confidence"] == pytest.approx(0.975)


def test_failing_programs_end_the_run_without_a_verdict(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.status = lambda launch: "crashed" if "MEMORY" in launch.env else "ok"
    assert main(["ab", write()]) == 5
    assert machine.taken == 2
    assert "job under candidate: crashed: as told" in capsys.readouterr().err


def test_arms_that_did_different_work_are_refused(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.ops = lambda launch: 999 if "MEMORY" in launch.env else 1000
    assert main(["ab", write()]) == 5
    err = capsys.readouterr().err
    assert "the arms did not run the same work" in err
    assert "number of operations differs" in err


def test_the_ledger_holds_page_records_and_index(
    machine: Machine, write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["ab", write(LEAN), "--ledger", "book", "--out", f"r{machine.taken}"]) == 0
    assert main(["ab", "--index", "--ledger", "book"]) == 0
    names = sorted(path.name for path in (tmp_path / "book").iterdir())
    assert len(names) == 5
    pages = [path for path in (tmp_path / "book").glob("*-trial*.md")]
    text = pages[0].read_text(encoding="utf-8")
    for expected in (
        "# trial: GO",
        "Claimed: somebody said so",
        "| rss_mean",
        "| candidate | system",
    ):
        assert expected in text or expected.replace("| rss_mean", "rss_mean better") in text
    results = read(ledger.records_path(pages[0]))
    assert results.verdict is not None
    assert results.verdict.document["verdict"] == "GO"
    assert len(results.samples) == 24
    assert all(sample.sample["rss"]["series"] == [] for sample in results.samples)
    listing = (tmp_path / "book" / "README.md").read_text(encoding="utf-8")
    assert listing.count("**GO**") == 2
    assert "somebody said so" in listing


def test_an_index_of_nothing_and_of_an_absent_ledger(tmp_path: Path) -> None:
    mine = tmp_path / "README.md"
    mine.write_text("not of a ledger", encoding="utf-8")
    with pytest.raises(UsageError, match="holds no verdicts"):
        ledger.write_index(tmp_path, index)
    assert mine.read_text(encoding="utf-8") == "not of a ledger"
    with pytest.raises(UsageError, match="there is no ledger"):
        ledger.write_index(tmp_path / "absent", index)


def test_an_interrupted_experiment_goes_on_where_it_was(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.break_at = lambda number: KeyboardInterrupt() if number == 10 else None
    path = write(LEAN)
    assert main(["ab", path, "--out", "r"]) == 130
    assert "9 samples are kept" in capsys.readouterr().err
    assert main(["ab", path, "--out", "r"]) == 5  # a new run never overwrites
    assert "holds the results of a run already" in capsys.readouterr().err
    assert main(["ab", path, "--resume", "r", "--json"]) == 0
    found = verdict_of(capsys)
    assert (found["verdict"], found["blocks"]) == ("GO", 12)
    assert machine.taken == 10 + 15


def test_a_finished_experiment_keeps_its_verdict_and_its_page(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(LEAN)
    assert main(["ab", path, "--out", "r", "--ledger", "book", "--json"]) == 0
    first = verdict_of(capsys)
    assert main(["ab", path, "--resume", "r", "--ledger", "book", "--json"]) == 0
    assert verdict_of(capsys) == first
    assert sorted(file.suffix for file in Path("book").iterdir()) == [".jsonl", ".md"]
    assert main(["ab", path, "--resume", "r", "--ledger", "other", "--json"]) == 0
    assert Path(verdict_of(capsys)["ledger"]).parent == Path("other")


def test_another_experiment_cannot_be_resumed(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", write(LEAN), "--out", "r"]) == 0
    assert main(["ab", write(LEAN, ("margin = 0.02", "margin = 0.2")), "--resume", "r"]) == 2
    assert main(["ab", write(LEAN), "--resume", "r", "--seed", "5"]) == 2
    assert main(["ab", write(LEAN), "--resume", "r", "--out", "s"]) == 2
    assert not Path("s").exists()
    assert "another experiment" in capsys.readouterr().err


def test_the_disk_fills_up_and_nothing_is_lost(
    machine: Machine,
    write: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    machine.break_at = lambda number: StoreError("the disk is full") if number == 8 else None
    path = write(LEAN)
    assert main(["ab", path, "--out", "r"]) == 5
    assert "the disk is full" in capsys.readouterr().err
    assert len(read(tmp_path / "r").samples) == 7
    assert main(["ab", path, "--resume", "r"]) == 0


def test_a_dry_run_starts_nothing(
    machine: Machine, write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", write(), "--dry-run"]) == 0
    assert machine.taken == 0
    assert "24 samples in 12 blocks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('metric = "rss_mean"', 'metric = "rss"'), "unknown metric 'rss'"),
        (('kind = "superiority"', 'kind = "better"'), "unknown kind 'better'"),
        (('command = ["true"]', 'workload = "mstres"\ntouch = "full"'), "did you mean mstress"),
        (('command = ["true"]', 'command = ["no-such-program"]'), "is not installed"),
        (('metric = "rss_mean"', 'metric = "rss_idle"'), "rss_idle of job is never measured"),
        (("schema = 1", "schema = 2"), "reads schema 1"),
        (("blocks = 12", "block = 12"), "unknown key 'block'"),
        (("margin = 0.05", 'margin = "5 %"'), "not a fraction"),
        (
            ('env = { SPEED = "1.0"', 'knobs = { shards = 4 }\nenv = { SPEED = "1.0"'),
            "has no knobs",
        ),
        (("margin = 0.02", "margin = 0.02\nworkload = 'jab'"), "did you mean job"),
        (("[[candidates]]", "[[candidate]]"), "unknown key 'candidate'"),
    ],
)
def test_mistakes_in_the_file_are_refused_in_one_line(
    machine: Machine,
    write: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    message: str,
) -> None:
    assert main(["ab", write(change)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert machine.taken == 0


def test_no_experiment_and_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ab"]) == 2
    assert "no experiment is named" in capsys.readouterr().err
    assert main(["ab", "nothing.toml"]) == 2
    assert "cannot read the experiment nothing.toml" in capsys.readouterr().err


def test_arms_need_names_of_their_own() -> None:
    data: dict[str, Any] = {
        "schema": 1,
        "baseline": {"name": "x"},
        "candidates": [{"name": "x"}],
        "workloads": [{"command": ["true"]}],
        "criteria": [{"metric": "throughput"}],
    }
    with pytest.raises(UsageError, match="two arms are called 'x'"):
        parse(data, "here", "here")
