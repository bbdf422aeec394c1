"""What the allocator says at its start of HZ3_* variables that it does not take."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Preload

pytestmark = pytest.mark.usefixtures("hz3_only")

REPO = Path(__file__).resolve().parents[2]
UNKNOWN = "is no knob and has no effect;"
LIST = "`hz3 knobs` lists them all"

# The environment of a dict holds a name once; that of a process need not.
TWICE = """
import ctypes, os
own = [f"{name}={text}" for name, text in os.environ.items()]
variables = [*own, "HZ3_SHARD=4", "HZ3_SHARD=5", "HZ3_SHARD=4"]
def strings(words):
    return (ctypes.c_char_p * (len(words) + 1))(*[word.encode() for word in words], None)
ctypes.CDLL(None).execve(b"/bin/ls", strings(["ls", "-d", "/"]), strings(variables))
"""


def said(preload: Preload, env: dict[str, str]) -> list[str]:
    """Return the lines on stderr of a program that allocates and says nothing itself."""
    return preload.run("/bin/ls", "-d", "/", env=env).expect_success().err.splitlines()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HZ3_SHARD", "HZ3_SHARDS"),
        ("HZ3_REMOTE_RUOTE", "HZ3_REMOTE_ROUTE"),
        ("HZ3_purge_delay_ms", "HZ3_PURGE_DELAY_MS"),
        ("HZ3_PURGE_DELAY", "HZ3_PURGE_DELAY_MS"),
        ("HZ3_OBSERVE_FIEL", "HZ3_OBSERVE_FILE"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest(
    preload: Preload, name: str, meant: str
) -> None:
    assert said(preload, {name: "1"}) == [f"hz3: {name} {UNKNOWN} did you mean {meant}? {LIST}"]


@pytest.mark.parametrize("name", ["HZ3_", "HZ3_X", "HZ3_VERBOSE", "HZ3_OBSERVE_FILE_AND_MORE"])
def test_a_variable_that_is_like_no_other_is_named_alone(preload: Preload, name: str) -> None:
    assert said(preload, {name: "1"}) == [f"hz3: {name} {UNKNOWN} {LIST}"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("HZ3_A\nB\x1b[1m C\xe9", "HZ3_A?B?[1m?C??"),
        ("HZ3_" + "LONG" * 5000, "HZ3_" + "LONG" * 15 + "..."),
    ],
)
def test_whatever_the_name_is_it_gives_one_line(preload: Preload, name: str, shown: str) -> None:
    assert said(preload, {name: "1"}) == [f"hz3: {shown} {UNKNOWN} {LIST}"]


def test_a_process_names_three_at_most(preload: Preload) -> None:
    lines = said(preload, {f"HZ3_NONSENSE_{number}": "1" for number in range(20)})
    assert len(set(lines)) == 3
    assert len(lines) == 3


def test_a_name_is_told_once(preload: Preload) -> None:
    outcome = preload.run(sys.executable, "-c", TWICE).expect_success()
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("hz3: HZ3_SHARD is no knob")


def test_other_variables_are_taken_all_the_same(preload: Preload) -> None:
    code = "import hz3py; print(hz3py.stats().shards)"
    env = {"HZ3_SHARD": "5", "HZ3_SHARDS": "7", "HZ3_Z": "9"}
    outcome = preload.run(sys.executable, "-c", code, env=env, cwd=Path("/")).expect_success()
    assert outcome.out == "7\n"
    assert len(outcome.err.splitlines()) == 2


def test_a_refused_value_gives_one_line(preload: Preload) -> None:
    assert said(preload, {"HZ3_SHARDS": "99"}) == [
        "hz3: HZ3_SHARDS='99' is refused, the default stays; allowed: 0 to 64 shards"
    ]


def test_a_start_that_is_tried_again_says_nothing_twice(preload: Preload) -> None:
    """Without room for the arena, every request tries to boot the allocator."""
    env = {"HZ3_SHARD": "4", "HZ3_SHARDS": "99"}
    outcome = preload.run("/bin/sh", "-c", "ulimit -v 20000; exec ls /", env=env)
    assert outcome.status != 0
    assert outcome.err.count("HZ3_SHARDS='99' is refused") == 2  # the shell, and then ls
    assert outcome.err.count("HZ3_SHARD is no knob") == 2


def test_knobs_and_variables_of_the_toolkit_are_no_strangers(preload: Preload) -> None:
    """All that the sources read, from the table of knobs to the test suite."""
    table = (REPO / "cpp/src/settings/knob_table.cpp").read_text(encoding="utf-8")
    knobs = set(re.findall(r'"(HZ3_\w+)"', table))
    files = [
        file
        for folder in ("hz3py", "benchmarks/workloads", "tests", "cpp/src", "cpp/launcher")
        for file in (REPO / folder).rglob("*")
        if file.suffix in (".py", ".cpp", ".hpp", ".h") and file != Path(__file__)
    ]
    read = r'(?:getenv\(|environ\[|environ\.get\(|_VARIABLE = |Variable\[\] = |_below\()"(HZ3_\w+)"'
    others = {name for file in files for name in re.findall(read, file.read_text(encoding="utf-8"))}
    assert {"HZ3_PHASE_FD", "HZ3_DEV_BUILD", "HZ3_OBSERVE_FILE", "HZ3_TEST_SEED"} <= others
    for name in sorted(others - knobs):
        assert said(preload, {name: "1"}) == []
    strangers = [line for line in said(preload, dict.fromkeys(knobs, "what?")) if UNKNOWN in line]
    assert strangers == []
