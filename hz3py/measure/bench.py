"""The loop of a run: take the samples of a plan one by one, each stored before the next starts.

One process at a time is measured. Whatever a workload does wrong is a result too: its sample is
stored with a status, and the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import groupby
from typing import Any, Protocol

from hz3py.measure.blocks import environment_offset
from hz3py.measure.forecast import Forecast
from hz3py.measure.identity import program_identity
from hz3py.measure.plan import Plan, Step
from hz3py.measure.progress import Position, Progress
from hz3py.measure.sample import Sample
from hz3py.measure.steady import THIS_MACHINE, SteadyCores
from hz3py.store.records import SampleRecord
from hz3py.system import machine
from hz3py.system.health import disturbances
from hz3py.system.launch import Launch

OFFSET_VARIABLE = "BENCH_ENVIRONMENT_OFFSET"
"""Variable that carries the padding; not an HZ3_ name, so that no allocator reads it."""

KEPT_OUTPUT_CHARACTERS = 2000

FAILURES_TO_GIVE_UP = 2
"""An arm that failed so often in a row is left out of the remaining blocks."""


MOST_REPEATS = 2
"""So often a sample is taken again because the CPUs did not stay as near during it.

Whether that happened is told by the CPUs alone; the figures of the sample are not looked at.
"""


class Measure(Protocol):
    """Takes one sample; `hz3py.measure.run.measure` is the real one."""

    def __call__(self, launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        """Run the program to its end; failures are in the sample's status, never raised."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        complete: Whether no sample of the plan is missing (given-up arms do not count).
        interrupted: Whether the user stopped it.
        failures: Number of samples of this session whose status is not "ok".
        seconds: Time that this session took.
    """

    complete: bool
    interrupted: bool
    failures: int
    seconds: float


class Bench:
    """Runs a plan, or what is missing of it."""

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        *,
        append: Callable[[SampleRecord], None],
        measure: Measure,
        progress: Progress,
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
        snapshot: Callable[[], Mapping[str, Any]] = machine.snapshot,
        cores: SteadyCores = THIS_MACHINE,
    ) -> None:
        """Prepare a run; nothing starts before `run`.

        Args:
            plan: What to do.
            run_id: Name of the run, for its records.
            append: Stores one record durably; may raise StoreError.
            measure: Takes one sample.
            progress: Is told what happens.
            interval_s: First distance of the readings of resident memory, in seconds.
            clock: Seconds that only grow.
            snapshot: State of the machine, taken before and after each sample.
            cores: Knows how far the CPUs are from each other, and waits for what is usual.
        """
        self._plan = plan
        self._run_id = run_id
        self._append = append
        self._measure = measure
        self._progress = progress
        self._interval_s = interval_s
        self._clock = clock
        self._snapshot = snapshot
        self._cores = cores
        self._failed_in_a_row: dict[tuple[str, str], int] = {}
        self._given_up: set[tuple[str, str]] = set()

    def run(
        self,
        done: Collection[tuple[str, str, int]] = (),
        enough: Callable[[int], bool] | None = None,
    ) -> Outcome:
        """Take every sample that is not done yet.

        The user's interrupt (KeyboardInterrupt) ends the run early and is not raised: what was
        finished is stored, the sample that was going on is dropped.

        Args:
            done: Row, allocator and block of the samples that exist already.
            enough: Is asked after each whole block, with the number of whole blocks so far, whether
                to leave the rest out; None takes the whole plan.

        Raises:
            StoreError: A record could not be stored.
        """
        planned = list(self._plan.steps())
        missing = [step for step in planned if step.key not in done]
        tally = _Tally(len(planned), len(planned) - len(missing), Forecast(missing))
        start = self._clock()
        interrupted = False
        self._progress.began(self._plan, tally.position())
        try:
            for block, steps in groupby(missing, key=lambda step: step.block):
                for step in steps:
                    self._advance(step, tally)
                if enough is not None and enough(block + 1):
                    tally.leave_out_the_rest()
                    break
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._progress.ended(tally.position())
        return Outcome(
            complete=tally.done == tally.total,
            interrupted=interrupted,
            failures=tally.failures,
            seconds=self._clock() - start,
        )

    def _advance(self, step: Step, tally: _Tally) -> None:
        """Take one sample, or pass over it if its arm was given up."""
        if step.arm in self._given_up:
            tally.passed(step)
            return
        self._progress.sampling(step, tally.position())
        start = self._clock()
        sample = self._take(step)
        tally.took(step, self._clock() - start, failed=sample.status != "ok")
        self._progress.sampled(step, sample, tally.position())
        self._judge(step, sample)

    def _take(self, step: Step) -> Sample:
        """Take the sample, and again while the CPUs moved during it; the last one is stored."""
        repeats = 0
        record, sample = self._try(step)
        while repeats < MOST_REPEATS and sample.status == "ok" and "cores" in record.disturbed:
            repeats += 1
            record, sample = self._try(step)
        self._append(replace(record, repeats=repeats))
        return sample

    def _try(self, step: Step) -> tuple[SampleRecord, Sample]:
        padding = "x" * environment_offset(f"{self._plan.seed}/{step.key}")
        launch = Launch(
            argv=step.row.argv(),
            allocator=step.allocator,
            env={**step.row.env, **self._variables(step), OFFSET_VARIABLE: padding},
            timeout_s=step.row.timeout_s,
        )
        # A program that reports nothing may have any number of threads.
        threaded = step.row.threads > 1 or not step.row.expects_json
        distance_ns = self._cores.wait() if threaded else self._cores.distance_ns()
        before = {**self._snapshot(), "core_to_core_ns": distance_ns}
        sample = self._measure(
            launch, expect_json=step.row.expects_json, interval_s=self._interval_s
        )
        after = dict(self._snapshot())
        if threaded:
            after["core_to_core_ns"] = self._cores.distance_ns()
        disturbed = disturbances(before, after)
        record = self._record(step, sample)
        return replace(record, disturbed=disturbed, core_to_core_ns=distance_ns), sample

    def _variables(self, step: Step) -> Mapping[str, str]:
        return self._plan.variables.get(step.allocator.name, {})

    def _record(self, step: Step, sample: Sample) -> SampleRecord:
        path = step.allocator.path
        return SampleRecord(
            run_id=self._run_id,
            time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            suite=self._plan.suite,
            label=step.row.label,
            workload=step.row.workload,
            args=step.row.args,
            touch=step.row.touch,
            threads=step.row.threads,
            allocator=step.allocator.name,
            version=step.allocator.version,
            path=None if path is None else str(path),
            block=step.block,
            position=step.position,
            seed=self._plan.seed,
            sample=_trimmed(sample).to_json(),
            env=dict(self._variables(step)),
            program=program_identity(step.row.argv()[0]),
        )

    def _judge(self, step: Step, sample: Sample) -> None:
        """Count failures in a row; a hung arm is given up at once, it costs too much time."""
        if sample.status == "ok":
            self._failed_in_a_row[step.arm] = 0
            return
        count = self._failed_in_a_row.get(step.arm, 0) + 1
        self._failed_in_a_row[step.arm] = count
        if sample.status == "timeout" or count >= FAILURES_TO_GIVE_UP:
            self._given_up.add(step.arm)
            self._progress.gave_up(step, sample.detail)


def _trimmed(sample: Sample) -> Sample:
    """Keep only the end of what the program printed; records are for figures."""
    return replace(
        sample,
        stdout_tail=sample.stdout_tail[-KEPT_OUTPUT_CHARACTERS:],
        stderr_tail=sample.stderr_tail[-KEPT_OUTPUT_CHARACTERS:],
    )


@dataclass
class _Tally:
    """How far this session has come."""

    total: int
    done: int
    forecast: Forecast
    failures: int = 0

    def took(self, step: Step, seconds: float, *, failed: bool) -> None:
        self.forecast.finished(step, seconds)
        self.done += 1
        self.failures += failed

    def passed(self, step: Step) -> None:
        self.forecast.dropped(step)
        self.done += 1

    def leave_out_the_rest(self) -> None:
        """Take what is there for all there is: the question is answered."""
        self.forecast = Forecast(())
        self.total = self.done

    def position(self) -> Position:
        return Position(self.done, self.total, self.forecast.remaining_s())
