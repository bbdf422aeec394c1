"""Ratios of samples that were taken side by side in the same block."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def paired_log_ratios(
    values: Mapping[int, float], baseline: Mapping[int, float]
) -> NDArray[np.float64]:
    """Return log(value / baseline) for every block in which both were measured.

    A disturbance of the machine that hits a whole block cancels out.

    Args:
        values: Positive figure per block.
        baseline: Positive figure per block, in the same unit.

    Returns:
        Array of shape (common blocks,), ordered by block number.

    Raises:
        ValueError: A figure of a common block is not positive and finite.
    """
    common = sorted(values.keys() & baseline.keys())
    for block in common:
        for figure in (values[block], baseline[block]):
            if not (figure > 0 and math.isfinite(figure)):
                raise ValueError(f"block {block}: {figure} has no logarithm")
    return np.array([math.log(values[block] / baseline[block]) for block in common])


def geometric_mean(values: Mapping[int, float] | NDArray[np.float64]) -> float:
    """Return the geometric mean of positive figures; NaN if there are none."""
    figures = list(values.values()) if isinstance(values, Mapping) else list(values)
    if not figures:
        return math.nan
    return math.exp(sum(math.log(figure) for figure in figures) / len(figures))
