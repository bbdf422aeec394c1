"""Blocks freed by other threads: the routes home under the benchmark programs that stress them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hz3py import resources

if TYPE_CHECKING:
    from conftest import Programs

RING = ("mt_remote", "4", "150000", "400", "16", "2048", "90", "--seed", "1")
HAND_OVER = ("xmalloc_test", "--seconds", "0.3")
WORKLOADS = pytest.mark.parametrize("workload", [RING, HAND_OVER], ids=lambda words: words[0])

# Knobs as variables, counters that must have moved, counters that must not.
ROWS: tuple[tuple[dict[str, str], tuple[str, ...], tuple[str, ...]], ...] = (
    ({}, ("transfer_push",), ("page_queue_push", "remote_stash_gather")),
    ({"remote_route": "owner_stash"}, ("stash_push", "stash_drain"), ("page_queue_push",)),
    (
        {"remote_route": "owner_stash", "remote_batch": "32"},
        ("remote_stash_gather", "remote_stash_send", "stash_push"),
        ("page_queue_push",),
    ),
    (
        {"remote_route": "owner_stash", "stash_fastpop": "on"},
        ("stash_push", "stash_fastpop"),
        ("page_queue_push",),
    ),
    ({"remote_route": "owner_stash", "stash_count": "off"}, ("stash_push",), ("stash_overflow",)),
    (
        {"remote_route": "page_queue"},
        ("page_queue_push", "page_queue_link", "page_queue_drain", "page_queue_spans"),
        ("page_queue_skip", "remote_stash_gather"),
    ),
    (
        {"remote_route": "page_queue", "page_packet_k": "4"},
        ("page_queue_push", "remote_stash_gather"),
        ("page_queue_skip",),
    ),
    (
        {"remote_route": "page_queue", "collect_every": "100", "transfer_slots": "0"},
        ("page_queue_push", "page_queue_skip"),
        ("transfer_push",),
    ),
)


def row_name(knobs: dict[str, str]) -> str:
    return "-".join(f"{name}={value}" for name, value in knobs.items()) or "default"


@WORKLOADS
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row_name(row[0]))
@pytest.mark.usefixtures("hz3_only")
def test_the_knobs_choose_the_route(
    programs: Programs,
    row: tuple[dict[str, str], tuple[str, ...], tuple[str, ...]],
    workload: tuple[str, ...],
) -> None:
    knobs, moved, still = row
    program, *words = workload
    variables = {f"HZ3_{name.upper()}": value for name, value in knobs.items()}
    # Beside the allocator, a module that prints its counters when the program ends.
    libraries = f"{programs.preload.library}:{programs.path('counters_at_exit.so')}"
    outcome = programs.preload.run(
        resources.workload_path(program), *words, env=variables | {"LD_PRELOAD": libraries}
    ).expect_success()
    lines = [line.split() for line in outcome.err.splitlines()]
    counters = {line[1]: int(line[2]) for line in lines if line[:1] == ["hz3-counter"]}
    assert {name for name in moved if counters[name] == 0} == set()
    assert {name: counters[name] for name in still if counters[name] != 0} == {}
    assert counters["invalid_frees"] == 0
    assert counters["alloc_failed"] == 0


@pytest.mark.parametrize("threads", [2, 8])
def test_no_block_is_lost_while_the_route_changes(programs: Programs, threads: int) -> None:
    words = ("--threads", threads, "--rounds", 200_000 // threads)
    programs.run("thread_routes", *words, timeout_s=120).expect_success()
