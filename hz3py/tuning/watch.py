"""What a tuning session tells while it is going on; the command line shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hz3py.tuning.space import Knobs


@dataclass(frozen=True)
class Seen:
    """The state of one trial.

    Attributes:
        number: Number of the trial in its study.
        knobs: Its configuration: what differs from the defaults.
        blocks: Blocks that count, those of earlier proposals included.
        rss: Log ratio of resident memory so far; NaN before the first block.
        throughput: Log ratio of throughput so far; NaN before the first block.
        broken: Guards that are broken so far.
        failure: What went wrong; empty if nothing did.
        finished: Whether the trial has ended.
        left_s: Seconds that the search takes at most from here; NaN if unknown.
    """

    number: int
    knobs: Knobs
    blocks: int
    rss: float
    throughput: float
    broken: Sequence[str]
    failure: str
    finished: bool
    left_s: float


class Watch(Protocol):
    """Receives what happens, in order, from the thread that tunes."""

    def trial(self, seen: Seen) -> None:
        """A trial is about to take a block, or has ended."""

    def phase(self, text: str) -> None:
        """Something else begins; `text` is a phrase for a person."""

    def step(self, done: int, total: int, left_s: float) -> None:
        """So many blocks of this phase are done."""

    def ended(self) -> None:
        """Nothing more will be told."""


class Silence:
    """A watch that shows nothing."""

    def trial(self, seen: Seen) -> None:
        """Do nothing."""

    def phase(self, text: str) -> None:
        """Do nothing."""

    def step(self, done: int, total: int, left_s: float) -> None:
        """Do nothing."""

    def ended(self) -> None:
        """Do nothing."""
