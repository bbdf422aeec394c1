"""An experiment from its first block to its verdict: looks, doubts, document."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import pandas as pd

from hz3py.analysis.looks import Look, look_at
from hz3py.analysis.pairing import different_work, evidence, machine_doubts, order_doubts
from hz3py.analysis.verdict import Decision, decide, overall
from hz3py.cli.experiment import Setup
from hz3py.errors import WorkloadFailedError
from hz3py.report.numbers import plural
from hz3py.report.verdict import SCHEMA, candidate_document, criterion_document
from hz3py.store.export import frame
from hz3py.store.records import RunRecord, SampleRecord

FEWEST_BLOCKS = 3


def judge(setup: Setup, samples: pd.DataFrame, look: Look) -> dict[str, Decision]:
    """Judge every candidate.

    Raises:
        UsageError: A metric was not measured.
    """
    baseline = setup.arms[0].name
    return {
        arm.name: decide(setup.criteria, evidence(samples, baseline, arm.name, setup.metrics), look)
        for arm in setup.arms[1:]
    }


def kept(samples: Sequence[SampleRecord], *, exclude_unfit: bool) -> pd.DataFrame:
    """Return the frame of the samples that count.

    Args:
        samples: All samples of the run.
        exclude_unfit: Leave out what was measured while the machine was disturbed, by the rule of
            `hz3py.system.health.disturbances`.
    """
    table = frame(samples)
    return table[table["disturbed"] == ""] if exclude_unfit else table


def refuse_unusable(samples: pd.DataFrame) -> None:
    """Refuse a comparison whose programs failed or did not do the same work.

    Raises:
        WorkloadFailedError: They did; the message names the row.
    """
    bad = samples[samples["status"] != "ok"]
    if len(bad):
        first = bad.iloc[0]
        raise WorkloadFailedError(
            f"{first['label']} under {first['allocator']}: {first['status']}: {first['detail']} "
            f"({plural(len(bad), 'sample')} failed)",
            "no verdict without complete pairs; the records say more",
        )
    complaints = different_work(samples)
    if complaints:
        raise WorkloadFailedError(
            f"the arms did not run the same work: {complaints[0]}",
            "a ratio of different work means nothing; rebuild, and start a new run",
        )


class StopRule:
    """Decides after each whole block whether an experiment is done.

    It looks only where a look was planned, so that looking does not make errors likelier; time and
    failures end it at any block.
    """

    def __init__(
        self,
        setup: Setup,
        samples: Sequence[SampleRecord],
        *,
        exclude_unfit: bool,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            setup: The experiment.
            samples: Grows while the run goes on.
            exclude_unfit: As in `kept`.
            tell: Receives a sentence at each look.
            clock: Seconds that only grow.
        """
        self._setup = setup
        self._samples = samples
        self._exclude_unfit = exclude_unfit
        self._tell = tell
        self._clock = clock
        self._start_s = clock()
        self._blocks = 0
        self.out_of_time = False

    def __call__(self, blocks: int) -> bool:
        """Return whether to stop after so many blocks."""
        self._blocks += 1
        if any(sample.status != "ok" for sample in self._samples):
            return True
        if self._over_budget():
            self.out_of_time = True
            return True
        look = look_at(self._setup.looks, blocks)
        if look is None or look is self._setup.looks[-1]:
            return False
        table = kept(self._samples, exclude_unfit=self._exclude_unfit)
        decisions = judge(self._setup, table, look)
        words = ", ".join(f"{name} {item.verdict}" for name, item in decisions.items())
        self._tell(f"after {plural(blocks, 'block')}: {words}")
        return all(item.verdict != "UNDECIDED" for item in decisions.values())

    def _over_budget(self) -> bool:
        """Whether another block would not fit into the budget."""
        taken_s = self._clock() - self._start_s
        return taken_s + taken_s / self._blocks > self._setup.budget_s


def final_look(setup: Setup, blocks: int) -> Look:
    """Return the look with which a run that ended after so many blocks is judged.

    One that was cut short is judged with the share of the look it was on its way to.
    """
    for look in setup.looks:
        if blocks <= look.blocks:
            return Look(blocks, look.confidence)
    return setup.looks[-1]


def whole_blocks(samples: pd.DataFrame, arms: int, rows: int) -> int:
    """Return how many blocks have all their samples."""
    counts = samples.groupby("block").size()
    return int((counts == arms * rows).sum())


@dataclass(frozen=True)
class Run:
    """What is known of a run when it is judged.

    Attributes:
        record: Its first record.
        seconds: Time spent measuring.
        warnings: What makes its figures less certain, one sentence each.
        directory: Where its records lie.
    """

    record: RunRecord
    seconds: float
    warnings: Sequence[str]
    directory: str


def document(setup: Setup, samples: pd.DataFrame, run: Run) -> dict[str, Any]:
    """Judge a finished run and return the document of `hz3 ab --json`.

    Raises:
        WorkloadFailedError: Programs failed, or did not do the same work.
    """
    refuse_unusable(samples)
    blocks = whole_blocks(samples, len(setup.arms), len(setup.rows))
    decisions = judge(setup, samples, final_look(setup, blocks))
    baseline = setup.arms[0].name
    doubts = [text for name in decisions for text in order_doubts(samples, baseline, name)]
    return {
        "schema": SCHEMA,
        "verdict": overall([item.verdict for item in decisions.values()]),
        "experiment": setup.name,
        "question": setup.experiment.question,
        "source": setup.experiment.source,
        "self_check": setup.self_check,
        "blocks": blocks,
        "seed": setup.seed,
        "seconds": round(run.seconds, 1),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "arms": _arms(setup),
        "workloads": [row.to_json() for row in setup.rows],
        "candidates": [candidate_document(name, item) for name, item in decisions.items()],
        "criteria": [
            criterion_document(name, judgement)
            for name, item in decisions.items()
            for judgement in item.judgements
        ],
        "looks": [{"blocks": look.blocks, "confidence": look.confidence} for look in setup.looks],
        "machine": dict(run.record.machine),
        "version": run.record.version,
        "commit": run.record.machine.get("commit"),
        "warnings": [*run.warnings, *machine_doubts(samples), *doubts],
        "records": "records.jsonl",
        "directory": run.directory,
    }


def _arms(setup: Setup) -> list[Mapping[str, Any]]:
    return [
        {
            "name": arm.name,
            "allocator": arm.allocator.name,
            "version": arm.allocator.version,
            "knobs": dict(arm.knobs),
            "env": dict(arm.environment),
        }
        for arm in setup.arms
    ]
