"""Results as tables: a pandas frame for analysis, CSV files for other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from hz3py.errors import StoreError
from hz3py.store.records import SampleRecord

COLUMNS = (
    "label",
    "workload",
    "args",
    "touch",
    "threads",
    "allocator",
    "version",
    "path",
    "block",
    "position",
    "status",
    "detail",
    "interposed",
    "unit",
    "throughput",
    "wall_s",
    "cpu_s",
    "faults",
    "rss_mean_kb",
    "rss_p95_kb",
    "rss_peak_kb",
    "rss_idle_kb",
    "work",
    "time",
    "operations",
    "failed_allocations",
    "program",
    "disturbed",
    "core_to_core_ns",
    "repeats",
)
"""Columns of the frame, one line per sample; samples.csv has all but `work`."""


def frame(samples: Iterable[SampleRecord]) -> pd.DataFrame:
    """Return one line per sample, with the columns of `COLUMNS`.

    `args` is a tuple of words; `work` is what the program says it ran (its effective arguments, as
    canonical JSON), the same text for the same work; figures that a failed sample does not have
    are NaN. Throughput is in `unit`, sizes are in KiB, times in seconds;
    `core_to_core_ns` is in nanoseconds.
    """
    lines = [_line(record) for record in samples]
    columns = {column: [line[column] for line in lines] for column in COLUMNS}
    table: pd.DataFrame = pd.DataFrame(columns)
    return table


def _line(record: SampleRecord) -> dict[str, Any]:
    sample = record.sample
    launch: Mapping[str, Any] = sample.get("exec") or {}
    result: Mapping[str, Any] = sample.get("result") or {}
    rss: Mapping[str, Any] = sample.get("rss") or {}
    return {
        "label": record.label,
        "workload": record.workload,
        "args": record.args,
        "touch": record.touch,
        "threads": record.threads,
        "allocator": record.allocator,
        "version": record.version,
        "path": record.path,
        "block": record.block,
        "position": record.position,
        "status": record.status,
        "detail": sample.get("detail", ""),
        "interposed": bool(sample.get("interposed", False)),
        "unit": result.get("unit", "1/s"),
        "throughput": _throughput(result, launch) if record.status == "ok" else float("nan"),
        "wall_s": launch.get("wall_s", float("nan")),
        "cpu_s": launch.get("user_s", float("nan")) + launch.get("sys_s", float("nan")),
        "faults": launch.get("minor_faults", float("nan")) + launch.get("major_faults", 0),
        "rss_mean_kb": _number(rss.get("mean_kb")),
        "rss_p95_kb": _number(rss.get("p95_kb")),
        "rss_peak_kb": _number(rss.get("peak_kb")),
        "rss_idle_kb": _number(rss.get("idle_kb")),
        "work": _work(result),
        "time": record.time,
        "operations": _number(result.get("ops")),
        "failed_allocations": _number(result.get("failed")),
        "program": record.program,
        "disturbed": " ".join(record.disturbed),
        "core_to_core_ns": _number(record.core_to_core_ns),
        "repeats": record.repeats,
    }


def _throughput(result: Mapping[str, Any], launch: Mapping[str, Any]) -> float:
    """What the program reports; for a program that reports nothing, one over its wall time."""
    if result:
        return float(result["throughput"])
    wall_s = launch.get("wall_s") or 0.0
    return 1.0 / wall_s if wall_s > 0 else float("nan")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _work(result: Mapping[str, Any]) -> str:
    keys = ("workload", "args", "touch", "threads", "seed")
    return json.dumps({key: result.get(key) for key in keys}, sort_keys=True) if result else ""


def write_csv(samples: pd.DataFrame, path: Path) -> None:
    """Write the frame as CSV, arguments joined by spaces, without what a program says it ran.

    Raises:
        StoreError: The file cannot be written.
    """
    plain = samples.assign(args=[" ".join(words) for words in samples["args"]])
    write_text(path, plain.drop(columns="work").to_csv(index=False))


def write_series_csv(samples: Iterable[SampleRecord], path: Path) -> None:
    """Write resident memory over time, one line per reading, of all samples that have it.

    Raises:
        StoreError: The file cannot be written.
    """
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(("label", "allocator", "block", "time_s", "rss_kb"))
    for record in samples:
        series = (record.sample.get("rss") or {}).get("series", ())
        for seconds, kb in series:
            table.writerow((record.label, record.allocator, record.block, seconds, kb))
    write_text(path, buffer.getvalue())


def write_text(path: Path, text: str) -> None:
    """Replace a file of the run's folder, whole or not at all.

    Raises:
        StoreError: The file cannot be written.
    """
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write {path}: {error.strerror}",
            hint=_what_to_try(error, path),
        ) from error


def _what_to_try(error: OSError, path: Path) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return f"the records are kept; make the folder {path.parent}, or name another one"
    return "the records are kept; make room, or name another folder"
