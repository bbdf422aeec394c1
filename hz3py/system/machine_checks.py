"""Health checks of the machine: what makes a measurement here less certain."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from hz3py.system import machine
from hz3py.system.cores import core_to_core_ns
from hz3py.system.finding import Finding
from hz3py.system.kernel_files import read_number, read_table, selected_word
from hz3py.system.oom import memory_limit_bytes

_LOOKS = 6  # at what else runs now
_LOOK_S = 0.01
_MEMORY_FLOOR = 2**30
_DISK_FLOOR = 200 * 2**20
_STEAL_SHARE = 0.01
_PERF_PARANOID_MAX = 2  # up to here a person may count the events of their own programs


def check_cpus() -> Finding:
    """Look at how many CPUs we may use."""
    count = machine.usable_cpus()
    if count > 1:
        meaning = "threads run side by side, and the memory sampler does not compete with them"
        return Finding("cpus", "ok", str(count), meaning)
    return Finding(
        "cpus",
        "warn",
        "1",
        "threads take turns, so multi-threaded results say little about other machines",
        "give the machine or container a second CPU, or keep to --threads 1",
    )


def check_core_distance() -> Finding:
    """Look at how far the CPUs are from each other at this moment."""
    distance_ns = core_to_core_ns()
    if distance_ns is not None:
        meaning = "threads that share memory wait so long; each sample has its own figure"
        return Finding("core to core", "ok", f"{distance_ns:.0f} ns and back", meaning)
    if machine.usable_cpus() == 1:
        return Finding("core to core", "ok", "one CPU", "there is no way to measure")
    return Finding(
        "core to core",
        "warn",
        "not measured",
        "whether the CPUs stay as near to each other during a run is not known",
        "stop what keeps the CPUs busy; if that is nothing, install hz3 again",
    )


def check_load() -> Finding:
    """Look at what else runs at this moment.

    The load average still shows what ended a minute ago, such as our own installation; what counts
    is who runs now.
    """
    others = 0.0
    for _ in range(_LOOKS):
        others += max(0, read_table("/proc/stat").get("procs_running", 1) - 1) / _LOOKS
        time.sleep(_LOOK_S)
    value = f"{others:.1f} other running threads, load average {os.getloadavg()[0]:.2f}"
    if others < 0.5:
        return Finding("load", "ok", value, "nothing else uses the CPUs")
    meaning = "other programs take CPU time and cache from what is measured"
    return Finding("load", "warn", value, meaning, "stop them, or wait until they are done")


def check_governor() -> Finding:
    """Look at the frequency governor."""
    governor = machine.governor()
    if governor is None:
        meaning = "this machine shows no frequency control, as virtual machines do"
        return Finding("governor", "ok", "not visible", meaning)
    if governor == "performance":
        return Finding("governor", "ok", governor, "the CPU clock stays up")
    return Finding(
        "governor",
        "warn",
        governor,
        "the CPU clock follows the load, so short runs may be slower than long ones",
        "sudo cpupower frequency-set -g performance",
    )


def check_steal() -> Finding:
    """Look at the time that a hypervisor gave to others since the start."""
    share = (machine.steal_ticks() or 0) / max(1, sum(_cpu_ticks()))
    value = f"{share:.1%} since the start"
    if share < _STEAL_SHARE:
        return Finding("steal", "ok", value, "the hypervisor leaves the CPUs to this machine")
    return Finding(
        "steal",
        "warn",
        value,
        "other virtual machines take CPU time, unseen from here",
        "use more blocks, or a machine of your own",
    )


def check_huge_pages() -> Finding:
    """Look at transparent huge pages."""
    mode = selected_word(machine.THP_FILE)
    if mode != "always":
        meaning = "memory becomes resident in small pages unless a program asks for large ones"
        return Finding("huge pages", "ok", mode or "not visible", meaning)
    return Finding(
        "huge pages",
        "warn",
        mode,
        "the kernel fills memory by 2 MiB, which hides how much an allocator really keeps",
        f"echo madvise | sudo tee {machine.THP_FILE}",
    )


def check_swap() -> Finding:
    """Look at swapped-out memory."""
    used_kb = machine.swap_used_kb()
    if not used_kb:
        return Finding("swap", "ok", "none in use", "resident memory is all there is")
    return Finding(
        "swap",
        "warn",
        f"{used_kb // 1024} MiB in use",
        "what is swapped out does not count as resident, and comes back slowly",
        "sudo swapoff -a, or free some memory",
    )


def check_memory_limit() -> Finding:
    """Look at the memory limit of our control group."""
    limit = memory_limit_bytes()
    if limit is None:
        return Finding("memory limit", "ok", "none", "programs may use all memory of the machine")
    value = f"{limit // 2**20} MiB"
    if limit >= _MEMORY_FLOOR:
        return Finding("memory limit", "ok", value, "enough for the built-in suites")
    meaning = "large workloads may be killed for lack of memory"
    return Finding("memory limit", "warn", value, meaning, "raise the limit of the container")


def check_overcommit() -> Finding:
    """Look at whether address space may be reserved freely."""
    mode = read_number("/proc/sys/vm/overcommit_memory")
    names = {0: "heuristic", 1: "always", 2: "strict"}
    value = names.get(mode if mode is not None else -1, "not visible")
    if mode != 2:
        return Finding("overcommit", "ok", value, "address space can be reserved without memory")
    return Finding(
        "overcommit",
        "warn",
        value,
        "reserved address space counts as memory, so allocators that reserve much may fail",
        "sudo sysctl vm.overcommit_memory=0",
    )


def check_address_layout() -> Finding:
    """Look at address space randomisation."""
    mode = read_number("/proc/sys/kernel/randomize_va_space")
    if mode in (2, None):
        meaning = "each run gets another layout, so an average is over layouts too"
        return Finding("address layout", "ok", "random", meaning)
    return Finding(
        "address layout",
        "warn",
        "fixed" if mode == 0 else "partly random",
        "all runs share one layout, and a result may be the luck of that layout",
        "sudo sysctl kernel.randomize_va_space=2",
    )


def check_disk() -> Finding:
    """Look at the room for results in the current folder."""
    free = shutil.disk_usage(Path.cwd()).free
    value = f"{free // 2**20} MiB free"
    if free >= _DISK_FLOOR:
        return Finding("disk", "ok", value, "room for results")
    meaning = "results may not fit into the current folder"
    return Finding("disk", "warn", value, meaning, "free some space, or use --out in another place")


def check_perf() -> Finding:
    """Look at whether hardware events can be counted."""
    program = shutil.which("perf")
    paranoid = read_number("/proc/sys/kernel/perf_event_paranoid")
    allowed = os.geteuid() == 0 or (paranoid is not None and paranoid <= _PERF_PARANOID_MAX)
    if program and allowed:
        return Finding("perf", "ok", "available", "hardware events can be counted")
    value = "refused by the kernel" if program else "not installed"
    return Finding("perf", "ok", value, "hardware events cannot be counted; hz3 does without them")


def _cpu_ticks() -> list[int]:
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return [int(field) for field in line.split()[1:]]
