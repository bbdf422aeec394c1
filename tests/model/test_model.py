"""Random programs of allocation calls, each step checked against a model of the heap.

A failure prints the seed; on one thread the test then shortens the program to the operations that
matter and shows them. Repeat one by hand with ``model_random --seed N ...`` or ``--replay FILE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Outcome, Programs


class Load(NamedTuple):
    """One run of the model program."""

    profile: str  # how sizes are drawn
    threads: int
    operations: int  # of all threads together
    slots: int  # blocks that each thread holds at most


QUICK = (
    Load("small", 1, 2_000_000, 20_000),
    Load("small", 8, 2_000_000, 5_000),
    Load("app", 1, 500_000, 4_000),
    Load("app", 4, 500_000, 2_000),
    Load("edges", 2, 300_000, 400),
    Load("mixed", 1, 1_000_000, 4_000),
    Load("mixed", 8, 1_000_000, 2_000),
    Load("mixed", 32, 500_000, 500),
    Load("large", 1, 4_000, 60),
    Load("large", 4, 4_000, 30),
)
SLOW = (
    Load("small", 2, 100_000_000, 20_000),
    Load("mixed", 1, 20_000_000, 4_000),
    Load("mixed", 8, 20_000_000, 2_000),
    Load("mixed", 32, 20_000_000, 1_000),
    Load("large", 4, 100_000, 50),
)
MAX_SHRINK_RUNS = 300


def fails(outcome: Outcome) -> bool:
    return outcome.status != 0 or outcome.timed_out


def shrink(programs: Programs, operations: list[str], file: Path) -> list[str]:
    """Leave operations out as long as the program still fails; any part of one is valid."""

    def still_fails(candidate: list[str]) -> bool:
        file.write_text("\n".join(candidate) + "\n", encoding="ascii")
        return fails(programs.run("model_random", "--seed", 1, "--replay", file, timeout_s=30))

    if not still_fails(operations):
        return []  # needs its history of addresses or time: only the seed repeats it
    runs = 1
    piece = max(1, len(operations) // 2)
    while piece >= 1 and runs < MAX_SHRINK_RUNS:
        start = 0
        while start < len(operations) and runs < MAX_SHRINK_RUNS:
            candidate = operations[:start] + operations[start + piece :]
            runs += 1
            if candidate and still_fails(candidate):
                operations = candidate
            else:
                start += piece
        piece //= 2
    return operations


def run_model(programs: Programs, tmp_path: Path, load: Load, timeout_s: float = 280) -> None:
    options = ("--profile", load.profile, "--ops", load.operations, "--slots", load.slots)
    outcome = programs.run("model_random", *options, "--threads", load.threads, timeout_s=timeout_s)
    if not fails(outcome):
        return
    report = outcome.report()
    if load.threads == 1 and outcome.out.startswith("seed "):
        seed = outcome.out.split()[1]
        listed = programs.run_plain("model_random", "--list", *options, "--seed", seed)
        short = shrink(programs, listed.out.splitlines(), tmp_path / "program.txt")
        shown = "\n".join(short[:60])
        report += f"\nshortened to {len(short)} operations (for --replay):\n{shown}"
    pytest.fail(report, pytrace=False)


@pytest.mark.parametrize("load", QUICK, ids=lambda load: f"{load.profile}-{load.threads}")
def test_random_programs(programs: Programs, tmp_path: Path, load: Load) -> None:
    run_model(programs, tmp_path, load)


@pytest.mark.parametrize("load", QUICK, ids=lambda load: f"{load.profile}-{load.threads}")
def test_the_checked_build_reports_nothing(checked_programs: Programs, load: Load) -> None:
    options = ("--profile", load.profile, "--ops", load.operations, "--slots", load.slots)
    outcome = checked_programs.run(
        "model_random", *options, "--threads", load.threads, timeout_s=280
    )
    assert outcome.expect_success().err == ""


@pytest.mark.slow
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("load", SLOW, ids=lambda load: f"{load.profile}-{load.threads}")
def test_long_random_programs(programs: Programs, tmp_path: Path, load: Load) -> None:
    run_model(programs, tmp_path, load, timeout_s=1200)


def test_the_same_seed_is_the_same_program(programs: Programs) -> None:
    options = ("--list", "--ops", 2000, "--seed", 42)
    first = programs.run_plain("model_random", *options).expect_success().out
    assert first == programs.run_plain("model_random", *options).out
    assert len(first.splitlines()) == 2000
    assert first != programs.run_plain("model_random", *options[:-1], 43).out


def test_a_list_can_be_replayed(programs: Programs, tmp_path: Path) -> None:
    file = tmp_path / "program.txt"
    listed = programs.run_plain("model_random", "--list", "--ops", 5000, "--seed", 7)
    file.write_text(listed.out, encoding="ascii")
    programs.run("model_random", "--replay", file).expect_success()


def test_the_seed_comes_from_the_environment(programs: Programs) -> None:
    env = {"HZ3_TEST_SEED": "12345"}
    outcome = programs.run("model_random", "--ops", 1000, env=env).expect_success()
    assert outcome.out.startswith("seed 12345\n")


@pytest.mark.parametrize("profile", ["small", "mixed", "app"])
def test_settings_may_change_at_any_time(programs: Programs, profile: str) -> None:
    options = ("--turn-knobs", "--profile", profile, "--slots", 1000)
    programs.run("model_random", *options, "--threads", 4, "--ops", 400_000).expect_success()


@pytest.mark.usefixtures("hz3_only")
@pytest.mark.parametrize(
    "settings",
    [
        {"HZ3_SHARDS": "1"},
        {"HZ3_SHARDS": "64"},
        {"HZ3_ARENA_BYTES": "256M"},
        {"HZ3_REMOTE_ROUTE": "owner_stash", "HZ3_DRAIN_LIMIT": "1", "HZ3_STASH_SPILL": "off"},
        {"HZ3_REMOTE_ROUTE": "owner_stash", "HZ3_STASH_MAX_OBJS": "0", "HZ3_TRANSFER_SLOTS": "0"},
        {"HZ3_THREAD_CACHE_BYTES": "0", "HZ3_EPOCH_EVENTS": "16", "HZ3_PURGE_DELAY_MS": "0"},
    ],
    ids=lambda settings: "-".join(f"{k[4:]}={v}" for k, v in settings.items()),
)
def test_settings_at_the_start(programs: Programs, settings: dict[str, str]) -> None:
    options = ("--profile", "small", "--threads", 8, "--ops", 400_000, "--slots", 2000)
    outcome = programs.run("model_random", *options, env=settings).expect_success()
    assert outcome.err == ""  # no setting was refused
