"""Blocks of a search: candidates and the default configuration side by side, as log ratios.

`Blocks` is all that search and confirmation know of measuring. `Measured` takes real samples;
tests put a simulation in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hz3py.analysis.criteria import METRICS
from hz3py.errors import WorkloadFailedError
from hz3py.tuning.task import Task, read_figures

if TYPE_CHECKING:
    from hz3py.measure.arms import Arm
    from hz3py.measure.bench import Measure
    from hz3py.measure.sample import Sample
    from hz3py.store.records import SampleRecord
    from hz3py.system.allocators import Allocator
    from hz3py.system.launch import Launch
    from hz3py.tuning.space import Knobs

DEFAULT_ARM = "default"
CHECK_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Block:
    """One candidate against the default configuration in one block.

    Attributes:
        ratios: Metric and row to log(candidate / default).
        failure: What the candidate did wrong; empty if its samples count.
    """

    ratios: Mapping[tuple[str, str], float] = field(default_factory=dict)
    failure: str = ""

    def mean(self, metric: str) -> float:
        """Return the log ratio of a metric, averaged over the rows; NaN if there is none."""
        values = [value for (name, _), value in self.ratios.items() if name == metric]
        return sum(values) / len(values) if values else math.nan


class Blocks(Protocol):
    """Measures candidates against the default configuration."""

    def __call__(
        self, candidates: Sequence[Knobs], number: int, *, task: Task | None = None
    ) -> list[Block]:
        """Measure every candidate and the default once, side by side.

        Args:
            candidates: Knobs that differ from the defaults.
            number: Number of the block; another one each time.
            task: Another task than that of the session, for example another input.

        Returns:
            One block per candidate.

        Raises:
            WorkloadFailedError: The default configuration itself failed.
            KeyboardInterrupt: The user stopped it.
        """
        ...


class Measured:
    """Takes real samples, one process each."""

    def __init__(
        self,
        task: Task,
        allocator: Allocator,
        *,
        seed: int,
        append: Callable[[SampleRecord], None],
        interval_s: float = 0.002,
    ) -> None:
        """Prepare; nothing starts yet.

        Args:
            task: What is measured.
            allocator: hz3.
            seed: Seed of the order within blocks.
            append: Stores one record durably.
            interval_s: First distance of the readings of resident memory, in seconds.
        """
        self._task = task
        self._allocator = allocator
        self._seed = seed
        self._append = append
        self._interval_s = interval_s

    def __call__(
        self, candidates: Sequence[Knobs], number: int, *, task: Task | None = None
    ) -> list[Block]:
        """Measure every candidate and the default once, side by side."""
        from hz3py.measure.arms import run_blocks

        task = task or self._task
        arms = arms_of(candidates, self._allocator)
        taken = run_blocks(
            arms,
            task.rows,
            blocks=1,
            first_block=number,
            seed=self._seed,
            append=self._append,
            suite=task.name,
            measure=gauge(task),
            interval_s=self._interval_s,
        )
        if taken.outcome.interrupted:
            raise KeyboardInterrupt
        return compare(taken.records, [arm.name for arm in arms[1:]])


def arms_of(candidates: Sequence[Knobs], allocator: Allocator) -> list[Arm]:
    """Return the sides of a block: the default configuration, then the candidates."""
    from hz3py.measure.arms import Arm

    sides = [Arm(DEFAULT_ARM, allocator)]
    sides += [
        Arm(f"candidate {place}", allocator, dict(knobs))
        for place, knobs in enumerate(candidates, 1)
    ]
    return sides


def compare(records: Sequence[SampleRecord], names: Sequence[str]) -> list[Block]:
    """Turn the records of one block into log ratios.

    Raises:
        WorkloadFailedError: A sample of the default configuration failed.
    """
    from hz3py.store.export import frame

    lines: list[dict[Any, Any]] = frame(records).to_dict("records")
    extra = {
        (record.allocator, record.label): (record.sample.get("result") or {}).get("guards", {})
        for record in records
    }
    by_arm: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        by_arm.setdefault(str(line["allocator"]), {})[str(line["label"])] = {
            str(key): value for key, value in line.items()
        }
    for label, line in by_arm.get(DEFAULT_ARM, {}).items():
        if line["status"] != "ok":
            raise WorkloadFailedError(
                f"{label} fails under the default configuration already: "
                f"{line['status']}: {line['detail']}",
                "make it run under `hz3 run` first",
            )
    return [_block(by_arm, name, extra) for name in names]


def _block(
    by_arm: Mapping[str, Mapping[str, Mapping[str, Any]]],
    name: str,
    extra: Mapping[tuple[str, str], Mapping[str, float]],
) -> Block:
    ratios: dict[tuple[str, str], float] = {}
    for label, line in by_arm[name].items():
        if line["status"] != "ok":
            return Block(failure=f"{label}: {line['status']}: {line['detail']}")
        base = by_arm[DEFAULT_ARM][label]
        for metric in METRICS.values():
            pair = (line[metric.column], base[metric.column])
            if all(value > 0 and math.isfinite(value) for value in pair):
                ratios[metric.name, label] = math.log(pair[0] / pair[1])
        for guard, value in extra[name, label].items():
            reference = extra[DEFAULT_ARM, label].get(guard)
            if reference:
                ratios[guard, label] = math.log(value / reference)
    return Block(ratios)


def gauge(task: Task) -> Measure:
    """Return what takes one sample of the task and reads its figures."""
    from hz3py.measure.run import measure

    def take(launch: Launch, *, expect_json: bool, interval_s: float) -> Sample:
        if task.server is not None:
            from hz3py.measure.server import measure_server

            sample = measure_server(
                launch,
                client=task.server.client,
                port=task.server.port,
                ready=task.server.ready,
                start_s=task.server.start_s,
                interval_s=interval_s,
            )
        else:
            sample = measure(launch, expect_json=expect_json, interval_s=interval_s)
        return _read(task, sample) if sample.ok else sample

    return take


def _read(task: Task, sample: Sample) -> Sample:
    """Put the figures that the task asks for into the sample's result."""
    output = f"{sample.stdout_tail}\n{sample.stderr_tail}"
    complaint = _checked(task, output)
    if complaint:
        return replace(sample, status="failed", detail=complaint)
    if task.metric_regex is None and not task.guards:
        return sample
    reading = read_figures(task, output)
    if reading.complaint:
        return replace(sample, status="garbage", detail=reading.complaint)
    figures = dict(reading.figures)
    result: dict[str, Any] = {"schema": 1, "unit": "1/s", **(sample.result or {})}
    wall_s = float(sample.exec.get("wall_s") or 0.0)
    default = result.get("throughput", 1 / wall_s if wall_s > 0 else math.nan)
    result["throughput"] = figures.pop("throughput", default)
    result["guards"] = figures
    return replace(sample, result=result)


def _checked(task: Task, output: str) -> str:
    """Let the user's command judge the output; return its complaint, empty if it has none."""
    if not task.check:
        return ""
    import subprocess

    from hz3py.system.launch import clean_environment

    try:
        process = subprocess.run(
            list(task.check),
            input=output,
            env=clean_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the check {Path(task.check[0]).name} did not run: {error}"
    if process.returncode == 0:
        return ""
    said = (process.stderr or process.stdout).strip().splitlines()[-1:] or ["it said nothing"]
    return f"the check ended with code {process.returncode}: {said[0][:200]}"
