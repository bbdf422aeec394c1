"""Time left in a run, learnt from the samples that are done."""

from __future__ import annotations

from collections.abc import Iterable

from hz3py.measure.plan import Step, expected_s


class Forecast:
    """Estimates the time that the remaining samples will take.

    An arm that has run is expected to take as long again (mean over its samples); one that has not
    is expected to take what its suite says, scaled by how wrong the suite was so far.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        """Start with everything left.

        Args:
            steps: The samples still to take.
        """
        self._left: dict[tuple[str, str, int], Step] = {step.key: step for step in steps}
        self._taken: dict[tuple[str, str], list[float]] = {}
        self._seconds_taken = 0.0
        self._seconds_expected = 0.0

    def finished(self, step: Step, seconds: float) -> None:
        """Note that a sample took so many seconds."""
        self._left.pop(step.key, None)
        self._taken.setdefault(step.arm, []).append(seconds)
        self._seconds_taken += seconds
        self._seconds_expected += expected_s(step.row)

    def dropped(self, step: Step) -> None:
        """Note that a sample will not be taken."""
        self._left.pop(step.key, None)

    def remaining_s(self) -> float:
        """Return the expected seconds until the last sample is done."""
        expected = self._seconds_expected
        scale = self._seconds_taken / expected if expected > 0 else 1.0
        return sum(self._expect(step, scale) for step in self._left.values())

    def _expect(self, step: Step, scale: float) -> float:
        taken = self._taken.get(step.arm)
        return sum(taken) / len(taken) if taken else scale * expected_s(step.row)
