"""What a run tells while it is going on; the command line shows it, tests record it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hz3py.measure.plan import Plan, Step
from hz3py.measure.sample import Sample


@dataclass(frozen=True)
class Position:
    """How far a run has come.

    Attributes:
        done: Samples that are finished or given up.
        total: Samples of the whole plan.
        left_s: Expected seconds until the end.
    """

    done: int
    total: int
    left_s: float


class Progress(Protocol):
    """Receives the events of a run, in order, from the thread that runs it."""

    def began(self, plan: Plan, position: Position) -> None:
        """Measuring starts."""

    def sampling(self, step: Step, position: Position) -> None:
        """A sample is about to be taken."""

    def sampled(self, step: Step, sample: Sample, position: Position) -> None:
        """A sample was taken, failed or not, and is in the store."""

    def gave_up(self, step: Step, reason: str) -> None:
        """The arm of this step failed too often and is left out from now on."""

    def ended(self, position: Position) -> None:
        """Measuring has stopped: everything is done, or it was interrupted."""


class Silence:
    """A progress that shows nothing."""

    def began(self, plan: Plan, position: Position) -> None:
        """Do nothing."""

    def sampling(self, step: Step, position: Position) -> None:
        """Do nothing."""

    def sampled(self, step: Step, sample: Sample, position: Position) -> None:
        """Do nothing."""

    def gave_up(self, step: Step, reason: str) -> None:
        """Do nothing."""

    def ended(self, position: Position) -> None:
        """Do nothing."""
