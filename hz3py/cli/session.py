"""A run from plan to pictures: what `hz3 bench` and `hz3 rss` share."""

from __future__ import annotations

import re
import shlex
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from hz3py.cli.console import note
from hz3py.cli.live import progress
from hz3py.errors import UsageError
from hz3py.measure.bench import Bench, Measure, Outcome
from hz3py.measure.plan import Plan
from hz3py.measure.run import measure
from hz3py.store.records import EndRecord, RunRecord
from hz3py.store.results import RESULTS_FOLDER, Writer
from hz3py.system import machine
from hz3py.system.allocators import find
from hz3py.system.finding import Finding
from hz3py.system.health import check_all, check_run

DEFAULT_INTERVAL_S = 0.002


@dataclass(frozen=True)
class Session:
    """A run that is open for writing.

    Attributes:
        plan: What to do.
        run: The first record of its file.
        writer: Its file, locked for us.
        done: Row, allocator and block of the samples that need not be taken.
    """

    plan: Plan
    run: RunRecord
    writer: Writer
    done: frozenset[tuple[str, str, int]] = frozenset()


def start(
    plan: Plan,
    folder: Path | None,
    warnings: Sequence[str],
    described: Mapping[str, Any] | None = None,
    *,
    watch: Mapping[str, Any] | None = None,
    fixed_kb: Mapping[str, float] | None = None,
) -> Session:
    """Create the folder of a new run and write its first record.

    Args:
        plan: What to do.
        folder: Where results go; None makes ./hz3-results/<time>-<suite>.
        warnings: What is doubtful already.
        described: What the record says of the plan, if that is more than the plan itself.
        watch: How memory is watched, as in `RunRecord`.
        fixed_kb: Resident KiB of a program that does nothing, by allocator.

    Raises:
        StoreError: The folder cannot be written, or holds a run already.
        UnfitMachineError: A workload program is not installed.
    """
    for row in plan.rows:
        row.argv()
    now = datetime.now(timezone.utc)
    run = RunRecord(
        run_id=uuid.uuid4().hex,
        time=now.isoformat(timespec="milliseconds"),
        suite=plan.suite,
        plan=plan.to_json() if described is None else described,
        machine=machine.describe(),
        argv=tuple(sys.argv[1:]),
        version=machine.hz3_version() or "unknown",
        warnings=(*warnings, *_doubts()),
        fixed_kb=dict(fixed_kb or {}),
        watch=dict(watch or {}),
    )
    return Session(plan, run, Writer.create(folder or new_folder(plan.suite), run))


def resume(folder: Path) -> Session:
    """Open an earlier run to take the samples that are missing or failed.

    Raises:
        StoreError: There is none, it is damaged, or another process writes to it.
        UsageError: An allocator has changed since.
    """
    writer, results = Writer.resume(folder)
    try:
        entries: Sequence[Mapping[str, Any]] = results.run.plan["allocators"]
        own = {str(entry["name"]): Path(entry["path"]) for entry in entries if entry["path"]}
        present = find([str(entry["name"]) for entry in entries], own)
        plan = Plan.from_json(results.run.plan, present)
    except KeyError as error:
        writer.close()
        raise UsageError(f"the plan of {folder} lacks {error}", "start a new run") from error
    except BaseException:
        writer.close()
        raise
    done = frozenset(record.key for record in results.samples if record.status == "ok")
    return Session(plan, results.run, writer, done)


def take(session: Session, interval_s: float = DEFAULT_INTERVAL_S) -> Outcome:
    """Take the samples of a session, write its end record, and release its folder.

    Args:
        session: An open session.
        interval_s: First distance of the readings of resident memory, in seconds.

    Raises:
        StoreError: A record could not be written.
    """
    with session.writer as writer, stoppable():
        before = machine.snapshot()
        bench = Bench(
            session.plan,
            session.run.run_id,
            append=writer.append,
            measure=_measure(session.run.watch),
            progress=progress(),
            interval_s=interval_s,
        )
        outcome = bench.run(session.done)
        writer.append(end_record(session.run, outcome, before, []))
    return outcome


def _measure(watch: Mapping[str, Any]) -> Measure:
    mark = watch.get("mark")
    return partial(
        measure,
        idle_s=float(watch.get("idle_s") or 0.0),
        mark=None if mark is None else re.compile(str(mark)),
        observe=bool(watch.get("observe")),
    )


def end_record(
    run: RunRecord, outcome: Outcome, before: Mapping[str, Any], warnings: Sequence[str]
) -> EndRecord:
    """Return the record that ends a run.

    Args:
        run: Its first record.
        outcome: How it ended.
        before: Snapshot of the machine when it began.
        warnings: What became doubtful, beside the machine.
    """
    after = machine.snapshot()
    disturbed = [sentence(finding) for finding in check_run(before, after)]
    return EndRecord(
        run_id=run.run_id,
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        seconds=round(outcome.seconds, 3),
        complete=outcome.complete,
        machine={"before": before, "after": after},
        warnings=(*warnings, *disturbed),
    )


@contextmanager
def stoppable() -> Iterator[None]:
    """Let every request to end (a closed terminal, a service that stops) end a run in order."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler or signal.SIG_DFL)


def new_seed() -> int:
    """Return a seed for the order of a run, another one each time."""
    return time.time_ns() % 2**31


def sentence(finding: Finding) -> str:
    """Write a finding of the machine's health as one line."""
    return f"{finding.check}: {finding.value}; {finding.meaning}"


def _doubts() -> list[str]:
    """What makes this machine's figures less certain now."""
    return [sentence(finding) for finding in check_all() if finding.state != "ok"]


def new_folder(suite: str) -> Path:
    """Return a folder that does not exist yet: ./hz3-results/<time>-<suite>."""
    stem = f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{re.sub(r'[^A-Za-z0-9._-]+', '-', suite)}"
    folder = Path(RESULTS_FOLDER) / stem
    number = 2
    while folder.exists():
        folder = Path(RESULTS_FOLDER) / f"{stem}-{number}"
        number += 1
    return folder


def announce_interrupt(plan: Plan, folder: Path, taken: int, command: str) -> None:
    """Say what an interrupted run keeps and how to go on with it."""
    note(f"interrupted; {taken} of {plan.size} samples are kept in {folder}")
    note(f"go on with: hz3 {command} --resume {shlex.quote(str(folder))}")
