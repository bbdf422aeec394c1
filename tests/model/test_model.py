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
    Load("mixed", 8, 50_000_000, 2_000),
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


def run_model(programs: Programs, tmp_path: Path, load: Load) -> None:
    options = ("--profile", load.profile, "--ops", load.operations, "--slots", load.slots)
    outcome = programs.run("model_random", *options, "--threads", load.threads, timeout_s=280)
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


@pytest.mark.slow
@pytest.mark.parametrize("load", SLOW, ids=lambda load: f"{load.profile}-{load.threads}")
def test_long_random_programs(programs: Programs, tmp_path: Path, load: Load) -> None:
    run_model(programs, tmp_path, load)


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


def test_other_shard_counts(programs: Programs) -> None:
    """Blocks wander between owners differently with few and with many shards."""
    for shards in ("1", "64"):
        env = {"HZ3_SHARDS": shards}
        programs.run("model_random", "--threads", 8, "--ops", 400_000, env=env).expect_success()
