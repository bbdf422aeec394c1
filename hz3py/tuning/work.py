"""From words of the command line to the rows that are tuned, and others to try a result on."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hz3py.errors import UsageError
from hz3py.workloads import catalogue, suites
from hz3py.workloads.rows import Row, command_row

COMMAND_TIMEOUT_S = 600.0
SUITES_IN_ORDER = ("quick", "seeds", "full")
MOST_TRANSFER_ROWS = 4
MOST_NAME = 60


@dataclass(frozen=True)
class Work:
    """What is tuned.

    Attributes:
        name: For people and folders.
        rows: The workloads.
        transfer: The same programs with other inputs and thread counts.
        words: Command line of a client, where a server's input is what changes.
    """

    name: str
    rows: tuple[Row, ...]
    transfer: tuple[Work, ...] = ()
    words: tuple[str, ...] = ()


def of_command(words: Sequence[str], timeout_s: float | None = None) -> Work:
    """Tune a program of the user."""
    row = command_row(tuple(words), timeout_s or COMMAND_TIMEOUT_S)
    return Work(row.label, (row,))


def of_input(words: Sequence[str], timeout_s: float | None = None) -> Work:
    """Return a program of the user under the name of its whole command line."""
    row = command_row(tuple(words), timeout_s or COMMAND_TIMEOUT_S)
    name = named(words)
    return Work(name, (replace(row, label=name),))


def of_client(words: Sequence[str]) -> Work:
    """Return another client of the server that is tuned."""
    return Work(named(words), (), words=tuple(words))


def named(words: Sequence[str]) -> str:
    """Write a command line as a name: the program without its folder, cut where it is long."""
    text = shlex.join([os.path.basename(words[0]), *words[1:]])
    return text if len(text) <= MOST_NAME else text[: MOST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


def of_suite(name: str, threads: int | None = None) -> Work:
    """Tune for all rows of a suite at once.

    Raises:
        UsageError: There is no such suite.
    """
    suite = suites.find(name)
    selection = suites.resolve(suite, cpus=_cpus(), threads=threads, which=shutil.which)
    return Work(suite.name, selection.rows)


def of_workload(name: str, threads: int | None = None) -> Work:
    """Tune a packaged workload, as the first suite that has it runs it.

    A label of a row ("mt_remote T2 R50") names exactly that row.

    Raises:
        UsageError: There is no such workload or row.
    """
    templates = [
        template
        for suite in SUITES_IN_ORDER
        if suite in suites.packaged()
        for template in suites.find(suite).templates
        if template.command is None
    ]
    limit = suites.THREADS_PER_CPU * _cpus()

    def resolved(template: suites.Template) -> Row:
        return template.resolve(threads or min(template.threads, limit), None)

    chosen = next((t for t in templates if resolved(t).label == name), None)
    if chosen is None:
        word = catalogue.check(name)
        chosen = next((t for t in templates if t.workload == word), None)
    if chosen is None:
        raise UsageError(
            f"no suite runs the workload {name}, so its arguments are not known",
            "give them in a suite file, or tune its program: hz3 tune -- PROGRAM ARGS",
        )
    row = resolved(chosen)
    others = _others(chosen, row, templates)
    return Work(row.label, (row,), tuple(Work(other.label, (other,)) for other in others))


def _others(
    chosen: suites.Template, row: Row, templates: Sequence[suites.Template]
) -> tuple[Row, ...]:
    """Return other thread counts of the chosen row, then other inputs of its program."""
    found: dict[str, Row] = {}
    if chosen.scales:
        for count in (1, 2 * row.threads):
            other = chosen.resolve(count, None)
            label = other.label if other.label != row.label else f"{row.label} ({count} threads)"
            if count != row.threads:
                found[label] = replace(other, label=label)
    for template in templates:
        if template.workload == row.workload:
            other = template.resolve(min(template.threads, suites.THREADS_PER_CPU * _cpus()), None)
            if other.label != row.label and other.args != row.args:
                found.setdefault(other.label, other)
    return tuple(found.values())[:MOST_TRANSFER_ROWS]


def _cpus() -> int:
    return len(os.sched_getaffinity(0))
