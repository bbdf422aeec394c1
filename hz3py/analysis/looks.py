"""When to look at a running experiment, how sure to be at each look, and how many blocks it takes.

Whoever looks after every block and stops at the first good figure finds a difference where there is
none. Here the looks are fixed before the first block, and each may spend only its own share of the
permitted error. The shares sum to one, so by Bonferroni's inequality the chance of a wrong decision
at any look stays within the permitted error, whatever the samples look like. Early looks get small
shares: only what is obvious ends an experiment early.

Sources: C. Jennison and B. W. Turnbull, "Interim analyses: the repeated confidence interval
approach", 1989; K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical
trials", 1983 (shares of the error that are spent at each look).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ERROR = 0.05
"""Permitted two-sided error of an experiment: its intervals are 95 % intervals."""

AUTOMATIC_LOOKS = (8, 14, 22, 32)
AUTOMATIC_SHARES = (0.1, 0.2, 0.3, 0.4)
POWER = 0.8
FIXED_POINT_STEPS = 4
FEW_BLOCKS = 12
MOST_BLOCKS = 2000
"""Beyond so many blocks an experiment is not worth its time."""


@dataclass(frozen=True)
class Look:
    """One planned look.

    Attributes:
        blocks: After how many blocks.
        confidence: Level of the intervals at this look.
    """

    blocks: int
    confidence: float

    @property
    def error(self) -> float:
        """Two-sided error that this look may spend."""
        return 1 - self.confidence


def fixed_look(blocks: int, *, families: int = 1) -> tuple[Look, ...]:
    """Plan one look at the end.

    Args:
        blocks: Number of blocks, at least 1.
        families: Number of candidates that share the permitted error.
    """
    return (Look(blocks, 1 - ERROR / families),)


def automatic_looks(
    *, most: int | None = None, families: int = 1, step: int = 1
) -> tuple[Look, ...]:
    """Plan the looks of an experiment that ends when it is decided.

    Args:
        most: Largest number of blocks; later looks are dropped and what they would have spent is
            spent by the last one.
        families: Number of candidates that share the permitted error.
        step: Blocks are rounded up to multiples of this, so that positions are balanced.
    """
    blocks = [step * math.ceil(count / step) for count in AUTOMATIC_LOOKS]
    if most is not None and most < blocks[-1]:
        blocks = [*(count for count in blocks if count < most), most]
    shares = [*AUTOMATIC_SHARES[: len(blocks) - 1]]
    shares.append(1 - sum(shares))
    return tuple(
        Look(count, 1 - ERROR * share / families)
        for count, share in zip(blocks, shares, strict=True)
    )


def power(blocks: int, spread: float, distance: float, confidence: float = 1 - ERROR) -> float:
    """Return the chance that an interval excludes a bound.

    Args:
        blocks: Number of blocks, at least 2.
        spread: Standard deviation of the log ratio of one block.
        distance: From the true log ratio to the bound, above 0.
        confidence: Two-sided level of the interval.

    Source: the noncentral t distribution; normal log ratios are assumed.
    """
    quantile = stats.t.isf((1 - confidence) / 2, blocks - 1)
    shift = distance / spread * math.sqrt(blocks)
    return float(stats.nct.sf(quantile, blocks - 1, shift))


def assurance(values: NDArray[np.float64], blocks: int, *, confidence: float = 1 - ERROR) -> float:
    """Return the chance that an interval of blocks to come lies below zero.

    Unlike `power` it does not take the mean of what was seen for the truth: with few blocks seen,
    a mean far below zero may be luck.

    Args:
        values: What was seen, shape (n,), n at least 2.
        blocks: Number of blocks to come, at least 2.
        confidence: Two-sided level of the interval.

    Source: A. O'Hagan, J. W. Stevens, M. J. Campbell, "Assurance in clinical trial design", 2005;
    with Student's quantiles in place of the normal ones, since the spread is not known either.
    """
    spread = float(np.std(values, ddof=1))
    reach = float(stats.t.isf((1 - confidence) / 2, blocks - 1)) * spread / math.sqrt(blocks)
    doubt = spread * math.sqrt(1 / values.size + 1 / blocks)
    margin = -float(np.mean(values)) - reach
    return float(stats.t.cdf(margin / doubt, values.size - 1)) if doubt > 0 else float(margin > 0)


def blocks_needed(
    spread: float, distance: float, *, confidence: float = 1 - ERROR, chance: float = POWER
) -> int | None:
    """Return the number of blocks with which an interval will probably exclude a bound.

    Args:
        spread: Standard deviation of the log ratio of one block.
        distance: From the true log ratio to the bound.
        confidence: Two-sided level of the interval.
        chance: Wanted power.

    Returns:
        At least 3; None if it takes more than `MOST_BLOCKS`: the truth lies at the bound.

    Source: W. C. Guenther, "Sample size formulas for normal theory t tests", 1981: the sum of the
    two t quantiles in place of the normal ones, repeated because they depend on the result.
    """
    if spread <= 0.0:
        return 3
    if distance <= 0.0:
        return None
    tails = [(1 - confidence) / 2, 1 - chance]
    blocks = (float(np.sum(stats.norm.isf(tails))) * spread / distance) ** 2
    for _ in range(FIXED_POINT_STEPS):
        if blocks > MOST_BLOCKS:
            return None
        quantiles = stats.t.isf(tails, max(math.ceil(blocks), 3) - 1)
        blocks = (float(np.sum(quantiles)) * spread / distance) ** 2
    count = max(3, math.ceil(blocks))
    # The formula is a block or two short where few blocks are enough.
    while count < FEW_BLOCKS and power(count, spread, distance, confidence) < chance:
        count += 1
    return count


def resolvable(spread: float, blocks: int, *, confidence: float = 1 - ERROR) -> float:
    """Return the smallest log ratio that so many blocks probably tell from zero.

    Args:
        spread: Standard deviation of the log ratio of one block.
        blocks: Number of blocks, at least 3.
        confidence: Two-sided level of the interval.
    """
    quantiles = stats.t.isf([(1 - confidence) / 2, 1 - POWER], blocks - 1)
    return float(np.sum(quantiles)) * spread / math.sqrt(blocks)


def look_at(looks: Sequence[Look], blocks: int) -> Look | None:
    """Return the look that is planned after so many blocks, if there is one."""
    return next((look for look in looks if look.blocks == blocks), None)
