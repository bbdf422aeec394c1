"""From samples to evidence: pairs of the same block, and whether both did the same work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hz3py.analysis.criteria import COUNTED, MEAN, METRICS
from hz3py.analysis.order_effects import drift, position_effect
from hz3py.analysis.ratios import paired_log_ratios
from hz3py.analysis.verdict import Evidence
from hz3py.errors import UsageError

STEADY_SAMPLES = 2
"""With so many equal numbers of operations an arm is taken to have a fixed amount of work."""

FEWEST_DISTANCES = 10
"""So many readings are needed before the distance of the CPUs is said to change."""

CHANGED_DISTANCE = 1.5
"""The distance changed if its 90th percentile is so many times the 10th."""


def evidence(
    samples: pd.DataFrame, baseline: str, candidate: str, metrics: Iterable[str]
) -> Evidence:
    """Pair the good samples of two arms block by block.

    Args:
        samples: One line per sample, columns as in `hz3py.store.export.COLUMNS`.
        baseline: Name of the one arm.
        candidate: Name of the other arm.
        metrics: Names of `METRICS`.

    Returns:
        Log ratios for every metric and row, and for the mean over all rows.

    Raises:
        UsageError: A metric was not measured, or is zero somewhere.
    """
    good = samples[samples["status"] == "ok"]
    wanted = [METRICS[name] for name in dict.fromkeys(metrics) if name != COUNTED]
    ratios: dict[tuple[str, str], NDArray[np.float64]] = {}
    for metric in wanted:
        by_row: dict[str, dict[int, float]] = {}
        for label, row in good.groupby("label", sort=False):
            figures = [_figures(row, arm, metric.column) for arm in (candidate, baseline)]
            by_row[str(label)] = _log_ratios(figures[0], figures[1], metric.name, str(label))
        for label, found in by_row.items():
            ratios[metric.name, label] = np.array(list(found.values()), dtype=np.float64)
        ratios[metric.name, MEAN] = _mean_over_rows(list(by_row.values()))
    return Evidence(ratios, _counts(good, baseline, candidate))


def different_work(samples: pd.DataFrame) -> list[str]:
    """Return what proves that the arms of a row did not run the same work, one sentence each.

    The program's file, the arguments it says it ran with, and the number of operations must agree.
    Operations are compared where every arm repeats its own number exactly: a program that works
    for a given time has another number in every sample.

    Args:
        samples: One line per sample, columns as in `hz3py.store.export.COLUMNS`.
    """
    complaints = []
    good = samples[samples["status"] == "ok"]
    for label, row in good.groupby("label", sort=False):
        complaints += [
            f"{label}: {what} differs between samples: {_some(row[column])}"
            for column, what in (("program", "the program's file"), ("work", "the work"))
            if row[column].nunique() > 1
        ]
        operations = {
            str(arm): set(group["operations"].dropna())
            for arm, group in row.groupby("allocator", sort=False)
            if len(group) >= STEADY_SAMPLES
        }
        steady = all(len(found) == 1 for found in operations.values())
        if steady and len({min(found) for found in operations.values()}) > 1:
            listed = ", ".join(f"{arm} {min(found):.0f}" for arm, found in operations.items())
            complaints.append(f"{label}: the number of operations differs: {listed}")
    return complaints


def order_doubts(samples: pd.DataFrame, baseline: str, candidate: str) -> list[str]:
    """Return a sentence for every row in which the order of the run shows in the throughput."""
    doubts = []
    good = samples[samples["status"] == "ok"]
    for label, row in good.groupby("label", sort=False):
        speeds = [_figures(row, arm, "throughput") for arm in (candidate, baseline)]
        places = [_figures(row, arm, "position") for arm in (candidate, baseline)]
        blocks = sorted(speeds[0].keys() & speeds[1].keys())
        if not blocks or min(speeds[0][block] * speeds[1][block] for block in blocks) <= 0:
            continue
        ratios = paired_log_ratios(speeds[0], speeds[1])
        first = np.array([places[0][block] < places[1][block] for block in blocks])
        place = position_effect(ratios, first)
        if place.suspicious:
            doubts.append(
                f"{label}: whoever ran first was {100 * place.size:+.1f} % faster (p {place.p:.2g})"
            )
        slope = drift(np.log([speeds[1][block] for block in blocks]))
        if slope.suspicious:
            doubts.append(
                f"{label}: the baseline drifted by {100 * slope.size:+.1f} % over the run "
                f"(p {slope.p:.2g}); pairs cancel that, an average would not"
            )
    return doubts


def machine_doubts(samples: pd.DataFrame) -> list[str]:
    """Return a sentence for everything that the machine did to the samples."""
    return [*_disturbance_doubts(samples), *_repeats(samples), *_distance_doubts(samples)]


def _repeats(samples: pd.DataFrame) -> list[str]:
    again = int((samples["repeats"] > 0).sum())
    if not again:
        return []
    return [
        f"{again} of {len(samples)} samples were taken again because the host moved the CPUs "
        "during them"
    ]


def _disturbance_doubts(samples: pd.DataFrame) -> list[str]:
    bad = samples[samples["disturbed"] != ""]
    if not len(bad):
        return []
    kinds = sorted({word for words in bad["disturbed"] for word in str(words).split()})
    return [
        f"{len(bad)} of {len(samples)} samples were disturbed ({', '.join(kinds)}); "
        "--exclude-unfit of `hz3 ab` and `hz3 compare` leaves them out"
    ]


def _distance_doubts(samples: pd.DataFrame) -> list[str]:
    """Return a sentence if the distance of the CPUs changed while threads were measured.

    Programs that do not report their work may have any number of threads.
    """
    good = samples[(samples["status"] == "ok") & samples["core_to_core_ns"].notna()]
    told = good[(good["threads"] > 1) | (good["work"] == "")]
    if len(told) < FEWEST_DISTANCES:
        return []
    near_ns, far_ns = np.percentile(told["core_to_core_ns"], (10, 90))
    if near_ns <= 0 or far_ns / near_ns < CHANGED_DISTANCE:
        return []
    return [
        f"a cache line took {near_ns:.0f} to {far_ns:.0f} ns from one CPU to another and back "
        "(10th to 90th percentile): the host moved the CPUs, so rows of several threads scatter; "
        "more blocks even it out"
    ]


def _figures(row: pd.DataFrame, arm: str, column: str) -> dict[int, float]:
    own = row[row["allocator"] == arm]
    pairs = zip(own["block"], own[column].astype(float), strict=True)
    return {int(block): float(value) for block, value in pairs if not np.isnan(value)}


def _log_ratios(
    candidate: Mapping[int, float], baseline: Mapping[int, float], metric: str, label: str
) -> dict[int, float]:
    blocks = sorted(candidate.keys() & baseline.keys())
    try:
        values = paired_log_ratios(candidate, baseline)
    except ValueError as error:
        raise UsageError(
            f"{metric} of {label} cannot be compared as a ratio: {error}",
            "leave this metric out for this workload",
        ) from error
    return dict(zip(blocks, (float(value) for value in values), strict=True))


def _mean_over_rows(rows: Sequence[Mapping[int, float]]) -> NDArray[np.float64]:
    """Average the rows block by block, over the blocks that all of them have."""
    if not rows:
        return np.empty(0)
    common = sorted(set.intersection(*(set(row) for row in rows)))
    return np.array([np.mean([row[block] for row in rows]) for block in common], dtype=np.float64)


def _counts(good: pd.DataFrame, baseline: str, candidate: str) -> dict[str, tuple[int, int]]:
    counts = {}
    for label, row in good.groupby("label", sort=False):
        sums = [
            int(row.loc[row["allocator"] == arm, "failed_allocations"].fillna(0).sum())
            for arm in (baseline, candidate)
        ]
        counts[str(label)] = (sums[0], sums[1])
    return counts


def _some(values: Any) -> str:
    return " | ".join(str(value) for value in list(dict.fromkeys(values))[:2])
