"""What a machine can tell apart: from one arm measured against itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hz3py.analysis.evidence import trusted_interval
from hz3py.analysis.intervals import LEAST_VALUES, Interval
from hz3py.analysis.looks import blocks_needed, resolvable

TARGETS = (0.01, 0.02, 0.05)
"""Differences that people ask about, as fractions."""


@dataclass(frozen=True)
class Resolution:
    """How finely one metric of one row can be measured.

    Attributes:
        metric: Its name.
        row: Label of the row.
        spread: Standard deviation of the log ratio of one block.
        difference: The arm over itself; its interval should hold 1.
        smallest: Smallest difference that the blocks taken probably tell from none, a fraction.
        blocks: Difference to the number of blocks that probably tell it from none; None if that
            is out of reach.
    """

    metric: str
    row: str
    spread: float
    difference: Interval
    smallest: float
    blocks: dict[float, int | None]

    @property
    def biased(self) -> bool:
        """Whether the arm seems to differ from itself."""
        return self.difference.known and not self.difference.low <= 1 <= self.difference.high


def resolution(metric: str, row: str, log_ratios: NDArray[np.float64]) -> Resolution | None:
    """Judge a self-check.

    Args:
        metric: Its name.
        row: Label of the row.
        log_ratios: Shape (blocks,), the arm over itself.

    Returns:
        None if there are fewer than three blocks.
    """
    if log_ratios.size < LEAST_VALUES:
        return None
    spread = float(np.std(log_ratios, ddof=1))
    return Resolution(
        metric=metric,
        row=row,
        spread=spread,
        difference=trusted_interval(log_ratios).exp(),
        smallest=math.expm1(resolvable(spread, log_ratios.size)),
        blocks={target: blocks_needed(spread, math.log1p(target)) for target in TARGETS},
    )
