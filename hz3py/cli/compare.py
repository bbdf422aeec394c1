"""`hz3 compare`: two stored runs, or two allocators of one run, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pandas as pd

from hz3py.analysis.comparison import BASELINE, CANDIDATE, differences, parse_condition
from hz3py.analysis.pairing import different_work
from hz3py.cli.console import note, out, out_json
from hz3py.cli.options import json_option
from hz3py.cli.show import show
from hz3py.errors import UndecidedError, UsageError
from hz3py.report.comparison import comparison_document, comparison_table
from hz3py.report.verdict import change
from hz3py.store.export import frame
from hz3py.store.results import Results, read

EXIT_REGRESSION = 1
DEFAULT_MARGIN_PERCENT = 1.0


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        results: The run.
        path: Where it lies.
        allocator: Which of its allocators.
    """

    results: Results
    path: Path
    allocator: str

    @property
    def name(self) -> str:
        """How a person wrote or could have written it."""
        return f"{self.path}:{self.allocator}"


@click.command()
@click.argument("baseline", metavar="A")
@click.argument("candidate", metavar="B")
@click.option(
    "--fail-on",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="End with 1 if a row or the mean is so, for example 'throughput<-2%'; may be repeated.",
)
@click.option(
    "--margin",
    type=click.FloatRange(min=0, min_open=True, max=50),
    default=DEFAULT_MARGIN_PERCENT,
    show_default=True,
    help="Differences within so many percent are noise.",
)
@click.option("--exclude-unfit", is_flag=True, help="Leave out samples of a disturbed machine.")
@json_option
def command(
    *,
    baseline: str,
    candidate: str,
    conditions: tuple[str, ...],
    margin: float,
    exclude_unfit: bool,
    as_json: bool,
) -> int:
    """Show how B differs from A: speed, CPU time, page faults, resident memory.

    A and B are folders of runs, or RUN:ALLOCATOR. Two allocators of one run are paired block by
    block. Two runs are not: what changed on the machine between them counts as a difference.

    Ends with 1 if a --fail-on condition is broken, with 3 if that cannot be told.
    """
    wanted = [parse_condition(text) for text in conditions]
    first, second = _sides(baseline, candidate)
    paired = first.results.run.run_id == second.results.run.run_id
    samples = pd.concat(
        [
            _of(first, BASELINE, exclude_unfit=exclude_unfit),
            _of(second, CANDIDATE, exclude_unfit=exclude_unfit),
        ],
        ignore_index=True,
    )
    samples, warnings = _comparable(samples, _doubts(first, second, paired=paired))
    found = differences(samples, paired=paired, margin=margin / 100)
    document = comparison_document(
        (first.name, second.name),
        found,
        wanted,
        paired=paired,
        margin=margin / 100,
        warnings=warnings,
    )
    if as_json:
        out_json(document)
    else:
        _print(document)
    if document["broken"]:
        return EXIT_REGRESSION
    return UndecidedError.exit_code if document["undecided"] else 0


def _sides(baseline: str, candidate: str) -> tuple[Side, Side]:
    """Open both sides; an allocator that is not named is the one that both have.

    Raises:
        UsageError: It is not clear which allocators are meant.
        StoreError: A run cannot be read.
    """
    opened = [_open(text) for text in (baseline, candidate)]
    names = [
        [word] if word else list(dict.fromkeys(sample.allocator for sample in results.samples))
        for results, _, word in opened
    ]
    if len(names[0]) > 1 or len(names[1]) > 1:
        common = [name for name in names[0] if name in names[1]]
        chosen = "hz3" if "hz3" in common else common[0] if len(common) == 1 else ""
        if not chosen or opened[0][1] == opened[1][1]:
            raise UsageError(
                f"{baseline} and {candidate} name no allocator, and there are several",
                f"write RUN:ALLOCATOR, for example {opened[0][1]}:{names[0][0]}",
            )
        names = [[chosen] if chosen in side else side for side in names]
    sides = [
        Side(results, path, listed[0])
        for (results, path, _), listed in zip(opened, names, strict=True)
    ]
    return sides[0], sides[1]


def _open(text: str) -> tuple[Results, Path, str]:
    """Read RUN or RUN:ALLOCATOR; the path may hold a colon itself."""
    path, allocator = Path(text), ""
    if not path.exists() and ":" in text:
        stem, _, allocator = text.rpartition(":")
        path = Path(stem)
    results = read(path)
    known = list(dict.fromkeys(sample.allocator for sample in results.samples))
    if allocator and allocator not in known:
        raise UsageError(f"{path} has no allocator {allocator!r}", f"it has {', '.join(known)}")
    if not known:
        raise UsageError(f"{path} holds no samples", "finish the run with --resume first")
    return results, path, allocator


def _of(side: Side, name: str, *, exclude_unfit: bool) -> pd.DataFrame:
    table = frame(sample for sample in side.results.samples if sample.allocator == side.allocator)
    table = table[table["status"] == "ok"]
    if exclude_unfit:
        table = table[table["disturbed"] == ""]
    renamed: pd.DataFrame = table.assign(allocator=name)
    return renamed


def _doubts(first: Side, second: Side, *, paired: bool) -> list[str]:
    if paired:
        return []
    doubts = ["the runs are not paired: what changed on the machine between them counts as well"]
    machines = [side.results.run.machine for side in (first, second)]
    doubts += [
        f"the runs differ in {key}: {machines[0].get(key)} and {machines[1].get(key)}"
        for key in ("host", "cpu", "cpus", "kernel", "thp", "governor")
        if machines[0].get(key) != machines[1].get(key)
    ]
    return doubts


def _comparable(samples: pd.DataFrame, warnings: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Leave out rows that one side lacks or that did other work, and say so.

    Raises:
        UsageError: No row is left.
    """
    said = list(warnings)
    sides: list[set[str]] = [
        set(samples.loc[samples["allocator"] == side, "label"]) for side in (BASELINE, CANDIDATE)
    ]
    lonely = sorted(sides[0] ^ sides[1])
    if lonely:
        said.append(f"rows that only one side has are left out: {', '.join(lonely)}")
    rows = samples[samples["label"].isin(sides[0] & sides[1])]
    bad: set[str] = set()
    for label, row in rows.groupby("label", sort=False):
        for complaint in different_work(row):
            said.append(complaint)
            if "program's file" not in complaint:
                bad.add(str(label))
    if bad:
        said.append(f"rows that did different work are left out: {', '.join(sorted(bad))}")
    rows = rows[~rows["label"].isin(bad)]
    if not len(rows):
        raise UsageError(
            f"the two have no row to compare{': ' + said[-1] if said else ''}",
            "compare runs of the same suite",
        )
    return rows, said


def _print(document: dict[str, Any]) -> None:
    out(f"{document['candidate']} against {document['baseline']}")
    out()
    show(comparison_table(document))
    out()
    for metric, item in document["worst"].items():
        if metric in ("throughput", "rss_mean"):
            out(f"worst {metric}: {item['workload']} {change(item['ratio'])}")
    for entry in document["broken"]:
        out(f"broken: {entry['condition']} in {entry['workload']}: {change(entry['ratio'])}")
    for entry in document["undecided"]:
        out(f"undecided: {entry['condition']} in {entry['workload']}: {change(entry['ratio'])}")
    for text in document["warnings"]:
        note(f"warning: {text}")
