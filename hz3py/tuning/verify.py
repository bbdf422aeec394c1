"""Verification: a profile measured again on this machine, judged like the claim it came from."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hz3py.analysis.intervals import Interval
from hz3py.analysis.looks import automatic_looks, fixed_look, look_at
from hz3py.analysis.verdict import Decision, Word
from hz3py.errors import UsageError
from hz3py.tuning.blocks import Block, Blocks
from hz3py.tuning.goals import Goals
from hz3py.tuning.profile import Profile
from hz3py.tuning.task import Task
from hz3py.tuning.watch import Silence, Watch


@dataclass(frozen=True)
class Verified:
    """What a profile is worth here.

    Attributes:
        verdict: One word.
        throughput: Ratio to the default, with interval.
        rss: Ratio to the default, with interval.
        blocks: Number of blocks.
        reasons: Why, one sentence each.
    """

    verdict: Word
    throughput: Interval
    rss: Interval
    blocks: int
    reasons: tuple[str, ...]


def task_of(profile: Profile) -> Task:
    """Return the workload that a profile was made for.

    Raises:
        UsageError: The profile does not say.
    """
    if not profile.workload:
        raise UsageError(
            "the profile does not say for which workload it is",
            "give it: hz3 verify FILE -- PROGRAM",
        )
    return Task.from_json(profile.workload)


def verify(
    profile: Profile,
    task: Task,
    measure: Blocks,
    *,
    blocks: int | None = None,
    watch: Watch | None = None,
) -> Verified:
    """Measure a profile against the defaults.

    Args:
        profile: The knobs.
        task: The workload and the rules.
        measure: Measures.
        blocks: How many blocks; None ends as soon as one of a few planned looks decides.
        watch: Is told what happens.

    Raises:
        WorkloadFailedError: The default configuration fails.
        KeyboardInterrupt: The user stopped it.
    """
    watch = watch or Silence()
    goals = Goals(task)
    looks = automatic_looks(step=2) if blocks is None else fixed_look(blocks)
    taken: list[Block] = []
    start = time.monotonic()
    decision: Decision | None = None
    reasons: tuple[str, ...] = ()
    look = looks[-1]
    watch.phase("the profile against the defaults")
    for number in range(looks[-1].blocks):
        each = (time.monotonic() - start) / number if number else math.nan
        watch.step(number, looks[-1].blocks, each * (looks[-1].blocks - number))
        block = measure([profile.knobs], number)[0]
        if block.failure:
            unknown = Interval(math.nan, math.nan, math.nan)
            reason = f"the program fails with the profile: {block.failure}"
            return Verified("NO-GO", unknown, unknown, len(taken), (reason,))
        taken.append(block)
        due = look_at(looks, len(taken))
        if due is None:
            continue
        look, decision = due, goals.decide(taken, due)
        broken = goals.broken_guards(taken, due)
        reasons = (*broken, *decision.reasons)
        if decision.verdict == "NO-GO" or (decision.verdict == "GO" and not broken):
            break
    return _outcome(goals, taken, look.confidence, decision, reasons)


def _outcome(
    goals: Goals,
    taken: Sequence[Block],
    confidence: float,
    decision: Decision | None,
    reasons: tuple[str, ...],
) -> Verified:
    verdict: Word = "UNDECIDED" if decision is None else decision.verdict
    if verdict == "GO" and any(reason.startswith("guard") for reason in reasons):
        verdict = "UNDECIDED"
    return Verified(
        verdict,
        goals.interval(taken, "throughput", confidence),
        goals.interval(taken, goals.task.rss_metric, confidence),
        len(taken),
        reasons,
    )
