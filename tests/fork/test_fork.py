"""fork, vfork and posix_spawn from a process that allocates all the time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Programs

slow = (pytest.mark.slow, pytest.mark.timeout(1300))


@pytest.mark.parametrize(
    ("forks", "threads"), [(500, 4), (200, 8), pytest.param(10_000, 8, marks=slow)]
)
def test_forks_from_allocating_threads(programs: Programs, forks: int, threads: int) -> None:
    programs.run(
        "fork_threads", "--forks", forks, "--threads", threads, timeout_s=1200
    ).expect_success()


@pytest.mark.parametrize("forks", [200, pytest.param(10_000, marks=slow)])
def test_fork_handlers_may_allocate(programs: Programs, forks: int) -> None:
    programs.run("fork_handlers", "--forks", forks, timeout_s=1200).expect_success()


@pytest.mark.parametrize("forks", [500, pytest.param(10_000, marks=slow)])
def test_fork_in_a_signal_handler(programs: Programs, forks: int) -> None:
    programs.run("fork_in_signal", "--forks", forks, timeout_s=1200).expect_success()


@pytest.mark.parametrize("rounds", [100, pytest.param(3000, marks=slow)])
def test_spawn_and_vfork(programs: Programs, rounds: int) -> None:
    programs.run("spawn_loop", "--rounds", rounds, timeout_s=1200).expect_success()
