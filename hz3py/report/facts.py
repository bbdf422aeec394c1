"""Tables of facts beside the results: blocks, verdict, allocators, knobs, machine."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.report import numbers
from hz3py.report.charts import Block
from hz3py.report.text import Column, Line, Section, Style, Table

_MACHINE = {
    "cpu": "processor",
    "cpus": "CPUs used",
    "cpus_online": "CPUs online",
    "virtual": "virtual machine",
    "memory_kb": "memory",
    "memory_limit_bytes": "memory limit",
    "swap_total_kb": "swap",
    "system": "system",
    "kernel": "kernel",
    "libc": "C library",
    "machine": "architecture",
    "page_bytes": "page size",
    "thp": "transparent huge pages",
    "thp_defrag": "their compaction",
    "governor": "frequency governor",
    "overcommit": "overcommit",
    "aslr": "address randomisation",
    "load": "load at the start",
    "core_to_core_ns": "from CPU to CPU and back",
    "python": "Python",
    "hz3": "hz3",
    "commit": "commit",
}


def blocks_table(rows: Mapping[str, Sequence[Block]]) -> Table:
    """Return the spread over blocks of every arm: lowest, median and highest figure.

    Args:
        rows: Good samples by row label.
    """
    columns = (
        Column("allocator", number=False),
        Column("blocks"),
        *(Column(f"speed, {word}") for word in ("lowest", "median", "highest")),
        *(Column(f"mean MiB, {word}") for word in ("lowest", "median", "highest")),
    )
    sections = []
    for label, blocks in rows.items():
        lines = []
        for name in dict.fromkeys(block.allocator for block in blocks):
            own = [block for block in blocks if block.allocator == name]
            speeds = _spread([block.speed for block in own], numbers.ratio)
            sizes = _spread([block.mib for block in own], numbers.significant)
            lines.append(Line((name, str(len(own)), *speeds, *sizes)))
        sections.append(Section(label, tuple(lines)))
    return Table(columns, tuple(sections))


def _spread(values: Sequence[float], write: Any) -> tuple[str, str, str]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return (numbers.UNKNOWN,) * 3
    return write(min(known)), write(statistics.median(known)), write(max(known))


def verdict_table(verdict: Mapping[str, Any]) -> Table:
    """Return the criteria of a verdict."""
    columns = (
        Column("metric", number=False),
        Column("workload", number=False),
        Column("ratio"),
        Column("95 % interval"),
        Column("margin"),
        Column("kind", number=False),
        Column("state", number=False),
    )
    lines = tuple(_criterion(entry) for entry in verdict.get("criteria") or ())
    return Table(columns, (Section("", lines),))


def _criterion(entry: Mapping[str, Any]) -> Line:
    bounds = entry.get("ci") or (None, None)
    interval = " to ".join(_figure(bound) for bound in bounds)
    words = [str(entry.get(key, "")) for key in ("metric", "workload")]
    kind, state = (str(entry.get(key, "")) for key in ("kind", "state"))
    ratio, margin = _figure(entry.get("ratio")), _figure(entry.get("margin"))
    good = state.lower() in ("better", "equivalent", "met", "pass", "passed", "ok")
    bad = state.lower() in ("worse", "failed", "fail", "violated")
    style: Style = "best" if good else "failed" if bad else ""
    return Line((*words, ratio, interval, margin, kind, state), style)


def _figure(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else numbers.UNKNOWN


def machine_table(machine: Mapping[str, Any]) -> Table:
    """Return what is known of the machine, in words."""
    lines = tuple(
        Line((title, _fact(key, machine[key])))
        for key, title in _MACHINE.items()
        if machine.get(key) not in (None, "")
    )
    return Table((Column("", number=False), Column("", number=False)), (Section("", lines),))


def _fact(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_kb"):
        return f"{numbers.significant(float(value) / 1024**2)} GiB" if value else "none"
    if key == "memory_limit_bytes":
        return f"{numbers.significant(float(value) / 1024**3)} GiB"
    if key == "core_to_core_ns":
        return f"{value:.0f} ns"
    if isinstance(value, (list, tuple)):
        return ", ".join(f"{number:.2f}" for number in value)
    return f"{value} bytes" if key == "page_bytes" else str(value)


def allocators_table(plan: Mapping[str, Any]) -> Table:
    """Return version, file and checksum of the allocators of a plan."""
    columns = tuple(
        Column(title, number=False) for title in ("allocator", "version", "file", "SHA-256")
    )
    lines = tuple(
        Line(
            (
                str(entry["name"]),
                str(entry.get("version") or numbers.UNKNOWN),
                str(entry.get("path") or "the C library's own"),
                str(entry.get("sha256") or "")[:16],
            )
        )
        for entry in plan["allocators"]
    )
    return Table(columns, (Section("", lines),))


def knobs_table(
    plan: Mapping[str, Any], accounts: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Table | None:
    """Return the knobs that were set or that hz3 reported; None if nothing is known of them.

    Knobs are those of an account (all of them, as hz3 had them at exit), and those that the plan
    sets for an allocator or a row.
    """
    found: dict[str, dict[str, str]] = {}
    for name, values in (plan.get("variables") or {}).items():
        found.setdefault(str(name), {}).update(_words(values))
    for row in plan["rows"]:
        if row.get("env"):
            found.setdefault(str(row["label"]), {}).update(_words(row["env"]))
    for (_, name), account in accounts.items():
        if isinstance(account.get("knobs"), Mapping):
            title = f"{name}, as it had them at exit"
            found.setdefault(title, {}).update(_words(account["knobs"]))
    if not found:
        return None
    columns = (Column("knob", number=False), Column("value", number=False))
    return Table(
        columns,
        tuple(
            Section(title, tuple(Line(pair) for pair in values.items()))
            for title, values in found.items()
        ),
    )


def _words(values: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def rows_table(plan: Mapping[str, Any]) -> Table:
    """Return what ran in each row."""
    columns = (Column("row", number=False), Column("what ran", number=False))
    lines = tuple(
        Line(
            (
                str(row["label"]),
                shlex.join([str(row.get("command") or row["workload"]), *map(str, row["args"])]),
            )
        )
        for row in plan["rows"]
    )
    return Table(columns, (Section("", lines),))
