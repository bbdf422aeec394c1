"""The loop that watches: readings of bounded number and cost until the program is gone."""

from __future__ import annotations

import select
import time

from .phases import Marks, Rest
from .tree import Tree

MAX_ROWS = 4096
# Look for new descendants this often, but spend at most a fiftieth of the time on it.
SCAN_S = 0.02
SCAN_SHARE = 50
# Double the interval when the last samples took more than this share of one CPU.
MAX_CPU_SHARE = 0.01
COST_CHECK_SAMPLES = 32
MAX_INTERVAL_S = 0.1


class Series:
    """Rows (seconds, KiB, anonymous KiB) of bounded number: when full, every second one goes.

    Args:
        interval_s: Seconds between samples to begin with; doubles whenever the rows are thinned.
    """

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.rows: list[tuple[float, int, int]] = []
        self.samples = 0

    def add(self, at_s: float, kb: int, anon_kb: int) -> None:
        """Keep one sample."""
        self.rows.append((at_s, kb, anon_kb))
        self.samples += 1
        if len(self.rows) >= MAX_ROWS:
            del self.rows[1::2]
            self.interval_s *= 2


class Cost:
    """Watches what sampling costs, and slows it down.

    On a busy machine each wake-up finds cold caches and costs several times what it does alone.
    """

    def __init__(self) -> None:
        self._at_s = time.monotonic()
        self._cpu_s = time.process_time()

    def limit(self, series: Series) -> None:
        """Every so many samples, double the interval if they took too much CPU time."""
        if series.samples % COST_CHECK_SAMPLES:
            return
        at_s, cpu_s = time.monotonic(), time.process_time()
        if cpu_s - self._cpu_s > MAX_CPU_SHARE * (at_s - self._at_s):
            series.interval_s = min(2 * series.interval_s, MAX_INTERVAL_S)
        self._at_s, self._cpu_s = at_s, cpu_s


def watch(
    pid: int,
    marks: Marks,
    interval_s: float,
    stop_descriptor: int,
    idle: tuple[float, bool] = (0.0, False),
) -> tuple[Series, Rest]:
    """Sample the tree of `pid` until it is gone or `stop_descriptor` becomes readable.

    `idle` is after how long a rest it is ended, and whether it is asked for an account then.
    """
    series = Series(interval_s)
    tree = Tree(pid)
    watched = [stop_descriptor, marks.descriptor]
    start = time.monotonic()
    cost = Cost()
    rest = Rest(tree, *idle)
    next_scan = start
    while True:
        now = time.monotonic()
        kb = tree.resident_kb()
        if kb == 0:
            break
        series.add(now - start, kb, tree.anon_kb)
        cost.limit(series)
        rest.look(now - start, marks)
        if now >= next_scan:
            tree.scan()
            done = time.monotonic()
            next_scan = done + max(SCAN_S, SCAN_SHARE * (done - now))
        wait_s = max(0.0, now + series.interval_s - time.monotonic())
        ready = select.select(watched, [], [], wait_s)[0]
        if stop_descriptor in ready:
            break
        if marks.descriptor in ready and not marks.read(time.monotonic() - start):
            watched.remove(marks.descriptor)
    # The last marks may have come together with the end.
    if marks.descriptor in watched and select.select([marks.descriptor], [], [], 0)[0]:
        marks.read(time.monotonic() - start)
    return series, rest
