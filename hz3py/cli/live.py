"""Progress of a run on stderr: a bar with the time left on a terminal, plain lines elsewhere.

The bar is redrawn between samples only: a thread that redraws it while a workload runs would take
time from one of its CPUs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hz3py.cli.console import note
from hz3py.measure.plan import Plan, Step
from hz3py.measure.progress import Position, Progress
from hz3py.measure.sample import Sample
from hz3py.report.numbers import duration, plural

if TYPE_CHECKING:
    from rich.progress import TaskID


def progress() -> Progress:
    """Return the progress display that fits stderr."""
    return Bar() if sys.stderr.isatty() else Lines()


def failure(step: Step, sample: Sample) -> str:
    """Return the sentence that reports a failed sample."""
    return f"{step.row.label} under {step.allocator.name}: {sample.status}: {sample.detail}"


def given_up(step: Step) -> str:
    """Return the sentence that reports an arm that is left out from now on."""
    return f"{step.row.label} under {step.allocator.name} is left out of the remaining blocks"


class Lines:
    """One line per finished block, and one per failure."""

    def __init__(self) -> None:
        """Start before the first block."""
        self._blocks = 0
        self._block = -1

    def began(self, plan: Plan, position: Position) -> None:
        """Say how much there is to do."""
        self._blocks = plan.blocks
        todo = position.total - position.done
        if todo:
            note(f"{plural(todo, 'sample')} to take, about {duration(position.left_s)}")
        else:
            note("nothing is missing; all samples are there")

    def sampling(self, step: Step, position: Position) -> None:
        """Report the last block when a new one begins."""
        if self._block not in (-1, step.block):
            self._report(self._block, position)
        self._block = step.block

    def sampled(self, step: Step, sample: Sample, position: Position) -> None:
        """Report a failure."""
        if not sample.ok:
            note(failure(step, sample))

    def gave_up(self, step: Step, reason: str) -> None:
        """Report an arm that is left out."""
        note(given_up(step))

    def ended(self, position: Position) -> None:
        """Report the last block."""
        if self._block >= 0 and position.done == position.total:
            self._report(self._block, position)

    def _report(self, block: int, position: Position) -> None:
        left = f", about {duration(position.left_s)} left" if position.left_s > 0 else ""
        done = f"{position.done} of {position.total} samples"
        note(f"block {block + 1} of {self._blocks} done: {done}{left}")


class Bar:
    """A bar with block, row, allocator and time left."""

    def __init__(self) -> None:
        """Prepare the bar; it appears when the run begins."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            TextColumn("{task.fields[block]}", style="bold"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", style="cyan"),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None
        self._blocks = 0

    def began(self, plan: Plan, position: Position) -> None:
        """Show the bar."""
        self._blocks = plan.blocks
        self._task = self._bar.add_task(
            "",
            total=position.total,
            completed=position.done,
            block="",
            left=f"about {duration(position.left_s)} left",
        )
        self._bar.start()
        self._bar.refresh()

    def sampling(self, step: Step, position: Position) -> None:
        """Show what is being measured."""
        self._update(
            position,
            description=f"{step.row.label} · {step.allocator.name}",
            block=f"block {step.block + 1}/{self._blocks}",
        )

    def sampled(self, step: Step, sample: Sample, position: Position) -> None:
        """Report a failure above the bar."""
        if not sample.ok:
            self._bar.console.print(f"hz3: {failure(step, sample)}", style="red", markup=False)

    def gave_up(self, step: Step, reason: str) -> None:
        """Report an arm that is left out."""
        self._bar.console.print(f"hz3: {given_up(step)}", style="red", markup=False)

    def ended(self, position: Position) -> None:
        """Take the bar away."""
        self._bar.stop()

    def _update(self, position: Position, *, description: str, block: str) -> None:
        if self._task is not None:
            self._bar.update(
                self._task,
                completed=position.done,
                description=description,
                block=block,
                left=f"about {duration(position.left_s)} left",
                refresh=True,
            )
