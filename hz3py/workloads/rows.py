"""One row of a benchmark: a workload (or any command) with everything that fixes its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hz3py import resources

OWN_TOUCH = "own"
"""The `touch` of a command of the user: it writes to its memory as it likes."""


@dataclass(frozen=True)
class Row:
    """One line of the result table, before allocators are put beside it.

    Attributes:
        label: Name of the row, unique within a run.
        workload: Name of the packaged program, or of the user's command.
        args: Arguments as given to the program, options included.
        touch: How much of each block is written: none, ends, full, or own (the user's command).
        threads: Number of threads that the row asks for.
        command: The user's program; None for a packaged workload.
        env: Variables the program needs beyond the allocator's own.
        idle_s: Seconds the program stays alive after its work.
        expected_s: Rough duration of one sample, for estimates only.
        timeout_s: Seconds after which a sample counts as hung.
    """

    label: str
    workload: str
    args: tuple[str, ...] = ()
    touch: str = "none"
    threads: int = 1
    command: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    idle_s: float = 0.0
    expected_s: float = 1.0
    timeout_s: float = 120.0

    @property
    def expects_json(self) -> bool:
        """Whether the program prints a result line; a user's command does not."""
        return self.command is None

    def argv(self) -> tuple[str, ...]:
        """Return the command line of one sample.

        Raises:
            Hz3Error: The packaged program is not installed.
        """
        if self.command is not None:
            return (self.command, *self.args)
        program: Path = resources.workload_path(self.workload)
        idle = ("--idle", f"{self.idle_s:g}") if self.idle_s > 0 else ()
        return (str(program), *self.args, "--touch", self.touch, *idle)

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "label": self.label,
            "workload": self.workload,
            "args": list(self.args),
            "touch": self.touch,
            "threads": self.threads,
            "command": self.command,
            "env": dict(self.env),
            "idle_s": self.idle_s,
            "expected_s": self.expected_s,
            "timeout_s": self.timeout_s,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """Build a row from what `to_json` returned.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            label=str(data["label"]),
            workload=str(data["workload"]),
            args=tuple(str(value) for value in data["args"]),
            touch=str(data["touch"]),
            threads=int(data["threads"]),
            command=data["command"],
            env=dict(data["env"]),
            idle_s=float(data["idle_s"]),
            expected_s=float(data["expected_s"]),
            timeout_s=float(data["timeout_s"]),
        )


def command_row(argv: tuple[str, ...], timeout_s: float) -> Row:
    """Return the row that measures a command of the user by its wall time.

    Args:
        argv: The program and its arguments, at least one word.
        timeout_s: Seconds after which a sample counts as hung.
    """
    name = Path(argv[0]).name
    return Row(
        label=name,
        workload=name,
        args=argv[1:],
        touch=OWN_TOUCH,
        command=argv[0],
        timeout_s=timeout_s,
    )
