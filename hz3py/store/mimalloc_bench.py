"""Results of mimalloc-bench (benchres.csv) as records of a run."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from hz3py.errors import StoreError, UsageError
from hz3py.store.records import EndRecord, Record, RunRecord, SampleRecord

NAMES = {"sys": "system", "mi": "mimalloc", "je": "jemalloc", "tc": "tcmalloc", "tbb": "tbbmalloc"}
"""Short names of mimalloc-bench that mean an allocator we know by another name."""

FIELDS = 8
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")
SUITE = "mimalloc-bench"


@dataclass(frozen=True)
class Line:
    """One line of the file: a finished program.

    Attributes:
        benchmark: Its name.
        allocator: Our name of the allocator, or theirs.
        elapsed_s: Wall time, or for timed programs their relative time.
        peak_kb: Peak resident memory as GNU time saw it.
        user_s: User time.
        system_s: System time.
        major_faults: Faults that read from disk.
        minor_faults: Other faults.
    """

    benchmark: str
    allocator: str
    elapsed_s: float
    peak_kb: float
    user_s: float
    system_s: float
    major_faults: int
    minor_faults: int


def parse(text: str, where: str) -> list[Line]:
    """Read a results file; comments and empty lines are passed over.

    Args:
        text: Its content.
        where: Its path, for messages.

    Raises:
        StoreError: A line has another form, or there is none.
    """
    found = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            found.append(_line(words))
        except ValueError as error:
            raise StoreError(
                f"{where}, line {number}: not a result of mimalloc-bench: {error}",
                "each line has: benchmark allocator elapsed rss user sys faults reclaims",
            ) from error
    if not found:
        raise StoreError(f"{where} holds no results", "give the benchres.csv of mimalloc-bench")
    return found


def read_lines(path: Path) -> list[Line]:
    """Read a results file.

    Raises:
        UsageError: There is no such file.
        StoreError: It cannot be read, or has another form.
    """
    try:
        return parse(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except OSError as error:
        kind = UsageError if isinstance(error, FileNotFoundError) else StoreError
        raise kind(
            f"cannot read {path}: {error.strerror}", "give the benchres.csv of mimalloc-bench"
        ) from error


def records(lines: Sequence[Line], source: str, version: str) -> list[Record]:
    """Return the records of a run that holds the imported results.

    The n-th result of a benchmark under an allocator becomes its n-th block. Mean memory, versions
    and machine are unknown.

    Args:
        lines: At least one.
        source: Where they come from.
        version: Version of hz3.
    """
    run_id = uuid.uuid4().hex
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    labels = list(dict.fromkeys(line.benchmark for line in lines))
    names = list(dict.fromkeys(line.allocator for line in lines))
    counts = Counter((line.benchmark, line.allocator) for line in lines)
    plan = {
        "suite": SUITE,
        "rows": [{"label": label, "idle_s": 0.0} for label in labels],
        "allocators": [{"name": name, "path": None, "version": ""} for name in names],
        "blocks": max(counts.values()),
        "seed": 0,
    }
    warnings = (
        f"imported from {source}: runs were not interleaved, the machine is unknown, and peak "
        "memory is what GNU time saw",
    )
    run = RunRecord(run_id, now, SUITE, plan, {}, ("import", source), version, warnings)
    seen: Counter[tuple[str, str]] = Counter()
    samples = []
    for line in lines:
        key = (line.benchmark, line.allocator)
        samples.append(_sample(line, run_id, now, seen[key], names.index(line.allocator)))
        seen[key] += 1
    return [run, *samples, EndRecord(run_id, now, 0.0, True)]


def _line(words: Sequence[str]) -> Line:
    if len(words) != FIELDS:
        raise ValueError(f"{len(words)} fields instead of {FIELDS}")
    return Line(
        benchmark=words[0],
        allocator=NAMES.get(words[1], words[1]),
        elapsed_s=_seconds(words[2]),
        peak_kb=float(words[3]),
        user_s=float(words[4]),
        system_s=float(words[5]),
        major_faults=int(words[6]),
        minor_faults=int(words[7]),
    )


def _seconds(text: str) -> float:
    """Read [[hours:]minutes:]seconds."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no duration")
    hours, minutes, seconds = found.groups()
    return 3600.0 * int(hours or 0) + 60.0 * int(minutes or 0) + float(seconds)


def _sample(line: Line, run_id: str, time: str, block: int, position: int) -> SampleRecord:
    return SampleRecord(
        run_id=run_id,
        time=time,
        suite=SUITE,
        label=line.benchmark,
        workload=line.benchmark,
        args=(),
        touch="own",
        threads=1,
        allocator=line.allocator,
        version="",
        path=None,
        block=block,
        position=position,
        seed=0,
        sample={
            "status": "ok",
            "detail": "",
            "exec": {
                "wall_s": line.elapsed_s,
                "user_s": line.user_s,
                "sys_s": line.system_s,
                "minor_faults": line.minor_faults,
                "major_faults": line.major_faults,
            },
            "result": None,
            "rss": {
                "mean_kb": None,
                "p95_kb": None,
                "peak_kb": line.peak_kb,
                "idle_kb": None,
                "series": [],
                "sampler_cpu_s": 0.0,
                "samples": 0,
            },
            "interposed": False,
            "malloc_object": "",
            "stdout_tail": "",
            "stderr_tail": "",
        },
    )
