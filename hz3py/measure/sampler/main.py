"""The sampler as a program: it reads its arguments and prints what it saw."""

from __future__ import annotations

import os
import select
import sys
import time

from .phases import Marks, Rest
from .watch import Series, watch


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
