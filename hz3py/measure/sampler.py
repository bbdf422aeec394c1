"""The resident-memory sampler: a process of its own that watches another one from /proc.

Run as a script (``python -I -S sampler.py PID_FD PHASE_FD INTERVAL_US``), never imported by the
program that measures: it imports four small modules, so it starts in some milliseconds and its
own size and garbage collection stay out of the way.

Protocol: prints ``ready`` on stdout; then reads "PID" from PID_FD, which ``hz3-exec`` writes once
the program runs, so that no sample ever shows the launcher; follows that process and its
descendants until they are gone or stdin is closed; then prints what it saw as text lines::

    mark NAME SECONDS      a phase mark that the program wrote to HZ3_PHASE_FD
    row SECONDS KIB        resident memory of all processes together
    cpu SECONDS            CPU time the sampler used while watching
    samples N              how often it looked, before thinning

Seconds count from the moment the program ran. ``/proc/PID/statm`` is read through descriptors
that stay open, some microseconds a time. The smaps files are never touched: reading them holds
the lock that the watched allocator needs. Pages shared after a fork count once per process.
"""

from __future__ import annotations

import os
import select
import sys
import time

MAX_ROWS = 4096
# Look for new descendants this often, but spend at most a fiftieth of the time on it.
SCAN_S = 0.02
SCAN_SHARE = 50
# Double the interval when the last samples took more than this share of one CPU.
MAX_CPU_SHARE = 0.01
COST_CHECK_SAMPLES = 64
MAX_INTERVAL_S = 0.1

_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Tree:
    """A process and its descendants, each with its ``statm`` held open.

    Args:
        root: Process id to begin with; without permission or when gone, the tree is empty.
    """

    def __init__(self, root: int) -> None:
        self._statm: dict[int, int] = {}
        self._has_children_files = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
        self._add(root)

    def resident_kb(self) -> int:
        """Sum the resident memory of all living processes in KiB; 0 if none is left."""
        pages = 0
        for pid, descriptor in list(self._statm.items()):
            resident = _resident_pages(descriptor)
            if resident == 0:
                os.close(self._statm.pop(pid))
            pages += resident
        return pages * _PAGE_KB

    def scan(self) -> None:
        """Look for new descendants of the processes known so far."""
        if not self._has_children_files:
            for pid, parent in _all_parents():
                if parent in self._statm:
                    self._add(pid)
            return
        known = list(self._statm)
        while known:
            for child in _children(known.pop()):
                if self._add(child):
                    known.append(child)

    def _add(self, pid: int) -> bool:
        if pid in self._statm:
            return False
        try:
            self._statm[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        return True


class Series:
    """Rows (seconds, KiB) of bounded number: when full, every second one goes.

    Args:
        interval_s: Seconds between samples to begin with; doubles whenever the rows are thinned.
    """

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self.rows: list[tuple[float, int]] = []
        self.samples = 0

    def add(self, at_s: float, kb: int) -> None:
        """Keep one sample."""
        self.rows.append((at_s, kb))
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


def watch(pid: int, marks: Marks, interval_s: float, stop_descriptor: int) -> Series:
    """Sample the tree of `pid` until it is gone or `stop_descriptor` becomes readable."""
    series = Series(interval_s)
    tree = Tree(pid)
    watched = [stop_descriptor, marks.descriptor]
    start = time.monotonic()
    cost = Cost()
    next_scan = start
    while True:
        now = time.monotonic()
        kb = tree.resident_kb()
        if kb == 0:
            # The last marks may have come together with the end.
            if marks.descriptor in watched and select.select([marks.descriptor], [], [], 0)[0]:
                marks.read(now - start)
            return series
        series.add(now - start, kb)
        cost.limit(series)
        if now >= next_scan:
            tree.scan()
            done = time.monotonic()
            next_scan = done + max(SCAN_S, SCAN_SHARE * (done - now))
        wait_s = max(0.0, now + series.interval_s - time.monotonic())
        ready = select.select(watched, [], [], wait_s)[0]
        if stop_descriptor in ready:
            return series
        if marks.descriptor in ready and not marks.read(time.monotonic() - start):
            watched.remove(marks.descriptor)


def _resident_pages(descriptor: int) -> int:
    """Read the second field of ``statm``; 0 for a process that has ended."""
    try:
        fields = os.pread(descriptor, 128, 0).split(None, 2)
    except OSError:
        return 0
    return int(fields[1]) if len(fields) > 1 else 0


def _children(pid: int) -> list[int]:
    """List the children of all threads of `pid`."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += [int(child) for child in (file.read() or b"").split()]
    except OSError:
        pass
    return found


def _all_parents() -> list[tuple[int, int]]:
    """List (process, parent) of the whole machine, for kernels without the children files."""
    pairs = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                    # The command may contain blanks and brackets; fields count from the last one.
                    fields = (file.read() or b"").rpartition(b")")[2].split()
                pairs.append((int(name), int(fields[1])))
            except (OSError, IndexError):
                continue
    return sorted(pairs)


def _read_pid(pid_descriptor: int, stop_descriptor: int) -> int | None:
    """Wait for the process id; ``None`` if the program never ran."""
    if stop_descriptor in select.select([pid_descriptor, stop_descriptor], [], [])[0]:
        return None
    line = os.read(pid_descriptor, 32)
    return int(line) if line.strip() else None


def main(arguments: list[str]) -> None:
    """Run the protocol above on the descriptors named by `arguments`."""
    pid_descriptor, phase_descriptor, interval_us = (int(argument) for argument in arguments)
    stop_descriptor = sys.stdin.fileno()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    pid = _read_pid(pid_descriptor, stop_descriptor)
    marks = Marks(phase_descriptor)
    cpu_start = time.process_time()
    series = Series(0.0) if pid is None else watch(pid, marks, interval_us / 1e6, stop_descriptor)
    lines = [f"mark {name} {at_s:.6f}" for name, at_s in marks.seen]
    lines += [f"row {at_s:.6f} {kb}" for at_s, kb in series.rows]
    lines += [f"cpu {time.process_time() - cpu_start:.6f}", f"samples {series.samples}"]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
