"""Observation of programs that know nothing of it: the parts add up, and no moment is too awkward.

The sums are checked against the kernel's own count: the one in the account, and, where the program
stands still, the one that this process reads from outside.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Preload, Programs

pytestmark = pytest.mark.usefixtures("hz3_only")

TOLERANCE = 0.05
OUTSIDE = "non_heap"
WORKLOADS = {
    "random_mixed": ("2000000", "400", "16", "2048", "--touch", "full"),
    "random_mixed_untouched": ("200000", "20000", "16", "32768", "--touch", "none"),
    "mstress": ("4", "20", "5"),
    "larson": ("--seconds", "0.5", "--threads", "3"),
    "mt_remote": ("4", "100000"),
}
PYTHON = """
import json
held = [{str(i): [i] * 3} for i in range(60000)]
text = json.dumps(held)
del held[::2]
large = [bytearray(1 << 20) for _ in range(8)]
del large[::2]
"""


def check(account: dict[str, Any]) -> None:
    """The sums hold, within the heap as well as with what lies outside."""
    parts = account["parts"]
    assert account["schema"] == 1
    assert sum(parts.values()) == account["resident_bytes"]
    assert account["resident_bytes"] - parts[OUTSIDE] == account["heap_resident_bytes"]
    for ours, kernel in (
        ("heap_resident_bytes", "kernel_heap_resident_bytes"),
        ("resident_bytes", "kernel_resident_bytes"),
    ):
        assert account[kernel] > 0
        assert account[ours] == pytest.approx(account[kernel], rel=TOLERANCE), (ours, account)
    for name in (
        "live",
        "thread_cache",
        "stash",
        "spill",
        "transfer",
        "remote_stash",
        "page_queue",
        "central",
        "tail_waste",
    ):
        assert parts[name] == sum(one[f"{name}_bytes"] for one in account["classes"]), name
    in_spans = sum(one["live_bytes"] + one["waste_bytes"] for one in account["classes"])
    assert in_spans == sum(row["resident_bytes"] for row in account["spans"].values())


def observed(preload: Preload, file: Path, *argv: str | Path, **env: str) -> dict[str, Any]:
    """Run a program to its end and return its account."""
    variables = {"HZ3_OBSERVE": "exit", "HZ3_OBSERVE_FILE": str(file), **env}
    preload.run(*argv, env=variables, timeout_s=120).expect_success()
    account: dict[str, Any] = json.loads(file.read_text())
    check(account)
    return account


@pytest.mark.parametrize("name", WORKLOADS)
def test_parts_of_a_workload_add_up(preload: Preload, tmp_path: Path, name: str) -> None:
    from hz3py import resources  # noqa: PLC0415 - only here the installed package is needed

    program = resources.workload_path(name.removesuffix("_untouched"))
    observed(preload, tmp_path / "account", program, *WORKLOADS[name])


@pytest.mark.parametrize("route", ["owner_stash", "transfer", "page_queue"])
@pytest.mark.parametrize("batch", ["0", "16"])
def test_parts_add_up_on_every_route(
    preload: Preload, tmp_path: Path, route: str, batch: str
) -> None:
    from hz3py import resources  # noqa: PLC0415 - only here the installed package is needed

    program = resources.workload_path("mt_remote")
    knobs = {"HZ3_REMOTE_ROUTE": route, "HZ3_REMOTE_BATCH": batch, "HZ3_PAGE_PACKET_K": batch}
    observed(preload, tmp_path / "account", program, "4", "200000", **knobs)


def test_parts_of_a_python_program_add_up(preload: Preload, tmp_path: Path) -> None:
    account = observed(
        preload, tmp_path / "account", sys.executable, "-c", PYTHON, PYTHONMALLOC="malloc"
    )
    assert account["heap_resident_bytes"] > 5 << 20
    assert account["counters"]["threads_started"] >= 1
    assert account["knobs"]["observe"] == "exit"
    assert account["top_waste"] == sorted(
        account["top_waste"], key=lambda row: row["waste_bytes"], reverse=True
    )
    segments = account["segments"]
    assert sum(segments["free_pages_histogram"]) == segments["open"] >= 1


def test_blocks_of_their_own_mappings_are_counted(preload: Preload, tmp_path: Path) -> None:
    # In a rationed address space there is no region for large blocks.
    program = (
        "import ctypes; libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p;"
        "[ctypes.memset(libc.malloc(5 << 20), 1, 4 << 20) for _ in range(5)]"
    )
    limited = f"ulimit -v 4000000 && exec '{sys.executable}' -c '{program}'"
    account = observed(preload, tmp_path / "account", "/bin/bash", "-c", limited)
    assert account["parts"]["large_live"] >= 20 << 20


@pytest.mark.parametrize("case", ["exit_in_handler", "fork_and_exit"])
def test_awkward_exits(programs: Programs, tmp_path: Path, case: str) -> None:
    env = {"HZ3_OBSERVE": "exit", "HZ3_OBSERVE_FILE": f"{tmp_path}/%p"}
    for _ in range(10):
        programs.run("observed", case, env=env, timeout_s=60).expect_success()
    accounts = [json.loads(file.read_text()) for file in tmp_path.iterdir()]
    assert len(accounts) >= 10
    assert all(file.name == str(json.loads(file.read_text())["pid"]) for file in tmp_path.iterdir())
    for account in accounts:
        assert sum(account["parts"].values()) == account["resident_bytes"]


class Idle:
    """A program that waits until its input is closed."""

    def __init__(self, programs: Programs, case: str, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [programs.path("observed"), case],
            env=programs.preload.environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def ask(self) -> None:
        self.process.send_signal(signal.SIGUSR2)

    def end(self) -> str:
        """Close its input, expect success, return what it wrote to stderr."""
        _out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return err.decode()


@pytest.fixture
def account_file(tmp_path: Path) -> Path:
    return tmp_path / "accounts"


@pytest.fixture
def idle(programs: Programs, account_file: Path) -> Iterator[Idle]:
    program = Idle(
        programs, "idle", {"HZ3_OBSERVE": "signal", "HZ3_OBSERVE_FILE": str(account_file)}
    )
    yield program
    program.process.kill()
    program.process.wait()


def lines_of(file: Path, count: int) -> list[str]:
    """Wait for so many lines."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        text = file.read_text() if file.exists() else ""
        if text.count("\n") >= count and text.endswith("\n"):
            return text.splitlines()
        time.sleep(0.01)
    pytest.fail(f"{file} did not get {count} lines")


def test_an_idle_program_answers_at_once(idle: Idle, account_file: Path) -> None:
    idle.ask()
    first = json.loads(lines_of(account_file, 1)[0])
    check(first)
    smaps = Path(f"/proc/{idle.process.pid}/smaps_rollup").read_text()
    rss = next(int(line.split()[1]) for line in smaps.splitlines() if line.startswith("Rss:"))
    assert first["resident_bytes"] == pytest.approx(rss * 1024, rel=TOLERANCE)
    # Touched: a third, half or all of each block; two thirds of the blocks are still in use.
    assert first["parts"]["large_live"] > 20 << 20
    assert first["parts"]["live"] > 5 << 20
    idle.ask()
    assert json.loads(lines_of(account_file, 2)[1])["pid"] == idle.process.pid
    assert idle.end() == ""


def test_a_busy_program_answers_many_signals(programs: Programs, account_file: Path) -> None:
    env = {"HZ3_OBSERVE": "signal", "HZ3_OBSERVE_FILE": str(account_file)}
    program = Idle(programs, "traffic", env)
    for _ in range(200):
        program.ask()
        time.sleep(0.005)
    program.end()
    accounts = [json.loads(line) for line in account_file.read_text().splitlines()]
    assert len(accounts) >= 20
    for account in accounts:
        assert sum(account["parts"].values()) == account["resident_bytes"]
        # Memory comes and goes while the kernel counts: no more than a few blocks.
        ours, kernel = account["heap_resident_bytes"], account["kernel_heap_resident_bytes"]
        assert ours == pytest.approx(kernel, rel=2 * TOLERANCE, abs=4 << 20)


def test_a_handler_of_the_program_stays(programs: Programs) -> None:
    outcome = programs.run("observed", "own_handler", env={"HZ3_OBSERVE": "signal"})
    assert outcome.expect_success().out == "mine\n"
    assert outcome.err == ""


def test_without_a_file_it_goes_to_stderr(programs: Programs) -> None:
    outcome = programs.run("observed", "own_handler", env={"HZ3_OBSERVE": "exit"})
    # SIGUSR2 is the program's own, and its exit is observed.
    check(json.loads(outcome.expect_success().err))


def test_a_program_that_never_allocates_is_observed(preload: Preload, tmp_path: Path) -> None:
    observed(preload, tmp_path / "account", "/bin/true")


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("/no/such/folder/file", "hz3: cannot write the observation to /no/such/folder/file"),
        ("x" * 2000, "hz3: HZ3_OBSERVE_FILE is refused"),
    ],
)
def test_a_file_that_cannot_be_had(programs: Programs, variable: str, message: str) -> None:
    env = {"HZ3_OBSERVE": "exit", "HZ3_OBSERVE_FILE": variable}
    outcome = programs.run("observed", "own_handler", env=env).expect_success()
    assert outcome.err.startswith(message)


def test_a_full_disk_is_reported(programs: Programs) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    env = {"HZ3_OBSERVE": "exit", "HZ3_OBSERVE_FILE": "/dev/full"}
    outcome = programs.run("observed", "own_handler", env=env).expect_success()
    assert "the observation is not complete" in outcome.err


def test_off_is_silent(programs: Programs, tmp_path: Path) -> None:
    file = tmp_path / "account"
    outcome = programs.run("observed", "fork_and_exit", env={"HZ3_OBSERVE_FILE": str(file)})
    assert outcome.expect_success().err == ""
    assert not file.exists()


def test_a_live_page_comes_and_goes(programs: Programs) -> None:
    program = Idle(programs, "idle", {"HZ3_LIVE_PAGE": "1"})
    file = Path(f"/dev/shm/hz3-{os.getuid()}-{program.process.pid}")
    assert file.read_bytes().startswith(b"hz3live\0")
    assert file.stat().st_mode & 0o777 == 0o600
    assert program.end() == ""
    assert not file.exists()
    silent = Idle(programs, "idle", {})
    assert not list(Path("/dev/shm").glob(f"hz3-*-{silent.process.pid}"))
    silent.end()
