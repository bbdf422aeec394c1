"""What the kernel tells of processes, read from /proc."""

from __future__ import annotations

import os

ACCOUNT = {
    b"Pss:": "pss",
    b"Anonymous:": "anon",
    b"AnonHugePages:": "huge",
    b"LazyFree:": "lazy_free",
    b"Swap:": "swap",
}


def resident_pages(descriptor: int) -> tuple[int, int]:
    """Read resident pages, and those of them that are of files; zeros when it has ended."""
    try:
        fields = os.pread(descriptor, 128, 0).split(None, 3)
    except OSError:
        return 0, 0
    return (int(fields[1]), int(fields[2])) if len(fields) > 2 else (0, 0)


def cpu_ticks(pid: int) -> int:
    """Read the CPU time of all threads of `pid`, in clock ticks; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The command may contain blanks and brackets; fields count from the last one.
            fields = (file.read() or b"").rpartition(b")")[2].split()
        return int(fields[11]) + int(fields[12])
    except (OSError, IndexError):
        return 0


def catches(pid: int, number: int) -> bool:
    """Tell whether `pid` has a handler for a signal."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            masks = [line.split()[1] for line in file if line.startswith(b"SigCgt:")]
    except OSError:
        return False
    return bool(masks) and bool(int(masks[0], 16) >> (number - 1) & 1)


def account(pid: int) -> dict[str, int]:
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


def children(pid: int) -> list[int]:
    """List the children of all threads of `pid`."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += [int(child) for child in (file.read() or b"").split()]
    except OSError:
        pass
    return found


def all_parents() -> list[tuple[int, int]]:
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
