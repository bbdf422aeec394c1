"""The verdict of an experiment: as a JSON document, as a table, and as a page of the ledger.

The page and the table are made from the document alone, so they can be made again at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hz3py.analysis.criteria import COUNTED
from hz3py.analysis.verdict import Decision, Judgement
from hz3py.report.text import Column, Line, Section, Table

SCHEMA = 1
Document = Mapping[str, Any]


def candidate_document(name: str, decision: Decision) -> dict[str, Any]:
    """Return the part of the document that is about one candidate."""
    return {
        "name": name,
        "verdict": decision.verdict,
        "blocks": decision.blocks,
        "reasons": list(decision.reasons),
    }


def criterion_document(candidate: str, judgement: Judgement) -> dict[str, Any]:
    """Return the part of the document that is about one criterion; unknown figures are null."""
    criterion = judgement.criterion
    return {
        "candidate": candidate,
        "metric": criterion.metric,
        "workload": criterion.workload,
        "kind": criterion.kind,
        "margin": criterion.margin,
        "claim": criterion.sentence(),
        "ratio": _known(judgement.ratio.estimate),
        "ci": [_known(judgement.ratio.low), _known(judgement.ratio.high)],
        "confidence": judgement.confidence,
        "p": _known(judgement.test.p),
        "p_floor": _known(judgement.test.floor),
        "state": judgement.state,
        "met": judgement.met,
        "blocks": judgement.blocks,
        "blocks_needed": judgement.needed,
    }


def verdict_table(document: Document) -> Table:
    """Return one section per candidate with one line per criterion."""
    columns = (
        Column("workload", number=False),
        Column("claim", number=False),
        Column("difference"),
        Column(_interval_title(document)),
        Column("p", optional=True),
        Column("state", number=False),
        Column("met", number=False),
    )
    sections = []
    for candidate in document["candidates"]:
        lines = tuple(
            Line(
                (
                    str(entry["workload"]),
                    str(entry["claim"]),
                    difference(entry),
                    bounds(entry),
                    p_value(entry),
                    str(entry["state"]),
                    answer(entry),
                ),
                "failed" if entry["met"] is False else "",
            )
            for entry in document["criteria"]
            if entry["candidate"] == candidate["name"]
        )
        sections.append(Section(f"{candidate['name']}: {candidate['verdict']}", lines))
    return Table(columns, tuple(sections))


def page(document: Document) -> str:
    """Return the Markdown page of the ledger."""
    parts = [
        f"# {document['experiment']}: {document['verdict']}",
        str(document["question"]),
        *([f"Claimed: {document['source']}"] if document["source"] else []),
        _facts(document),
        "## Arms",
        _arms(document),
        "## Workloads",
        _workloads(document),
        "## Criteria",
        _criteria(document),
        *_decision(document),
        *_listed("## Doubts", document["warnings"]),
    ]
    return "\n\n".join(parts) + "\n"


def index(entries: Sequence[tuple[str, Document]]) -> str:
    """Return the page that lists all verdicts, newest first.

    Args:
        entries: File name of each page, and its document.
    """
    lines = [
        "# Ledger of experiments",
        "",
        "What was claimed, what was measured here, and the verdict. Written by `hz3 ab --index`.",
        "",
        "| date | question | claimed | measured | verdict |",
        "|---|---|---|---|---|",
    ]
    for name, document in sorted(entries, key=lambda entry: entry[1]["time"], reverse=True):
        cells = (
            str(document["time"])[:10],
            f"[{document['question'] or document['experiment']}]({name})",
            str(document["source"]),
            _measured(document),
            f"**{document['verdict']}**",
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return "\n".join(lines) + "\n"


def change(ratio: float | None) -> str:
    """Write a ratio as a signed percentage; a dash if it is not known."""
    return "-" if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def difference(entry: Document) -> str:
    """Write the estimated difference of a criterion; empty for counted metrics."""
    return "" if entry["metric"] == COUNTED else change(entry["ratio"])


def bounds(entry: Document) -> str:
    """Write the interval of a criterion; empty for counted metrics."""
    low, high = entry["ci"]
    if entry["metric"] == COUNTED:
        return ""
    return "-" if low is None or high is None else f"{change(low)} to {change(high)}"


def p_value(entry: Document) -> str:
    """Write the sign-flip p-value, and when it is as small as so few blocks allow."""
    p, floor = entry["p"], entry["p_floor"]
    if p is None:
        return ""
    return f"{p:.2g} (floor)" if p <= floor * (1 + 1e-9) else f"{p:.2g}"


def answer(entry: Document) -> str:
    """Write whether a criterion is met."""
    if entry["met"] is None:
        needed = entry["blocks_needed"]
        return f"undecided, ~{needed} blocks" if needed else "undecided, lies at the margin"
    return "yes" if entry["met"] else "no"


def _interval_title(document: Document) -> str:
    levels = {100 * entry["confidence"] for entry in document["criteria"]} or {95.0}
    return f"{max(levels):.4g} % interval"


def _facts(document: Document) -> str:
    machine = document["machine"]
    commit = document["commit"] or "not from a checkout"
    lines = [
        f"- date: {document['time']}",
        f"- blocks: {document['blocks']}, seed {document['seed']}, {document['seconds']:.0f} s",
        f"- machine: {machine.get('cpu')}, {machine.get('cpus')} CPUs, "
        f"{machine.get('system')}, kernel {machine.get('kernel')}, THP {machine.get('thp')}",
        f"- hz3 {document['version']}, commit {commit}",
        f"- records: {document['records']}",
    ]
    if document["self_check"]:
        lines.append("- a self-check: the baseline against itself")
    return "\n".join(lines)


def _arms(document: Document) -> str:
    lines = ["| arm | allocator | settings |", "|---|---|---|"]
    for arm in document["arms"]:
        settings = {**arm["knobs"], **arm["env"]}
        words = " ".join(f"`{name}={value}`" for name, value in settings.items()) or "defaults"
        lines.append(f"| {arm['name']} | {arm['allocator']} {arm['version']} | {words} |")
    return "\n".join(lines)


def _workloads(document: Document) -> str:
    lines = ["| workload | command | touch |", "|---|---|---|"]
    for row in document["workloads"]:
        words = " ".join(str(word) for word in (row["workload"], *row["args"]))
        lines.append(f"| {row['label']} | `{words}` | {row['touch']} |")
    return "\n".join(lines)


def _criteria(document: Document) -> str:
    lines = [
        f"| candidate | workload | claim | difference | {_interval_title(document)} | p | state "
        "| met |",
        "|---|---|---|---:|---:|---:|---|---|",
    ]
    for entry in document["criteria"]:
        cells = (
            str(entry["candidate"]),
            str(entry["workload"]),
            str(entry["claim"]),
            difference(entry),
            bounds(entry),
            p_value(entry),
            str(entry["state"]),
            answer(entry),
        )
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    lines += ["", "The difference is candidate against baseline, paired block by block."]
    return "\n".join(lines)


def _decision(document: Document) -> list[str]:
    lines = []
    for candidate in document["candidates"]:
        reasons = "".join(f"\n  - {reason}" for reason in candidate["reasons"])
        lines.append(f"- {candidate['name']}: **{candidate['verdict']}**{reasons}")
    return ["## Decision", "\n".join(lines)]


def _listed(title: str, sentences: Sequence[str]) -> list[str]:
    return [title, "\n".join(f"- {sentence}" for sentence in sentences)] if sentences else []


def _measured(document: Document) -> str:
    """The figures of the candidate that fared best, at its worst workload of each metric."""
    names = [
        item["name"] for item in document["candidates"] if item["verdict"] == document["verdict"]
    ]
    if not names:
        return ""
    worst: dict[str, tuple[float, str]] = {}
    for entry in document["criteria"]:
        if entry["candidate"] != names[0] or entry["ratio"] is None:
            continue
        if entry["metric"] == COUNTED:
            continue
        sign = 1 if entry["metric"] == "throughput" else -1
        text = f"{entry['metric']} {change(entry['ratio'])} ({bounds(entry)})"
        figure = (sign * (entry["ratio"] - 1), text)
        worst[entry["metric"]] = min(worst.get(entry["metric"], figure), figure)
    return f"{names[0]}: " + "; ".join(text for _, text in worst.values())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
