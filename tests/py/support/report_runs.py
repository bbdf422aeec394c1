"""Runs made of invented records, for the tests of the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hz3py.store.records import EndRecord, RunRecord, SampleRecord
from hz3py.store.results import Writer

ACCOUNT: dict[str, Any] = {
    "parts": {"live": 3 << 20, "thread_caches": 1 << 20, "metadata": 1 << 19, "stash": 0},
    "resident_bytes": (4 << 20) + (1 << 19),
    "kernel_resident_bytes": 5 << 20,
    "classes": [{"size": 16, "live": 12_345}, {"size": 32, "live": 7}],
    "segments": {"open": 3},
    "counters": {"stash_push": 1_234_567},
    "knobs": {"shards": 8},
}
MACHINE = {"cpu": "Imagined CPU", "cpus": 2, "system": "Some Linux", "memory_kb": 1 << 20}


def write_run(
    folder: Path,
    *,
    rows: tuple[str, ...] = ("small", "large"),
    allocators: tuple[str, ...] = ("hz3", "system", "mine"),
    blocks: int = 3,
    suite: str = "quick",
    argv: tuple[str, ...] = ("bench",),
    detail: str = "",
    command: str | None = None,
    marks: tuple[tuple[str, float], ...] = (),
    account: Mapping[str, Any] | None = None,
    **run: Any,
) -> Path:
    """Write a run; `detail` makes the last allocator of the last row fail with these words."""
    plan_rows = [
        {"label": row, "workload": row, "args": ["--x", row], "command": command, "idle_s": 0.0}
        for row in rows
    ]
    names = [{"name": name, "path": f"/lib/{name}.so", "version": "1"} for name in allocators]
    record = RunRecord(
        run_id="r",
        time="2026-01-02T03:04:05+00:00",
        suite=suite,
        plan={"rows": plan_rows, "allocators": names, "blocks": blocks, "seed": 1},
        machine=MACHINE,
        argv=argv,
        version="1.2.3",
        warnings=("a warning <b>of the start</b>",),
        **run,
    )
    with Writer.create(folder, record) as writer:
        for block in range(blocks):
            for row in rows:
                for place, name in enumerate(allocators):
                    fails = bool(detail) and row == rows[-1] and name == allocators[-1]
                    sample = _sample(block, place, detail if fails else "", marks)
                    if account is not None and name == "hz3":
                        sample["observation"] = dict(account)
                    writer.append(_record(suite, row, name, block, sample))
        writer.append(EndRecord("r", record.time, 1.5, True))
    return folder


def _record(suite: str, row: str, name: str, block: int, sample: dict[str, Any]) -> SampleRecord:
    return SampleRecord(
        run_id="r",
        time="",
        suite=suite,
        label=row,
        workload=row,
        args=("--x", row),
        touch="full",
        threads=1,
        allocator=name,
        version="1",
        path=f"/lib/{name}.so",
        block=block,
        position=0,
        seed=1,
        sample=sample,
    )


def _sample(
    block: int, place: int, detail: str, marks: tuple[tuple[str, float], ...]
) -> dict[str, Any]:
    if detail:
        return {"status": "crashed", "detail": detail, "exec": {}, "result": None, "rss": None}
    level = 1024.0 * (place + 1)
    series = [(at / 100, level + 10 * at + 5 * block) for at in range(101)]
    return {
        "status": "ok",
        "detail": "",
        "exec": {"wall_s": 1.0, "user_s": 0.5, "sys_s": 0.1, "minor_faults": 10 + place},
        "result": {"unit": "ops/s", "throughput": 1e6 * (3 - place) * (1 + 0.01 * block)},
        "interposed": True,
        "rss": {
            "mean_kb": level + 500,
            "p95_kb": level + 950,
            "peak_kb": level + 1000,
            "idle_kb": None,
            "series": series,
            "sampler_cpu_s": 0.004,
            "samples": 101,
            "anon_kb": [0.75 * kb for _, kb in series],
            "marks": [list(mark) for mark in marks],
            "quiet": [{"at_s": 0.9, "pss": level, "anon": level - 100, "lazy_free": 8.0}],
            "interval_s": 0.01,
        },
    }
