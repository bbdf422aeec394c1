"""`hz3 doctor --measure`: one allocator against itself shows what this machine can tell apart."""

from __future__ import annotations

import time
from typing import Any

from hz3py.analysis.pairing import evidence
from hz3py.analysis.resolution import Resolution, resolution
from hz3py.cli import session as sessions
from hz3py.cli.console import out
from hz3py.cli.live import progress
from hz3py.cli.session import new_seed
from hz3py.cli.show import show
from hz3py.errors import WorkloadFailedError
from hz3py.measure.arms import Arm, run_blocks
from hz3py.measure.plan import expected_s
from hz3py.report.numbers import duration, plural
from hz3py.report.text import Column, Line, Section, Table
from hz3py.store.export import frame
from hz3py.store.records import SampleRecord
from hz3py.system.allocators import Allocator, find
from hz3py.workloads.rows import Row

ROWS = (
    Row(
        label="random_mixed",
        workload="random_mixed",
        args=("12000000", "400", "16", "2048"),
        touch="ends",
        expected_s=0.15,
    ),
    Row(
        label="mt_remote",
        workload="mt_remote",
        args=("2", "1000000", "400", "16", "2048", "50", "65536"),
        touch="ends",
        threads=2,
        expected_s=0.15,
    ),
)
METRICS = ("throughput", "cpu", "rss_mean", "rss_peak")
ARMS = ("once", "again")
FEWEST_BLOCKS = 4


def measure_resolution(seconds: float) -> dict[str, Any]:
    """Measure one allocator against itself for a while.

    Args:
        seconds: About how long; four blocks are taken in any case.

    Raises:
        WorkloadFailedError: A workload failed.
    """
    allocator = _allocator()
    block_s = len(ARMS) * sum(expected_s(row) for row in ROWS)
    most = max(FEWEST_BLOCKS, round(seconds / block_s))
    start_s = time.monotonic()

    def enough(blocks: int) -> bool:
        return blocks >= FEWEST_BLOCKS and time.monotonic() - start_s > seconds

    records: list[SampleRecord] = []
    with sessions.stoppable():
        taken = run_blocks(
            [Arm(name, allocator) for name in ARMS],
            ROWS,
            blocks=most,
            seed=new_seed(),
            append=records.append,
            suite="self-check",
            enough=enough,
            progress=progress(),
        )
    if taken.outcome.interrupted:
        raise KeyboardInterrupt
    for record in records:
        if record.status != "ok":
            raise WorkloadFailedError(
                f"{record.label}: {record.status}: {record.sample.get('detail', '')}",
                "see `hz3 doctor` for what is missing",
            )
    return _document(allocator, records, taken.outcome.seconds)


def show_resolution(document: dict[str, Any]) -> None:
    """Print what the machine can tell apart."""
    columns = (
        Column("metric", number=False),
        Column("spread"),
        Column("against itself"),
        Column("told apart now"),
        Column("for 1 %"),
        Column("for 2 %"),
        Column("for 5 %"),
    )
    rows: dict[str, list[Line]] = {}
    for entry in document["metrics"]:
        low, high = entry["ci"]
        needs = [_need(entry["seconds_needed"][key]) for key in ("0.01", "0.02", "0.05")]
        cells = (
            entry["metric"],
            f"{100 * entry['spread']:.1f} %",
            f"{100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %",
            f"{100 * entry['smallest']:.1f} %",
            *needs,
        )
        style = Line(cells, "failed" if entry["biased"] else "")
        rows.setdefault(entry["workload"], []).append(style)
    out()
    out(
        f"{document['allocator']} against itself, {plural(document['blocks'], 'block')} in "
        f"{duration(document['seconds'])}"
    )
    show(Table(columns, tuple(Section(name, tuple(lines)) for name, lines in rows.items())))
    out()
    out("spread: of one block's ratio; told apart now: the smallest difference that so many blocks")
    out("resolve with 80 % chance; the last columns: measuring time for two arms of this workload")
    if document["disturbed"]:
        out(f"{document['disturbed']} of {document['samples']} samples were disturbed")


def _need(seconds: float | None) -> str:
    return "out of reach" if seconds is None else duration(seconds)


def _allocator() -> Allocator:
    """hz3 if it is installed, else the system malloc: the machine is asked, not the allocator."""
    hz3 = find(["hz3"])[0]
    return hz3 if hz3.installed else find(["system"])[0]


def _document(allocator: Allocator, records: list[SampleRecord], seconds: float) -> dict[str, Any]:
    samples = frame(records)
    blocks = int(samples["block"].nunique())
    found = evidence(samples, ARMS[0], ARMS[1], METRICS).log_ratios
    judged = [
        item
        for row in ROWS
        for metric in METRICS
        if (item := resolution(metric, row.label, found[metric, row.label])) is not None
    ]
    return {
        "allocator": allocator.name,
        "blocks": blocks,
        "samples": len(records),
        "disturbed": sum(bool(record.disturbed) for record in records),
        "seconds": round(seconds, 1),
        "metrics": [_entry(item, _block_seconds(samples, item.row)) for item in judged],
    }


def _block_seconds(samples: Any, row: str) -> float:
    """Return how long one block of two arms of a row takes, starting programs included."""
    own = samples[samples["label"] == row]
    return len(ARMS) * (float(own["wall_s"].mean()) + 0.05)


def _entry(item: Resolution, block_s: float) -> dict[str, Any]:
    return {
        "metric": item.metric,
        "workload": item.row,
        "spread": item.spread,
        "ratio": item.difference.estimate,
        "ci": [item.difference.low, item.difference.high],
        "biased": item.biased,
        "smallest": item.smallest,
        "blocks_needed": {f"{target:g}": count for target, count in item.blocks.items()},
        "seconds_needed": {
            f"{target:g}": None if count is None else round(count * block_s, 1)
            for target, count in item.blocks.items()
        },
    }
