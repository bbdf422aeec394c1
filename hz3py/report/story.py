"""A run as a story: what came out, how sure it is, and every table that carries it.

The same parts, in the same order, make the report as HTML, as Markdown and on a terminal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hz3py.analysis.ratios import geometric_mean
from hz3py.analysis.summary import Arm, Overall
from hz3py.analysis.traces import Trace
from hz3py.report import facts, memory_tables, numbers
from hz3py.report.charts import Block
from hz3py.report.curves import Curve
from hz3py.report.memory_tables import Arms
from hz3py.report.numbers import plural, ratio
from hz3py.report.table import bench_table, legend, overall_table, rss_table
from hz3py.report.text import Table
from hz3py.report.verdict import verdict_table
from hz3py.store.records import RunRecord, SampleRecord

OURS = "hz3"
LEVEL = 0.02
"""Speeds that differ by less are called level."""


@dataclass(frozen=True)
class Story:
    """A run with everything that is told of it.

    Attributes:
        run: What was planned.
        records: Its samples by row, allocator and block.
        arms: Lines of the result table.
        totals: One line per allocator over all rows.
        warnings: What makes the figures less certain.
        document: The JSON document of the run.
        curves: One typical curve per arm.
        traces: Resident memory of all samples by row and allocator.
        speeds: Throughput by row, allocator and block.
        verdict: The document of a verdict; None if the run gave none.
    """

    run: RunRecord
    records: Sequence[SampleRecord]
    arms: Sequence[Arm]
    totals: Sequence[Overall]
    warnings: Sequence[str]
    document: Mapping[str, Any]
    curves: Sequence[Curve]
    traces: Mapping[tuple[str, str], Sequence[Trace]]
    speeds: Mapping[tuple[str, str, int], float]
    verdict: Mapping[str, Any] | None = None

    @property
    def is_about_memory(self) -> bool:
        """Whether the run was made to watch memory (`hz3 rss`)."""
        return about_memory(self.run)

    @property
    def title(self) -> str:
        """What was measured, in few words."""
        if self.verdict is not None:
            return f"Experiment {self.run.suite}"
        if self.is_about_memory:
            return f"Memory of {self.run.suite.removeprefix('rss-')}"
        is_suite = all(row.get("command") is None for row in self.run.plan["rows"])
        return f"Allocators on {'suite ' if is_suite else ''}{self.run.suite}"

    @property
    def has_speed(self) -> bool:
        """Whether durations mean anything: not if programs were ended after a rest."""
        return not self.run.watch.get("idle_s")

    @property
    def labels(self) -> tuple[str, ...]:
        """The rows, in order."""
        return tuple(dict.fromkeys(arm.label for arm in self.arms))

    @property
    def allocators(self) -> tuple[str, ...]:
        """The allocators, in order."""
        return tuple(dict.fromkeys(arm.allocator for arm in self.arms))

    @property
    def blocks(self) -> int:
        """Good samples of the arm that has most."""
        return max((arm.blocks for arm in self.arms), default=0)


@dataclass(frozen=True)
class Part:
    """One part of a report.

    Attributes:
        key: Which part it is; the HTML report adds charts by it.
        heading: Its heading.
        text: Sentences.
        table: Its table, if it has one.
    """

    key: str
    heading: str
    text: tuple[str, ...] = ()
    table: Table | None = None


def parts(story: Story) -> list[Part]:
    """Return the parts of a report in order."""
    accounts = memory_tables.observations(story.records)
    table = rss_table(story.arms) if story.is_about_memory else bench_table(story.arms)
    told = legend(max(1, story.blocks))
    sampler = memory_tables.sampler_sentence(story.records)
    found = [
        *_verdict_part(story.verdict),
        Part("summary", "Summary", tuple(headline(story)), _overall(story)),
        Part("warnings", "Warnings", tuple(story.warnings)),
        Part("results", "Results", (f"{told}.",), table),
        Part("blocks", "Every block", _BLOCKS_TEXT, facts.blocks_table(blocks_of(story))),
        *memory_parts(story.records, story.traces, story.run),
        Part("knobs", "Knobs", (), facts.knobs_table(story.run.plan, accounts)),
        Part("rows", "What ran", (), facts.rows_table(story.run.plan)),
        Part("allocators", "Allocators", (), facts.allocators_table(story.run.plan)),
        Part("machine", "Machine", (f"{sampler}.",) if sampler else (), _machine(story)),
    ]
    return [part for part in found if part.table is not None or part.key == "warnings"]


def about_memory(run: RunRecord) -> bool:
    """Tell whether a run was made to watch memory (`hz3 rss`)."""
    return run.suite.startswith("rss-")


def memory_parts(records: Sequence[SampleRecord], arms: Arms, run: RunRecord) -> list[Part]:
    """Return the tables about memory that the records can fill.

    Args:
        records: The samples.
        arms: Their traces by row label and allocator.
        run: What was planned.
    """
    accounts = memory_tables.observations(records)
    split = memory_tables.split_table(arms, run.fixed_kb)
    fixed = (_FIXED_TEXT,) if run.fixed_kb else ()
    found = [
        Part("phases", "Phases", _PHASES_TEXT, memory_tables.phase_table(arms)),
        Part("split", "What backs the memory", (*_SPLIT_TEXT, *fixed), split),
        Part("rest", "At rest", _REST_TEXT, memory_tables.rest_table(records)),
        Part("parts", "Where memory sits", _PARTS_TEXT, memory_tables.parts_table(accounts)),
    ]
    return [part for part in found if part.table is not None]


_BLOCKS_TEXT = ("Speed is relative to the mean of the fastest allocator of the row.",)
_PHASES_TEXT = ("Resident memory in the phases that the program marked; medians over runs.",)
_SPLIT_TEXT = (
    "Mean resident MiB during the work. Files: code and constant data of the program and its "
    "libraries, the fixed cost of the process. Heap: everything else, stacks included; what it "
    "exceeds the system malloc by is the allocator's cost.",
)
_FIXED_TEXT = "Empty program: the peak of one that only starts and ends under this allocator."
_REST_TEXT = (
    "Exact accounts in MiB, taken while the program used no CPU time. PSS shares common pages "
    "out; lazily freed pages still count until the kernel needs them.",
)
_PARTS_TEXT = ("The allocator's own account of its resident memory when the program ended.",)


def _overall(story: Story) -> Table:
    if story.has_speed:
        return overall_table(story.totals)
    ranked = sorted(story.totals, key=lambda line: (math.isnan(line.rss_mean), line.rss_mean))
    return overall_table(ranked, with_speed=False)


def _machine(story: Story) -> Table:
    return facts.machine_table(story.run.machine)


def _verdict_part(verdict: Mapping[str, Any] | None) -> list[Part]:
    if verdict is None:
        return []
    blocks = plural(int(verdict.get("blocks") or 0), "block")
    candidates: Sequence[Mapping[str, Any]] = verdict.get("candidates") or ()
    text = [
        *([str(verdict["question"])] if verdict.get("question") else []),
        f"{verdict['verdict']} after {blocks}.",
        *(
            f"{candidate['name']}: {reason}."
            for candidate in candidates
            for reason in candidate.get("reasons") or ()
        ),
    ]
    table = verdict_table(verdict) if candidates else facts.verdict_table(verdict)
    return [Part("verdict", "Verdict", tuple(text), table)]


def headline(story: Story) -> list[str]:
    """Return what came out, in a few sentences."""
    known = [line for line in story.totals if not math.isnan(line.throughput)]
    if not known:
        return ["No sample succeeded; the results below say why."]
    if len(known) == 1:
        return [f"Only {known[0].allocator} was measured: there is nothing to compare it with."]
    if story.verdict is not None:
        return ["The figures behind the verdict, arm by arm; the verdict alone weighs their doubt."]
    memory = _memory_sentence(known)
    if not story.has_speed:
        return memory or ["Memory was not measured."]
    speed = [_speed_sentence(story, known)]
    told = [*memory, *speed] if story.is_about_memory else [*speed, *memory]
    return [*told, *_own_sentence(story, known)]


def _speed_sentence(story: Story, known: Sequence[Overall]) -> str:
    first, second = known[:2]
    rows = len(story.labels)
    if rows == 1:
        return _single_row_sentence(story, first, second)
    level = are_level(story, first, second)
    who = (
        f"{first.allocator} and {second.allocator} are level in speed"
        if level
        else f"{first.allocator} is the fastest over {plural(rows, 'row')}"
    )
    own = [arm for arm in story.arms if arm.allocator == first.allocator and arm.blocks]
    certain = sum(arm.to_best_other.known and arm.to_best_other.low > 1 for arm in own)
    known_intervals = any(arm.to_best_other.known for arm in own)
    sure = f" (in {certain} by more than the 95 % interval)" if known_intervals else ""
    return (
        f"{who}: {ratio(first.throughput)} of the best speed of each row (geometric mean), "
        f"fastest in {first.wins} of {rows}{sure}; "
        f"{second.allocator} reaches {ratio(second.throughput)}."
    )


def are_level(story: Story, first: Overall, second: Overall) -> bool:
    """Tell whether the two fastest allocators cannot be told apart in speed."""
    if len(story.labels) > 1:
        return first.throughput - second.throughput < LEVEL
    lead = next(arm.to_best_other for arm in story.arms if arm.allocator == first.allocator)
    return lead.known and lead.low <= 1


def _single_row_sentence(story: Story, first: Overall, second: Overall) -> str:
    arm = next(arm for arm in story.arms if arm.allocator == first.allocator)
    lead = arm.to_best_other
    bounds = numbers.bounds(lead)
    if are_level(story, first, second):
        return (
            f"{first.allocator} and {second.allocator} cannot be told apart in speed: "
            f"{ratio(lead.estimate)} (95 % interval {bounds})."
        )
    interval = f" (95 % interval {bounds})" if bounds else ""
    return (
        f"{first.allocator} is the fastest: {ratio(lead.estimate)} times "
        f"{second.allocator}{interval}."
    )


def _memory_sentence(known: Sequence[Overall]) -> list[str]:
    held = sorted(
        (line for line in known if not math.isnan(line.rss_mean)), key=lambda line: line.rss_mean
    )
    if len(held) < 2:
        return []
    first, second = held[:2]
    if first.rss_mean == 1.0:
        own = next((line for line in held if line.allocator == OURS), second)
        return [
            f"{first.allocator} holds the least memory on average; {second.allocator} holds "
            f"{ratio(second.rss_mean)} times as much"
            + ("." if own in (first, second) else f", {OURS} {ratio(own.rss_mean)} times.")
        ]
    return [
        f"{first.allocator} holds the least memory on average: {ratio(first.rss_mean)} times the "
        f"leanest of each row; then {second.allocator} with {ratio(second.rss_mean)}."
    ]


def _own_sentence(story: Story, known: Sequence[Overall]) -> list[str]:
    """Say where hz3 stands against the best other allocators, if it is among several."""
    if len(known) < 3:
        return []
    speed, memory = own_ratios(story)
    if math.isnan(speed) or math.isnan(memory):
        return []
    return [
        f"Against the best other allocator of each row, hz3 runs at {ratio(speed)} times the "
        f"speed of the fastest and holds {ratio(memory)} times the memory of the leanest."
    ]


def own_ratios(story: Story) -> tuple[float, float]:
    """Return speed and mean memory of hz3 over those of the best other allocator of each row.

    Geometric means over the rows that have both; NaN where there are none.
    """
    speeds, sizes = [], []
    for arm in story.arms:
        if arm.allocator != OURS or not arm.blocks:
            continue
        others = [
            other.rss.mean
            for other in story.arms
            if other.label == arm.label and other.allocator != OURS and other.rss.mean > 0
        ]
        if others and not math.isnan(arm.to_best_other.estimate):
            speeds.append(arm.to_best_other.estimate)
            sizes.append(arm.rss.mean / min(others))
    return _mean_ratio(speeds), _mean_ratio(sizes)


def _mean_ratio(ratios: Sequence[float]) -> float:
    good = [value for value in ratios if value > 0]
    return geometric_mean(dict(enumerate(good))) if good else math.nan


def blocks_of(story: Story) -> dict[str, list[Block]]:
    """Return the figures of every good sample by row, speed relative to the fastest arm."""
    found: dict[str, list[Block]] = {}
    for label in story.labels:
        row = [arm for arm in story.arms if arm.label == label]
        best = max(
            (arm.throughput for arm in row if not math.isnan(arm.throughput)), default=math.nan
        )
        unit = row[0].unit
        for record in story.records:
            if record.label != label or record.status != "ok":
                continue
            speed = story.speeds.get(record.key, math.nan)
            rss = record.sample.get("rss") or {}
            mib = float(rss["mean_kb"]) / 1024 if rss else math.nan
            shown = numbers.speed(speed, unit)
            block = Block(record.allocator, record.block, speed / best, mib, shown)
            found.setdefault(label, []).append(block)
    return found
