"""What disturbed a run, told from the machine's counters before and after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hz3py.system.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_STEAL_SHARE = 0.01
_LOAD_SHARE = 0.1
_JUDGED_SECONDS = 0.2
_CHANGED_DISTANCE = 1.5


def check_run(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Finding]:
    """Return a warning for each thing that happened between two snapshots.

    Counters that the machine does not show are passed over.
    """
    findings = []
    swapped = _growth(before, after, "swap_in_pages") + _growth(before, after, "swap_out_pages")
    if swapped:
        findings.append(
            Finding(
                "swap",
                "warn",
                f"{swapped} pages moved during the run",
                "resident memory and times of this run are not to be trusted",
                "free some memory and run again",
            )
        )
    if throttled := _growth(before, after, "throttled"):
        findings.append(
            Finding(
                "throttling",
                "warn",
                f"{throttled} times during the run",
                "the CPUs were slowed down by heat or by a quota, so times vary",
                "cool the machine, or raise the CPU quota of the container",
            )
        )
    steal = _steal_share(before, after)
    if steal >= _STEAL_SHARE:
        findings.append(
            Finding(
                "steal",
                "warn",
                f"{steal:.1%} of the CPU time during the run",
                "other virtual machines took CPU time, unseen from here",
                "use more blocks, or a machine of your own",
            )
        )
    if kills := _growth(before, after, "oom_kills"):
        findings.append(
            Finding(
                "memory",
                "warn",
                f"the kernel killed {kills} processes for lack of memory",
                "the run may be incomplete",
                "free some memory, or raise the memory limit of the container",
            )
        )
    return findings


def disturbances(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what disturbed the machine between two snapshots around one sample, a word each.

    This is the rule by which samples are left out as unfit:

    * ``swap``: at least one page went to disk or came back;
    * ``throttling``: the CPUs or our control group were slowed down;
    * ``steal``: a hypervisor gave 1 % or more of the CPU time to others;
    * ``cores``: the way from CPU to CPU became one and a half times as long, or as short;
    * ``load``: programs other than ours used 10 % or more of the CPU time. Samples shorter than a
      fifth of a second are not judged by this: the kernel counts in ticks of 10 ms.
    """
    seconds = after["time"] - before["time"]
    words = {
        "swap": _growth(before, after, "swap_in_pages") + _growth(before, after, "swap_out_pages"),
        "throttling": _growth(before, after, "throttled"),
        "steal": _steal_share(before, after) >= _STEAL_SHARE and seconds >= _JUDGED_SECONDS,
        "cores": distances_differ(before.get("core_to_core_ns"), after.get("core_to_core_ns")),
        "load": _others_share(before, after) >= _LOAD_SHARE and seconds >= _JUDGED_SECONDS,
    }
    return tuple(word for word, happened in words.items() if happened)


def distances_differ(first_ns: float | None, second_ns: float | None) -> bool:
    """Whether two ways from CPU to CPU are so different that threads notice; None: not known."""
    if first_ns is None or second_ns is None:
        return False
    return max(first_ns, second_ns) > _CHANGED_DISTANCE * min(first_ns, second_ns)


def _others_share(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Return which part of all CPU time went to programs that are not ours."""
    second = os.sysconf("SC_CLK_TCK")
    ticks = (after["time"] - before["time"]) * second * (os.cpu_count() or 1)
    own = second * (after.get("own_cpu_s", 0.0) - before.get("own_cpu_s", 0.0))
    others = _growth(before, after, "busy_ticks") - own - _growth(before, after, "steal_ticks")
    return others / ticks if ticks > 0 else 0.0


def _growth(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> int:
    first, last = before.get(key), after.get(key)
    return 0 if first is None or last is None else max(0, int(last) - int(first))


def _steal_share(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Return which part of all CPU time a hypervisor gave to others."""
    ticks = (after["time"] - before["time"]) * os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
    return _growth(before, after, "steal_ticks") / ticks if ticks > 0 else 0.0
