"""What atexit_report and atexit_purge do, and that they harm no exit."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Programs

pytestmark = pytest.mark.usefixtures("hz3_only")

REPORT = {"HZ3_ATEXIT_REPORT": "1"}
PURGE = {"HZ3_ATEXIT_PURGE": "1"}
USED_MIB = 18  # of the 20 MB that the program frees before it ends, less what caches keep
LINE = re.compile(
    r"hz3: exit of process (\d+): peak (\S+) MiB, live (\S+) MiB, cached (\S+) MiB, "
    r"free (\S+) MiB, given back (\S+) MiB \(now (\S+) MiB\), (\d+) threads, (\d+) requests failed"
)


def figures(line: str) -> dict[str, float]:
    names = ["pid", "peak", "live", "cached", "free", "back", "now", "threads", "failed"]
    match = LINE.fullmatch(line)
    assert match is not None, line
    return dict(zip(names, map(float, match.groups()), strict=True))


def test_nothing_is_said_by_default(programs: Programs) -> None:
    assert programs.run("exit_report", "plain").expect_success().err == ""


def test_one_line_says_what_was_used(programs: Programs) -> None:
    (line,) = programs.run("exit_report", "plain", env=REPORT).expect_success().err.splitlines()
    told = figures(line)
    assert told["peak"] >= USED_MIB
    assert told["free"] >= USED_MIB - told["cached"]
    assert told["now"] == 0
    assert told["threads"] == 1
    assert told["failed"] == 0


def test_a_purge_at_exit_gives_the_free_memory_back(programs: Programs) -> None:
    outcome = programs.run("exit_report", "plain", env=REPORT | PURGE).expect_success()
    told = figures(outcome.err.strip())
    assert told["now"] >= USED_MIB
    assert told["back"] >= told["now"]
    assert told["free"] < 1


def test_a_purge_alone_is_silent(programs: Programs) -> None:
    assert programs.run("exit_report", "plain", env=PURGE).expect_success().err == ""


def test_the_knob_may_be_turned_late(programs: Programs) -> None:
    outcome = programs.run("exit_report", "ask").expect_success()
    assert figures(outcome.err.strip())["peak"] >= USED_MIB


def test_parent_and_child_speak_for_themselves(programs: Programs) -> None:
    outcome = programs.run("exit_report", "fork", env=REPORT | PURGE).expect_success()
    told = [figures(line) for line in outcome.err.splitlines()]
    assert len({one["pid"] for one in told}) == 2


def test_running_threads_are_no_obstacle(programs: Programs) -> None:
    for _ in range(20):
        outcome = programs.run("exit_report", "threads", env=REPORT | PURGE, timeout_s=20)
        assert figures(outcome.expect_success().err.strip())["threads"] == 5


def test_an_end_without_exit_says_nothing(programs: Programs) -> None:
    assert programs.run("exit_report", "underscore", env=REPORT).expect_success().err == ""


def test_exit_in_a_signal_handler_never_hangs(programs: Programs) -> None:
    for _ in range(20):
        programs.run("exit_report", "handler", env=REPORT | PURGE, timeout_s=20).expect_success()


def test_a_file_in_the_place_of_stderr_is_left_alone(programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "data"
    programs.run("exit_report", "replaced", path, env=REPORT).expect_success()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("way", ["closed", "no_reader"])
def test_a_lost_stderr_does_not_change_the_exit_status(programs: Programs, way: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    redirection = "2>&-" if way == "closed" else f"2>&{writer}"
    command = f"exec '{programs.path('exit_report')}' plain {redirection}"
    environment = programs.preload.environment(REPORT | PURGE)
    done = subprocess.run(
        ["/bin/bash", "-c", command], env=environment, pass_fds=(writer,), timeout=20, check=False
    )
    os.close(writer)
    assert done.returncode == 0
