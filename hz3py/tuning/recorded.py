"""Blocks that a killed session has recorded: they are used again instead of measured again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hz3py.tuning.blocks import DEFAULT_ARM, Block, Blocks, arms_of, compare

if TYPE_CHECKING:
    from hz3py.store.records import SampleRecord
    from hz3py.system.allocators import Allocator
    from hz3py.tuning.space import Knobs
    from hz3py.tuning.task import Task


class Recorded:
    """Stands before what measures, and answers for every block that is whole in the records.

    A block counts only if its samples are of the same rows and the same knobs as those asked for.
    """

    def __init__(
        self,
        measure: Blocks,
        task: Task,
        allocator: Allocator,
        samples: Iterable[SampleRecord],
    ) -> None:
        """Take over what an earlier process has left.

        Args:
            measure: Takes the blocks that are not there.
            task: What is measured.
            allocator: hz3.
            samples: The records of the session, the latest of each row, arm and block.
        """
        self._measure = measure
        self._task = task
        self._allocator = allocator
        self._samples: dict[int, dict[tuple[str, str], SampleRecord]] = {}
        for sample in samples:
            self._samples.setdefault(sample.block, {})[sample.label, sample.allocator] = sample

    def __call__(
        self, candidates: Sequence[Knobs], number: int, *, task: Task | None = None
    ) -> list[Block]:
        """Return the block as it is recorded, or measure it."""
        found = self._found(candidates, number, task or self._task)
        return self._measure(candidates, number, task=task) if found is None else found

    def _found(self, candidates: Sequence[Knobs], number: int, task: Task) -> list[Block] | None:
        samples = self._samples.get(number)
        if samples is None:
            return None
        arms = arms_of(candidates, self._allocator)
        records = []
        for row in task.rows:
            for arm in arms:
                record = samples.get((row.label, arm.name))
                if (
                    record is None
                    or record.args != row.args
                    or dict(record.env) != arm.variables
                    or (arm.name == DEFAULT_ARM and record.status != "ok")
                ):
                    return None
                records.append(record)
        return compare(records, [arm.name for arm in arms[1:]])
