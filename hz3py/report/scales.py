"""Axes: where a value lies on paper, and at which round values to draw a line."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    """One line of a grid: its place on paper and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """A linear axis.

    Attributes:
        low: Value at `begin`.
        high: Value at `end`, larger than `low`.
        begin: Place of `low` on paper.
        end: Place of `high`; smaller than `begin` for an axis that points upwards.
    """

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value, cut to the axis, to a tenth."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.begin + share * (self.end - self.begin), 1)

    def ticks(self, count: int) -> tuple[Tick, ...]:
        """Return about `count` ticks at round values."""
        step = round_step((self.high - self.low) / max(1, count))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return tuple(
            Tick(self.at(number * step), plain(number * step, step))
            for number in range(first, last + 1)
        )


def round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))


def plain(value: float, step: float) -> str:
    """Write a multiple of `step` with as many decimals as the step has."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, decimals + 1):
        decimals += 1
    return f"{value:.{decimals}f}"


def covering(largest: float) -> float:
    """Return a round value that is at least `largest`, for the end of an axis."""
    if not largest > 0:
        return 1.0
    step = round_step(largest / 4)
    return math.ceil(largest / step - 1e-9) * step
