"""What a study teaches beside its best configuration: importance, curves, front and cliffs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hz3py.tuning.goals import Goals
from hz3py.tuning.ranges import Value
from hz3py.tuning.search import Candidate
from hz3py.tuning.space import Space
from hz3py.tuning.storage import quiet

if TYPE_CHECKING:
    import optuna

CLIFF = 0.05
"""A step between neighbouring values that changes throughput by more than this fraction."""

CLIFF_ERRORS = 2.0
LEAST_TRIALS = 6
FOREST_SEED = 1


@dataclass(frozen=True)
class Point:
    """All configurations with one value of one knob.

    Attributes:
        value: The value.
        trials: How many configurations have it.
        rss: Mean ratio of resident memory to the default's.
        throughput: Mean ratio of throughput to the default's.
        error: Standard error of log throughput; 0 if there is one configuration only.
    """

    value: Value
    trials: int
    rss: float
    throughput: float
    error: float


@dataclass(frozen=True)
class Cliff:
    """A small step of a knob after which throughput is another one.

    Attributes:
        knob: The knob.
        below: Value on the one side.
        above: Value on the other side.
        change: Ratio of throughput at `above` to that at `below`.
    """

    knob: str
    below: Value
    above: Value
    change: float


def importances(found: Sequence[Candidate], space: Space, goals: Goals) -> dict[str, float]:
    """Return how much of the difference between configurations each knob explains.

    The configurations are told to the evaluator with one number or word per knob; the study's own
    parameters come in pairs where zero is a mode of its own, and there it would see no effect.

    Returns:
        Knob to a share between 0 and 1, the largest first; empty if unknown.

    Source: F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing hyperparameter
    importance", 2014 (shares of the variance of a random forest).
    """
    import optuna

    known = [each for each in found if each.blocks and not each.failure]
    if len(known) < LEAST_TRIALS:
        return {}
    with quiet():
        study = optuna.create_study()
        for trial in _flat_trials(known, space, goals):
            study.add_trial(trial)
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=FOREST_SEED)
        try:
            shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
        except (ValueError, RuntimeError):
            return {}  # all the same
    return {name: round(float(s), 4) for name, s in shares.items() if math.isfinite(s)}


def _flat_trials(
    found: Sequence[Candidate], space: Space, goals: Goals
) -> list[optuna.trial.FrozenTrial]:
    """Return one trial per configuration; a knob that is not read has its default."""
    import optuna

    settings = [{**space.defaults, **each.knobs} for each in found]
    columns: dict[str, list[float | str]] = {}
    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for dimension in space.dimensions:
        name = dimension.name
        if dimension.choices:
            columns[name] = [str(values[name]) for values in settings]
            distributions[name] = optuna.distributions.CategoricalDistribution(
                sorted(set(columns[name]))
            )
            continue
        numbers = [_place(values[name], log=dimension.log) for values in settings]
        columns[name] = [*numbers]
        distributions[name] = optuna.distributions.FloatDistribution(min(numbers), max(numbers))
    # The default is measured against itself: its score is known to be 0.
    scores = [goals.mean_score(each.blocks) if each.knobs else 0.0 for each in found]
    return [
        optuna.trial.create_trial(
            params={name: column[place] for name, column in columns.items()},
            distributions=distributions,
            value=score,
        )
        for place, score in enumerate(scores)
    ]


def _place(value: Value, *, log: bool) -> float:
    return math.log2(_number(value) + 1) if log else _number(value)


def curves(found: Sequence[Candidate], space: Space, goals: Goals) -> dict[str, list[Point]]:
    """Return the response to every knob that varied, its values in order."""
    result: dict[str, list[Point]] = {}
    for dimension in space.dimensions:
        groups: dict[Value, list[tuple[float, float]]] = {}
        for candidate in found:
            values = space.values(candidate.knobs)
            if candidate.failure or not candidate.blocks or dimension.name not in values:
                continue
            rss, speed = means(candidate, goals)
            groups.setdefault(values[dimension.name], []).append((rss, speed))
        order = list(dimension.choices) if dimension.choices else sorted(groups, key=_number)
        result[dimension.name] = [_point(v, groups[v]) for v in order if v in groups]
    return {name: points for name, points in result.items() if points}


def means(candidate: Candidate, goals: Goals) -> tuple[float, float]:
    """Return the log ratios of memory and of throughput of a configuration; 0 for the default."""
    if not candidate.knobs:
        return 0.0, 0.0
    metric = goals.task.rss_metric
    return (
        float(np.mean([block.mean(metric) for block in candidate.blocks])),
        float(np.mean([block.mean("throughput") for block in candidate.blocks])),
    )


def cliffs(curves_by_knob: dict[str, list[Point]]) -> list[Cliff]:
    """Return the steps after which throughput is clearly another one."""
    found = []
    for knob, points in curves_by_knob.items():
        for left, right in pairwise(points):
            step = math.log(right.throughput / left.throughput)
            error = math.hypot(left.error, right.error)
            is_sure = min(left.trials, right.trials) > 1 and abs(step) > CLIFF_ERRORS * error
            if is_sure and abs(math.expm1(step)) > CLIFF:
                found.append(Cliff(knob, left.value, right.value, math.exp(step)))
    return found


def front(found: Sequence[Candidate], goals: Goals) -> list[Candidate]:
    """Return the configurations that none beats in memory and in throughput, leanest first."""
    valid = [each for each in found if each.blocks and not each.failure]
    figures = {id(each): means(each, goals) for each in valid}
    best: list[Candidate] = []
    for each in sorted(valid, key=lambda item: (figures[id(item)][0], -figures[id(item)][1])):
        if not best or figures[id(each)][1] > figures[id(best[-1])][1]:
            best.append(each)
    return best


def document(found: Sequence[Candidate], space: Space, goals: Goals) -> dict[str, Any]:
    """Return everything as JSON-ready data."""
    response = curves(found, space, goals)
    on_front = {each.key for each in front(found, goals)}
    return {
        "importance": importances(found, space, goals),
        "curves": {name: [asdict(point) for point in points] for name, points in response.items()},
        "cliffs": [asdict(cliff) for cliff in cliffs(response)],
        "configurations": [_line(each, space, goals, on_front) for each in found],
    }


def _line(candidate: Candidate, space: Space, goals: Goals, on_front: set[str]) -> dict[str, Any]:
    known = bool(candidate.blocks) and not candidate.failure
    rss, speed = means(candidate, goals) if known else (math.nan, math.nan)
    broken = (
        [name for name, value in goals.violations(candidate.blocks).items() if value > 0]
        if known and candidate.knobs
        else []
    )
    return {
        "trial": candidate.number,
        "knobs": dict(candidate.knobs),
        "values": dict(space.values(candidate.knobs)),
        "blocks": len(candidate.blocks),
        "rss_ratio": math.exp(rss) if known else None,
        "throughput_ratio": math.exp(speed) if known else None,
        "guards_kept": known and not broken,
        "broken": broken,
        "failure": candidate.failure,
        "front": candidate.key in on_front,
    }


def _point(value: Value, group: Sequence[tuple[float, float]]) -> Point:
    table = np.array(group, dtype=np.float64)
    error = float(np.std(table[:, 1], ddof=1)) / math.sqrt(len(group)) if len(group) > 1 else 0.0
    rss, speed = np.exp(np.mean(table, axis=0))
    return Point(value, len(group), float(rss), float(speed), error)


def _number(value: Value) -> float:
    return float(value) if isinstance(value, int) else 0.0
