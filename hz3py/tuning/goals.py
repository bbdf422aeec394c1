"""What is better, and what is allowed: scores and guards from the blocks of one candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from hz3py.analysis.criteria import MEAN, Criterion
from hz3py.analysis.evidence import half_width, trusted_interval
from hz3py.analysis.intervals import Interval
from hz3py.analysis.looks import Look, assurance
from hz3py.analysis.verdict import Decision, Evidence, decide
from hz3py.tuning.blocks import Block
from hz3py.tuning.task import Guard, Task

HOPELESS_CONFIDENCE = 0.9
"""Two-sided, of which one side is used."""
LEAST_BLOCKS_TO_JUDGE = 3

Values: TypeAlias = "NDArray[np.float64]"
"""Log ratios, one of each block; shape (blocks,)."""


@dataclass(frozen=True)
class GuardState:
    """What blocks show of one guard of the user.

    Attributes:
        name: The guard.
        limit: Fraction of the default's figure by which it may change.
        ratio: Figure of the candidate over that of the default, with interval.
        state: "kept", "broken", or "not shown" while the interval holds the limit.
    """

    name: str
    limit: float
    ratio: Interval
    state: str


@dataclass(frozen=True)
class Goals:
    """The rules of one task."""

    task: Task

    def score(self, block: Block) -> float:
        """Return what the search makes small: a log ratio, negative is better."""
        if self.task.objective == "throughput":
            return -block.mean("throughput")
        return block.mean(self.task.rss_metric)

    def scores(self, blocks: Sequence[Block]) -> Values:
        """Return the score of every block."""
        return np.array([self.score(block) for block in blocks], dtype=np.float64)

    def mean_score(self, blocks: Sequence[Block]) -> float:
        """Return the score of a configuration: the mean log ratio of its blocks."""
        return float(np.mean(self.scores(blocks)))

    def excesses(self, blocks: Sequence[Block]) -> dict[str, Values]:
        """Return by how much each block breaks each guard, as a log ratio; 0 or less is kept."""
        return {
            name: np.array([sign * block.mean(name) - limit for block in blocks], dtype=np.float64)
            for name, sign, limit in self._limits()
        }

    def violations(self, blocks: Sequence[Block]) -> dict[str, float]:
        """Return by how much each guard is broken on average, as a log ratio; 0 or less is kept."""
        return {name: float(np.mean(values)) for name, values in self.excesses(blocks).items()}

    def breaks_beside(self, blocks: Sequence[Block], reference: Sequence[Block]) -> bool:
        """Tell whether a guard is broken on average, and shown to be worse than in `reference`.

        Both are configurations measured in the same blocks, one change apart. A mean beyond the
        limit alone may be noise, and would keep every change on a noisy machine.
        """
        before = self.excesses(reference)
        return any(
            float(np.mean(values)) > 0 and trusted_interval(values - before[name]).low > 0
            for name, values in self.excesses(blocks).items()
        )

    def hopeless(self, blocks: Sequence[Block]) -> str:
        """Return the guard that is broken beyond doubt already; empty if none is."""
        if len(blocks) < LEAST_BLOCKS_TO_JUDGE:
            return ""
        for name, values in self.excesses(blocks).items():
            if float(np.mean(values)) - half_width(values, HOPELESS_CONFIDENCE) > 0:
                return name
        return ""

    def chance_to_claim(self, blocks: Sequence[Block], more: int, confidence: float) -> float:
        """Return how probably that many more blocks show a gain and every guard kept.

        Args:
            blocks: What was seen, at least two.
            more: Number of blocks to come.
            confidence: Two-sided level of the intervals.
        """
        return math.prod(
            assurance(each, more, confidence=confidence)
            for each in (self.scores(blocks), *self.excesses(blocks).values())
        )

    def criteria(self) -> list[Criterion]:
        """Return what a claim has to show: a gain in the objective, no loss in the other."""
        speed, memory = "throughput", self.task.rss_metric
        if self.task.objective == "throughput":
            return [
                Criterion(speed, "superiority", 0.0, MEAN),
                Criterion(memory, "non-inferiority", self.task.rss_margin, MEAN),
            ]
        return [
            Criterion(memory, "superiority", 0.0, MEAN),
            Criterion(speed, "non-inferiority", self.task.throughput_margin, MEAN),
        ]

    def decide(self, blocks: Sequence[Block], look: Look) -> Decision:
        """Judge a candidate by the rules of `hz3 ab`."""
        metrics = ("throughput", self.task.rss_metric)
        ratios = {
            (metric, MEAN): np.array([block.mean(metric) for block in blocks], dtype=np.float64)
            for metric in metrics
        }
        return decide(self.criteria(), Evidence(ratios, {}), look)

    def guard_states(self, blocks: Sequence[Block], look: Look) -> list[GuardState]:
        """Return what the blocks show of the user's own guards."""
        found = []
        for guard in self.task.guards:
            sign, limit = _sided(guard)
            values = np.array([block.mean(guard.name) for block in blocks])
            interval = trusted_interval(values, confidence=look.confidence)
            low, high = sorted((sign * interval.low, sign * interval.high))
            state = "kept" if high < limit else "broken" if low > limit else "not shown"
            found.append(GuardState(guard.name, guard.limit, interval.exp(), state))
        return found

    def broken_guards(self, blocks: Sequence[Block], look: Look) -> list[str]:
        """Return the user's own guards that the blocks do not show to be kept."""
        return [
            f"{guard.name} may be broken by more than {100 * guard.limit:+g} %"
            for guard in self.guard_states(blocks, look)
            if guard.state != "kept"
        ]

    def interval(self, blocks: Sequence[Block], metric: str, confidence: float = 0.95) -> Interval:
        """Return the ratio of a metric to the default's, with its interval."""
        values = np.array([block.mean(metric) for block in blocks], dtype=np.float64)
        return trusted_interval(values, confidence=confidence).exp()

    def _limits(self) -> list[tuple[str, int, float]]:
        """Metric, sign that makes more worse, and the largest log ratio allowed."""
        if self.task.objective == "throughput":
            found = [(self.task.rss_metric, 1, math.log1p(self.task.rss_margin))]
        else:
            found = [("throughput", -1, -math.log1p(-self.task.throughput_margin))]
        return found + [(guard.name, *_sided(guard)) for guard in self.task.guards]


def _sided(guard: Guard) -> tuple[int, float]:
    sign = 1 if guard.limit >= 0 else -1
    return sign, sign * math.log1p(guard.limit)
