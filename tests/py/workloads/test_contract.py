"""What every workload program promises: its one JSON line, its options, its messages."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import Workloads

TIMED = {"alloc_test", "cache_scratch", "cache_thrash", "malloc_large", "mstress"}
WITH_OPERATORS = {"alloc_test", "cache_scratch", "cache_thrash", "larson", "malloc_large"}
# The work of these is fixed.
WITHOUT_SECONDS = {"burst_idle", "glibc_simple", "rptest"}
WITH_MIN_MAX = ("burst_idle", "churn", "malloc_large", "mt_remote", "random_mixed", "rptest")
TOUCH_MODES = ("none", "first", "ends", "full")
COMMON_KEYS = [
    "schema",
    "workload",
    "args",
    "touch",
    "threads",
    "seed",
    "ops",
    "seconds",
    "unit",
    "throughput",
    "failed",
    "malloc_object",
]
COMMON_ARGS = {"threads", "seed", "touch", "idle", "idle_calls", "latency"}


def test_every_program_has_its_row(workloads: Workloads) -> None:
    folder = workloads.find("random_mixed").parent
    assert {entry.name for entry in folder.iterdir()} == workloads.names


def test_result_line(workloads: Workloads, program: str) -> None:
    result = workloads.tiny(program)
    assert list(result)[: len(COMMON_KEYS)] == COMMON_KEYS
    assert result["schema"] == 1
    assert result["workload"] == program
    assert set(result["args"]) >= COMMON_ARGS
    assert result["args"]["touch"] == result["touch"]
    assert result["args"]["threads"] == result["threads"] >= 1
    assert result["ops"] > 0
    assert result["seconds"] > 0
    assert result["failed"] == 0
    assert Path(result["malloc_object"]).name.startswith("libc.so")
    if program in TIMED:
        assert result["unit"] == "1/s"
        assert result["throughput"] == pytest.approx(1 / result["seconds"], rel=1e-6)
    else:
        assert result["unit"] == "ops/s"
        assert result["throughput"] == pytest.approx(result["ops"] / result["seconds"], rel=1e-6)
    assert ("operator_object" in result) == (program in WITH_OPERATORS)


def test_positional_arguments_are_reported_in_order(workloads: Workloads, program: str) -> None:
    words = workloads.tiny_words(program)
    reported = list(workloads.tiny(program)["args"].values())[: len(words)]
    assert reported == [json.loads(word) for word in words]


def test_help_describes_every_argument(workloads: Workloads, program: str) -> None:
    run = workloads.start(program, "--help")
    assert run.returncode == 0
    assert run.stderr == ""
    assert run.stdout.startswith(program)
    assert "default" in run.stdout
    for key in workloads.tiny(program)["args"]:
        assert f"--{key.replace('_', '-')}" in run.stdout


def test_help_shows_the_defaults_even_after_other_arguments(workloads: Workloads) -> None:
    plain = workloads.start("mt_remote", "--help").stdout
    assert workloads.start("mt_remote", "3", "--ring", "7", "-h").stdout == plain


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--bogus"], "unknown option --bogus"),
        (["--bogus=1"], "unknown option --bogus=1"),
        (["many"], "'many' is not a"),
        (["-3"], "is not|outside"),
        (["1e999"], "is not a"),
        ([""], "is not a"),
        (["--threads", "0"], "outside 1 to"),
        (["--threads", "99999999999999999999"], "is not a whole number"),
        (["--threads"], "needs a value"),
        (["--touch", "half"], "not one of none, first, ends, full"),
        (["--idle", "-1"], "outside 0 to"),
        (["--idle", "nan"], "is not a number"),
        (["--latency=2"], "takes no value"),
        (["1"] * 12, "too many|outside|not one of"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_bad_arguments_end_in_one_line(
    workloads: Workloads, program: str, words: Sequence[str], complaint: str
) -> None:
    if words == ["-3"] and program == "xmalloc_test":
        words = ["2", "1", "-3"]  # where a negative size could be meant
        complaint = "outside -1 to"
    run = workloads.start(program, *words)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"{program}: ")
    assert run.stderr.count("\n") == 1
    assert re.search(complaint, run.stderr)


@pytest.mark.parametrize("name", WITH_MIN_MAX)
def test_min_above_max_is_refused(workloads: Workloads, name: str) -> None:
    run = workloads.start(name, "--min", "300", "--max", "200")
    assert run.returncode == 2
    assert run.stderr == f"{name}: min (300) is above max (200); swap or change them\n"


@pytest.mark.parametrize("mode", TOUCH_MODES)
def test_touch_modes(workloads: Workloads, program: str, mode: str) -> None:
    result = workloads.tiny(program, "--touch", mode)
    assert result["touch"] == mode
    assert result["failed"] == 0


def test_touched_pages_become_resident(workloads: Workloads) -> None:
    words = ["1000", "0", "1", "0", "1", "100000", "100000"]
    full = workloads.result("burst_idle", *words, "--touch", "full")
    none = workloads.result("burst_idle", *words, "--touch", "none")
    assert full["rss_after_burst_kb"][0] > 1000 * 100000 / 1024 > 2 * none["rss_after_burst_kb"][0]


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_any_number_of_threads(workloads: Workloads, program: str, threads: int) -> None:
    if program == "glibc_simple" and threads > 1:
        run = workloads.start(program, "--threads", threads)
        assert run.returncode == 2
        assert "defined for one thread" in run.stderr
        return
    result = workloads.tiny(program, "--threads", threads)
    assert result["threads"] == threads
    assert result["failed"] == 0


def test_many_more_threads_than_processors(workloads: Workloads) -> None:
    assert workloads.result("mt_remote", 300, 200, 20, 16, 64, 90, 8)["ops"] == 300 * 200
    assert workloads.result("rptest", 60, 0, 1, 2, 5, 50)["threads"] == 60
    assert workloads.result("larson", 0.1, 8, 100, 20, 5, 1, 80)["threads_created"] >= 80


def test_time_limit(workloads: Workloads, program: str) -> None:
    if program in WITHOUT_SECONDS:
        run = workloads.start(program, "--seconds", "1")
        assert run.returncode == 2
        assert "unknown option --seconds" in run.stderr
        return
    result = workloads.tiny(program, "--seconds", "0.15")
    assert result["args"]["seconds"] == 0.15
    assert 0.14 < result["seconds"] < 5
    assert result["throughput"] > 0


@pytest.mark.parametrize("name", ["alloc_test", "malloc_large", "mt_remote", "random_mixed"])
def test_ops_sets_the_fixed_amount_of_work(workloads: Workloads, name: str) -> None:
    result = workloads.tiny(name, "--ops", "5")
    assert 5 * result["threads"] <= result["ops"] <= 5 * result["threads"] + 5


def test_phase_marks(workloads: Workloads, program: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with marks.open("w") as file:
        descriptor = file.fileno()
        env = {"HZ3_PHASE_FD": str(descriptor)}
        workloads.tiny(program, "--idle", "0.05", env=env, pass_fds=[descriptor])
    assert marks.read_text().splitlines() == ["work-begin", "work-end", "idle-end"]


def test_phase_marks_without_a_reader_do_no_harm(workloads: Workloads) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        env = {"HZ3_PHASE_FD": str(writer)}
        assert workloads.tiny("random_mixed", env=env, pass_fds=[writer])["ops"] > 0
    finally:
        os.close(writer)
    for text in ("", "77", "-1", "seven"):
        assert workloads.tiny("random_mixed", env={"HZ3_PHASE_FD": text})["ops"] > 0


def test_idle_stays_alive_after_the_work(workloads: Workloads, program: str) -> None:
    start = time.monotonic()
    workloads.tiny(program, "--idle", "0.3", "--idle-calls", "200")
    assert time.monotonic() - start >= 0.3


def test_latency_percentiles(workloads: Workloads, program: str) -> None:
    latency = workloads.tiny(program, "--latency")["latency_ns"]
    kinds = [latency["allocate"], latency["release"]]
    for kind in [latency, *kinds]:
        assert 0 <= kind["p50"] <= kind["p99"] <= kind["p999"] <= kind["max"]
    assert latency["samples"] == sum(kind["samples"] for kind in kinds) > 0
    assert latency["max"] == max(kind["max"] for kind in kinds)


def test_latency_leaves_the_work_as_it_is(workloads: Workloads) -> None:
    plain = workloads.tiny("random_mixed")
    assert workloads.tiny("random_mixed", "--latency")["ops"] == plain["ops"]
    assert "latency_ns" not in plain
