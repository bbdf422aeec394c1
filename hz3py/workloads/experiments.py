"""Experiments: TOML files that put one question to a baseline and its candidates.

A file looks like this::

    schema = 1
    name = "stash"
    question = "Does the owner's stash speed up remote frees?"
    source = "Who claimed what, in our words"
    blocks = "auto"                # or a number
    budget_minutes = 4             # most time for measuring

    [baseline]
    name = "transfer"              # "baseline" if not given
    allocator = "hz3"              # a known name, or the path of a library
    knobs = { remote_route = "transfer" }
    env = {}                       # further variables

    [[candidates]]
    name = "stash"
    knobs = { remote_route = "owner_stash" }

    [[workloads]]                  # the keys of a suite's rows
    workload = "mt_remote"
    args = [2, 1000000]
    touch = "ends"

    [[criteria]]
    metric = "throughput"
    kind = "superiority"           # or non-inferiority, equivalence
    margin = 0.10                  # a fraction of the baseline
    workload = "all"               # each of them; or "mean", or a label
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hz3py import resources
from hz3py.errors import UsageError
from hz3py.workloads import toml_file
from hz3py.workloads.rows import Row
from hz3py.workloads.suites import THREADS_PER_CPU, Checker, Template, template

SCHEMA = 1
DEFAULT_BUDGET_MINUTES = 10.0
_KEYS = frozenset(
    {
        "schema",
        "name",
        "question",
        "source",
        "blocks",
        "budget_minutes",
        "baseline",
        "candidates",
        "workloads",
        "criteria",
    }
)
_ARM_KEYS = frozenset({"name", "allocator", "knobs", "env"})
_CRITERION_KEYS = frozenset({"metric", "kind", "margin", "workload"})


@dataclass(frozen=True)
class ArmSpec:
    """An arm as it is written in a file.

    Attributes:
        name: Its name.
        allocator: A known name, or the path of a library.
        knobs: Knob to value.
        env: Further variables.
    """

    name: str
    allocator: str
    knobs: Mapping[str, str | int | bool] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CriterionSpec:
    """A criterion as it is written in a file; its words are checked by whoever judges."""

    metric: str
    kind: str
    margin: float
    workload: str


@dataclass(frozen=True)
class Experiment:
    """One question, and how it is to be answered.

    Attributes:
        name: Short name, for folders.
        question: One sentence.
        source: Who claimed what; may be empty.
        baseline: What the candidates are compared with.
        candidates: At least one.
        templates: The rows.
        criteria: At least one.
        blocks: Number of blocks, or "auto".
        budget_minutes: Most time for measuring.
    """

    name: str
    question: str
    source: str
    baseline: ArmSpec
    candidates: tuple[ArmSpec, ...]
    templates: tuple[Template, ...]
    criteria: tuple[CriterionSpec, ...]
    blocks: int | Literal["auto"]
    budget_minutes: float

    def rows(self, cpus: int, which: Callable[[str], str | None]) -> tuple[Row, ...]:
        """Return the rows for this machine.

        Args:
            cpus: CPUs that this process may use.
            which: Finds a program, as `shutil.which`.

        Raises:
            UsageError: A program is not installed, or two rows have the same label.
        """
        limit = THREADS_PER_CPU * cpus
        rows = tuple(item.resolve(min(item.threads, limit), None) for item in self.templates)
        for row in rows:
            if row.command is not None and which(row.command) is None:
                raise UsageError(
                    f"{row.label} needs {row.command}, which is not installed",
                    "install it, or leave the workload out",
                )
        _refuse_doubles("workloads", [row.label for row in rows], self.name)
        return rows


def packaged() -> dict[str, Path]:
    """Return the experiments that come with the package, by file name."""
    return {path.stem: path for path in resources.experiment_paths()}


def find(name: str) -> Experiment:
    """Load an experiment from a file, or a packaged one by its name.

    Raises:
        UsageError: There is none, or its file has a mistake.
    """
    path = Path(name)
    known = packaged()
    if not path.exists() and name in known:
        path = known[name]
    choices = ", ".join(sorted(known)) or "none (not installed)"
    data = toml_file.read(path, "experiment", f"give a .toml file, or one of {choices}")
    return parse(data, str(path), path.stem)


def parse(data: Mapping[str, Any], where: str, name: str) -> Experiment:
    """Build an experiment from parsed TOML.

    Args:
        data: The file's content.
        where: The file's path, for messages.
        name: Name of the experiment if the file gives none.

    Raises:
        UsageError: Something in it has no meaning; the message names the table and the key.
    """
    toml_file.check_schema(data, where, SCHEMA)
    check = _checker(where, data, _KEYS)
    raw_rows = _some(check, "workloads")
    baseline = _arm(f"{where}: [baseline]", check.take("baseline", dict, {}), "baseline")
    candidates = tuple(
        _arm(f"{where}: candidate {place}", raw, "candidate")
        for place, raw in enumerate(_some(check, "candidates"), 1)
    )
    _refuse_doubles("arms", [arm.name for arm in (baseline, *candidates)], where)
    return Experiment(
        name=check.take("name", str, name),
        question=check.take("question", str, ""),
        source=check.take("source", str, ""),
        baseline=baseline,
        candidates=candidates,
        templates=tuple(template(where, place, raw) for place, raw in enumerate(raw_rows, 1)),
        criteria=tuple(
            _criterion(f"{where}: criterion {place}", raw)
            for place, raw in enumerate(_some(check, "criteria"), 1)
        ),
        blocks=_blocks(check),
        budget_minutes=check.seconds("budget_minutes", DEFAULT_BUDGET_MINUTES),
    )


def _some(check: Checker, key: str) -> Sequence[Any]:
    found: Sequence[Any] = check.take(key, list, [])
    if not found:
        raise UsageError(f"{check.where}: it lists no {key}", f"add at least one [[{key}]] table")
    return found


def _arm(where: str, data: Any, name: str) -> ArmSpec:
    check = _checker(where, data, _ARM_KEYS)
    knobs = check.take("knobs", dict, {})
    for knob, value in knobs.items():
        if not isinstance(value, (str, int)):
            raise UsageError(f"{where}: knob {knob} is {value!r}, not a number, word or boolean")
    return ArmSpec(
        name=check.take("name", str, name),
        allocator=check.take("allocator", str, "hz3"),
        knobs=knobs,
        env={str(key): str(value) for key, value in check.take("env", dict, {}).items()},
    )


def _criterion(where: str, data: Any) -> CriterionSpec:
    check = _checker(where, data, _CRITERION_KEYS)
    margin = data.get("margin", 0.0)
    if isinstance(margin, bool) or not isinstance(margin, (int, float)):
        raise UsageError(f"{where}: margin is {margin!r}, not a fraction such as 0.02")
    return CriterionSpec(
        metric=check.take("metric", str, ""),
        kind=check.take("kind", str, "non-inferiority"),
        margin=float(margin),
        workload=check.take("workload", str, "all"),
    )


def _blocks(check: Checker) -> int | Literal["auto"]:
    if check.data.get("blocks", "auto") == "auto":
        return "auto"
    return check.positive("blocks", 1)


def _checker(where: str, data: Any, keys: frozenset[str]) -> Checker:
    if not isinstance(data, Mapping):
        raise UsageError(f"{where} is not a table")
    unknown = sorted(set(data) - keys)
    if unknown:
        raise UsageError(
            f"{where}: unknown key {unknown[0]!r}", hint=f"known keys: {', '.join(sorted(keys))}"
        )
    return Checker(where, data)


def _refuse_doubles(what: str, names: Sequence[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{where}: two {what} are called {twice[0]!r}", "give each its own name")
