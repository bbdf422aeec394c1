"""The public Python functions that measure: `hz3py.bench` and `hz3py.tune`.

They do what the commands of the same names do, and return frames and values instead of printing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hz3py.analysis.summary import arms as summarise
from hz3py.measure.arms import Arm, run_blocks
from hz3py.native import knobs as knob_table
from hz3py.store.export import frame
from hz3py.store.records import SampleRecord
from hz3py.system import machine
from hz3py.system.allocators import find
from hz3py.tuning import elsewhere, session, work
from hz3py.tuning.choose import build
from hz3py.tuning.ranges import DEFAULT_KNOBS
from hz3py.tuning.search import BLOCKS_PER_TRIAL, Budget
from hz3py.tuning.task import THROUGHPUT_MARGIN, Objective, Task, check, slowdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hz3py.tuning.watch import Watch

DEFAULT_TRIALS = 40


@dataclass(frozen=True)
class BenchResult:
    """What a benchmark brought.

    Attributes:
        rows: One line per workload and arm: throughput with unit, ratio to the fastest with its
            interval, resident memory in MiB, number of blocks, status.
        samples: One line per process, columns as in `hz3py.store.export.COLUMNS`.
        series: Resident memory over time: workload, arm, block, time_s, rss_mib.
    """

    rows: pd.DataFrame
    samples: pd.DataFrame
    series: pd.DataFrame


@dataclass(frozen=True)
class TuneResult:
    """What a tuning session brought.

    Attributes:
        claim: Whether better knobs were confirmed on fresh blocks.
        knobs: Those knobs; empty without a claim.
        profile: The profile; None without a claim.
        configurations: Every configuration that the search measured: one column per knob, ratios
            to the defaults, whether guards were kept, whether it lies on the front.
        importance: Knob to its share in the objective.
        document: The content of tune.json.
        folder: Where the files are.
    """

    claim: bool
    knobs: Mapping[str, int | str]
    profile: Path | None
    configurations: pd.DataFrame
    importance: Mapping[str, float]
    document: Mapping[str, Any]
    folder: Path

    def front(self) -> Figure:
        """Draw memory against throughput of every configuration."""
        from hz3py.report.tuning import front_figure

        return front_figure(self.document)

    def response(self) -> Figure:
        """Draw how memory and throughput respond to each knob."""
        from hz3py.report.tuning import response_figure

        return response_figure(self.document["curves"])


def bench(
    what: str | Sequence[str],
    *,
    allocators: Sequence[str] = ("hz3", "system"),
    knobs: Mapping[str, Mapping[str, int | str]] | None = None,
    blocks: int = 5,
    threads: int | None = None,
    seed: int = 0,
    timeout_s: float | None = None,
) -> BenchResult:
    """Measure a workload under several allocators, interleaved in blocks.

    Args:
        what: Name of a packaged workload or suite, or a command as a list of words.
        allocators: Names of installed allocators.
        knobs: Further arms: their name to knobs of hz3.
        blocks: How often every arm runs.
        threads: Threads of packaged workloads; None takes the suite's own.
        seed: Seed of the order.
        timeout_s: Seconds until a sample of a command counts as hung.

    Raises:
        UsageError: A name is unknown, or an allocator is not installed.
        KeyboardInterrupt: The user stopped it.
    """
    from hz3py.errors import UsageError

    arms = []
    for allocator in find(list(allocators)):
        if not allocator.installed:
            raise UsageError(f"{allocator.name} is not installed", allocator.install_hint)
        arms.append(Arm(allocator.name, allocator))
    own = find(["hz3"])[0]
    arms += [Arm(name, own, dict(values)) for name, values in (knobs or {}).items()]
    taken = run_blocks(
        arms, _work(what, threads, timeout_s).rows, blocks=blocks, seed=seed, append=_forget
    )
    if taken.outcome.interrupted:
        raise KeyboardInterrupt
    order = {arm.name: place for place, arm in enumerate(arms)}
    records = sorted(taken.records, key=lambda each: (order[each.allocator], each.block))
    samples = frame(records)
    return BenchResult(_rows(samples), samples, _series(records))


def tune(
    what: str | Sequence[str],
    *,
    trials: int | None = None,
    minutes: float | None = None,
    knobs: Sequence[str] = DEFAULT_KNOBS,
    fixed: Mapping[str, str] | None = None,
    ranges: Mapping[str, str] | None = None,
    objective: Objective = "rss",
    max_slowdown: float = 100 * THROUGHPUT_MARGIN,
    metric_regex: str | None = None,
    blocks: int = BLOCKS_PER_TRIAL,
    confirm_blocks: int | None = None,
    threads: int | None = None,
    also: Sequence[str | Sequence[str]] = (),
    seed: int = 0,
    storage: str = "",
    out: Path | str | None = None,
    watch: Watch | None = None,
) -> TuneResult:
    """Search better knobs for a workload and confirm them on fresh blocks.

    Args:
        what: Name of a packaged workload or suite, or a command as a list of words.
        trials: Number of trials; without it and without `minutes`, 40.
        minutes: Time for everything.
        knobs: Knobs or groups that vary, or "all".
        fixed: Knob to value that every candidate has.
        ranges: Knob to "lo:hi".
        objective: "rss", "throughput" or "pareto"; the other figure is guarded.
        max_slowdown: Throughput that may be lost for memory, in percent, above 0 and below 100;
            not read where throughput is the objective.
        metric_regex: Expression with one group, the speed, in the output of a command.
        blocks: Blocks of a trial.
        confirm_blocks: Blocks behind the claim; None takes what `minutes` allow or, without a
            limit of time, what the noise demands, at most 100.
        threads: Threads of packaged workloads.
        also: Other inputs on which a claim is tried: names of packaged workloads where one is
            tuned, else commands, each as one text or as a list of words. Without them, other inputs
            and thread counts of a packaged workload.
        seed: Seed of proposals and of the order of samples.
        storage: Storage URL of Optuna; empty keeps the study in the folder.
        out: Folder of the results; None takes a temporary one that is kept.
        watch: Is told what happens.

    Raises:
        UsageError: A name is unknown, or arguments contradict each other.
        WorkloadFailedError: The workload fails under the default configuration.
    """
    chosen = _work(what, threads, None)
    task = check(
        Task(
            chosen.name,
            chosen.rows,
            objective=objective,
            metric_regex=metric_regex,
            throughput_margin=slowdown(max_slowdown, "max_slowdown"),
        )
    )
    others = elsewhere.works_of(task, also, threads) if also else chosen.transfer
    if trials is None and minutes is None:
        trials = DEFAULT_TRIALS
    request = session.Request(
        task=task,
        space=build(knob_table.table(), names=knobs, fixed=fixed, ranges=ranges),
        budget=Budget(trials=trials, blocks=blocks),
        minutes=minutes,
        storage=storage,
        seed=seed,
        final_blocks=confirm_blocks,
        transfer=elsewhere.tasks_of(task, others),
    )
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="hz3-tune-"))
    folder.mkdir(parents=True, exist_ok=True)
    result = session.tune(request, folder, machine=machine.describe(), watch=watch)
    return _tune_result(result.document, result.profile, folder)


def _tune_result(document: Mapping[str, Any], profile: Path | None, folder: Path) -> TuneResult:
    return TuneResult(
        claim=bool(document["claim"]),
        knobs=document["knobs"],
        profile=profile,
        configurations=_configurations(document["configurations"]),
        importance=document["importance"],
        document=document,
        folder=folder,
    )


def _work(what: str | Sequence[str], threads: int | None, timeout_s: float | None) -> work.Work:
    from hz3py.workloads import suites

    if not isinstance(what, str):
        return work.of_command(what, timeout_s)
    if what in suites.packaged() or what.endswith(".toml"):
        return work.of_suite(what, threads)
    return work.of_workload(what, threads)


def _rows(samples: pd.DataFrame) -> pd.DataFrame:
    table: pd.DataFrame = pd.DataFrame(
        [
            {
                "workload": arm.label,
                "arm": arm.allocator,
                "throughput": arm.throughput,
                "unit": arm.unit,
                "ratio": arm.to_best.estimate,
                "low": arm.to_best.low,
                "high": arm.to_best.high,
                "rss_mean_mib": arm.rss.mean / 1024,
                "rss_peak_mib": arm.rss.peak / 1024,
                "blocks": arm.blocks,
                "status": arm.status,
            }
            for arm in summarise(samples)
        ]
    )
    return table


def _series(records: Sequence[SampleRecord]) -> pd.DataFrame:
    lines = [
        (record.label, record.allocator, record.block, seconds, kb / 1024)
        for record in records
        for seconds, kb in (record.sample.get("rss") or {}).get("series", ())
    ]
    columns = ["workload", "arm", "block", "time_s", "rss_mib"]
    table: pd.DataFrame = pd.DataFrame(lines, columns=columns)
    return table


def _configurations(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    figures = ("trial", "blocks", "rss_ratio", "throughput_ratio", "guards_kept", "front")
    table: pd.DataFrame = pd.DataFrame(
        [{**line["values"], **{name: line[name] for name in figures}} for line in lines]
    )
    return table


def _forget(_record: SampleRecord) -> None:
    """Keep nothing on disk: the frames hold it all."""
