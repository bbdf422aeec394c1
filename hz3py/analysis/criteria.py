"""Criteria: what must be true of a candidate, and what an interval says about it.

A criterion speaks of one metric. Its margin is a fraction: 0.02 is two percent of the baseline.

* superiority: the candidate is better by more than the margin.
* non-inferiority: the candidate is worse by less than the margin.
* equivalence: the candidate is neither better nor worse by as much as the margin.

Failed allocations are counted, not estimated: they must not increase, whatever the kind.

Source: D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach
for assessing the equivalence of average bioavailability", 1987 (equivalence by the interval).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hz3py.analysis.intervals import Interval
from hz3py.errors import UsageError

Kind = Literal["superiority", "non-inferiority", "equivalence"]
State = Literal["better", "equivalent", "worse", "undecided"]

KINDS: tuple[Kind, ...] = ("superiority", "non-inferiority", "equivalence")
ALL = "all"
"""Every workload on its own: the worst one decides."""
MEAN = "mean"
"""The geometric mean over all workloads."""

SELF_CHECK_MARGIN = 0.02
"""Margin of a self-check for criteria that have none."""


@dataclass(frozen=True)
class Metric:
    """One figure of a sample.

    Attributes:
        name: As in experiment files.
        column: As in the frame of samples.
        higher_is_better: Its direction.
        meaning: One phrase with its unit.
    """

    name: str
    column: str
    higher_is_better: bool
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("throughput", "throughput", True, "operations per second"),
        Metric("cpu", "cpu_s", False, "user and system time, s"),
        Metric("faults", "faults", False, "page faults"),
        Metric("rss_mean", "rss_mean_kb", False, "resident memory, mean over time, KiB"),
        Metric("rss_p95", "rss_p95_kb", False, "resident memory, 95th percentile, KiB"),
        Metric("rss_peak", "rss_peak_kb", False, "resident memory, peak, KiB"),
        Metric("rss_idle", "rss_idle_kb", False, "resident memory after the work, KiB"),
        Metric("alloc_failed", "failed_allocations", False, "allocations that failed"),
    )
}
COUNTED = "alloc_failed"


@dataclass(frozen=True)
class Criterion:
    """What must be true of the candidate.

    Attributes:
        metric: A name of `METRICS`.
        kind: What is claimed.
        margin: Fraction of the baseline, 0 or more.
        workload: Label of a row, "all" (each of them) or "mean" (the geometric mean over them).
    """

    metric: str
    kind: Kind = "non-inferiority"
    margin: float = 0.0
    workload: str = ALL

    @property
    def higher_is_better(self) -> bool:
        """The direction of its metric."""
        return METRICS[self.metric].higher_is_better

    @property
    def good_bound(self) -> float:
        """Log ratio of a candidate that is better by exactly the margin."""
        return math.log1p(self.margin if self.higher_is_better else -self.margin)

    @property
    def bad_bound(self) -> float:
        """Log ratio of a candidate that is worse by exactly the margin."""
        return math.log1p(-self.margin if self.higher_is_better else self.margin)

    def sentence(self) -> str:
        """Write the criterion as a phrase for a person."""
        if self.metric == COUNTED:
            return f"{self.metric} not increased"
        word = {
            "superiority": "better by more than",
            "non-inferiority": "worse by less than",
            "equivalence": "the same within",
        }[self.kind]
        return f"{self.metric} {word} {100 * self.margin:g} %"


def check(criterion: Criterion, labels: Sequence[str]) -> Criterion:
    """Return the criterion if its words are known.

    Args:
        criterion: As read from a file.
        labels: Labels of the rows.

    Raises:
        UsageError: Metric, kind, workload or margin is wrong; the nearest word is named.
    """
    _known("metric", criterion.metric, METRICS)
    _known("kind", criterion.kind, KINDS)
    _known("workload", criterion.workload, (ALL, MEAN, *labels))
    if not 0 <= criterion.margin < 1:
        raise UsageError(
            f"margin {criterion.margin:g} of {criterion.metric} is not a fraction below 1",
            "write 0.02 for two percent",
        )
    if criterion.kind != "superiority" and criterion.margin == 0 and criterion.metric != COUNTED:
        raise UsageError(
            f"{criterion.kind} of {criterion.metric} needs a margin above 0",
            "no number of blocks can show that two arms differ by nothing at all",
        )
    return criterion


def expand(criteria: Iterable[Criterion], labels: Sequence[str]) -> list[Criterion]:
    """Replace every criterion about all workloads by one for each of them."""
    expanded: list[Criterion] = []
    for criterion in criteria:
        names = labels if criterion.workload == ALL else [criterion.workload]
        expanded += [replace(criterion, workload=label) for label in names]
    return expanded


def for_self_check(criteria: Iterable[Criterion]) -> list[Criterion]:
    """Return criteria for one arm measured against itself: all of them become equivalence."""
    return [
        replace(criterion, kind="equivalence", margin=criterion.margin or SELF_CHECK_MARGIN)
        for criterion in criteria
    ]


def gain_bounds(criterion: Criterion) -> tuple[float, float]:
    """Return (bad, good): the margins as gains, where more is always better; bad is not above 0."""
    sign = 1 if criterion.higher_is_better else -1
    return sign * criterion.bad_bound, sign * criterion.good_bound


def as_gain(interval: Interval, criterion: Criterion) -> Interval:
    """Turn an interval of log ratios around so that more is better."""
    if criterion.higher_is_better:
        return interval
    return Interval(-interval.estimate, -interval.high, -interval.low)


def position(gain: Interval, criterion: Criterion) -> tuple[State, bool | None]:
    """Say where an interval lies, and whether the criterion is met.

    Args:
        gain: Log ratio, more is better; unknown bounds decide nothing.
        criterion: What is claimed.

    Returns:
        The state in one word, and True (met), False (cannot be met) or None (undecided). For
        superiority "equivalent" means that the gain asked for is not there, for non-inferiority
        that the candidate is not worse by the margin.
    """
    if not gain.known:
        return "undecided", None
    rule = {
        "superiority": _superior,
        "non-inferiority": _not_inferior,
        "equivalence": _equivalent,
    }[criterion.kind]
    return rule(gain, *gain_bounds(criterion))


def _superior(gain: Interval, _bad: float, good: float) -> tuple[State, bool | None]:
    if gain.low > good:
        return "better", True
    if gain.high < good:
        return ("worse" if gain.high < 0 else "equivalent"), False
    return "undecided", None


def _not_inferior(gain: Interval, bad: float, _good: float) -> tuple[State, bool | None]:
    if gain.low > bad:
        return ("better" if gain.low > 0 else "equivalent"), True
    return ("worse", False) if gain.high < bad else ("undecided", None)


def _equivalent(gain: Interval, bad: float, good: float) -> tuple[State, bool | None]:
    if gain.low > bad and gain.high < good:
        return "equivalent", True
    if gain.low > good:
        return "better", False
    return ("worse", False) if gain.high < bad else ("undecided", None)


def _known(what: str, word: str, words: Iterable[str]) -> None:
    known = list(words)
    if word not in known:
        near = difflib.get_close_matches(str(word), known, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown {what} {word!r}", f"{guess}known: {', '.join(known)}")
