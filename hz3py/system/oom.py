"""Whether the kernel killed something for lack of memory, and how much memory we may use."""

from __future__ import annotations

from pathlib import Path

_VMSTAT = Path("/proc/vmstat")
_CGROUP_ROOT = Path("/sys/fs/cgroup")


def oom_kills() -> int | None:
    """Return how many processes the kernel has killed for lack of memory since it started.

    Compare two readings. The counter is the machine's where the kernel shows it, else that of our
    control group; ``None`` where neither is visible.
    """
    count = _counter(_VMSTAT, "oom_kill")
    if count is None:
        count = _counter(_own_group("memory.events"), "oom_kill")
    if count is None:
        count = _counter(_own_group("memory.oom_control", "memory"), "oom_kill")
    return count


def memory_limit_bytes() -> int | None:
    """Return the memory limit of our control group; ``None`` without one."""
    for path in (_own_group("memory.max"), _own_group("memory.limit_in_bytes", "memory")):
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        # Version 1 says "no limit" by a number close to 2 ** 63.
        if text.isdigit() and int(text) < 2**60:
            return int(text)
    return None


def _own_group(file: str, controller: str = "") -> Path:
    """Find `file` of our control group: version 2, or version 1 with its `controller`."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _number, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            own = _CGROUP_ROOT / controller / group.lstrip("/") / file
            # Inside a container the group's path may not be mounted; its root then is the group.
            return own if own.exists() else _CGROUP_ROOT / controller / file
    return _CGROUP_ROOT / controller / file


def _counter(path: Path, key: str) -> int | None:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(" ")
        if name == key and value.strip().isdigit():
            return int(value)
    return None
