"""Whether the order of a run shows in its figures: who ran first, and how late it was.

Balanced and shuffled blocks keep both effects out of the mean, but they widen intervals, and a
strong one is a sign that something else was going on.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SUSPICIOUS = 0.01
"""A p-value below this is worth a warning."""
LEAST_GROUP = 3


@dataclass(frozen=True)
class Effect:
    """One tested effect of the order.

    Attributes:
        size: Log ratio: of first over later position, or of the last block over the first.
        p: Two-sided p-value of "no effect"; NaN if there are too few blocks.
    """

    size: float
    p: float

    @property
    def suspicious(self) -> bool:
        """Whether chance alone rarely makes such an effect."""
        return self.p < SUSPICIOUS


def position_effect(log_ratios: NDArray[np.float64], first: NDArray[np.bool_]) -> Effect:
    """Test whether it matters which arm of a block runs first.

    Args:
        log_ratios: Shape (blocks,), candidate over baseline.
        first: Shape (blocks,), whether the candidate ran before the baseline.

    Source: B. L. Welch, "The generalization of Student's problem when several different population
    variances are involved", 1947.
    """
    before, after = log_ratios[first], log_ratios[~first]
    if min(before.size, after.size) < LEAST_GROUP:
        return Effect(math.nan, math.nan)
    size = float(np.mean(before) - np.mean(after)) / 2
    if float(np.ptp(before)) == float(np.ptp(after)) == 0.0:
        return Effect(size, 1.0 if size == 0.0 else 0.0)
    with warnings.catch_warnings():
        # Groups that are equal up to rounding (memory of a fixed size) are no news to us.
        warnings.simplefilter("ignore", RuntimeWarning)
        return Effect(size, float(stats.ttest_ind(before, after, equal_var=False).pvalue))


def drift(values: NDArray[np.float64]) -> Effect:
    """Test whether a series of positive figures goes up or down over the blocks.

    Args:
        values: Shape (blocks,), in the order of the blocks; log ratios or logs of figures.

    Source: M. G. Kendall, "A new measure of rank correlation", 1938; the size is the slope of
    H. Theil, "A rank-invariant method of linear and polynomial regression analysis", 1950.
    """
    if values.size < 2 * LEAST_GROUP or float(np.ptp(values)) == 0.0:
        return Effect(math.nan, math.nan)
    blocks = np.arange(values.size, dtype=np.float64)
    slope = float(stats.theilslopes(values, blocks).slope)
    return Effect(slope * (values.size - 1), float(stats.kendalltau(blocks, values).pvalue))
