"""Threads, limits and reports: native programs that check themselves and say what they counted."""

from __future__ import annotations

import re
import resource
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

if TYPE_CHECKING:
    from conftest import Preload, Programs

slow = pytest.mark.slow
SMALL_LOAD_BYTES = 200_000 * 200  # what reports.cpp holds in small blocks
LIMIT_CASES = (
    "address_space",
    "threads",
    "late_limit",
    "realloc",
    "new_handler",
    "data_limit",
    "mappings",
    "locked",
    "start",
    "beyond_machine",
)
OWN_CASES = (
    "good_size",
    "same_family",
    "owns",
    "sized_free",
    "stats",
    "struct_sizes",
    "classes",
    "counters",
    "errno",
    "observe",
    "check_heap",
)


@pytest.mark.parametrize(
    ("cycles", "width"),
    [(32_000, 1), (160_000, 16), pytest.param(160_000, 4, marks=slow)],
)
def test_threads_come_and_go_without_a_trace(programs: Programs, cycles: int, width: int) -> None:
    programs.run(
        "thread_churn", "--cycles", cycles, "--width", width, timeout_s=250
    ).expect_success()


# Threads share shards, so neither number limits the other.
@pytest.mark.parametrize("shards", [1, 64])
@pytest.mark.parametrize("threads", [1000, pytest.param(8000, marks=slow)])
def test_many_threads_live_at_once(programs: Programs, threads: int, shards: int) -> None:
    variables = {"HZ3_SHARDS": str(shards)}
    programs.run("thread_many", "--threads", threads, env=variables, timeout_s=120).expect_success()


@pytest.mark.parametrize("consumers", [1, 4])
def test_threads_that_only_free(programs: Programs, consumers: int) -> None:
    programs.run(
        "thread_free_only", "--rounds", 1000, "--consumers", consumers, timeout_s=120
    ).expect_success()


@pytest.mark.usefixtures("hz3_only")
@pytest.mark.parametrize("route", [0, 1, 2])
def test_audits_and_observations_beside_busy_threads(
    programs: Programs, checked_programs: Programs, route: int
) -> None:
    for build in (programs, checked_programs):
        build.run("thread_audits", "--route", route, timeout_s=120).expect_success()


@pytest.mark.parametrize("threads", [2000, pytest.param(30_000, marks=slow)])
def test_allocation_during_thread_teardown(programs: Programs, threads: int) -> None:
    programs.run("thread_teardown", "--threads", threads, timeout_s=250).expect_success()


def test_threads_before_and_after_main(programs: Programs) -> None:
    for _ in range(10):
        programs.run("early_thread").expect_success()


def test_every_limit_case_is_listed(programs: Programs) -> None:
    listed = programs.run_plain("out_of_memory", "--list").out.split()
    assert sorted(listed) == sorted(LIMIT_CASES)


@pytest.mark.parametrize("case", LIMIT_CASES)
def test_out_of_memory_and_back(programs: Programs, case: str) -> None:
    if case == "beyond_machine":
        with open("/proc/sys/vm/overcommit_memory", encoding="ascii") as file:
            if file.read().strip() == "1":
                pytest.skip("vm.overcommit_memory=1: the kernel grants everything")
    programs.run("out_of_memory", case, timeout_s=120).expect_success()


@pytest.mark.parametrize("limit_mib", [48, 64, 96, 128, 192, 256, 512, 1024, 4096, 65536])
def test_it_starts_in_a_small_address_space(programs: Programs, limit_mib: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = f"ulimit -v {limit_mib * 1024} && exec '{programs.path('out_of_memory')}' start"
    programs.preload.run("/bin/sh", "-c", limit).expect_success()
    assert resource.getrlimit(resource.RLIMIT_AS) == before


# A churn of four threads in 64 MiB of which 32 are live; the caches would like to keep the rest.
@pytest.mark.usefixtures("hz3_only")
@pytest.mark.parametrize("case", ["churn", "crowd", "full", "large"])
@pytest.mark.parametrize("route", ["transfer", "owner_stash", "page_queue"])
def test_a_full_arena_is_survived(programs: Programs, case: str, route: str) -> None:
    variables = {"HZ3_ARENA_BYTES": "64M", "HZ3_REMOTE_ROUTE": route}
    programs.run("small_arena", case, env=variables, timeout_s=120).expect_success()


@pytest.mark.usefixtures("hz3_only")
def test_every_symbol_of_the_family_is_served_by_hz3(programs: Programs, preload: Preload) -> None:
    rows = [line.split() for line in programs.run("symbols").expect_success().out.splitlines()]
    assert len(rows) >= 40
    elsewhere = {name: owner for name, owner in rows if owner != str(preload.library)}
    assert elsewhere == {}


def test_every_case_of_the_own_api_is_listed(programs: Programs) -> None:
    assert sorted(programs.run_plain("own_api", "--list").out.split()) == sorted(OWN_CASES)


@pytest.mark.usefixtures("hz3_only")
@pytest.mark.parametrize("case", OWN_CASES)
def test_own_api(programs: Programs, case: str) -> None:
    programs.run("own_api", case).expect_success()


def test_malloc_info_is_well_formed(programs: Programs) -> None:
    root = ElementTree.fromstring(programs.run("reports", "info").expect_success().out)
    assert root.tag == "malloc"
    assert root.get("version")
    system = root.find("system[@type='current']")
    assert system is not None
    assert int(system.get("size", "0")) >= SMALL_LOAD_BYTES


def test_malloc_stats_writes_to_stderr(programs: Programs) -> None:
    outcome = programs.run("reports", "stats").expect_success()
    assert outcome.out == ""
    assert re.search(r"\d{8,}", outcome.err)


def test_mallinfo_counts_what_is_in_use(programs: Programs) -> None:
    programs.run("reports", "numbers").expect_success()


def test_malloc_trim_lowers_resident_memory(programs: Programs) -> None:
    programs.run("reports", "trim").expect_success()
