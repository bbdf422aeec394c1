"""Whether a claim holds on other inputs and thread counts; this is not part of the claim."""

from __future__ import annotations

import math
import os
import shlex
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hz3py.analysis.intervals import Interval
from hz3py.analysis.looks import fixed_look
from hz3py.errors import UsageError, WorkloadFailedError
from hz3py.system import target
from hz3py.tuning import work
from hz3py.tuning.blocks import Block, Blocks
from hz3py.tuning.confirm import UNKNOWN
from hz3py.tuning.goals import Goals
from hz3py.tuning.space import Knobs, key_of
from hz3py.tuning.task import Task, words_of
from hz3py.tuning.watch import Watch
from hz3py.tuning.work import Work

TRANSFER_BLOCKS = 6
"""Even, so that both sides run first equally often."""

HOLDS, FAILS, UNCLEAR = "holds", "fails", "not shown"
_FIRST_BLOCK = 9_000_000_000


@dataclass(frozen=True)
class Transfer:
    """How the profile does on another input.

    Attributes:
        label: The input.
        throughput: Ratio to the default, with interval.
        rss: Ratio to the default, with interval.
        answer: "holds" if the same goals are met there, "fails" if one cannot be, else "not shown".
        reasons: Why, one sentence each.
        failure: What went wrong; empty if it ran.
    """

    label: str
    throughput: Interval
    rss: Interval
    answer: str
    reasons: tuple[str, ...] = ()
    failure: str = ""


def works_of(
    task: Task, inputs: Sequence[str | Sequence[str]], threads: int | None = None
) -> tuple[Work, ...]:
    """Return other inputs of what is tuned.

    Args:
        task: What is tuned.
        inputs: For packaged workloads names of others; for a program a command, for a server a
            client that asks it, each as one text or as a list of words.
        threads: Threads of packaged workloads.

    Raises:
        UsageError: An input is unknown or cannot be run.
    """
    if isinstance(inputs, str):
        raise UsageError(f"{inputs!r} is one text, and other inputs are a list of them")
    return tuple(_work(task, each, threads) for each in inputs)


def _work(task: Task, given: str | Sequence[str], threads: int | None) -> Work:
    if task.server is None and task.rows[0].command is None:
        if not isinstance(given, str):
            raise UsageError(
                f"{shlex.join(given)!r} is a command, and a packaged workload is tuned",
                "name packaged workloads as other inputs",
            )
        return work.of_workload(given, threads)
    words = words_of(given if isinstance(given, str) else shlex.join(given), "the other input")
    program = target.locate(words[0])
    if task.server is not None:
        return work.of_client(words)
    target.check(program)
    return work.of_input((os.path.abspath(program), *words[1:]))


def tasks_of(task: Task, works: Sequence[Work]) -> tuple[Task, ...]:
    """Return the same task with other inputs.

    Args:
        task: What is tuned; of a server, the client is what changes.
        works: One input each.

    Raises:
        UsageError: An input is named twice.
    """
    names = [task.name, *(each.name for each in works)]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"the input {min(twice)!r} is named twice", "name each input once")
    if task.server is None:
        return tuple(replace(task, name=each.name, rows=each.rows) for each in works)
    server = task.server
    return tuple(
        replace(task, name=each.name, server=replace(server, client=each.words)) for each in works
    )


def carry_over(
    knobs: Knobs, tasks: Sequence[Task], measure: Blocks, watch: Watch
) -> tuple[Transfer, ...]:
    """Measure a claimed configuration on other inputs, and judge it by the goals of each.

    An input that fails under the default configuration as well says nothing about the claim.

    Raises:
        KeyboardInterrupt: The user stopped it.
    """
    if not tasks:
        return ()
    watch.phase("the same knobs on other inputs")
    total = len(tasks) * TRANSFER_BLOCKS
    found = []
    for place, task in enumerate(tasks):
        first = _FIRST_BLOCK + zlib.crc32(f"{key_of(knobs)} {task.name}".encode()) % 10**6 * 1000
        taken: list[Block] = []
        try:
            for number in range(TRANSFER_BLOCKS):
                watch.step(place * TRANSFER_BLOCKS + number, total, math.nan)
                taken.append(measure([knobs], first + number, task=task)[0])
        except WorkloadFailedError as error:
            found.append(Transfer(task.name, UNKNOWN, UNKNOWN, UNCLEAR, (str(error),), str(error)))
            continue
        found.append(judged(task, taken))
    watch.step(total, total, 0.0)
    return tuple(found)


def judged(task: Task, taken: Sequence[Block]) -> Transfer:
    """Say whether the goals of a task are met by blocks of one configuration."""
    failure = next((block.failure for block in taken if block.failure), "")
    if failure:
        reasons = (f"it fails there: {failure}",)
        return Transfer(task.name, UNKNOWN, UNKNOWN, FAILS, reasons, failure)
    goals = Goals(task)
    look = fixed_look(len(taken))[0]
    decision = goals.decide(taken, look)
    broken = goals.broken_guards(taken, look)
    answer = {"GO": HOLDS, "NO-GO": FAILS}.get(decision.verdict, UNCLEAR)
    return Transfer(
        task.name,
        goals.interval(taken, "throughput"),
        goals.interval(taken, task.rss_metric),
        UNCLEAR if broken and answer == HOLDS else answer,
        (*broken, *decision.reasons),
    )


def summary(found: Sequence[Transfer]) -> str:
    """Say in one sentence how far a claim carries; empty if it was not tried elsewhere."""
    if not found:
        return ""
    held = sum(each.answer == HOLDS for each in found)
    parts = [f"the claim carries over to {held} of {len(found)} other inputs"]
    for answer, words in ((FAILS, "it fails on"), (UNCLEAR, "it is not shown for")):
        names = [each.label for each in found if each.answer == answer]
        if names:
            parts.append(f"{words} {', '.join(names)}")
    return "; ".join(parts)
