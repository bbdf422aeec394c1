"""The verdict on a candidate: each criterion judged, then one word for all of them.

GO needs every criterion to be met. Such a conjunction needs no correction for the number of
criteria: it is wrong only if some criterion was met wrongly (R. L. Berger, "Multiparameter
hypothesis testing and acceptance sampling", 1982). NO-GO needs one criterion that cannot be met;
the more criteria there are, the likelier one fails by chance, so what speaks against a candidate
is corrected by Holm's method. Everything else is undecided, and says how many blocks it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hz3py.analysis.criteria import (
    COUNTED,
    MEAN,
    Criterion,
    State,
    as_gain,
    gain_bounds,
    position,
)
from hz3py.analysis.evidence import SignFlip, holm, one_sided_p, sign_flip, trusted_interval
from hz3py.analysis.intervals import Interval
from hz3py.analysis.looks import Look, blocks_needed

Word = Literal["GO", "NO-GO", "EQUIVALENT", "UNDECIDED"]

UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Judgement:
    """One criterion of one workload.

    Attributes:
        criterion: What was claimed, of which workload.
        ratio: Candidate over baseline, with the interval of this look.
        confidence: Level of the interval.
        blocks: Number of pairs it rests on.
        test: Sign-flip test of "no difference"; NaN for counted metrics.
        state: Where the interval lies.
        met: Whether the criterion is met; None while undecided.
        needed: Blocks that would probably decide it, in total; None if decided or out of reach.
    """

    criterion: Criterion
    ratio: Interval
    confidence: float
    blocks: int
    test: SignFlip
    state: State
    met: bool | None
    needed: int | None


@dataclass(frozen=True)
class Decision:
    """The verdict on one candidate.

    Attributes:
        verdict: One word.
        judgements: The criteria, workload by workload.
        reasons: Why, one sentence each, the decisive ones first.
        blocks: Number of blocks behind the criterion that has fewest.
    """

    verdict: Word
    judgements: tuple[Judgement, ...]
    reasons: tuple[str, ...]
    blocks: int


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate against the baseline.

    Attributes:
        log_ratios: Metric and workload to log(candidate / baseline), one per common block.
        counts: Workload to failed allocations of (baseline, candidate).
    """

    log_ratios: Mapping[tuple[str, str], NDArray[np.float64]]
    counts: Mapping[str, tuple[int, int]]

    def of(self, criterion: Criterion) -> NDArray[np.float64]:
        """Return the log ratios that a criterion is about; empty if there are none."""
        return self.log_ratios.get((criterion.metric, criterion.workload), np.empty(0))


def decide(criteria: Sequence[Criterion], evidence: Evidence, look: Look) -> Decision:
    """Judge a candidate.

    Args:
        criteria: What must be true, already expanded to single workloads.
        evidence: What was measured.
        look: The planned look that this is; its confidence is used.
    """
    first = [_judge(criterion, evidence, look) for criterion in criteria]
    judgements = tuple(_corrected(first, evidence, look))
    verdict = _word(judgements)
    blocks = min((judgement.blocks for judgement in judgements), default=0)
    return Decision(verdict, judgements, tuple(_reasons(judgements, verdict)), blocks)


def _judge(criterion: Criterion, evidence: Evidence, look: Look) -> Judgement:
    if criterion.metric == COUNTED:
        return _judge_counts(criterion, evidence, look)
    values = evidence.of(criterion)
    interval = trusted_interval(values, confidence=look.confidence)
    gain = as_gain(interval, criterion)
    state, met = position(gain, criterion)
    return Judgement(
        criterion=criterion,
        ratio=interval.exp() if values.size else UNKNOWN,
        confidence=look.confidence,
        blocks=int(values.size),
        test=sign_flip(values),
        state=state,
        met=met,
        needed=_needed(values, gain, criterion, look.confidence) if met is None else None,
    )


def _judge_counts(criterion: Criterion, evidence: Evidence, look: Look) -> Judgement:
    """Failed allocations are facts, not estimates: one more than the baseline's is too many."""
    if criterion.workload == MEAN:
        pairs = list(evidence.counts.values())
    else:
        pairs = [evidence.counts.get(criterion.workload, (0, 0))]
    baseline, candidate = (sum(pair[side] for pair in pairs) for side in (0, 1))
    state: State = "equivalent"
    if candidate != baseline:
        state = "worse" if candidate > baseline else "better"
    ratio = candidate / baseline if baseline else (math.inf if candidate else 1.0)
    return Judgement(
        criterion=criterion,
        ratio=Interval(ratio, ratio, ratio),
        confidence=look.confidence,
        blocks=look.blocks,
        test=SignFlip(math.nan, math.nan),
        state=state,
        met=candidate <= baseline,
        needed=None,
    )


def _corrected(judgements: Sequence[Judgement], evidence: Evidence, look: Look) -> list[Judgement]:
    """Take back what speaks against a candidate and does not survive Holm's correction."""
    estimated = [item for item in judgements if item.criterion.metric != COUNTED]
    p_values = [_failure_p(item.criterion, evidence) for item in estimated]
    adjusted = dict(zip(map(id, estimated), holm(p_values), strict=True))
    result = []
    for item in judgements:
        if item.met is False and adjusted.get(id(item), 0.0) > look.error / 2:
            values = evidence.of(item.criterion)
            result.append(replace(item, state="undecided", met=None, needed=values.size + 1))
        else:
            result.append(item)
    return result


def _failure_p(criterion: Criterion, evidence: Evidence) -> float:
    """Return the p-value of "this criterion holds", one-sided on the side that it fails."""
    values = evidence.of(criterion)
    gains = values if criterion.higher_is_better else -values
    bad, good = gain_bounds(criterion)
    if criterion.kind == "superiority":
        return one_sided_p(gains, good)
    below = one_sided_p(gains, bad)
    return below if criterion.kind == "non-inferiority" else min(below, one_sided_p(-gains, -good))


def _needed(
    values: NDArray[np.float64], gain: Interval, criterion: Criterion, confidence: float
) -> int | None:
    """Return the number of blocks that would probably decide, if the truth is the estimate."""
    if not gain.known:
        return 3 if values.size < 3 else None
    spread = float(np.std(values, ddof=1))
    bad, good = gain_bounds(criterion)
    bounds = {"superiority": (good,), "non-inferiority": (bad,), "equivalence": (bad, good)}
    distance = min(abs(gain.estimate - bound) for bound in bounds[criterion.kind])
    needed = blocks_needed(spread, distance, confidence=confidence)
    return None if needed is None else max(needed, values.size + 1)


def _word(judgements: Sequence[Judgement]) -> Word:
    if not judgements or any(item.met is False for item in judgements):
        return "NO-GO" if judgements else "UNDECIDED"
    if any(item.met is None for item in judgements):
        return "UNDECIDED"
    claimed = [item for item in judgements if item.criterion.kind == "superiority"]
    estimated = [item for item in claimed if item.criterion.metric != COUNTED]
    return "GO" if estimated or _some_gain(judgements) else "EQUIVALENT"


def _some_gain(judgements: Sequence[Judgement]) -> bool:
    """Whether anything is better although no gain was asked for, corrected for many metrics."""
    asked = [item for item in judgements if item.criterion.metric != COUNTED]
    adjusted = holm([0.0 if math.isnan(item.test.p) else item.test.p for item in asked])
    return any(
        item.state == "better" and p <= 1 - item.confidence
        for item, p in zip(asked, adjusted, strict=True)
    )


def _reasons(judgements: Sequence[Judgement], verdict: Word) -> list[str]:
    wanted = {"NO-GO": False, "UNDECIDED": None}.get(verdict, True)
    picked = [item for item in judgements if item.met is wanted]
    if verdict in ("GO", "EQUIVALENT"):
        worst = min(picked, key=_room, default=None)
        return [] if worst is None else [f"all criteria are met; the closest: {describe(worst)}"]
    return [describe(item) for item in picked]


def _room(judgement: Judgement) -> float:
    """How far the interval stays away from the bound that it must not touch, as a log ratio."""
    if judgement.criterion.metric == COUNTED or math.isnan(judgement.ratio.low):
        return math.inf
    ratio = judgement.ratio
    logs = Interval(*(math.log(value) for value in (ratio.estimate, ratio.low, ratio.high)))
    gain = as_gain(logs, judgement.criterion)
    bad, good = gain_bounds(judgement.criterion)
    if judgement.criterion.kind == "superiority":
        return gain.low - good
    if judgement.criterion.kind == "non-inferiority":
        return gain.low - bad
    return min(gain.low - bad, good - gain.high)


def describe(judgement: Judgement) -> str:
    """Write a judgement as one sentence for a person."""
    criterion = judgement.criterion
    what = f"{criterion.workload}: {criterion.sentence()}"
    if criterion.metric == COUNTED:
        return f"{what}: {'yes' if judgement.met else 'no'}"
    if math.isnan(judgement.ratio.low):
        return f"{what}: undecided, too few blocks ({judgement.blocks}) for an interval"
    bounds = f"{percent(judgement.ratio.low)} to {percent(judgement.ratio.high)}"
    answer = {True: "met", False: "not met", None: "undecided"}[judgement.met]
    text = f"{what}: {answer}, {percent(judgement.ratio.estimate)} ({bounds})"
    if judgement.met is None:
        text += (
            f", about {judgement.needed} blocks would decide"
            if judgement.needed
            else ", the difference lies at the margin: more blocks will not decide"
        )
    return text


def percent(ratio: float) -> str:
    """Write a ratio as a signed change in percent."""
    return f"{100 * (ratio - 1):+.1f} %"


def overall(words: Sequence[Word]) -> Word:
    """Return the verdict on an experiment with several candidates: the best news about any of them.

    Args:
        words: One verdict per candidate. Their error must have been shared among them.
    """
    order: tuple[Word, ...] = ("GO", "UNDECIDED", "EQUIVALENT", "NO-GO")
    return min(words, key=order.index, default="UNDECIDED")
