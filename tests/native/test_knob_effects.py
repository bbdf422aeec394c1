"""Turning a knob changes what its part of the allocator does, whichever way it is turned.

Each row names a knob, a value other than its default, a scenario that makes its part work (see
`knobs/scenarios.cpp`), and a counter that must then count more or less than with the default. The
three ways are the HZ3_* variable, the C API after the start, and the Python module.
"""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Preload, Programs

    Counting = Callable[[str, tuple[tuple[str, str], ...]], dict[str, int]]

pytestmark = pytest.mark.usefixtures("hz3_only")

# So short that generations end within a scenario.
SHORT_DELAY = {"HZ3_PURGE_DELAY_MS": "20"}
# So long that nothing goes back for its age.
LONG_DELAY = {"HZ3_PURGE_DELAY_MS": "60000"}
SMALL_ARENA = {"HZ3_ARENA_BYTES": "64M", "HZ3_TRANSFER_BYTES": "64M"}
STASHES = {"HZ3_REMOTE_ROUTE": "owner_stash"}
MARKS = {"HZ3_REMOTE_ROUTE": "page_queue"}
# Refills ask the spans, which have blocks enough without those that wait in a queue.
MARKS_ALONE = MARKS | {"HZ3_TRANSFER_SLOTS": "0"}
SHORT_DRAINS = STASHES | {"HZ3_DRAIN_LIMIT": "16"}


@dataclass(frozen=True)
class Effect:
    """What a value of a knob does to a counter in a scenario, with `base` set in both runs."""

    knob: str
    value: str
    scenario: str
    counter: str
    change: Literal["more", "less"]
    base: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return SHORT_DELAY | self.base


EFFECTS = [
    Effect("thread_cache_bytes", "0", "bins", "central_return", "more"),
    Effect("bin_bytes", "4K", "bins", "bin_miss", "more"),
    Effect("bin_blocks", "4", "bins", "bin_miss", "more"),
    Effect("bin_long_bytes", "0", "bins", "bin_miss", "more"),
    Effect("bin_calm_bytes", "4K", "bins", "bin_miss", "more"),
    Effect("remote_route", "owner_stash", "remote", "stash_push", "more"),
    Effect("remote_route", "page_queue", "remote", "page_queue_push", "more"),
    Effect("remote_batch", "8", "remote", "remote_stash_send", "more", STASHES),
    Effect("remote_batch", "8", "remote", "stash_push", "more", STASHES),
    Effect("page_packet_k", "4", "remote", "remote_stash_gather", "more", MARKS),
    Effect("page_packet_k", "4", "remote", "remote_stash_send", "more", MARKS),
    Effect("collect_every", "1024", "remote", "page_queue_skip", "more", MARKS_ALONE),
    Effect("stash_fastpop", "on", "remote", "stash_fastpop", "more", STASHES),
    Effect("stash_count", "off", "remote", "stash_overflow", "less", STASHES),
    Effect("drain_limit", "1", "remote", "stash_spill_hit", "more", STASHES),
    Effect("stash_spill", "off", "remote", "stash_spill_hit", "less", SHORT_DRAINS),
    Effect("stash_max_objs", "0", "remote", "stash_overflow", "more", STASHES),
    Effect("transfer_slots", "0", "remote", "transfer_push", "less"),
    Effect("transfer_bytes", "0", "remote", "transfer_push", "less"),
    Effect("pack_tries", "1", "runs", "pack_tries", "less"),
    Effect("pack_bestfit_k", "0", "runs", "pack_tries", "less"),
    Effect("active_set_k", "4", "runs", "active_hit", "more"),
    Effect("active_set_k", "1", "runs", "active_miss", "more"),
    Effect("active_set_k", "2", "runs", "active_evict", "more"),
    Effect("quarantine", "32", "drain", "quarantined", "more"),
    Effect("quarantine", "32", "drain", "quarantine_drained", "more"),
    Effect(
        "quarantine_ttl_ms", "5", "drain", "quarantine_pinned", "more", {"HZ3_QUARANTINE": "32"}
    ),
    Effect("reclaim_budget_pages", "1", "pressure", "reclaim_calls", "more", SMALL_ARENA),
    Effect("large_cache_soft", "0", "large", "purge_bytes", "more"),
    Effect("large_cache_hard", "0", "large", "purge_bytes", "more"),
    Effect("large_madvise", "on", "large", "purge_bytes", "more"),
    Effect("large_return_rate", "0", "rests", "purge_bytes", "less", LONG_DELAY),
    Effect("large_stitch", "off", "gaps", "large_stitched", "less"),
    Effect("purge_delay_ms", "3600000", "drain", "purge_bytes", "less"),
    Effect("purge_budget_bytes", "64K", "drain", "purge_bytes", "less"),
    Effect("purge_collapse", "0", "collapse", "purge_collapses", "less"),
    Effect("retention_frozen_percent", "100", "idle", "retention_frozen_pages", "more"),
    Effect("retention_frozen_percent", "400", "drain", "purge_bytes", "less"),
    Effect("retention_debt_bytes", "64K", "swing", "retention_pauses", "more"),
    Effect("retention_subrelease", "off", "drain", "subrelease_bytes", "less"),
    Effect("epoch_events", "16", "once", "tick_by_events", "more"),
    Effect("epoch_ms", "1", "once", "tick_by_clock", "more"),
    Effect("decay_percent", "0", "once", "decay_bins", "less"),
    Effect("decay_idle_ticks", "100", "once", "decay_trimmed", "less"),
]

IN_PYTHON = """
import ctypes, json, sys
import hz3py
library, scenario, name, value = sys.argv[1:]
run = ctypes.CDLL(library).hz3_scenario
hz3py.knobs[name] = value
before = hz3py.counters()
assert run(scenario.encode()) == 0
after = hz3py.counters()
print(json.dumps({counter: after[counter] - before[counter] for counter in after}))
"""


def read(out: str) -> dict[str, int]:
    return {name: int(value) for name, value in map(str.split, out.splitlines())}


@pytest.fixture(scope="session")
def by_default(programs: Programs) -> Counting:
    """Return a function that gives the counters of a scenario with the default of every knob."""

    @functools.cache
    def run(scenario: str, environment: tuple[tuple[str, str], ...]) -> dict[str, int]:
        outcome = programs.run("knob_effects", scenario, env=dict(environment))
        return read(outcome.expect_success().out)

    return run


def compare(effect: Effect, default: dict[str, int], turned: dict[str, int]) -> None:
    before, after = default[effect.counter], turned[effect.counter]
    if effect.change == "more":
        assert after > before
    else:
        assert after < before


def row_name(effect: Effect) -> str:
    return f"{effect.knob}-{effect.counter}"


@pytest.mark.parametrize("effect", EFFECTS, ids=row_name)
def test_effect_of_the_variable(programs: Programs, by_default: Counting, effect: Effect) -> None:
    variables = effect.environment | {f"HZ3_{effect.knob.upper()}": effect.value}
    outcome = programs.run("knob_effects", effect.scenario, env=variables).expect_success()
    default = by_default(effect.scenario, tuple(effect.environment.items()))
    compare(effect, default, read(outcome.out))


@pytest.mark.parametrize("effect", EFFECTS, ids=row_name)
def test_effect_of_the_c_api(programs: Programs, by_default: Counting, effect: Effect) -> None:
    turned = f"{effect.knob}={effect.value}"
    outcome = programs.run("knob_effects", effect.scenario, turned, env=effect.environment)
    default = by_default(effect.scenario, tuple(effect.environment.items()))
    compare(effect, default, read(outcome.expect_success().out))


@pytest.mark.parametrize("effect", EFFECTS, ids=row_name)
def test_effect_of_the_python_module(
    programs: Programs, preload: Preload, by_default: Counting, effect: Effect
) -> None:
    script = ["-c", IN_PYTHON, programs.path("knob_scenarios.so"), effect.scenario]
    outcome = preload.run(
        sys.executable, *script, effect.knob, effect.value, env=effect.environment, cwd="/"
    )
    default = by_default(effect.scenario, tuple(effect.environment.items()))
    compare(effect, default, json.loads(outcome.expect_success().out))


def test_shards_and_arena_are_what_the_variables_say(preload: Preload) -> None:
    variables = {"HZ3_SHARDS": "7", "HZ3_ARENA_BYTES": "64M"}
    script = """
import hz3py
from hz3py import native
blocks = []
try:
    while len(blocks) < 10000:
        blocks.append(native.allocate(8000))
except MemoryError:
    pass
held = len(blocks) * 8000
del blocks
print(hz3py.stats().shards, held >> 20)
"""
    outcome = preload.run(sys.executable, "-c", script, env=variables, cwd="/").expect_success()
    shards, held_mib = map(int, outcome.out.split())
    assert shards == 7
    assert 32 <= held_mib <= 64


@pytest.mark.parametrize(("value", "flag"), [("off", "nh"), ("large", "hg")])
def test_huge_pages_are_asked_for_or_not(preload: Preload, value: str, flag: str) -> None:
    script = """
import re
from hz3py import native
block = native.allocate(32 << 20)
middle = block.address + (16 << 20)
inside = False
for line in open("/proc/self/smaps"):
    bounds = re.match("([0-9a-f]+)-([0-9a-f]+) ", line)
    if bounds:
        inside = int(bounds[1], 16) <= middle < int(bounds[2], 16)
    if inside and line.startswith("VmFlags:"):
        print(line)
"""
    variables = {"HZ3_HUGE_PAGES": value}
    outcome = preload.run(sys.executable, "-c", script, env=variables, cwd="/").expect_success()
    assert flag in outcome.out.split()
