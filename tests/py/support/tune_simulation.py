"""Tuning without processes, for the tests: a table of knobs, planted optima, simulated blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hz3py.tuning.blocks import Block
from hz3py.tuning.choose import build
from hz3py.tuning.space import Knobs
from hz3py.tuning.task import Task
from hz3py.workloads.rows import command_row


@dataclass(frozen=True)
class Info:
    """A knob as the allocator describes it."""

    name: str
    type: str
    default: int | bool | str
    min: int = 0
    max: int = 0
    choices: list[str] = field(default_factory=list)


TABLE = [
    Info("shards", "int", 0, 0, 64),
    Info("remote_route", "choice", "transfer", choices=["owner_stash", "transfer"]),
    Info("drain_limit", "int", 62, 1, 4096),
    Info("stash_max_objs", "int", 1024, 0, 65536),
    Info("stash_spill", "bool", True, 0, 1),
    Info("pack_bestfit_k", "int", 4, 0, 64),
    Info("purge_delay_ms", "int", 1000, 0, 3_600_000),
    Info("purge_budget_bytes", "bytes", 1 << 24, 1 << 16, 1 << 40),
    Info("large_return_rate", "bytes", 1 << 25, 0, 1 << 40),
    Info("thread_cache_bytes", "bytes", 1 << 23, 0, 1 << 30),
    Info("bin_bytes", "bytes", 1 << 19, 1 << 12, 1 << 26),
    Info("on_invalid_free", "choice", "abort", choices=["abort", "warn"]),
    Info("newcomer_bytes", "bytes", 4096, 0, 1 << 30),
]


SPACE = build(TABLE, names=["pack_bestfit_k", "drain_limit", "stash_max_objs"])


TASK = Task("planted", (command_row(("/bin/true",), 1.0),))


def optimum(knobs: Knobs) -> tuple[float, float]:
    """Two hills in memory, one of them behind a switch; a small stash costs throughput."""
    k = int(knobs.get("pack_bestfit_k", 4))
    rss = -0.10 * (math.exp(-(((k - 11) / 3) ** 2)) - math.exp(-((7 / 3) ** 2)))
    speed = 0.0
    if knobs.get("remote_route") == "owner_stash":
        drain = int(knobs.get("drain_limit", 62))
        rss -= 0.06 * math.exp(-(math.log(drain / 200) ** 2))
        speed = -0.06 if int(knobs.get("stash_max_objs", 1024)) < 128 else 0.0
    return rss, speed


BEST_GAIN = 0.16


GOOD_GAIN = 0.10


def flat(_knobs: Knobs) -> tuple[float, float]:
    """No knob does anything."""
    return 0.0, 0.0


SPREAD = 0.02


class Simulation:
    """Stands in for the measuring of blocks; every block has noise of its own."""

    def __init__(self, truth: Callable[[Knobs], tuple[float, float]], seed: int) -> None:
        self.blocks = 0
        self._truth = truth
        self._random = np.random.default_rng(seed)

    def __call__(
        self, knobs: Sequence[Knobs], number: int, *, task: Task | None = None
    ) -> list[Block]:
        self.blocks += 1
        base = self._random.normal(0.0, SPREAD / math.sqrt(2), 2)
        found = []
        for each in knobs:
            own = self._random.normal(0.0, SPREAD / math.sqrt(2), 2)
            rss, speed = np.array(self._truth(each)) + own - base
            found.append(Block({("rss_mean", "x"): rss, ("throughput", "x"): speed}))
        return found
