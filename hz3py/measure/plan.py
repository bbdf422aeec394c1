"""What a run will do: rows x allocators x blocks, in which order, and how long that may take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hz3py.errors import UsageError
from hz3py.measure import blocks as order
from hz3py.system.allocators import Allocator
from hz3py.workloads.rows import Row

OVERHEAD_S = 0.05
"""Seconds that starting and following one sample takes beyond its own duration, for estimates."""


@dataclass(frozen=True)
class Step:
    """One sample to take.

    Attributes:
        row: What runs.
        allocator: Under which allocator.
        block: Number of the block, from 0.
        position: Place of the allocator within its row and block, from 0.
    """

    row: Row
    allocator: Allocator
    block: int
    position: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Row, allocator and block; unique within a plan."""
        return (*self.arm, self.block)

    @property
    def arm(self) -> tuple[str, str]:
        """Row and allocator."""
        return (self.row.label, self.allocator.name)


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a run does.

    Attributes:
        suite: Name of the suite, or of the user's command.
        rows: The rows, labels unique.
        allocators: The arms of every row, names unique.
        blocks: How often every arm runs, at least 1.
        seed: Seed of the order.
        first_block: Number of the first block; above 0 when blocks are added to earlier ones.
        variables: Name of an allocator to the variables that its samples get, knobs among them.
    """

    suite: str
    rows: tuple[Row, ...]
    allocators: tuple[Allocator, ...]
    blocks: int
    seed: int
    first_block: int = 0
    variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.rows) * len(self.allocators) * self.blocks

    def steps(self) -> Iterator[Step]:
        """Yield all samples in the order in which they are taken."""
        for block in range(self.first_block, self.first_block + self.blocks):
            for row in order.shuffled(self.rows, f"{self.seed}/{block}"):
                arms = order.arm_order(len(self.allocators), block, f"{self.seed}/{row.label}")
                for position, arm in enumerate(arms):
                    yield Step(row, self.allocators[arm], block, position)

    def estimate_s(self) -> float:
        """Return the expected duration in seconds; rough, from the numbers in the suite."""
        return sum(expected_s(step.row) for step in self.steps())

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON-ready data."""
        document: dict[str, Any] = {
            "suite": self.suite,
            "rows": [row.to_json() for row in self.rows],
            "allocators": [_identity(allocator) for allocator in self.allocators],
            "blocks": self.blocks,
            "seed": self.seed,
        }
        if self.variables:
            document["variables"] = {name: dict(env) for name, env in self.variables.items()}
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, Any], present: Sequence[Allocator]) -> Plan:
        """Rebuild the plan of an earlier run with the allocators that are here now.

        Args:
            data: What `to_json` returned.
            present: Allocators found on this machine, the user's own included.

        Raises:
            UsageError: An allocator is gone, or is another file or version than it was.
        """
        by_name = {allocator.name: allocator for allocator in present}
        allocators = tuple(_same(entry, by_name) for entry in data["allocators"])
        return cls(
            suite=str(data["suite"]),
            rows=tuple(Row.from_json(row) for row in data["rows"]),
            allocators=allocators,
            blocks=int(data["blocks"]),
            seed=int(data["seed"]),
        )


def expected_s(row: Row) -> float:
    """Return the expected duration of one sample in seconds, starting it included."""
    return row.expected_s + row.idle_s + OVERHEAD_S


def _same(entry: Mapping[str, Any], present: Mapping[str, Allocator]) -> Allocator:
    name = str(entry["name"])
    allocator = present.get(name)
    if allocator is None or not allocator.installed:
        raise UsageError(
            f"the run used the allocator {name} ({entry['path']}), which is not here any more",
            "install it again, or start a new run",
        )
    if _identity(allocator) != dict(entry):
        raise UsageError(
            f"{name} is not the library that it was when the run began ({entry['path']}, "
            f"version {entry['version']})",
            "samples of two different libraries must not be mixed; start a new run",
        )
    return allocator


def _identity(allocator: Allocator) -> dict[str, Any]:
    """What tells whether two runs measured the same library."""
    path = allocator.path
    return {
        "name": allocator.name,
        "path": None if path is None else str(path),
        "version": allocator.version,
        "sha256": None if path is None else hashlib.sha256(path.read_bytes()).hexdigest(),
    }
