"""From the text of an experiment to what can be run: arms, rows, criteria, looks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from hz3py.analysis import criteria as claims
from hz3py.analysis.criteria import Criterion, Kind
from hz3py.analysis.looks import Look, automatic_looks, fixed_look
from hz3py.cli import knob_values
from hz3py.errors import UnfitMachineError, UsageError
from hz3py.measure.arms import Arm, plan_of
from hz3py.measure.plan import Plan
from hz3py.system.allocators import Allocator, find
from hz3py.workloads.experiments import ArmSpec, Experiment
from hz3py.workloads.rows import Row

AGAIN = "again"
"""Name of the candidate of a self-check: the baseline once more."""


@dataclass(frozen=True)
class Setup:
    """An experiment that is ready to run.

    Attributes:
        experiment: What was written.
        arms: The baseline, then the candidates.
        rows: The workloads.
        criteria: What must be true of a candidate, for single workloads.
        looks: When to judge, the last one at the end.
        budget_s: Most time for measuring, in seconds.
        self_check: Whether the baseline is measured against itself.
        seed: Seed of the order.
    """

    experiment: Experiment
    arms: tuple[Arm, ...]
    rows: tuple[Row, ...]
    criteria: tuple[Criterion, ...]
    looks: tuple[Look, ...]
    budget_s: float
    self_check: bool
    seed: int

    @property
    def name(self) -> str:
        """Name of the run."""
        return f"{self.experiment.name}-self-check" if self.self_check else self.experiment.name

    @property
    def plan(self) -> Plan:
        """The longest run that may come of it."""
        blocks = self.looks[-1].blocks
        return plan_of(self.name, self.arms, self.rows, blocks=blocks, seed=self.seed)

    @property
    def metrics(self) -> list[str]:
        """The metrics that are judged."""
        return list(dict.fromkeys(criterion.metric for criterion in self.criteria))

    def identity(self) -> dict[str, Any]:
        """Return what must not change when a run is gone on with."""
        return {
            **self.plan.to_json(),
            "criteria": [criterion.sentence() for criterion in self.criteria],
            "looks": [[look.blocks, look.confidence] for look in self.looks],
            "self_check": self.self_check,
        }


def prepare(
    experiment: Experiment,
    *,
    blocks: int | Literal["auto"] | None,
    budget_minutes: float | None,
    self_check: bool,
    seed: int,
) -> Setup:
    """Check an experiment against this machine and make it ready.

    Args:
        experiment: What was written.
        blocks: Overrides its number of blocks.
        budget_minutes: Overrides its budget.
        self_check: Measure the baseline against itself.
        seed: Seed of the order.

    Raises:
        UsageError: A knob, workload, metric, kind or allocator is wrong.
        UnfitMachineError: Something is not installed.
    """
    rows = experiment.rows(len(os.sched_getaffinity(0)), shutil.which)
    for row in rows:
        row.argv()
    criteria = _criteria(experiment, rows)
    specs = [experiment.baseline, *experiment.candidates]
    if self_check:
        specs = [specs[0], replace(specs[0], name=AGAIN)]
        criteria = claims.for_self_check(criteria)
    arms = tuple(_arm(spec) for spec in specs)
    return Setup(
        experiment=experiment,
        arms=arms,
        rows=rows,
        criteria=tuple(claims.expand(criteria, [row.label for row in rows])),
        looks=_looks(experiment.blocks if blocks is None else blocks, len(arms)),
        budget_s=60 * (experiment.budget_minutes if budget_minutes is None else budget_minutes),
        self_check=self_check,
        seed=seed,
    )


def _looks(blocks: int | Literal["auto"], arms: int) -> tuple[Look, ...]:
    families = arms - 1
    if blocks == "auto":
        return automatic_looks(families=families, step=arms)
    return fixed_look(blocks, families=families)


def _criteria(experiment: Experiment, rows: Sequence[Row]) -> list[Criterion]:
    labels = [row.label for row in rows]
    made = []
    for spec in experiment.criteria:
        criterion = Criterion(spec.metric, cast("Kind", spec.kind), spec.margin, spec.workload)
        made.append(claims.check(criterion, labels))
        if spec.metric == "rss_idle":
            wanted = [row for row in rows if spec.workload in (row.label, claims.ALL, claims.MEAN)]
            without = [row.label for row in wanted if row.idle_s == 0]
            if without:
                raise UsageError(
                    f"{experiment.name}: rss_idle of {without[0]} is never measured",
                    "give the workload an `idle` time, for example 0.3",
                )
    return made


def _arm(spec: ArmSpec) -> Arm:
    allocator = _allocator(spec)
    if spec.knobs:
        if allocator.name != "hz3" and "hz3" not in Path(allocator.path or "").name:
            raise UsageError(
                f"arm {spec.name}: {spec.allocator} has no knobs",
                "knobs are hz3's; set variables of other allocators under env",
            )
        values = {
            name: str(int(value)) if isinstance(value, bool) else str(value)
            for name, value in spec.knobs.items()
        }
        try:
            knob_values.variables([f"{name}={value}" for name, value in values.items()])
        except UsageError as error:
            raise UsageError(f"arm {spec.name}: {error}", error.hint) from error
    return Arm(spec.name, allocator, spec.knobs, spec.env)


def _allocator(spec: ArmSpec) -> Allocator:
    if "/" in spec.allocator:
        path = Path(os.path.expanduser(spec.allocator)).absolute()
        name = path.name.partition(".")[0]
        return find([name], {name: path})[0]
    allocator = find([spec.allocator])[0]
    if not allocator.installed:
        raise UnfitMachineError(
            f"arm {spec.name}: {spec.allocator} is not installed", allocator.install_hint
        )
    return allocator
