"""Waiting for the machine to be as it was: samples of several threads start with the CPUs as near.

A host that moves the virtual CPUs about makes threads up to twice as slow for seconds or minutes. A
sample that happens to start then says nothing about its allocator. So it waits a little; the
decision falls before it starts, knows nothing of its result, and is the same for all arms.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable

from hz3py.system.cores import core_to_core_ns
from hz3py.system.health import distances_differ

_REMEMBERED = 9
_FEWEST = 3
_TRIES = 20
_PAUSE_S = 0.1


class SteadyCores:
    """Knows how far the CPUs usually are from each other, and waits for that."""

    def __init__(
        self,
        distance_ns: Callable[[], float | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start without a memory.

        Args:
            distance_ns: Measures the way from CPU to CPU and back; None if it is not known.
            sleep: Waits for so many seconds.
        """
        self.distance_ns = distance_ns
        self._sleep = sleep
        self._seen: deque[float] = deque(maxlen=_REMEMBERED)

    def wait(self) -> float | None:
        """Wait, about two seconds at most, until the CPUs are as far apart as usual.

        Usual is the median of what the last samples began with; so a machine that has changed for
        good is waited for a few times only.

        Returns:
            The distance now, in nanoseconds; None if it is not known.
        """
        now = self.distance_ns()
        for _ in range(_TRIES):
            if now is None or not self._is_unusual(now):
                break
            self._sleep(_PAUSE_S)
            now = self.distance_ns()
        if now is not None:
            self._seen.append(now)
        return now

    def _is_unusual(self, distance_ns: float) -> bool:
        known = len(self._seen) >= _FEWEST
        return known and distances_differ(distance_ns, statistics.median(self._seen))


THIS_MACHINE = SteadyCores(core_to_core_ns)
"""What is usual here; one for the process, because a search measures in many short runs."""
