"""The loop of a run: plans, resuming, failures, interrupts; with programs that only pretend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hz3py.errors import StoreError, UsageError
from hz3py.measure.bench import FAILURES_TO_GIVE_UP, OFFSET_VARIABLE, Bench, Outcome
from hz3py.measure.forecast import Forecast
from hz3py.measure.plan import Plan, Step, expected_s
from hz3py.measure.progress import Position
from hz3py.measure.run import measure as real_measure
from hz3py.measure.sample import Sample, Status
from hz3py.store.records import SampleRecord
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch
from hz3py.workloads.rows import Row, command_row

SYSTEM = Allocator("system", None, "2.36", True, "", "system")
ROWS = (
    Row(label="one", workload="one", command="/bin/true", expected_s=0.2),
    Row(label="two", workload="two", command="/bin/true", args=("x",), expected_s=0.6),
)


@pytest.fixture
def other(tmp_path: Path) -> Allocator:
    """An allocator that exists as a file only."""
    path = tmp_path / "libother.so"
    path.write_bytes(b"library")
    return Allocator("other", path, "1.0", True, "", "user")


@pytest.fixture
def plan(other: Allocator) -> Plan:
    return Plan("suite", ROWS, (SYSTEM, other), blocks=3, seed=5)


class Clock:
    """A clock that programs move forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Programs:
    """Stands in for `measure`: remembers what was started, and ends as told."""

    def __init__(self, clock: Clock, judge: Callable[[Launch, int], Status] | None = None) -> None:
        self.launches: list[Launch] = []
        self._clock = clock
        self._judge = judge or (lambda _launch, _number: "ok")

    def __call__(self, launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        self.launches.append(launch)
        self._clock.now += 0.5
        status = self._judge(launch, len(self.launches))
        return Sample(status=status, detail="" if status == "ok" else "as told")


class Events:
    """Records the progress of a run."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.positions: list[Position] = []

    def began(self, plan: Plan, position: Position) -> None:
        self.log.append("began")
        self.positions.append(position)

    def sampling(self, step: Step, position: Position) -> None:
        self.log.append("sampling")

    def sampled(self, step: Step, sample: Sample, position: Position) -> None:
        self.log.append(f"sampled {sample.status}")
        self.positions.append(position)

    def gave_up(self, step: Step, reason: str) -> None:
        self.log.append(f"gave up {step.row.label} {step.allocator.name}: {reason}")

    def ended(self, position: Position) -> None:
        self.log.append("ended")
        self.positions.append(position)


class Session:
    """A bench with everything around it pretended."""

    def __init__(self, plan: Plan, judge: Callable[[Launch, int], Status] | None = None) -> None:
        clock = Clock()
        self.programs = Programs(clock, judge)
        self.events = Events()
        self.records: list[SampleRecord] = []
        self.bench = Bench(
            plan,
            "run",
            append=self.records.append,
            measure=self.programs,
            progress=self.events,
            interval_s=0.002,
            clock=clock,
        )

    def run(self, done: frozenset[tuple[str, str, int]] = frozenset()) -> Outcome:
        return self.bench.run(done)


def test_every_arm_runs_once_per_block_and_is_stored(plan: Plan) -> None:
    session = Session(plan)
    outcome = session.run()
    assert outcome == Outcome(complete=True, interrupted=False, failures=0, seconds=6.0)
    assert Counter(record.key for record in session.records) == Counter(
        (row.label, name, block)
        for row in ROWS
        for name in ("system", "other")
        for block in range(3)
    )
    assert [record.block for record in session.records] == sorted(
        record.block for record in session.records
    )
    assert session.events.log[0] == "began"
    assert session.events.log[-1] == "ended"


def test_a_record_says_what_ran(plan: Plan, other: Allocator) -> None:
    session = Session(plan)
    session.run()
    record = next(r for r in session.records if (r.label, r.allocator) == ("two", "other"))
    assert (record.workload, record.args, record.touch) == ("two", ("x",), "none")
    assert (record.version, record.path, record.seed) == ("1.0", str(other.path), 5)
    assert record.sample["status"] == "ok"


def test_the_arms_of_a_row_run_side_by_side_and_change_places(plan: Plan) -> None:
    session = Session(replace(plan, blocks=4))
    session.run()
    labels = [record.label for record in session.records]
    assert all(labels[n] == labels[n + 1] for n in range(0, len(labels), 2))
    places = Counter((r.label, r.allocator, r.position) for r in session.records)
    assert set(places.values()) == {2}


def test_samples_get_environments_of_different_size(plan: Plan) -> None:
    session = Session(plan)
    session.run()
    paddings = [launch.env[OFFSET_VARIABLE] for launch in session.programs.launches]
    assert len({len(padding) for padding in paddings}) > len(paddings) / 2
    assert not OFFSET_VARIABLE.startswith(("HZ3_", "MALLOC_"))


def test_only_missing_samples_are_taken(plan: Plan) -> None:
    first = Session(plan)
    first.run()
    done = frozenset(record.key for record in first.records[:7])
    second = Session(plan)
    outcome = second.run(done)
    assert outcome.complete
    assert {r.key for r in second.records} == {r.key for r in first.records[7:]}
    assert second.events.positions[0].done == 7


def test_an_interrupt_keeps_what_is_finished(plan: Plan) -> None:
    def interrupt(_launch: Launch, number: int) -> Status:
        if number == 4:
            raise KeyboardInterrupt
        return "ok"

    session = Session(plan, interrupt)
    outcome = session.run()
    assert (outcome.interrupted, outcome.complete) == (True, False)
    assert len(session.records) == 3
    assert session.events.log[-1] == "ended"


def test_a_failing_arm_is_given_up_and_the_others_go_on(plan: Plan) -> None:
    session = Session(plan, lambda launch, _n: "crashed" if launch.allocator.path else "ok")
    outcome = session.run()
    assert outcome.complete
    assert outcome.failures == 2 * FAILURES_TO_GIVE_UP
    assert Counter(r.status for r in session.records) == {"ok": 6, "crashed": 4}
    assert [event for event in session.events.log if event.startswith("gave up")] == sorted(
        ["gave up one other: as told", "gave up two other: as told"],
        key=session.events.log.index,
    )
    assert session.events.positions[-1] == Position(12, 12, 0.0)


def test_a_hung_arm_is_given_up_at_once(plan: Plan) -> None:
    session = Session(plan, lambda launch, _n: "timeout" if launch.allocator.path else "ok")
    session.run()
    assert Counter(r.status for r in session.records) == {"ok": 6, "timeout": 2}


def test_a_failure_now_and_then_is_no_reason_to_give_up(plan: Plan) -> None:
    session = Session(plan, lambda _launch, number: "crashed" if number % 2 else "ok")
    session.run()
    assert len(session.records) > 8


def test_an_error_of_the_store_ends_the_run(plan: Plan) -> None:
    def full(_record: SampleRecord) -> None:
        raise StoreError("the disk is full")

    clock = Clock()
    events = Events()
    bench = Bench(
        plan,
        "run",
        append=full,
        measure=Programs(clock),
        progress=events,
        interval_s=0.002,
        clock=clock,
    )
    with pytest.raises(StoreError, match="full"):
        bench.run()
    assert events.log[-1] == "ended"


def test_a_plan_comes_back_from_its_json(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json(), plan.allocators) == plan


def test_a_plan_refuses_another_library_under_the_same_name(plan: Plan, other: Allocator) -> None:
    document = plan.to_json()
    with pytest.raises(UsageError, match="other is not the library"):
        Plan.from_json(document, (SYSTEM, replace(other, version="2.0")))
    with pytest.raises(UsageError, match="which is not here any more"):
        Plan.from_json(document, (SYSTEM,))
    assert other.path is not None
    other.path.write_bytes(b"rebuilt")
    with pytest.raises(UsageError, match="other is not the library"):
        Plan.from_json(document, (SYSTEM, other))


def test_the_forecast_learns_from_what_is_done(plan: Plan) -> None:
    steps = list(plan.steps())
    forecast = Forecast(steps)
    assert forecast.remaining_s() == pytest.approx(sum(expected_s(step.row) for step in steps))
    for step in steps[:-1]:
        forecast.finished(step, 3.0)
    assert forecast.remaining_s() == pytest.approx(3.0)
    forecast.dropped(steps[-1])
    assert forecast.remaining_s() == 0.0


def test_an_unknown_arm_is_expected_to_be_as_wrong_as_the_others(plan: Plan) -> None:
    first, second = (next(s for s in plan.steps() if s.row is row) for row in ROWS)
    forecast = Forecast([first, second])
    forecast.finished(first, 2 * expected_s(first.row))
    assert forecast.remaining_s() == pytest.approx(2 * expected_s(second.row))


def test_a_real_command_under_a_real_allocator(malloc_library: Allocator) -> None:
    row = command_row(("/bin/echo", "hello"), timeout_s=20)
    plan = Plan("echo", (row,), (SYSTEM, malloc_library), blocks=2, seed=1)
    records: list[SampleRecord] = []
    bench = Bench(
        plan,
        "run",
        append=records.append,
        measure=real_measure,
        progress=Events(),
        interval_s=0.002,
    )
    outcome = bench.run()
    assert outcome.failures == 0, [record.sample["detail"] for record in records]
    assert all(record.sample["interposed"] for record in records)
    assert all(record.sample["exec"]["wall_s"] > 0 for record in records)
