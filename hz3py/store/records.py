"""The records of a results file: one JSON object per line, each with its schema and kind.

A file holds one `run` record (what was planned, on which machine), then `sample` records (one
finished process each), and one `end` record per time that the run was left (finished or not).
Records are never changed: resuming a run appends further samples and another end.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from hz3py.errors import StoreError

SCHEMA = 1
"""Version of the records. Readers accept this and every older one."""


@dataclass(frozen=True)
class RunRecord:
    """What a run set out to do; the first line of its file.

    Attributes:
        run_id: Random name of the run, in every record of it.
        time: When it began, ISO 8601 in UTC.
        suite: Name of the suite, or of the user's command.
        plan: Rows, allocators, blocks and seed (`hz3py.measure.plan`), enough to go on with it.
        machine: Description of the machine.
        argv: The command line that started it.
        version: Version of hz3.
        warnings: What made the machine or the run doubtful at its start.
        fixed_kb: Resident KiB of a program that does nothing, by allocator; empty if not measured.
        watch: How memory is watched beyond the readings: `idle_s`, `mark` (a pattern), `observe`.
    """

    kind: ClassVar[str] = "run"

    run_id: str
    time: str
    suite: str
    plan: Mapping[str, Any]
    machine: Mapping[str, Any]
    argv: tuple[str, ...]
    version: str
    warnings: tuple[str, ...] = ()
    fixed_kb: Mapping[str, float] = field(default_factory=dict)
    watch: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleRecord:
    """One finished process.

    Attributes:
        run_id: The run it belongs to.
        time: When it ended, ISO 8601 in UTC.
        suite: Name of the suite.
        label: Name of the row, unique within the run.
        workload: Program of the row.
        args: Its arguments as given.
        touch: How much of each block it wrote.
        threads: Threads that the row asked for.
        allocator: Name of the allocator.
        version: Version of the allocator.
        path: File of the allocator; None for the system malloc.
        block: Number of the block, from 0.
        position: Place of the allocator among those of its row in this block, from 0.
        seed: Seed of the order of the run.
        sample: The measurement itself (`hz3py.measure.sample`), as JSON.
        env: Variables that the arm sets, its knobs among them.
        program: Which program file ran: its path, and a digest of what is in it.
        disturbed: What disturbed the machine meanwhile; one word each, none if it was quiet.
        core_to_core_ns: Just before it, how long a cache line took from one CPU to another and
            back; None if unknown.
        repeats: How often it was taken before, and dropped because the CPUs moved meanwhile.
    """

    kind: ClassVar[str] = "sample"

    run_id: str
    time: str
    suite: str
    label: str
    workload: str
    args: tuple[str, ...]
    touch: str
    threads: int
    allocator: str
    version: str
    path: str | None
    block: int
    position: int
    seed: int
    sample: Mapping[str, Any]
    env: Mapping[str, str] = field(default_factory=dict)
    program: str = ""
    disturbed: tuple[str, ...] = ()
    core_to_core_ns: float | None = None
    repeats: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """Row, allocator and block: the place of the sample in its plan."""
        return (self.label, self.allocator, self.block)

    @property
    def status(self) -> str:
        """The status of the sample; "ok" if it counts."""
        return str(self.sample["status"])


@dataclass(frozen=True)
class EndRecord:
    """The run was left: it is complete, or was interrupted.

    Attributes:
        run_id: The run.
        time: When, ISO 8601 in UTC.
        seconds: Time spent since the run was started or resumed.
        complete: Whether nothing of the plan is missing.
        machine: Cheap machine state at this time (load, swap, throttling).
        warnings: What became doubtful meanwhile.
    """

    kind: ClassVar[str] = "end"

    run_id: str
    time: str
    seconds: float
    complete: bool
    machine: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerdictRecord:
    """What an experiment decided; the last one in a file counts.

    Attributes:
        run_id: The run.
        time: When, ISO 8601 in UTC.
        document: The document that `hz3 ab --json` prints.
    """

    kind: ClassVar[str] = "verdict"

    run_id: str
    time: str
    document: Mapping[str, Any]


Record: TypeAlias = "RunRecord | SampleRecord | EndRecord | VerdictRecord"

_KINDS: dict[str, type[RunRecord | SampleRecord | EndRecord | VerdictRecord]] = {
    cls.kind: cls for cls in (RunRecord, SampleRecord, EndRecord, VerdictRecord)
}
_TUPLES = ("argv", "args", "warnings", "disturbed")


def encode(record: Record) -> str:
    """Return the record as one line of JSON, without the line end."""
    document = {"schema": SCHEMA, "kind": record.kind, **asdict(record)}
    try:
        return json.dumps(document, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(document), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the data with null for numbers that JSON does not have (a program printed NaN)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def decode(line: str, where: str) -> Record | None:
    """Build the record that a line holds.

    Keys that this version does not know are ignored: they may be added, never renamed.

    Args:
        line: One line of a results file.
        where: File and line number, for messages.

    Returns:
        The record; None if it is of a kind that this version does not know.

    Raises:
        ValueError: The line is not JSON (a torn write, for example).
        StoreError: It is JSON, but no record of a schema that can be read.
    """
    document = json.loads(line)
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, int):
        raise StoreError(
            f"{where}: this is not an hz3 results file", hint="give the folder of a run of hz3"
        )
    if schema > SCHEMA:
        raise StoreError(
            f"{where}: the record has schema {schema}, this hz3 reads up to {SCHEMA}",
            hint="it was written by a newer hz3; update hz3 to read it",
        )
    cls = _KINDS.get(document.get("kind", ""))
    if cls is None:
        return None
    known = {item.name: document[item.name] for item in fields(cls) if item.name in document}
    for key in _TUPLES:
        if key in known:
            known[key] = tuple(known[key])
    try:
        return cls(**known)
    except TypeError as error:
        raise StoreError(f"{where}: the record is not complete: {error}") from error
