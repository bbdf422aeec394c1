"""Confidence intervals by the bootstrap."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9999
LEAST_VALUES = 3
"""With fewer values a resample is nearly the sample itself: no interval is given."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; NaN bounds mean that there are too few values."""

    estimate: float
    low: float
    high: float

    def exp(self) -> Interval:
        """Return the interval on the exponential scale: a mean log ratio becomes a ratio."""
        return Interval(math.exp(self.estimate), math.exp(self.low), math.exp(self.high))

    @property
    def known(self) -> bool:
        """Whether there were enough values for bounds."""
        return not math.isnan(self.low)


def mean_interval(
    values: NDArray[np.float64], *, confidence: float = CONFIDENCE, seed: int = 0
) -> Interval:
    """Return the mean of the values with its BCa bootstrap interval.

    Args:
        values: Shape (n,), finite. With n < 3 the bounds are NaN, with n = 0 also the estimate.
        confidence: Between 0 and 1.
        seed: Seed of the resampling; the same seed gives the same interval.

    Source: B. Efron, "Better bootstrap confidence intervals", 1987 (bias-corrected, accelerated).
    """
    if values.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    mean = float(np.mean(values))
    if values.size < LEAST_VALUES:
        return Interval(mean, math.nan, math.nan)
    if float(np.ptp(values)) == 0.0:
        return Interval(mean, mean, mean)
    low, high = _bounds(values, "BCa", confidence, seed)
    if math.isnan(low) or math.isnan(high):
        low, high = _bounds(values, "percentile", confidence, seed)
    return Interval(mean, min(low, mean), max(high, mean))


def _bounds(
    values: NDArray[np.float64], method: Literal["BCa", "percentile"], confidence: float, seed: int
) -> tuple[float, float]:
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        # BCa says by a warning that its correction is undefined; the NaN says so as well.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (values,),
            np.mean,
            confidence_level=confidence,
            n_resamples=RESAMPLES,
            method=method,
            random_state=np.random.default_rng(seed),
        )
    interval = result.confidence_interval
    return float(interval.low), float(interval.high)
