"""Arms: an allocator with its knobs, measured against others in the same blocks.

`run_blocks` is what experiments and the tuner are made of: it takes some more blocks of some arms
on some rows, appends each record to a store, and returns them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hz3py.errors import UsageError
from hz3py.measure.bench import Bench, Measure, Outcome
from hz3py.measure.plan import Plan
from hz3py.measure.progress import Progress, Silence
from hz3py.measure.run import measure as measure_process
from hz3py.store.records import SampleRecord
from hz3py.system.allocators import Allocator
from hz3py.workloads.rows import Row

KNOB_PREFIX = "HZ3_"
INTERVAL_S = 0.002


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    Attributes:
        name: Its name, unique among the arms; records carry it as their allocator.
        allocator: What provides malloc.
        knobs: Knob to value; they reach the program as HZ3_* variables.
        environment: Further variables.
    """

    name: str
    allocator: Allocator
    knobs: Mapping[str, str | int | bool] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """All variables that the arm sets."""
        knobs = {KNOB_PREFIX + name.upper(): _text(value) for name, value in self.knobs.items()}
        return {**knobs, **self.environment}

    def described(self) -> str:
        """Write allocator, version and settings as one phrase."""
        settings = " ".join(f"{name}={_text(value)}" for name, value in self.knobs.items())
        others = " ".join(f"{name}={value}" for name, value in self.environment.items())
        words = (self.allocator.name, self.allocator.version, settings, others)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Taken:
    """What some blocks brought.

    Attributes:
        records: The samples, in the order in which they were taken; failed ones too.
        outcome: How the taking ended.
    """

    records: tuple[SampleRecord, ...]
    outcome: Outcome


def plan_of(
    suite: str,
    arms: Sequence[Arm],
    rows: Sequence[Row],
    *,
    blocks: int,
    seed: int,
    first_block: int = 0,
) -> Plan:
    """Plan blocks in which every arm runs every row once, in balanced and shuffled order.

    Args:
        suite: Name of the experiment, for the records.
        arms: At least one, names unique.
        rows: At least one, labels unique.
        blocks: How many blocks.
        seed: Seed of the order; the same for all blocks of an experiment.
        first_block: Number of the first block; that of the earlier ones when blocks are added.

    Raises:
        UsageError: Two arms or two rows have the same name.
    """
    for what, names in (
        ("arms", [arm.name for arm in arms]),
        ("rows", [row.label for row in rows]),
    ):
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise UsageError(f"two {what} are called {min(twice)!r}", "give each its own name")
    return Plan(
        suite=suite,
        rows=tuple(rows),
        allocators=tuple(replace(arm.allocator, name=arm.name) for arm in arms),
        blocks=blocks,
        seed=seed,
        first_block=first_block,
        variables={arm.name: arm.variables for arm in arms if arm.variables},
    )


def run_blocks(
    arms: Sequence[Arm],
    rows: Sequence[Row],
    *,
    blocks: int,
    seed: int,
    append: Callable[[SampleRecord], None],
    first_block: int = 0,
    suite: str = "arms",
    run_id: str = "",
    done: Collection[tuple[str, str, int]] = (),
    enough: Callable[[int], bool] | None = None,
    measure: Measure = measure_process,
    progress: Progress | None = None,
    interval_s: float = INTERVAL_S,
) -> Taken:
    """Run every arm once per row and block, and append each record before the next sample.

    To add blocks later, call again with `first_block` at the number of blocks that are there and
    the same `seed`: positions stay balanced. An interrupt ends the taking early and is told by
    `outcome.interrupted`. A failing program is a record with its status, never an exception.

    Args:
        arms: The sides, names unique.
        rows: The workloads, labels unique.
        blocks: How many blocks to take now.
        seed: Seed of the order.
        append: Stores one record durably; may raise StoreError.
        first_block: Number of the first block to take.
        suite: Name for the records.
        run_id: Name of the run for the records; a new one if empty.
        done: Row, arm and block of samples that need not be taken.
        enough: Is asked after each whole block, with the number of whole blocks counted from block
            0, whether to stop.
        measure: Takes one sample.
        progress: Is told what happens; nobody if None.
        interval_s: First distance of the readings of resident memory, in seconds.

    Raises:
        UsageError: Two arms or two rows have the same name.
        StoreError: A record could not be stored.
    """
    records: list[SampleRecord] = []

    def keep(record: SampleRecord) -> None:
        append(record)
        records.append(record)

    bench = Bench(
        plan_of(suite, arms, rows, blocks=blocks, seed=seed, first_block=first_block),
        run_id or uuid.uuid4().hex,
        append=keep,
        measure=measure,
        progress=progress or Silence(),
        interval_s=interval_s,
    )
    outcome = bench.run(done, enough)
    return Taken(tuple(records), outcome)


def _text(value: str | int | bool) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
