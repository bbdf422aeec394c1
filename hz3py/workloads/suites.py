"""Suites: TOML files that list rows; read, checked, and resolved for a machine.

A file looks like this::

    schema = 1
    name = "quick"
    summary = "one sentence"
    blocks = 5                     # repetitions unless --blocks says otherwise

    [[rows]]
    label = "mt_remote T{threads} R50"
    workload = "mt_remote"         # or: command = ["python3", "-c", "..."]
    args = ["{threads}", 1000000]  # {threads} becomes the number of threads
    threads = 2                    # its threads; the wanted ones, if {threads} is in args
    touch = "ends"                 # none, ends or full; not with `command`
    idle = 0.3                     # seconds alive after the work
    seconds = 0.5                  # about how long a sample takes, for estimates
    timeout = 120                  # seconds after which a sample counts as hung
    env = {}                       # variables of the program
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hz3py import resources
from hz3py.errors import UsageError
from hz3py.workloads import catalogue, toml_file
from hz3py.workloads.rows import OWN_TOUCH, Row

SCHEMA = 1
THREADS_PER_CPU = 4
"""Rows that ask for more threads per CPU get no more than this, unless `--threads` is given."""

_ROW_KEYS = frozenset(
    {
        "label",
        "workload",
        "command",
        "args",
        "threads",
        "touch",
        "idle",
        "seconds",
        "timeout",
        "env",
    }
)


@dataclass(frozen=True)
class Template:
    """A row of a suite file in which the number of threads is still open."""

    label: str
    workload: str
    args: tuple[str, ...]
    touch: str
    threads: int
    command: str | None
    env: Mapping[str, str]
    idle_s: float
    expected_s: float
    timeout_s: float

    def resolve(self, threads: int, touch: str | None) -> Row:
        """Return the row with `threads` filled in.

        Args:
            threads: Number of threads, used where the row leaves it open.
            touch: Overrides the row's own touch, where the program has a choice.
        """
        count = threads if self.scales else self.threads
        label = self.label.replace("{threads}", str(count))
        chosen = self.touch
        if touch is not None and self._can_choose_touch() and touch != self.touch:
            label, chosen = f"{label} (touch {touch})", touch
        return Row(
            label=label,
            workload=self.workload,
            args=tuple(word.replace("{threads}", str(count)) for word in self.args),
            touch=chosen,
            threads=count,
            command=self.command,
            env=self.env,
            idle_s=self.idle_s,
            expected_s=self.expected_s,
            timeout_s=self.timeout_s,
        )

    @property
    def scales(self) -> bool:
        """Whether the number of threads is left open."""
        return any("{threads}" in word for word in self.args)

    def _can_choose_touch(self) -> bool:
        return self.command is None and self.workload not in catalogue.WRITES_ARE_THE_WORK


@dataclass(frozen=True)
class Suite:
    """A named list of rows.

    Attributes:
        name: The name given to `--suite`.
        summary: What it is for, in one sentence.
        blocks: Repetitions unless the user says otherwise.
        templates: Its rows.
    """

    name: str
    summary: str
    blocks: int
    templates: tuple[Template, ...]


@dataclass(frozen=True)
class Selection:
    """The rows that will run, and what the user should know about the choice.

    Attributes:
        rows: Resolved rows, in the order of the suite.
        notes: One sentence each: threads limited, programs not installed.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def packaged() -> dict[str, Path]:
    """Return the suites that come with the package, by name."""
    return {path.stem: path for path in resources.suite_paths()}


def find(name: str) -> Suite:
    """Load a suite by name, or from a file if `name` is the path of one.

    Raises:
        UsageError: There is no such suite, or its file has a mistake.
    """
    known = packaged()
    if name in known:
        return load(known[name])
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        return load(path)
    choices = f"known suites: {', '.join(sorted(known))}; or give the path of a .toml file"
    if name in resources.workload_names():
        choices = f"it is a workload: choose its rows with --workloads {name}; {choices}"
    raise UsageError(f"unknown suite {name!r}", choices)


def load(path: Path) -> Suite:
    """Read and check a suite file.

    Raises:
        UsageError: The file is missing, is not TOML, or says something that has no meaning.
    """
    return parse(toml_file.read(path, "suite"), str(path), path.stem)


def parse(data: Mapping[str, Any], where: str, name: str) -> Suite:
    """Build a suite from parsed TOML.

    Args:
        data: The file's content.
        where: The file's path, for messages.
        name: Name of the suite if the file gives none.

    Raises:
        UsageError: Something in it has no meaning; the message names the row and the key.
    """
    toml_file.check_schema(data, where, SCHEMA)
    check = Checker(where, data)
    raw_rows = check.take("rows", list, [])
    templates = tuple(template(where, index, row) for index, row in enumerate(raw_rows, 1))
    if not templates:
        raise UsageError(f"{where}: it lists no rows", hint="add at least one [[rows]] table")
    return Suite(
        name=check.take("name", str, name),
        summary=check.take("summary", str, ""),
        blocks=check.positive("blocks", 5),
        templates=templates,
    )


def resolve(
    suite: Suite,
    *,
    cpus: int,
    threads: int | Literal["written"] | None = None,
    touch: str | None = None,
    only: Sequence[str] = (),
    which: Callable[[str], str | None],
) -> Selection:
    """Choose and complete the rows of a suite for this machine.

    Args:
        suite: The suite.
        cpus: CPUs that this process may use, at least 1.
        threads: Threads for every row that leaves them open; None takes the row's own number,
            limited to a few per CPU; "written" takes it as it is.
        touch: Overrides the touch of every packaged workload.
        only: Words; a row is kept if its workload or label contains one of them. Empty keeps all.
        which: Finds a program, as `shutil.which`.

    Raises:
        UsageError: No row is left, or two rows got the same label.
    """
    for word in only:
        if not any(_matches(template, [word]) for template in suite.templates):
            programs = dict.fromkeys(template.workload for template in suite.templates)
            raise UsageError(
                f"suite {suite.name} has no row with the workload {word!r}",
                f"its workloads: {', '.join(programs)}",
            )
    kept = [template for template in suite.templates if _matches(template, only)]
    limit = THREADS_PER_CPU * cpus
    rows: list[Row] = []
    missing: list[str] = []
    limited = 0
    for template in kept:
        if isinstance(threads, int):
            count = threads
        else:
            count = template.threads if threads == "written" else min(template.threads, limit)
        limited += template.scales and count < template.threads
        row = template.resolve(count, touch)
        if row.command is not None and which(row.command) is None:
            missing.append(f"{row.label} needs {row.command}")
            continue
        rows.append(row)
    notes: list[str] = []
    if limited and threads is None:
        notes.append(
            f"{limited} of {len(rows)} rows limited to {limit} threads on this machine; "
            "--threads written lifts the limit"
        )
    if missing:
        notes.append(f"rows left out because a program is not installed: {'; '.join(missing)}")
    if not rows:
        raise UsageError(f"suite {suite.name}: nothing can run here", hint="; ".join(notes))
    _refuse_doubles(rows, suite.name)
    return Selection(tuple(rows), tuple(notes))


def _matches(template: Template, only: Collection[str]) -> bool:
    return not only or any(word in template.label or word in template.workload for word in only)


def _refuse_doubles(rows: Sequence[Row], suite: str) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.label in seen:
            raise UsageError(
                f"suite {suite} has two rows named {row.label!r} with these options",
                hint="give one of them another label, or choose another --threads or --touch",
            )
        seen.add(row.label)


def template(where: str, index: int, data: Any) -> Template:
    """Read one row of a suite or an experiment.

    Args:
        where: The file, for messages.
        index: Number of the row, from 1.
        data: The parsed table.

    Raises:
        UsageError: Something in it has no meaning.
    """
    if not isinstance(data, Mapping):
        raise UsageError(f"{where}: row {index} is not a table")
    check = Checker(f"{where}: row {index}", data)
    unknown = sorted(set(data) - _ROW_KEYS)
    if unknown:
        raise UsageError(
            f"{check.where}: unknown key {unknown[0]!r}",
            hint=f"known keys: {', '.join(sorted(_ROW_KEYS))}",
        )
    words = [str(word) for word in check.take("args", list, [])]
    command: str | None = None
    if "command" in data:
        line = [str(word) for word in check.take("command", list, [])]
        if not line or "workload" in data or "touch" in data:
            raise UsageError(f"{check.where}: `command` is a list, without `workload` or `touch`")
        command, words, workload, touch = line[0], line[1:] + words, Path(line[0]).name, OWN_TOUCH
    else:
        workload = catalogue.check(check.take("workload", str, ""))
        touch = check.take("touch", str, "")
        if touch not in catalogue.TOUCHES:
            raise UsageError(
                f"{check.where}: touch is {touch!r}", hint=f"use {', '.join(catalogue.TOUCHES)}"
            )
    return Template(
        label=check.take("label", str, workload),
        workload=workload,
        args=tuple(words),
        touch=touch,
        threads=check.positive("threads", 1),
        command=command,
        env={str(k): str(v) for k, v in check.take("env", dict, {}).items()},
        idle_s=check.seconds("idle", 0.0),
        expected_s=check.seconds("seconds", 1.0),
        timeout_s=check.seconds("timeout", 120.0),
    )


@dataclass(frozen=True)
class Checker:
    """Takes typed values out of a parsed table; `where` names the table in messages."""

    where: str
    data: Mapping[str, Any]

    def take(self, key: str, kind: type, default: Any) -> Any:
        """Return a value of the given kind."""
        value = self.data.get(key, default)
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise UsageError(f"{self.where}: {key} is {value!r}, not a {kind.__name__}")
        return value

    def positive(self, key: str, default: int) -> int:
        """Return a whole number above 0."""
        value: int = self.take(key, int, default)
        if value < 1:
            raise UsageError(f"{self.where}: {key} is {value}; use 1 or more")
        return value

    def seconds(self, key: str, default: float) -> float:
        """Return a number of seconds, 0 or more."""
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
            raise UsageError(f"{self.where}: {key} is {value!r}; use seconds, 0 or more")
        return float(value)
