"""What became of a run: from exit status, output and proof to a sample's status.

Pure functions of what was seen; each answer comes with one line for a person.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hz3py.system.allocators import Allocator, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hz3py.measure.sample import Status

# How programs say that memory ran out; looked for in the last lines of a run that failed.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|MemoryError|out of memory|cannot allocate memory|not enough memory", re.IGNORECASE
)
_LOADER_REFUSAL = re.compile(r"cannot be preloaded \((.*)\)")


@dataclass(frozen=True)
class Seen:
    """What is known of a run that has ended.

    Attributes:
        report: The line of ``hz3-exec``; empty if there was none.
        stdout: The end of what the program printed.
        stderr: The end of what it complained about.
        oom_killed: Whether the kernel killed something for lack of memory meanwhile.
        timeout_s: The limit it ran under.
        ended_by_us: Whether it was asked to end after the rest that was waited for.
    """

    report: Mapping[str, Any]
    stdout: str
    stderr: str
    oom_killed: bool
    timeout_s: float | None
    ended_by_us: bool = False


@dataclass(frozen=True)
class Proof:
    """Who provided malloc: whether it is the allocator asked for, and the object if known."""

    interposed: bool
    malloc_object: str
    complaint: str = ""


def judge_end(seen: Seen) -> tuple[Status, str]:
    """Say how the program ended: ("ok", "") or what went wrong."""
    report = seen.report
    if not report:
        return "failed", f"hz3-exec gave no report: {_last_line(seen.stderr)}"
    if report["error"] is not None:
        return "failed", str(report["error"])
    if report["timed_out"]:
        return "timeout", f"did not end within its limit of {seen.timeout_s:g} s"
    if seen.ended_by_us and report["signal"] in (None, signal.SIGTERM, signal.SIGKILL):
        return "ok", ""
    if report["signal"] is not None:
        return _judge_signal(int(report["signal"]), seen)
    return _judge_exit(int(report["exit_code"]), seen)


def parse_result(stdout: str) -> dict[str, Any] | None:
    """Read a workload's one JSON line; ``None`` if it printed anything else."""
    try:
        result = json.loads(stdout)
    except ValueError:
        return None
    is_result = (
        isinstance(result, dict)
        and result.get("schema") == 1
        and isinstance(result.get("throughput"), (int, float))
        and isinstance(result.get("malloc_object"), str)
    )
    return result if is_result else None


def prove(allocator: Allocator, seen: Seen, result: Mapping[str, Any] | None) -> Proof:
    """Find out who provided malloc.

    A workload names the object that won the symbol. Of any other program the mapped objects at
    its end are known, which shows that the library was loaded.
    """
    if result is not None:
        return _prove_by_symbol(allocator, str(result["malloc_object"]))
    if allocator.path is None:
        return Proof(True, "")
    mapped = seen.report.get("preload_mapped")
    if mapped:
        return Proof(True, str(allocator.path))
    refusal = _LOADER_REFUSAL.search(seen.stderr)
    if refusal:
        return Proof(False, "", f"the dynamic loader refused it: {refusal.group(1)}")
    if mapped is None:
        return Proof(False, "", "no proof that it was loaded: tracing is not permitted here")
    return Proof(
        False, "", "it was not loaded: the program is static, privileged, or clears LD_PRELOAD"
    )


def _prove_by_symbol(allocator: Allocator, malloc_object: str) -> Proof:
    if allocator.path is None:
        interposed = re.match(r"libc[.-]", malloc_object.rpartition("/")[2]) is not None
    else:
        interposed = is_object(malloc_object, allocator.path)
    complaint = "" if interposed else f"malloc came from '{malloc_object}'"
    return Proof(interposed, malloc_object, complaint)


def _judge_exit(code: int, seen: Seen) -> tuple[Status, str]:
    said = _last_words(seen)
    if code == 0:
        return "ok", ""
    if _OUT_OF_MEMORY.search(seen.stderr):
        return "oom", f"ran out of memory: {said}"
    return "failed", f"ended with code {code}: {said}"


def _judge_signal(number: int, seen: Seen) -> tuple[Status, str]:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGKILL and seen.oom_killed:
        return "oom", "was killed by the kernel for lack of memory"
    if number == signal.SIGABRT and _OUT_OF_MEMORY.search(seen.stderr):
        return "oom", f"ran out of memory: {_last_line(seen.stderr)}"
    said = _last_words(seen)
    return "crashed", f"was killed by {name}: {said}"


def _last_words(seen: Seen) -> str:
    """Return the last complaint; of a program that complains on stdout, its last line there."""
    return _last_line(seen.stderr if seen.stderr.strip() else seen.stdout)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
