"""What is made of the records of a run: summary, CSV files, pictures, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hz3py.analysis.pairing import machine_doubts
from hz3py.analysis.summary import Arm, Overall, arms, disagreements, overall
from hz3py.analysis.traces import Trace
from hz3py.errors import StoreError, WorkloadFailedError
from hz3py.report import memory_tables, plots, style
from hz3py.report.curves import traces, typical_curves
from hz3py.report.document import bench_document, memory_document
from hz3py.report.story import Part, about_memory, memory_parts
from hz3py.report.waterfall import waterfall_figure
from hz3py.store.export import frame, write_csv, write_series_csv, write_text
from hz3py.store.records import RunRecord, SampleRecord
from hz3py.store.results import Results

FORMATS = ("png", "svg")


@dataclass(frozen=True)
class Summary:
    """What the records of a run say.

    Attributes:
        records: The samples by row, allocator and block, as planned.
        samples: The same as a frame.
        traces: Resident memory of all samples by row and allocator; empty unless watched for.
        arms: Lines of the result table.
        totals: One line per allocator over all rows.
        document: The JSON document.
        warnings: What makes the figures less certain, one sentence each.
    """

    records: Sequence[SampleRecord]
    samples: pd.DataFrame
    traces: Mapping[tuple[str, str], Sequence[Trace]]
    arms: Sequence[Arm]
    totals: Sequence[Overall]
    document: dict[str, Any]
    warnings: Sequence[str]


@dataclass(frozen=True)
class Published:
    """A run in all its forms.

    Attributes:
        arms: Lines of the result table.
        totals: One line per allocator over all rows.
        document: The JSON document.
        warnings: What makes the figures less certain, one sentence each.
        memory: Tables about memory beyond the result table, with their headings.
        files: Files written, the records first.
        exit_code: 0, or that of a failed workload.
    """

    arms: Sequence[Arm]
    totals: Sequence[Overall]
    document: dict[str, Any]
    warnings: Sequence[str]
    memory: Sequence[Part]
    files: Sequence[Path]
    exit_code: int


def summarise(results: Results, folder: Path) -> Summary:
    """Summarise a run; nothing is written.

    Args:
        results: The records of the run, with at least one sample.
        folder: Its folder.
    """
    records = in_plan_order(results)
    samples = frame(records)
    lines = arms(samples)
    totals = overall(lines)
    watched = about_memory(results.run)
    held = traces(records, idle_times(results.run)) if watched else {}
    short = memory_tables.short_series(records) if watched else []
    doubts = [*results.run.warnings, *_doubts(results, lines), *machine_doubts(samples), *short]
    warnings = list(dict.fromkeys(doubts))
    document = bench_document(
        suite=results.run.suite,
        machine=results.run.machine,
        seconds=sum(end.seconds for end in results.ends),
        warnings=warnings,
        arms=lines,
        totals=totals,
        directory=str(folder),
    )
    if watched:
        document["memory"] = memory_document(records, held, results.run.fixed_kb)
    return Summary(records, samples, held, lines, totals, document, warnings)


def publish(results: Results, folder: Path, *, series: bool = False) -> Published:
    """Summarise a run and write everything that is derived from its records.

    Args:
        results: The records of the run, with at least one sample.
        folder: Its folder.
        series: Whether resident memory over time is exported as CSV too.

    Raises:
        StoreError: A file cannot be written; the records are not touched.
    """
    told = summarise(results, folder)
    files = [folder / "records.jsonl", folder / "summary.json", folder / "samples.csv"]
    write_text(files[1], json.dumps(told.document, indent=2) + "\n")
    write_csv(told.samples, files[2])
    if series:
        files.append(folder / "series.csv")
        write_series_csv(told.records, files[-1])
    files += _draw(results.run, told.records, told.arms, folder)
    memory = memory_parts(told.records, told.traces, results.run) if series else []
    failed = any(line.failed for line in told.arms)
    code = WorkloadFailedError.exit_code if failed else 0
    return Published(
        arms=told.arms,
        totals=told.totals,
        document=told.document,
        warnings=told.warnings,
        memory=memory,
        files=files,
        exit_code=code,
    )


def in_plan_order(results: Results) -> list[SampleRecord]:
    """Return the samples by row, allocator and block, as planned; they were taken shuffled."""
    plan = results.run.plan
    rows = {str(row["label"]): place for place, row in enumerate(plan["rows"])}
    names = {str(entry["name"]): place for place, entry in enumerate(plan["allocators"])}
    return sorted(
        results.samples,
        key=lambda record: (rows[record.label], names[record.allocator], record.block),
    )


def idle_times(run: RunRecord) -> dict[str, float]:
    """Return the seconds of idle time after the work, by row label."""
    return {str(row["label"]): float(row["idle_s"]) for row in run.plan["rows"]}


def _draw(
    run: RunRecord, records: Sequence[SampleRecord], lines: Sequence[Arm], folder: Path
) -> list[Path]:
    curves = typical_curves(records, idle_times(run))
    files: list[Path] = []
    try:
        has_speed = not run.watch.get("idle_s")
        if has_speed and any(line.blocks for line in lines):
            files += style.save(plots.speed_figure(lines), folder / "throughput", FORMATS)
        if curves:
            files += style.save(plots.rss_figure(curves), folder / "rss", FORMATS)
        for number, (arm, account) in enumerate(memory_tables.observations(records).items(), 1):
            if memory_tables.parts_of(account):
                picture = waterfall_figure(account, ", ".join(arm))
                stem = folder / (f"parts-{number}" if number > 1 else "parts")
                files += style.save(picture, stem, FORMATS)
    except OSError as error:
        raise StoreError(
            f"cannot write pictures to {folder}: {error.strerror}",
            "the records are kept; make room and use --resume to write the rest",
        ) from error
    return files


def _doubts(results: Results, lines: Sequence[Arm]) -> list[str]:
    """What the finished samples say about their own certainty."""
    doubts = [
        f"the samples of {label} did not all run the same work; do not compare them"
        for label in disagreements(lines)
    ]
    for line in lines:
        if line.blocks and not line.interposed:
            doubts.append(f"{line.label}: no proof that {line.allocator} served the program")
    for end in results.ends:
        doubts += end.warnings
    if results.torn:
        doubts.append("the last record was cut short and is not counted")
    return doubts
