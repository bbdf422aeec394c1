"""What `hz3 tune` and `hz3 verify` show: progress, the result as words or a table, pictures."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hz3py.analysis.verdict import percent
from hz3py.cli.console import note, out
from hz3py.cli.show import show
from hz3py.errors import StoreError
from hz3py.report.numbers import duration
from hz3py.report.text import Column, Line, Section, Table
from hz3py.tuning.space import described
from hz3py.tuning.watch import Seen, Watch

if TYPE_CHECKING:
    from hz3py.tuning.outcome import Result
    from hz3py.tuning.session import Request

STEP_LINES_S = 15.0


class Best:
    """Keeps the best trial that was seen."""

    def __init__(self, objective: str) -> None:
        """Start without one."""
        self._objective = objective
        self._value = 0.0
        self.text = "none yet"

    def take(self, seen: Seen) -> None:
        """Look at a trial that has ended."""
        value = -seen.throughput if self._objective == "throughput" else seen.rss
        if seen.knobs and not seen.broken and not seen.failure and value < self._value:
            self._value = value
            self.text = f"{changes(seen)} with {described(seen.knobs)}"


def changes(seen: Seen) -> str:
    """Write the figures of a trial as a phrase."""
    if math.isnan(seen.rss):
        return "first block"
    rss, speed = percent(math.exp(seen.rss)), percent(math.exp(seen.throughput))
    return f"memory {rss}, throughput {speed}"


def _state(seen: Seen) -> str:
    if seen.failure:
        return f"failed: {seen.failure}"
    return f"breaks {', '.join(seen.broken)}" if seen.broken else "guards kept"


def _left(seconds: float) -> str:
    return f"; at most {duration(seconds)} left" if seconds > 0 else ""


class Lines:
    """One line per finished trial, and some while confirming."""

    def __init__(self, best: Best) -> None:
        """Start before the first trial."""
        self._best = best
        self._phase = ""
        self._told_s = -math.inf

    def trial(self, seen: Seen) -> None:
        """Report a trial that has ended."""
        if not seen.finished:
            return
        self._best.take(seen)
        if not seen.knobs:
            note(f"trial {seen.number + 1}: the defaults against themselves{_left(seen.left_s)}")
            return
        note(
            f"trial {seen.number + 1}: {changes(seen)}, {_state(seen)} [{described(seen.knobs)}]; "
            f"best: {self._best.text}{_left(seen.left_s)}"
        )

    def phase(self, text: str) -> None:
        """Report what begins."""
        self._phase = text
        self._told_s = time.monotonic()
        note(text)

    def step(self, done: int, total: int, left_s: float) -> None:
        """Report now and then."""
        if time.monotonic() - self._told_s > STEP_LINES_S:
            self._told_s = time.monotonic()
            note(f"{self._phase}: block {done} of {total}{_left(left_s)}")

    def ended(self) -> None:
        """Nothing is left to report."""


class Screen:
    """One line that changes on a terminal."""

    def __init__(self, best: Best) -> None:
        """Prepare the line; it appears with the first event."""
        from rich.console import Console
        from rich.status import Status

        self._best = best
        self._phase = ""
        self._console = Console(stderr=True)
        self._status = Status("", console=self._console, refresh_per_second=1)

    def trial(self, seen: Seen) -> None:
        """Show the trial, the best one and the time."""
        if seen.finished:
            self._best.take(seen)
        self._show(
            f"trial {seen.number + 1}, block {seen.blocks + 1}: {changes(seen)}, {_state(seen)}"
            f" · best: {self._best.text}{_left(seen.left_s)}"
        )

    def phase(self, text: str) -> None:
        """Show what begins."""
        self._phase = text
        self._show(text)

    def step(self, done: int, total: int, left_s: float) -> None:
        """Show how far it is."""
        self._show(f"{self._phase}: block {done} of {total}{_left(left_s)}")

    def ended(self) -> None:
        """Take the line away."""
        self._status.stop()

    def _show(self, text: str) -> None:
        from rich.markup import escape

        self._status.start()
        self._status.update(escape(text))


def watch(request: Request) -> Watch:
    """Return the progress display that fits stderr."""
    best = Best(request.task.objective)
    return Screen(best) if sys.stderr.isatty() else Lines(best)


def draw(result: Result) -> list[Path]:
    """Draw the pictures of a session into its folder.

    Raises:
        StoreError: They cannot be written.
    """
    from hz3py.cli import report_tune
    from hz3py.report import tuning

    try:
        files = tuning.draw(result.document, result.folder)
        text = report_tune.formatted(dict(result.document), result.folder, "markdown")
        (result.folder / "tune.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write to {result.folder}: {error.strerror}") from error
    return [*files, result.folder / "tune.md"]


def show_result(result: Result, pictures: Sequence[Path]) -> None:
    """Print the outcome of a session."""
    for line in verdict_lines(result):
        out(line)
    found = result.confirmation
    if found is not None and found.changes:
        out()
        _show_changes(result)
    if result.transfer:
        out()
        _show_transfer(result)
    elif found is not None and result.document["transfer_planned"]:
        others = ", ".join(result.document["transfer_planned"])
        out(f"  not tried on other inputs, since there is no claim to carry over: {others}")
    out()
    names = [path.name for path in pictures]
    out(f"results in {result.folder}: tune.json, {', '.join(names)}")
    out(f"a page:  hz3 report {shlex.quote(str(result.folder))}")
    if result.profile is not None:
        quoted = shlex.quote(str(result.profile))
        out(f"use it:  hz3 run --profile {quoted} -- PROGRAM")
        out(f"deploy:  hz3 env --profile {quoted}")


def verdict_lines(result: Result) -> list[str]:
    """Return what may be claimed, in a few sentences."""
    found = result.confirmation
    trials = f"{result.trials} trials; the search ended because {result.ended}"
    if found is None:
        return [f"searched for the study: {trials}"]
    if not found.claim:
        lines = ["no claim: nothing is shown to be better than the defaults"]
        lines += [f"  {reason}" for reason in found.reasons]
        return [*lines, f"  {trials}"]
    lines = [
        f"better knobs found: {described(found.knobs)}",
        f"  resident memory {with_bounds(found.rss)}",
        f"  throughput      {with_bounds(found.throughput)}",
        f"  from {found.blocks} fresh blocks, after {result.trials} trials",
    ]
    if not math.isnan(found.searched):
        lines.append(
            f"  the search itself had said {percent(found.searched)}; "
            f"fresh blocks say {percent(found.confirmed)}"
        )
    return lines


def with_bounds(interval: Any) -> str:
    """Write a ratio and its interval as changes in percent."""
    return f"{percent(interval.estimate)} ({percent(interval.low)} to {percent(interval.high)})"


def _show_changes(result: Result) -> None:
    found = result.confirmation
    assert found is not None
    columns = (
        Column("changed knob", number=False),
        Column("without it"),
        Column("", number=False),
    )
    lines = tuple(
        Line(
            (
                change.name,
                "-" if math.isnan(change.loss.estimate) else percent(change.loss.estimate),
                "kept" if change.kept else "dropped: it does not matter",
            )
        )
        for change in found.changes
    )
    show(Table(columns, (Section("", lines),)))


def _show_transfer(result: Result) -> None:
    columns = (
        Column("other input (not part of the claim)", number=False),
        Column("claim", number=False),
        Column("memory", number=False),
        Column("throughput", number=False),
    )
    lines = tuple(
        Line((each.label, each.answer, each.failure))
        if each.failure
        else Line((each.label, each.answer, with_bounds(each.rss), with_bounds(each.throughput)))
        for each in result.transfer
    )
    show(Table(columns, (Section("", lines),)))
    out(result.document["carries_over"])


def markdown(result: Result) -> None:
    """Print the outcome as a Markdown table."""
    for line in table_lines(result):
        out(line)


def table_lines(result: Result) -> list[str]:
    """Return the outcome as lines of Markdown."""
    found = result.confirmation
    if found is None or not found.claim:
        return verdict_lines(result)
    return [
        "| | defaults | tuned | change |",
        "|---|---|---|---|",
        f"| resident memory | 1 | {found.rss.estimate:.3f} | {with_bounds(found.rss)} |",
        f"| throughput | 1 | {found.throughput.estimate:.3f} | {with_bounds(found.throughput)} |",
        "",
        f"`{described(found.knobs)}`: {result.trials} trials, {found.blocks} fresh blocks; "
        f"the search had said {percent(found.searched)}, fresh blocks say "
        f"{percent(found.confirmed)}.",
    ]
