"""The resident-memory sampler: a process of its own that watches another one from /proc.

Run as a script (``python -I -S sampler.py PID_FD PHASE_FD INTERVAL_US [IDLE_US [ASK]]``), never
imported by the program that measures: it imports five small modules, so it starts in some
milliseconds and its own size and garbage collection stay out of the way. With ASK 1, processes
that catch SIGUSR2 get it before they are ended: hz3 answers with an account of its memory.

Protocol: prints ``ready`` on stdout; then reads "PID" from PID_FD, which ``hz3-exec`` writes once
the program runs, so that no sample ever shows the launcher; follows that process and its
descendants until they are gone or stdin is closed; then prints what it saw as text lines::

    mark NAME SECONDS      a phase mark that the program wrote to HZ3_PHASE_FD
    row SECONDS KIB ANON   resident memory of all processes together; ANON KiB of it are anonymous
    quiet SECONDS NAME=KIB ...  the exact account of a moment at which the program rested
    stopped BEGIN END      it rested from BEGIN to END, IDLE_US long, and was ended by us
    cpu SECONDS            CPU time the sampler used while watching
    samples N              how often it looked, before thinning
    interval SECONDS       distance of the readings at the end

Seconds count from the moment the program ran. ``/proc/PID/statm`` is read through descriptors
that stay open, some microseconds a time. ``smaps_rollup`` holds the lock that the watched allocator
needs, so it is read only while the program uses no CPU time, and seldom. Pages shared after a fork
count once per process in the rows; the account of a quiet moment shares them out (PSS).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

MAX_ROWS = 4096
# Look for new descendants this often, but spend at most a fiftieth of the time on it.
SCAN_S = 0.02
SCAN_SHARE = 50
# Double the interval when the last samples took more than this share of one CPU.
MAX_CPU_SHARE = 0.01
COST_CHECK_SAMPLES = 32
MAX_INTERVAL_S = 0.1
# A program rests that used at most one clock tick of CPU time (5 %) in such a window.
QUIET_WINDOW_S = 0.2
QUIET_TICKS = 1
# Exact accounts are at least this far apart, twice as far each time, and cost at most 1 % of it.
QUIET_GAP_S = 0.5
QUIET_COST_SHARE = 0.01
KILL_AFTER_S = 3.0

ACCOUNT = {
    b"Pss:": "pss",
    b"Anonymous:": "anon",
    b"AnonHugePages:": "huge",
    b"LazyFree:": "lazy_free",
    b"Swap:": "swap",
}

_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


class Tree:
    """A process and its descendants, each with its ``statm`` held open.

    Args:
        root: Process id to begin with; without permission or when gone, the tree is empty.
    """

    def __init__(self, root: int) -> None:
        self._statm: dict[int, int] = {}
        self.anon_kb = 0
        self._has_children_files = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
        self._add(root)

    def resident_kb(self) -> int:
        """Sum the resident memory of all living processes in KiB; 0 if none is left.

        What of it is anonymous (no page of a file) is in `anon_kb` afterwards.
        """
        pages, of_files = 0, 0
        for pid, descriptor in list(self._statm.items()):
            resident, shared = _resident_pages(descriptor)
            if resident == 0:
                os.close(self._statm.pop(pid))
            pages += resident
            of_files += shared
        self.anon_kb = max(0, pages - of_files) * _PAGE_KB
        return pages * _PAGE_KB

    def cpu_ticks(self) -> int:
        """Sum the CPU time that the living processes have used, in clock ticks."""
        return sum(_cpu_ticks(pid) for pid in self._statm)

    def account(self) -> dict[str, int]:
        """Sum the exact accounts of all living processes, names of `ACCOUNT` to KiB."""
        sums: dict[str, int] = {}
        for pid in self._statm:
            for name, kb in _account(pid).items():
                sums[name] = sums.get(name, 0) + kb
        return sums

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

    def signal(self, number: int) -> None:
        """Send a signal to every living process."""
        for pid in self._statm:
            try:
                os.kill(pid, number)
            except OSError:
                continue

    def ask(self) -> None:
        """Ask every process that catches SIGUSR2 for an account; it would end the others."""
        for pid in self._statm:
            if _catches(pid, signal.SIGUSR2):
                os.kill(pid, signal.SIGUSR2)

    def _add(self, pid: int) -> bool:
        if pid in self._statm:
            return False
        try:
            self._statm[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        return True


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


def _resident_pages(descriptor: int) -> tuple[int, int]:
    """Read resident pages, and those of them that are of files; zeros when it has ended."""
    try:
        fields = os.pread(descriptor, 128, 0).split(None, 3)
    except OSError:
        return 0, 0
    return (int(fields[1]), int(fields[2])) if len(fields) > 2 else (0, 0)


def _cpu_ticks(pid: int) -> int:
    """Read the CPU time of all threads of `pid`, in clock ticks; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The command may contain blanks and brackets; fields count from the last one.
            fields = (file.read() or b"").rpartition(b")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, IndexError):
        return 0


def _catches(pid: int, number: int) -> bool:
    """Tell whether `pid` has a handler for a signal."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            masks = [line.split()[1] for line in file if line.startswith(b"SigCgt:")]
    except OSError:
        return False
    return bool(masks) and bool(int(masks[0], 16) >> (number - 1) & 1)


def _account(pid: int) -> dict[str, int]:
    """Read the lines of ``smaps_rollup`` that `ACCOUNT` names; empty where it cannot be read."""
    found: dict[str, int] = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                name, _, rest = line.partition(b" ")
                if name in ACCOUNT:
                    found[ACCOUNT[name]] = int(rest.split()[0])
    except OSError:
        return {}
    return found


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


def lines_of(marks: Marks, series: Series, rest: Rest | None) -> list[str]:
    """Return what was seen, as lines of the protocol."""
    lines = [f"mark {'-'.join(name.split()) or 'mark'} {at_s:.6f}" for name, at_s in marks.seen]
    lines += [f"row {at_s:.6f} {kb} {anon_kb}" for at_s, kb, anon_kb in series.rows]
    if rest is not None:
        for at_s, account in rest.accounts:
            words = " ".join(f"{name}={kb}" for name, kb in account.items())
            lines.append(f"quiet {at_s:.6f} {words}")
        if rest.stopped is not None:
            lines.append("stopped {:.6f} {:.6f}".format(*rest.stopped))
    return [*lines, f"samples {series.samples}", f"interval {series.interval_s:.6f}"]


def main(arguments: list[str]) -> None:
    """Run the protocol above on the descriptors named by `arguments`."""
    pid_descriptor, phase_descriptor, interval_us = (int(argument) for argument in arguments[:3])
    idle_s = int(arguments[3]) / 1e6 if len(arguments) > 3 else 0.0
    ask = len(arguments) > 4 and arguments[4] == "1"
    stop_descriptor = sys.stdin.fileno()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    pid = _read_pid(pid_descriptor, stop_descriptor)
    marks = Marks(phase_descriptor)
    cpu_start = time.process_time()
    series, rest = Series(0.0), None
    if pid is not None:
        series, rest = watch(pid, marks, interval_us / 1e6, stop_descriptor, (idle_s, ask))
    cpu_s = time.process_time() - cpu_start
    lines = [*lines_of(marks, series, rest), f"cpu {cpu_s:.6f}"]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
