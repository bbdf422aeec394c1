"""Phases of a program: those that it marks itself, and its rests."""

from __future__ import annotations

import os
import signal
import time

from .tree import Tree

# A program rests that used at most one clock tick of CPU time (5 %) in such a window.
QUIET_WINDOW_S = 0.2
QUIET_TICKS = 1
# Exact accounts are at least this far apart, twice as far each time, and cost at most 1 % of it.
QUIET_GAP_S = 0.5
QUIET_COST_SHARE = 0.01
KILL_AFTER_S = 3.0


class Marks:
    """Phase marks: lines that the program writes to a pipe.

    Args:
        descriptor: Reading end of that pipe.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.seen: list[tuple[str, float]] = []
        self._partial = b""

    def read(self, at_s: float) -> bool:
        """Take the lines that have come, stamped `at_s`; false once nobody can write any more."""
        data = os.read(self.descriptor, 4096)
        *lines, self._partial = (self._partial + data).split(b"\n")
        self.seen += [(line.decode("ascii", "replace"), at_s) for line in lines]
        return bool(data)


class Rest:
    """Notices when a tree rests, takes its exact account then, and ends it after a long rest.

    Args:
        tree: The processes.
        idle_s: Seconds of rest after which they are ended; 0 never ends them.
        ask: Whether they are asked for an account first, one window before they are ended.
    """

    def __init__(self, tree: Tree, idle_s: float, ask: bool) -> None:
        self.accounts: list[tuple[float, dict[str, int]]] = []
        self.stopped: tuple[float, float] | None = None
        self._tree = tree
        self._idle_s = idle_s
        self._ask = ask
        self._window_s = 0.0
        self._ticks = tree.cpu_ticks()
        self._since_s: float | None = None
        self._marks = 0
        self._next_account_s = 0.0
        self._gap_s = QUIET_GAP_S

    def look(self, at_s: float, marks: Marks) -> None:
        """Judge the window that ends at `at_s`, if it is long enough."""
        if at_s - self._window_s < QUIET_WINDOW_S:
            return
        ticks = self._tree.cpu_ticks()
        if ticks - self._ticks > QUIET_TICKS:
            self._since_s = None
        elif self._since_s is None:
            # The first window holds the start of the program, which is work.
            self._since_s = max(self._window_s, QUIET_WINDOW_S)
        if len(marks.seen) > self._marks and self._since_s is not None:
            self._since_s, self._marks = at_s, len(marks.seen)  # a new phase is no rest
        self._ticks, self._window_s = ticks, at_s
        if self._since_s is not None and at_s >= self._next_account_s:
            self._take_account(at_s)
        self._end_if_idle(at_s, marks)

    def _take_account(self, at_s: float) -> None:
        before_s = time.monotonic()
        account = self._tree.account()
        cost_s = time.monotonic() - before_s
        if account:
            self.accounts.append((at_s, account))
        self._next_account_s = at_s + max(self._gap_s, cost_s / QUIET_COST_SHARE)
        self._gap_s *= 2

    def _end_if_idle(self, at_s: float, marks: Marks) -> None:
        if self._idle_s <= 0:
            return
        if self.stopped is not None:
            if at_s > self.stopped[1] + KILL_AFTER_S:
                self._tree.signal(signal.SIGKILL)
            return
        said = [seconds for name, seconds in marks.seen if name == "work-end"]
        begin_s = said[0] if said else self._since_s
        if begin_s is None or at_s - begin_s < self._idle_s:
            return
        if self._ask:
            self._ask = False
            self._tree.ask()
        else:
            self.stopped = (begin_s, at_s)
            self._tree.signal(signal.SIGTERM)
