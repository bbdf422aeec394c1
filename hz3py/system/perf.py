"""Hardware events, counted by `perf stat` around one run of a program; where the machine has them.

Counting is a run of its own: `perf` between us and the program would spoil times and memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

from hz3py.system.launch import environment, launcher_argv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hz3py.system.launch import Launch

EVENTS = ("instructions", "cycles", "cache-misses", "dTLB-load-misses", "branch-misses")
_PROBE_TIMEOUT_S = 20.0


def supported(events: Sequence[str] = EVENTS) -> tuple[str, ...]:
    """Return the events that this machine counts; none without `perf` or a counting CPU."""
    if shutil.which("perf") is None:
        return ()
    return tuple(_stat(["/bin/true"], events, dict(os.environ), _PROBE_TIMEOUT_S))


def count(launch: Launch, events: Sequence[str]) -> dict[str, float]:
    """Run a program once under its allocator and return how often each event happened.

    Args:
        launch: What to start.
        events: Names that `supported` returned.

    Returns:
        Event to count, of the whole process tree with its launcher; empty if the run failed.
    """
    limit_s = None if launch.timeout_s is None else launch.timeout_s + _PROBE_TIMEOUT_S
    return _stat(launcher_argv(launch, trace=False), events, environment(launch), limit_s)


def parse(text: str) -> dict[str, float]:
    """Read what `perf stat -x,` writes; events that were not counted are left out."""
    found = {}
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[0].replace(".", "", 1).isdigit():
            found[fields[2].partition(":")[0]] = float(fields[0])
    return found


def _stat(
    argv: Sequence[str], events: Sequence[str], env: dict[str, str], limit_s: float | None
) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("r", prefix="hz3-perf-") as report:
        words = ["perf", "stat", "-x,", "-e", ",".join(events), "-o", report.name, "--", *argv]
        try:
            process = subprocess.run(
                words,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=limit_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        return parse(report.read()) if process.returncode == 0 else {}
