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


def importances(study: optuna.Study) -> dict[str, float]:
    """Return how much of the objective each knob decides, between 0 and 1; empty if unknown."""
    import optuna

    target = None
    if len(study.directions) > 1:
        target = _first_value
    try:
        with quiet():
            found = optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                target=target,
            )
    except (ValueError, RuntimeError):
        return {}  # too few trials, or all the same
    merged: dict[str, float] = {}
    for name, value in found.items():
        knob = name.partition("=")[0]
        merged[knob] = merged.get(knob, 0.0) + float(value)
    return {name: round(value, 4) for name, value in merged.items() if math.isfinite(value)}


def _first_value(trial: optuna.trial.FrozenTrial) -> float:
    return float(trial.values[0])


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


def document(
    study: optuna.Study, found: Sequence[Candidate], space: Space, goals: Goals
) -> dict[str, Any]:
    """Return everything as JSON-ready data."""
    response = curves(found, space, goals)
    on_front = {each.key for each in front(found, goals)}
    enough = len(found) >= LEAST_TRIALS
    return {
        "importance": importances(study) if enough else {},
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
