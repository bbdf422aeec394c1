"""Confirmation: no claim without blocks that the search has not seen.

A search picks what looked best, and what looked best was also lucky. So a few finalists are
measured again beside the default; the winner is rid of changes that do not matter; and what is left
is judged on blocks of its own, by the rules of `hz3 ab`. Only those last blocks carry the claim.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hz3py.analysis.evidence import trusted_interval
from hz3py.analysis.intervals import Interval
from hz3py.analysis.looks import Look, fixed_look
from hz3py.analysis.verdict import Decision, Judgement, Word
from hz3py.tuning.blocks import Block, Blocks
from hz3py.tuning.finalists import shortlist
from hz3py.tuning.goals import Goals, GuardState
from hz3py.tuning.search import Candidate
from hz3py.tuning.space import Knobs, Space, described, key_of
from hz3py.tuning.watch import Watch

FINAL_BLOCKS = 12
LEAST_FINAL_BLOCKS = 8
MOST_FINAL_BLOCKS = 400
MOST_UNASKED_BLOCKS = 100
"""Of a session without a limit of time: nobody said how long he is ready to wait."""

SURE = 0.9
"""Chance of a claim with which the last blocks are enough."""
HOPE = 0.3
"""Chance of a claim, with the most blocks, below which nobody is made to wait for them."""

MOST_JUDGED = 2
"""The winner, and what is left of it without the changes that do not matter."""

LEAST_EARLY_BLOCKS = 4
MOST_EARLY_BLOCKS = 12
MOST_SLIMMING_BLOCKS = 6
"""More blocks before the last ones would be taken from those that carry the claim."""

TOLERATED_LOSS = 0.003
TOLERATED_SHARE = 0.15
"""A change is dropped if that costs no more than this share of the gain."""

_ROUND_BLOCKS = 1_000_000_000
_NO_CANDIDATE = "no configuration was better than the defaults under the guards"
UNKNOWN = Interval(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Finalist:
    """A configuration that was measured again.

    Attributes:
        knobs: Its configuration.
        searched: What the search said: the ratio of the objective to the default's.
        measured: What fresh blocks say, with their interval.
        chosen: Whether it is the one that went on to the last blocks.
    """

    knobs: Knobs
    searched: float
    measured: Interval
    chosen: bool = False


@dataclass(frozen=True)
class Change:
    """One changed knob of the winner.

    Attributes:
        name: The knob.
        loss: Ratio of the objective without this change to that with it; above 1 it is missed.
        kept: Whether the profile keeps it.
    """

    name: str
    loss: Interval
    kept: bool


@dataclass(frozen=True)
class Confirmation:
    """What may be claimed.

    Attributes:
        verdict: Of the machinery of `hz3 ab`.
        claim: Whether the knobs are better: a GO, and no guard of the user broken.
        knobs: The configuration that was judged; empty if there was none.
        throughput: Ratio to the default, with interval.
        rss: Ratio to the default, with interval.
        searched: What the search said of the objective of these knobs or their origin.
        confirmed: What the last blocks say of it.
        blocks: Number of the last blocks.
        finalists: The configurations that were measured again, best first.
        changes: The changed knobs of the winner.
        reasons: Why, one sentence each.
        judgements: The criteria behind the verdict.
        guards: What the last blocks show of the user's own guards.
    """

    verdict: Word
    claim: bool
    knobs: Knobs
    throughput: Interval = UNKNOWN
    rss: Interval = UNKNOWN
    searched: float = math.nan
    confirmed: float = math.nan
    blocks: int = 0
    finalists: tuple[Finalist, ...] = ()
    changes: tuple[Change, ...] = ()
    reasons: tuple[str, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    guards: tuple[GuardState, ...] = ()


def blocks_for(left_s: float, sample_s: float, finalists: int, knobs: int) -> int:
    """Return the number of last blocks for which the time is enough.

    Args:
        left_s: Seconds left.
        sample_s: Seconds that all rows of one arm take.
        finalists: Number of configurations to measure again.
        knobs: Number of knobs that vary.
    """
    if not (sample_s > 0 and math.isfinite(left_s)):
        return FINAL_BLOCKS

    def samples(count: int) -> int:
        choice = early_blocks(count) * (finalists + 1)
        slimming = slimming_blocks(count) * ((knobs + 2) + (knobs + 1))
        return choice + slimming + count * (MOST_JUDGED + 1)

    counts = range(LEAST_FINAL_BLOCKS, MOST_FINAL_BLOCKS + 1)
    return max((n for n in counts if samples(n) * sample_s <= left_s), default=LEAST_FINAL_BLOCKS)


def early_blocks(final_blocks: int) -> int:
    """Return the number of blocks in which the finalists are compared."""
    return min(MOST_EARLY_BLOCKS, max(LEAST_EARLY_BLOCKS, math.ceil(final_blocks / 2)))


def slimming_blocks(final_blocks: int) -> int:
    """Return the number of blocks that show which changes of the winner matter."""
    return min(MOST_SLIMMING_BLOCKS, early_blocks(final_blocks))


def first_block(number: int, configurations: Sequence[Knobs], extensions: int = 0) -> int:
    """Return the number of the first block of a round of confirmation.

    The same round of the same configurations has the same numbers, so that a session that goes on
    finds the blocks that it has recorded; search and other rounds have other numbers, and so has
    the same round after the session was given more time: who looks again takes fresh blocks.
    """
    text = " ".join([*(key_of(knobs) for knobs in configurations), *["again"] * extensions])
    return number * _ROUND_BLOCKS + zlib.crc32(text.encode()) % 10**6 * 1000


class Confirm:
    """The rounds after a search."""

    def __init__(
        self,
        space: Space,
        goals: Goals,
        blocks: Blocks,
        watch: Watch,
        *,
        final_blocks: int | None = FINAL_BLOCKS,
        extensions: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing starts before `run`.

        Args:
            space: What may vary.
            goals: The rules.
            blocks: Measures.
            watch: Is told what happens.
            final_blocks: Number of blocks behind the claim; None takes as many as the finalists
                show to be needed.
            extensions: How often the session was given more time after a confirmation.
            clock: Seconds that only grow.
        """
        self._space = space
        self._goals = goals
        self._blocks = blocks
        self._watch = watch
        self._final = MOST_UNASKED_BLOCKS if final_blocks is None else final_blocks
        self._as_needed = final_blocks is None
        self._early = early_blocks(self._final)
        self._slimming = slimming_blocks(self._final)
        self._confidence = fixed_look(self._final, families=MOST_JUDGED)[0].confidence
        self._clock = clock
        self._extensions = extensions
        self._rounds = 0

    def run(self, found: Sequence[Candidate]) -> Confirmation:
        """Confirm the best of a search, or say that there is nothing to claim.

        Args:
            found: Everything that was measured.
        """
        best = shortlist(found, self._goals)
        if not best:
            return Confirmation("NO-GO", claim=False, knobs={}, reasons=(_NO_CANDIDATE,))
        configurations = [candidate.knobs for candidate in best]
        self._watch.phase(f"{len(best)} finalists again, on fresh blocks")
        measured = self._take(configurations, self._early)
        finalists = [self._finalist(c, b) for c, b in zip(best, measured, strict=True)]
        order = sorted(range(len(best)), key=lambda place: finalists[place].measured.estimate)
        ordered = tuple(finalists[place] for place in order)
        kept = [place for place in order if self._is_good(measured[place])]
        if not kept:
            reason = "what looked best in the search is not better than the defaults when repeated"
            return Confirmation(
                "NO-GO",
                claim=False,
                knobs={},
                searched=ordered[0].searched,
                confirmed=ordered[0].measured.estimate,
                finalists=ordered,
                reasons=(reason,),
            )
        # What the search saw of them is not asked: it is why they are here.
        place = max(kept, key=lambda each: self._promise(measured[each]))
        if self._as_needed:
            self._final = self._blocks_for_claim(measured[place])
        finalists[place] = replace(finalists[place], chosen=True)
        ordered = tuple(finalists[place] for place in order)
        winner = best[place]
        changes, slim = self._fewest_changes(winner.knobs)
        return self._judge(winner, slim, ordered, changes)

    def _take(self, configurations: Sequence[Knobs], count: int) -> list[list[Block]]:
        """Measure configurations side by side in a round of its own."""
        self._rounds += 1
        first = first_block(self._rounds, configurations, self._extensions)
        taken: list[list[Block]] = [[] for _ in configurations]
        each = math.nan
        for done in range(count):
            self._watch.step(done, count, each * (count - done))
            began = self._clock()
            for place, block in enumerate(self._blocks(configurations, first + done)):
                taken[place].append(block)
            each = self._clock() - began
        self._watch.step(count, count, 0.0)
        return taken

    def _finalist(self, candidate: Candidate, blocks: Sequence[Block]) -> Finalist:
        searched = math.exp(self._goals.mean_score(candidate.blocks))
        if any(block.failure for block in blocks):
            return Finalist(candidate.knobs, searched, Interval(math.inf, math.inf, math.inf))
        return Finalist(candidate.knobs, searched, self._objective(blocks))

    def _promise(self, blocks: Sequence[Block]) -> float:
        """Return the gain to be expected of the last blocks; one that is not shown is none."""
        chance = self._goals.chance_to_claim(blocks, self._final, self._confidence)
        return -self._goals.mean_score(blocks) * chance

    def _blocks_for_claim(self, blocks: Sequence[Block]) -> int:
        """Return the fewest blocks that probably carry a claim; few where it is a vain hope."""
        counts = [*range(FINAL_BLOCKS, self._final, FINAL_BLOCKS), self._final]
        chances = [self._goals.chance_to_claim(blocks, n, self._confidence) for n in counts]
        if chances[-1] < HOPE:
            return FINAL_BLOCKS
        return next((n for n, c in zip(counts, chances, strict=True) if c >= SURE), self._final)

    def _objective(self, blocks: Sequence[Block], confidence: float = 0.95) -> Interval:
        """Return the ratio of what is to become small, with its interval."""
        return trusted_interval(self._goals.scores(blocks), confidence=confidence).exp()

    def _is_good(self, blocks: Sequence[Block]) -> bool:
        if any(block.failure for block in blocks):
            return False
        kept = all(value <= 0 for value in self._goals.violations(blocks).values())
        return kept and self._goals.mean_score(blocks) < 0

    def _fewest_changes(self, winner: Knobs) -> tuple[tuple[Change, ...], Knobs]:
        """Find out by measurement which changed knobs matter; return them and what is left."""
        names = [name for name in winner if name not in self._space.fixed]
        variants = {name: self._space.without(winner, name) for name in names}
        if len(names) < 2:
            return tuple(Change(name, UNKNOWN, True) for name in names), winner
        self._watch.phase("which of its changes matter")
        measured = self._take([winner, *variants.values()], self._slimming)
        reference = self._goals.scores(measured[0])
        if any(block.failure for block in measured[0]):
            return tuple(Change(name, UNKNOWN, True) for name in names), winner
        allowed = max(TOLERATED_LOSS, TOLERATED_SHARE * -float(np.mean(reference)))
        changes = []
        for name, blocks in zip(names, measured[1:], strict=True):
            if any(block.failure for block in blocks):
                changes.append(Change(name, UNKNOWN, True))
                continue
            loss = self._goals.scores(blocks) - reference
            broken = self._goals.breaks_beside(blocks, measured[0])
            is_kept = broken or float(np.mean(loss)) > allowed
            changes.append(Change(name, trusted_interval(loss).exp(), is_kept))
        return self._spared_together(winner, changes, allowed)

    def _spared_together(
        self, winner: Knobs, changes: Sequence[Change], allowed: float
    ) -> tuple[tuple[Change, ...], Knobs]:
        """Drop as many of the changes that can be spared one by one as can be spared together.

        Two knobs may do the same: either can be spared, both cannot. So what is left is measured
        after each further change that goes, the one that is missed least first.
        """
        spared = sorted((c for c in changes if not c.kept), key=lambda c: c.loss.estimate)
        chain: list[Knobs] = []
        for change in spared:
            chain.append(self._space.without(chain[-1] if chain else winner, change.name))
        chain = [knobs for knobs in chain if any(name not in self._space.fixed for name in knobs)]
        dropped = min(len(chain), 1)
        if len(chain) > 1:
            self._watch.phase("which of them can be spared together")
            measured = self._take([winner, *chain[1:]], self._slimming)
            reference = self._goals.scores(measured[0])
            for count, blocks in enumerate(measured[1:], 2):
                if any(block.failure for block in (*measured[0], *blocks)):
                    break
                broken = self._goals.breaks_beside(blocks, measured[0])
                if broken or float(np.mean(self._goals.scores(blocks) - reference)) > allowed:
                    break
                dropped = count
        slim = chain[dropped - 1] if dropped else winner
        return tuple(replace(change, kept=change.name in slim) for change in changes), slim

    def _judge(
        self,
        winner: Candidate,
        slim: Knobs,
        finalists: tuple[Finalist, ...],
        changes: tuple[Change, ...],
    ) -> Confirmation:
        """Judge the winner, and what is left of it, on blocks of their own."""
        configurations = [slim] if slim == winner.knobs else [slim, winner.knobs]
        self._watch.phase("the final blocks: " + described(slim))
        measured = self._take(configurations, self._final)
        look = fixed_look(self._final, families=len(configurations))[0]
        outcomes = [
            self._outcome(knobs, blocks, look)
            for knobs, blocks in zip(configurations, measured, strict=True)
        ]
        place = next((place for place, each in enumerate(outcomes) if each[1]), 0)
        decision, claim, reasons = outcomes[place]
        blocks = measured[place]
        failed = any(block.failure for block in blocks)
        throughput, rss, objective = (
            (UNKNOWN, UNKNOWN, UNKNOWN)
            if failed
            else (
                self._goals.interval(blocks, "throughput", look.confidence),
                self._goals.interval(blocks, self._goals.task.rss_metric, look.confidence),
                self._objective(blocks),
            )
        )
        if configurations[place] == winner.knobs:
            changes = tuple(Change(c.name, c.loss, True) for c in changes)
        return Confirmation(
            verdict=decision.verdict if decision is not None else "NO-GO",
            claim=claim,
            knobs=configurations[place],
            throughput=throughput,
            rss=rss,
            searched=math.exp(self._goals.mean_score(winner.blocks)),
            confirmed=objective.estimate,
            blocks=self._final,
            finalists=finalists,
            changes=changes,
            reasons=reasons,
            judgements=() if decision is None else decision.judgements,
            guards=() if failed else tuple(self._goals.guard_states(blocks, look)),
        )

    def _outcome(
        self, knobs: Knobs, blocks: Sequence[Block], look: Look
    ) -> tuple[Decision | None, bool, tuple[str, ...]]:
        failure = next((block.failure for block in blocks if block.failure), "")
        if failure:
            return None, False, (f"{described(knobs)} failed: {failure}",)
        decision = self._goals.decide(blocks, look)
        broken = self._goals.broken_guards(blocks, look)
        claim = decision.verdict == "GO" and not broken
        return decision, claim, (*broken, *decision.reasons)
