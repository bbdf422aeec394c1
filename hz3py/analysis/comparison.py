"""Differences between two sets of samples, paired or not, in words.

Samples of one run are paired block by block. Two runs at different times share no block: what
changed in the machine between them counts as a difference, and no statistics can tell it apart.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hz3py.analysis.criteria import COUNTED, MEAN, METRICS, Metric
from hz3py.analysis.evidence import trusted_interval
from hz3py.analysis.intervals import CONFIDENCE, LEAST_VALUES, RESAMPLES, Interval
from hz3py.analysis.pairing import evidence
from hz3py.errors import UsageError

COMPARED = tuple(metric for metric in METRICS.values() if metric.name != COUNTED)
BASELINE, CANDIDATE = "A", "B"
"""What the two sides are called in a frame."""

WITHIN_NOISE = "within noise"
UNDECIDED = "undecided"
_GAINS = {"throughput": ("faster", "slower"), "cpu": ("less", "more"), "faults": ("fewer", "more")}
_MEMORY = ("leaner", "fatter")
_CONDITION = re.compile(r"\s*(\w+)\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%\s*")


@dataclass(frozen=True)
class Difference:
    """One metric of one row, candidate over baseline.

    Attributes:
        metric: Its name.
        row: Label of the row, or "mean" for the geometric mean over rows.
        ratio: With its 95 % interval; NaN bounds if there are too few samples.
        samples: Number of samples of (baseline, candidate); pairs count once on each side.
        word: faster, slower, leaner, fatter, fewer, less, more, within noise, or undecided.
    """

    metric: str
    row: str
    ratio: Interval
    samples: tuple[int, int]
    word: str


@dataclass(frozen=True)
class Condition:
    """A difference that must not be there, such as `throughput<-2%`.

    Attributes:
        metric: Its name.
        below: Whether smaller ratios are forbidden, else larger ones.
        ratio: The bound.
        text: As it was written.
    """

    metric: str
    below: bool
    ratio: float
    text: str

    def judge(self, difference: Difference) -> Literal["broken", "undecided", "kept"]:
        """Say whether a difference breaks the condition.

        It does if the estimate lies beyond the bound and the interval excludes "no difference";
        an estimate beyond the bound with an interval that does not is undecided.
        """
        estimate = difference.ratio.estimate
        if math.isnan(estimate):
            return "kept"
        if not (estimate < self.ratio if self.below else estimate > self.ratio):
            return "kept"
        certain = difference.ratio.high < 1 if self.below else difference.ratio.low > 1
        return "broken" if certain else "undecided"


def parse_condition(text: str) -> Condition:
    """Read a condition such as `rss_mean>+5%`.

    Raises:
        UsageError: It has another form, or the metric is unknown.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not a condition", "write METRIC<-N% or METRIC>N%, as in throughput<-2%"
        )
    metric, side, percent = found.groups()
    names = [item.name for item in COMPARED]
    if metric not in names:
        raise UsageError(f"unknown metric {metric!r}", f"known: {', '.join(names)}")
    return Condition(metric, side == "<", 1 + float(percent) / 100, text)


def differences(samples: pd.DataFrame, *, paired: bool, margin: float) -> list[Difference]:
    """Compare two sides row by row, and over all rows.

    Args:
        samples: One line per good sample, columns as in `hz3py.store.export.COLUMNS`; the sides are
            called `BASELINE` and `CANDIDATE` in the column `allocator`.
        paired: Whether equal block numbers mean the same block.
        margin: Differences within this fraction are noise.

    Returns:
        One entry per metric and row that both sides have, rows in their first order, then the mean
        over rows if there is more than one.
    """
    labels = list(dict.fromkeys(samples["label"]))
    found: list[Difference] = []
    for metric in COMPARED:
        measured = samples[samples[metric.column].astype(float) > 0]
        by_row = {
            label: _one(measured[measured["label"] == label], metric, paired=paired, margin=margin)
            for label in labels
        }
        rows = {label: item for label, item in by_row.items() if item is not None}
        found += rows.values()
        if len(rows) > 1:
            found.append(_mean(measured, metric, list(rows.values()), paired=paired, margin=margin))
    return found


def worst(found: Sequence[Difference]) -> dict[str, Difference]:
    """Return for each metric the row in which the candidate does worst."""
    result: dict[str, Difference] = {}
    for item in found:
        if item.row == MEAN or math.isnan(item.ratio.estimate):
            continue
        sign = 1 if METRICS[item.metric].higher_is_better else -1
        known = result.get(item.metric)
        if known is None or sign * item.ratio.estimate < sign * known.ratio.estimate:
            result[item.metric] = item
    return result


def independent_interval(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval:
    """Return the difference of two means of unpaired samples, with its interval.

    Like `trusted_interval` the hull of a BCa bootstrap, which resamples each side on its own, and
    of Welch's interval.

    Args:
        candidate: Shape (n,), logs of figures.
        baseline: Shape (m,), logs of figures. With n or m below 3 the bounds are NaN.
        confidence: Between 0 and 1.
        seed: Seed of the resampling.

    Source: B. L. Welch, "The generalization of Student's problem when several different population
    variances are involved", 1947.
    """
    if not (candidate.size and baseline.size):
        return Interval(math.nan, math.nan, math.nan)
    difference = float(np.mean(candidate) - np.mean(baseline))
    if min(candidate.size, baseline.size) < LEAST_VALUES:
        return Interval(difference, math.nan, math.nan)
    if float(np.ptp(candidate)) == float(np.ptp(baseline)) == 0.0:
        return Interval(difference, difference, difference)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)  # equal up to rounding is no news to us
        test = stats.ttest_ind(candidate, baseline, equal_var=False)
        welch = test.confidence_interval(confidence)
        resampled = stats.bootstrap(
            (candidate, baseline),
            lambda first, second, axis: np.mean(first, axis=axis) - np.mean(second, axis=axis),
            confidence_level=confidence,
            n_resamples=RESAMPLES,
            method="BCa",
            vectorized=True,
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    lows = [float(bound) for bound in (welch.low, resampled.low) if not math.isnan(bound)]
    highs = [float(bound) for bound in (welch.high, resampled.high) if not math.isnan(bound)]
    return Interval(difference, min(lows), max(highs))


def word(metric: Metric, ratio: Interval, margin: float) -> str:
    """Say in a word what an interval means.

    Args:
        metric: What was measured.
        ratio: Candidate over baseline.
        margin: Differences within this fraction are noise.
    """
    if not ratio.known:
        return UNDECIDED
    if 1 - margin < ratio.low and ratio.high < 1 + margin:
        return WITHIN_NOISE
    if ratio.low <= 1 <= ratio.high:
        return UNDECIDED
    good, bad = _GAINS.get(metric.name, _MEMORY)
    return good if (ratio.estimate > 1) == metric.higher_is_better else bad


def _one(row: pd.DataFrame, metric: Metric, *, paired: bool, margin: float) -> Difference | None:
    sides = [_logs(row, side, metric) for side in (CANDIDATE, BASELINE)]
    if not all(sides):
        return None
    label = str(row.iloc[0]["label"])
    if paired:
        pairs = evidence(row, BASELINE, CANDIDATE, [metric.name]).log_ratios[metric.name, label]
        ratio, count = _exp(trusted_interval(pairs)), (pairs.size, pairs.size)
    else:
        values = [np.array(list(side.values())) for side in sides]
        ratio, count = _exp(independent_interval(*values)), (values[1].size, values[0].size)
    return Difference(metric.name, label, ratio, count, word(metric, ratio, margin))


def _mean(
    samples: pd.DataFrame,
    metric: Metric,
    rows: Sequence[Difference],
    *,
    paired: bool,
    margin: float,
) -> Difference:
    """The geometric mean over rows; unpaired rows have an estimate only."""
    labels = [item.row for item in rows]
    if paired:
        kept = samples[samples["label"].isin(labels)]
        values = evidence(kept, BASELINE, CANDIDATE, [metric.name]).log_ratios[metric.name, MEAN]
        ratio, count = _exp(trusted_interval(values)), values.size
    else:
        estimate = math.exp(float(np.mean([math.log(item.ratio.estimate) for item in rows])))
        ratio, count = Interval(estimate, math.nan, math.nan), 0
    return Difference(metric.name, MEAN, ratio, (count, count), word(metric, ratio, margin))


def _logs(row: pd.DataFrame, side: str, metric: Metric) -> Mapping[int, float]:
    own = row[row["allocator"] == side]
    pairs = zip(own["block"], own[metric.column].astype(float), strict=True)
    return {int(block): math.log(value) for block, value in pairs}


def _exp(interval: Interval) -> Interval:
    return (
        Interval(math.nan, math.nan, math.nan) if math.isnan(interval.estimate) else interval.exp()
    )
