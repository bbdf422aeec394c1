"""Which configurations of a search are measured again.

The best score alone is a bad guide: it belongs to whoever goes to the very edge of what the guards
allow, or was lucky there, and there no number of blocks shows that the guard is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hz3py.tuning.blocks import Block
from hz3py.tuning.goals import Goals, Values
from hz3py.tuning.search import Candidate

FINALISTS = 6
SAFE_FINALISTS = 3
SHARE_FOR_SAFETY = 0.5
"""A safe finalist promises at least this share of the best one's gain."""


def shortlist(found: Sequence[Candidate], goals: Goals, most: int = FINALISTS) -> list[Candidate]:
    """Return the configurations to measure again: the best scores, then the safest of the good.

    Places that are left go to the next best.

    Args:
        found: Everything that was measured.
        goals: The rules.
        most: How many at most.
    """
    good = [
        candidate
        for candidate in found
        if candidate.knobs
        and candidate.blocks
        and not candidate.failure
        and all(value <= 0 for value in goals.violations(candidate.blocks).values())
        and goals.mean_score(candidate.blocks) < 0
    ]
    good.sort(key=lambda candidate: _upper(goals.scores(candidate.blocks)))
    best = good[: max(1, most - SAFE_FINALISTS)]
    worth = SHARE_FOR_SAFETY * min((goals.mean_score(each.blocks) for each in best), default=0.0)
    others = [each for each in good[len(best) :] if goals.mean_score(each.blocks) <= worth]
    others.sort(key=lambda candidate: _risk(candidate.blocks, goals))
    safe = others[: most - len(best)]
    rest = [each for each in good[len(best) :] if each not in safe]
    return [*best, *safe, *rest[: most - len(best) - len(safe)]]


def _upper(values: Values) -> float:
    """Return the mean and one standard error more: what is surer comes first."""
    spread = float(np.std(values, ddof=1)) if values.size > 1 else math.inf
    return float(np.mean(values)) + spread / math.sqrt(values.size)


def _risk(blocks: Sequence[Block], goals: Goals) -> float:
    """Return the log ratio by which the guard in most danger may be broken."""
    return max(_upper(values) for values in goals.excesses(blocks).values())
