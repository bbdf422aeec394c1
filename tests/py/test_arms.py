"""Arms: knobs and variables reach the samples, blocks can be added, a stop rule is asked."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from hz3py.errors import UsageError
from hz3py.measure.arms import Arm, plan_of, run_blocks
from hz3py.measure.identity import program_identity
from hz3py.measure.sample import Sample
from hz3py.store.records import SampleRecord, decode, encode
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch
from hz3py.workloads.rows import Row

SYSTEM = Allocator("system", None, "2.36", True, "", "system")
ROWS = (
    Row(label="one", workload="one", command="/bin/true"),
    Row(label="two", workload="two", command="/bin/true"),
)
ARMS = (
    Arm("baseline", SYSTEM),
    Arm("candidate", SYSTEM, {"shards": 8, "stash_spill": False}, {"MALLOC_ARENA_MAX": "1"}),
)


class Programs:
    """Stands in for `measure` and remembers what was started."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []

    def __call__(self, launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        self.launches.append(launch)
        return Sample(status="ok")


def test_knobs_and_variables_of_an_arm_reach_its_samples_alone() -> None:
    programs = Programs()
    kept: list[SampleRecord] = []
    taken = run_blocks(ARMS, ROWS, blocks=2, seed=1, append=kept.append, measure=programs)
    assert taken.outcome.complete
    assert list(taken.records) == kept
    for launch, record in zip(programs.launches, kept, strict=True):
        given = {"HZ3_SHARDS": "8", "HZ3_STASH_SPILL": "0", "MALLOC_ARENA_MAX": "1"}
        expected = given if record.allocator == "candidate" else {}
        assert record.env == expected
        assert {key: launch.env[key] for key in given if key in launch.env} == expected
    assert Counter((record.label, record.allocator) for record in kept) == dict.fromkeys(
        [(row.label, arm.name) for row in ROWS for arm in ARMS], 2
    )


def test_added_blocks_continue_the_order_of_the_first_ones() -> None:
    def order(*parts: tuple[int, int]) -> list[tuple[str, str, int, int]]:
        records: list[SampleRecord] = []
        for first, count in parts:
            run_blocks(
                ARMS,
                ROWS,
                blocks=count,
                first_block=first,
                seed=7,
                append=records.append,
                measure=Programs(),
            )
        return [(item.label, item.allocator, item.block, item.position) for item in records]

    assert order((0, 2), (2, 3), (5, 1)) == order((0, 6))


def test_a_stop_rule_is_asked_after_every_whole_block() -> None:
    asked: list[int] = []

    def enough(blocks: int) -> bool:
        asked.append(blocks)
        return blocks == 3

    taken = run_blocks(
        ARMS, ROWS, blocks=9, seed=1, append=lambda _: None, measure=Programs(), enough=enough
    )
    assert asked == [1, 2, 3]
    assert len(taken.records) == 3 * len(ARMS) * len(ROWS)
    assert taken.outcome.complete


def test_names_must_be_unique() -> None:
    with pytest.raises(UsageError, match="two arms are called 'baseline'"):
        plan_of("s", (ARMS[0], ARMS[0]), ROWS, blocks=1, seed=1)
    with pytest.raises(UsageError, match="two rows are called 'one'"):
        plan_of("s", ARMS, (ROWS[0], ROWS[0]), blocks=1, seed=1)


def test_the_program_of_a_sample_is_known_by_its_content(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"one")
    first = program_identity(str(program))
    assert first.startswith(f"{program} ")
    program.write_bytes(b"other")
    assert program_identity(str(program)) != first
    assert program_identity(str(tmp_path / "absent")) == str(tmp_path / "absent")


def test_records_of_an_older_hz3_have_no_variables_and_are_read() -> None:
    kept: list[SampleRecord] = []
    run_blocks(ARMS, ROWS[:1], blocks=1, seed=1, append=kept.append, measure=Programs())
    line = encode(kept[0])
    assert decode(line, "here") == kept[0]
    older = line.replace('"disturbed":[],', "").replace('"program":', '"unheard_of":')
    older = older.replace('"env":', '"also_unheard_of":').replace(',"disturbed":[]', "")
    older = re.sub(',"core_to_core_ns":[^,}]*', "", older)
    record = decode(older, "here")
    assert isinstance(record, SampleRecord)
    assert (record.env, record.program, record.disturbed) == ({}, "", ())
    assert record.core_to_core_ns is None
