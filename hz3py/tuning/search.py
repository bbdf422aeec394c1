"""The search: trials proposed by Optuna, measured in blocks against the default configuration.

Any number of workers may share a study. Each of them measures candidate *and* default on its own
machine, so that log ratios of different machines can be put together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hz3py.tuning.blocks import Block, Blocks
from hz3py.tuning.goals import Goals
from hz3py.tuning.ranges import HUNCHES
from hz3py.tuning.space import Knobs, Space, key_of
from hz3py.tuning.storage import WORKER_ATTRIBUTE, quiet, settle_orphans, worker_name
from hz3py.tuning.task import Task
from hz3py.tuning.watch import Seen, Watch

if TYPE_CHECKING:
    import optuna

BLOCKS_PER_TRIAL = 6
MOST_ROUNDS = 3
"""A configuration that is proposed again gets more blocks, up to so many rounds of them."""

STEPS_BEFORE_PRUNING = 3
PRUNING_LEVEL = 0.1
STARTUP_TRIALS = 10
PATIENCE = 25
WORTHWHILE = 0.005
"""A log ratio; a best value that improved by less has not improved."""

FAILED_SCORE = 1.0
"""What a candidate that fails is told to be worth: far worse than any that runs."""

POLL_S = 0.5
BLOCKS_OF_A_TRIAL = 1000
"""Block numbers of a trial begin at its own number times this, so that none is used twice."""


@dataclass(frozen=True)
class Budget:
    """When to stop searching.

    Attributes:
        trials: Number of trials of the study; None does not limit it.
        seconds: Time of this worker; None does not limit it.
        patience: Trials without a better one after which the search ends.
        blocks: Blocks of a trial that is not stopped early.
    """

    trials: int | None = None
    seconds: float | None = None
    patience: int = PATIENCE
    blocks: int = BLOCKS_PER_TRIAL


@dataclass
class Candidate:
    """One configuration with all its blocks, those of repeated proposals included.

    Attributes:
        knobs: Knobs that differ from the defaults.
        number: The first trial that proposed it.
        blocks: What was measured.
        failure: What it did wrong; empty if it always ran.
    """

    knobs: dict[str, int | str]
    number: int
    blocks: list[Block] = field(default_factory=list)
    failure: str = ""

    @property
    def key(self) -> str:
        """The same for equal configurations."""
        return key_of(self.knobs)


class Search:
    """One worker of a study."""

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        goals: Goals,
        blocks: Blocks,
        *,
        budget: Budget,
        watch: Watch,
        after: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing starts before `run`.

        Args:
            study: Where trials are kept.
            space: What may vary.
            goals: The rules.
            blocks: Measures.
            budget: When to stop.
            watch: Is told what happens.
            after: Is told after each trial how many seconds the search has taken.
            clock: Seconds that only grow.
        """
        self._study = study
        self._space = space
        self._goals = goals
        self._blocks = blocks
        self._budget = budget
        self._watch = watch
        self._after = after
        self._clock = clock
        self._worker = worker_name()
        self._deadline = math.inf
        self._repeats = 0
        self.block_s = math.nan

    def run(self) -> str:
        """Search until the budget is spent.

        Returns:
            Why it ended, as a phrase.

        Raises:
            WorkloadFailedError: The default configuration fails.
            KeyboardInterrupt: The user stopped it; the trial that was going on is given up.
        """
        start = self._clock()
        seconds = self._budget.seconds
        self._deadline = math.inf if seconds is None else start + seconds
        with quiet():
            settle_orphans(self._study)
            for proposal in self._first_proposals():
                self._study.enqueue_trial(proposal)
            while not (reason := self._over()):
                if self._others_take_the_last():
                    time.sleep(POLL_S)
                    settle_orphans(self._study)
                    continue
                self._study.optimize(self._objective, n_trials=1, catch=())
                if self._after is not None:
                    self._after(self._clock() - start)
        return reason

    def _first_proposals(self) -> list[dict[str, Any]]:
        """Return what is to be tried before any search and has not been, nor will be anyway.

        The defaults, then what has helped before, as far as the space holds it. One that was given
        up with its worker is tried again.
        """
        import optuna

        lost = optuna.trial.TrialState.FAIL
        known = [
            trial.system_attrs.get("fixed_params") or trial.params
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state != lost
        ]
        defaults: list[Knobs] = [{}] if self._space.holds({}) else []
        first = [*defaults, *hunches(self._space, self._goals.task)]
        proposals = [self._space.parameters(knobs) for knobs in first]
        return [proposal for proposal in proposals if proposal not in known]

    def _over(self) -> str:
        if self._clock() >= self._deadline:
            return "the time is up"
        finished = self._finished()
        if self._budget.trials is not None and len(finished) >= self._budget.trials:
            return "all trials are done"
        if self._repeats >= self._budget.patience:
            return "the search space is exhausted"
        if self._stale(finished) >= self._budget.patience:
            return f"no better configuration in {self._budget.patience} trials"
        return ""

    def _finished(self) -> list[optuna.trial.FrozenTrial]:
        import optuna

        return self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))

    def _others_take_the_last(self) -> bool:
        """Whether other workers are at the trials that the budget still allows."""
        import optuna

        if self._budget.trials is None:
            return False
        running = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
        return len(self._finished()) + len(running) >= self._budget.trials

    def _stale(self, finished: Sequence[optuna.trial.FrozenTrial]) -> int:
        """Return how many trials have ended since the best value last improved."""
        best, since = math.inf, 0
        for trial in sorted(finished, key=lambda each: each.number):
            value = trial.values[0] if trial.user_attrs.get("feasible") else math.inf
            if value < best - WORTHWHILE:
                best, since = value, 0
            else:
                since += 1
        return since

    def _objective(self, trial: optuna.Trial) -> float | tuple[float, float]:
        trial.set_user_attr(WORKER_ATTRIBUTE, self._worker)
        knobs = self._space.suggest(trial)
        trial.set_user_attr("knobs", knobs)
        earlier = next((c for c in candidates(self._study) if c.key == key_of(knobs)), None)
        old = [] if earlier is None else earlier.blocks
        if earlier is not None and (
            earlier.failure or not knobs or len(old) >= MOST_ROUNDS * self._budget.blocks
        ):
            # Nothing new can be learnt; the proposal costs no time, but a patience.
            self._repeats += 1
            return self._settle(trial, knobs, old, [], earlier.failure)
        self._repeats = 0
        blocks, failure = self._measure(trial, knobs, old)
        return self._settle(trial, knobs, old, blocks, failure)

    def _measure(
        self, trial: optuna.Trial, knobs: Knobs, old: Sequence[Block]
    ) -> tuple[list[Block], str]:
        """Take the blocks of one trial; stop early where more of them are wasted."""
        single = self._goals.task.objective != "pareto"
        for step, block in enumerate(old):
            if single:
                trial.report(self._goals.score(block), step)
        taken: list[Block] = []
        for place in range(self._budget.blocks):
            self._tell(trial, knobs, [*old, *taken])
            began = self._clock()
            number = trial.number * BLOCKS_OF_A_TRIAL + place
            block = self._blocks([knobs], number)[0]
            self.block_s = self._clock() - began
            if block.failure:
                return taken, block.failure
            taken.append(block)
            if not knobs:
                # The default against itself: it shows the noise, and its score is known to be 0.
                if single:
                    trial.report(0.0, place)
                continue
            if single:
                trial.report(self._goals.score(block), len(old) + place)
            if self._goals.hopeless([*old, *taken]) or (single and trial.should_prune()):
                break
            if self._clock() >= self._deadline:
                break
        return taken, ""

    def _settle(
        self,
        trial: optuna.Trial,
        knobs: Knobs,
        old: Sequence[Block],
        new: Sequence[Block],
        failure: str,
    ) -> float | tuple[float, float]:
        """Store what was measured and return what the trial is worth."""
        trial.set_user_attr("blocks", [_packed(block) for block in new])
        trial.set_user_attr("failure", failure)
        known = [*old, *new]
        if failure or not known:
            violations, values = {"failed": 1.0}, (FAILED_SCORE, FAILED_SCORE)
        elif not knobs:
            violations, values = dict.fromkeys(self._goals.violations(known), 0.0), (0.0, 0.0)
        else:
            violations = self._goals.violations(known)
            values = self._values(known)
        for name, value in violations.items():
            trial.set_constraint(name, value)
        feasible = all(value <= 0 for value in violations.values())
        trial.set_user_attr("feasible", feasible)
        self._tell(trial, knobs, known, finished=True, failure=failure)
        return values if self._goals.task.objective == "pareto" else values[0]

    def _values(self, blocks: Sequence[Block]) -> tuple[float, float]:
        score = self._goals.mean_score(blocks)
        slowness = -float(np.mean([block.mean("throughput") for block in blocks]))
        return score, slowness

    def _tell(
        self,
        trial: optuna.Trial,
        knobs: Knobs,
        blocks: Sequence[Block],
        *,
        finished: bool = False,
        failure: str = "",
    ) -> None:
        goals = self._goals
        metric = goals.task.rss_metric
        self._watch.trial(
            Seen(
                number=trial.number,
                knobs=knobs,
                blocks=len(blocks),
                rss=_mean(blocks, metric),
                throughput=_mean(blocks, "throughput"),
                broken=[n for n, v in goals.violations(blocks).items() if v > 0] if blocks else [],
                failure=failure,
                finished=finished,
                left_s=self._left_s(len(blocks)),
            )
        )

    def _left_s(self, taken: int) -> float:
        """Return the seconds that the search will take at most; NaN while nothing is known."""
        left = self._deadline - self._clock()
        if self._budget.trials is not None and not math.isnan(self.block_s):
            missing = self._budget.trials - len(self._finished())
            blocks = missing * self._budget.blocks - taken % self._budget.blocks
            left = min(left, max(0, blocks) * self.block_s)
        return left if math.isfinite(left) else math.nan


def candidates(study: optuna.Study) -> list[Candidate]:
    """Return every configuration that was measured, proposals of the same one put together."""
    import optuna

    found: dict[str, Candidate] = {}
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
        knobs = dict(trial.user_attrs.get("knobs", {}))
        candidate = found.setdefault(key_of(knobs), Candidate(knobs, trial.number))
        candidate.blocks += [_unpacked(data) for data in trial.user_attrs.get("blocks", [])]
        candidate.failure = candidate.failure or str(trial.user_attrs.get("failure", ""))
    return list(found.values())


def hunches(space: Space, task: Task) -> list[Knobs]:
    """Return what has saved memory before, as far as the space holds it and memory is wanted."""
    if task.objective == "throughput":
        return []
    return [knobs for knobs in HUNCHES if space.holds(knobs)]


def make_sampler(seed: int | None, trials: int | None, given: int = 0) -> Any:
    """Return the sampler of a worker; every worker needs another seed.

    Args:
        seed: Of its proposals; None takes the time.
        trials: Trials of the study; None does not limit it.
        given: How many of them are given beforehand; they stand for no random ones.
    """
    import optuna

    startup = STARTUP_TRIALS if trials is None else max(4, min(STARTUP_TRIALS, trials // 3))
    with quiet():
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=startup + given, multivariate=True, group=True
        )


def make_pruner() -> Any:
    """Return what stops trials that are clearly worse than the best one, block by block."""
    import optuna

    with quiet():
        return optuna.pruners.WilcoxonPruner(
            p_threshold=PRUNING_LEVEL, n_startup_steps=STEPS_BEFORE_PRUNING
        )


def _mean(blocks: Sequence[Block], metric: str) -> float:
    return float(np.mean([block.mean(metric) for block in blocks])) if blocks else math.nan


def _packed(block: Block) -> list[list[Any]]:
    return [[metric, label, round(value, 6)] for (metric, label), value in block.ratios.items()]


def _unpacked(data: Sequence[Sequence[Any]]) -> Block:
    ratios: Mapping[tuple[str, str], float] = {
        (str(metric), str(label)): float(value) for metric, label, value in data
    }
    return Block(ratios)
