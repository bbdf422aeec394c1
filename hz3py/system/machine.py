"""Facts about this machine that belong with a measurement, and its state before and after.

Everything is read from the kernel's files; what a machine does not show is ``None``. The host's
name stays private: records carry a hash that tells two machines apart.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from hz3py.system.cores import core_to_core_ns
from hz3py.system.kernel_files import read_number, read_table, read_text, selected_word
from hz3py.system.oom import memory_limit_bytes, oom_kills

THP_FILE = "/sys/kernel/mm/transparent_hugepage/enabled"
_THP_DEFRAG_FILE = "/sys/kernel/mm/transparent_hugepage/defrag"
_GOVERNOR_FILE = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
# Columns of the line "cpu" in /proc/stat: name, user, nice, system, idle, waiting for disks, ...
_IDLE_COLUMN, _WAIT_COLUMN, _STEAL_COLUMN = 4, 5, 8


def describe() -> dict[str, Any]:
    """Return what should be known about the machine when its figures are read later.

    Sizes carry their unit in the key; ``load`` is the average over 1, 5 and 15 minutes.
    """
    memory = read_table("/proc/meminfo")
    return {
        "host": _host_hash(),
        "cpu": cpu_model(),
        "cpus": usable_cpus(),
        "cpus_online": os.cpu_count(),
        "machine": platform.machine(),
        "virtual": "hypervisor" in (read_text("/proc/cpuinfo") or ""),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "system": _system_name(),
        "memory_kb": memory.get("MemTotal"),
        "memory_available_kb": memory.get("MemAvailable"),
        "memory_limit_bytes": memory_limit_bytes(),
        "swap_total_kb": memory.get("SwapTotal"),
        "swap_used_kb": swap_used_kb(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "thp": selected_word(THP_FILE),
        "thp_defrag": selected_word(_THP_DEFRAG_FILE),
        "governor": governor(),
        "overcommit": read_number("/proc/sys/vm/overcommit_memory"),
        "max_map_count": read_number("/proc/sys/vm/max_map_count"),
        "aslr": read_number("/proc/sys/kernel/randomize_va_space"),
        "numa_balancing": read_number("/proc/sys/kernel/numa_balancing"),
        "load": list(os.getloadavg()),
        "steal_ticks": steal_ticks(),
        "core_to_core_ns": core_to_core_ns(),
        "python": platform.python_version(),
        "hz3": hz3_version(),
        "commit": _commit(),
    }


def snapshot() -> dict[str, Any]:
    """Return the cheap state to compare before and after a run; counters only ever grow.

    ``steal_ticks`` is time that a hypervisor gave to others, ``swap_*_pages`` what went to and
    came from disk, ``throttled`` how often the CPUs or our control group were slowed down,
    ``busy_ticks`` CPU time of the whole machine, and ``own_cpu_s`` that of this process and of the
    children it has waited for.
    """
    events = read_table("/proc/vmstat")
    return {
        "time": time.time(),
        "load": os.getloadavg()[0],
        "steal_ticks": steal_ticks(),
        "busy_ticks": _busy_ticks(),
        "own_cpu_s": sum(os.times()[:4]),
        "swap_in_pages": events.get("pswpin"),
        "swap_out_pages": events.get("pswpout"),
        "throttled": _throttle_events(),
        "oom_kills": oom_kills(),
    }


def usable_cpus() -> int:
    """Return on how many CPUs this process may run."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str | None:
    """Return the CPU's name in the kernel's words."""
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", read_text("/proc/cpuinfo") or "", re.M)
    return found.group(1).strip() if found else None


def governor() -> str | None:
    """Return the frequency governors in use; ``None`` where the machine shows none."""
    words = {read_text(_GOVERNOR_FILE.format(cpu)) for cpu in os.sched_getaffinity(0)}
    return ",".join(sorted(word for word in words if word)) or None


def swap_used_kb() -> int | None:
    """Return how much memory lies on disk, in KiB."""
    memory = read_table("/proc/meminfo")
    if "SwapTotal" not in memory:
        return None
    return memory["SwapTotal"] - memory.get("SwapFree", 0)


def steal_ticks() -> int | None:
    """Return the clock ticks that a hypervisor gave to others since the start."""
    fields = (read_text("/proc/stat") or "").partition("\n")[0].split()
    return int(fields[_STEAL_COLUMN]) if len(fields) > _STEAL_COLUMN else None


def _busy_ticks() -> int | None:
    """Return the clock ticks that all CPUs worked since the start, a hypervisor's included."""
    fields = (read_text("/proc/stat") or "").partition("\n")[0].split()
    if len(fields) <= _STEAL_COLUMN:
        return None
    ticks = [int(field) for field in fields[1 : _STEAL_COLUMN + 1]]
    return sum(ticks) - ticks[_IDLE_COLUMN - 1] - ticks[_WAIT_COLUMN - 1]


def hz3_version() -> str | None:
    """Return the version of the installed distribution."""
    try:
        return version("hz3")
    except PackageNotFoundError:
        return None


def _throttle_events() -> int | None:
    """Add up how often CPUs were slowed down for heat, and our group for its quota."""
    counts = [
        read_number(str(path))
        for path in Path("/sys/devices/system/cpu").glob(
            "cpu*/thermal_throttle/core_throttle_count"
        )
    ]
    for path in ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat"):
        counts.append(read_table(path).get("nr_throttled"))
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _host_hash() -> str:
    """Return twelve digits that tell hosts apart without naming them."""
    identity = f"{platform.node()} {read_text('/etc/machine-id') or ''}"
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _system_name() -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', read_text("/etc/os-release") or "", re.M)
    return found.group(1) if found else None


def _commit() -> str | None:
    """Return the commit of the source tree that the package runs from; ``None`` if installed."""
    source = Path(str(files("hz3py").joinpath("errors.py"))).parent.parent
    if not (source / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(source), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
