"""From the options of `hz3 tune` to the request of a session."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hz3py.cli.knob_values import knob_table
from hz3py.cli.options import split
from hz3py.cli.session import new_seed
from hz3py.errors import UsageError

if TYPE_CHECKING:
    from hz3py.tuning.session import Request
    from hz3py.tuning.task import Server, Task
    from hz3py.tuning.work import Work

DEFAULT_TRIALS = 40
Options = Mapping[str, Any]


def request_of(words: Sequence[str] | None, options: Options) -> Request:
    """Turn options into a request.

    Raises:
        UsageError: They contradict each other, or name something unknown.
    """
    from hz3py.tuning import choose, task
    from hz3py.tuning.search import Budget
    from hz3py.tuning.session import Request

    chosen = _work(words, options)
    goal = task.check(
        task.Task(
            name=chosen.name,
            rows=_limited(chosen, options).rows,
            objective=options["objective"],
            rss=options["rss"],
            metric_regex=options["metric_regex"],
            lower_is_better=options["lower"],
            guards=tuple(task.parse_guard(*pair) for pair in options["guards"]),
            check=task.words_of(options["check"], "--check") if options["check"] else (),
            server=_server(options),
            throughput_margin=task.slowdown(options["max_slowdown"], "--max-slowdown"),
        )
    )
    if options["worker"] and not (options["storage"] and options["study"]):
        raise UsageError("--worker shares a study", "give --storage URL and --study NAME")
    trials = options["trials"]
    if trials is None and options["minutes"] is None:
        trials = DEFAULT_TRIALS
    return Request(
        task=goal,
        space=choose.build(
            knob_table(),
            names=split(options["knobs"]),
            fixed=_pairs(options["fixed"], "--set"),
            ranges=_pairs(options["ranges"], "--range"),
        ),
        budget=Budget(trials=trials, blocks=options["blocks"]),
        minutes=options["minutes"],
        storage=options["storage"],
        study=options["study"] or "tune",
        seed=new_seed() if options["seed"] is None else options["seed"],
        final_blocks=options["confirm_blocks"],
        worker=options["worker"],
        transfer=_elsewhere(goal, chosen, options),
    )


def _work(words: Sequence[str] | None, options: Options) -> Work:
    from hz3py.system import target
    from hz3py.tuning import task, work

    given = {
        "WORKLOAD": options["workload"],
        "--suite": options["suite"],
        "--server": options["server"],
        "`-- PROGRAM`": words,
    }
    named = [name for name, value in given.items() if value]
    if len(named) != 1:
        said = f"both {named[0]} and {named[1]} are given" if named else "nothing to tune is named"
        raise UsageError(said, f"give one of {', '.join(given)}")
    if options["server"]:
        words = list(task.words_of(options["server"], "--server"))
        found = shutil.which(words[0])
        if found is None:
            raise UsageError(f"cannot run {words[0]!r}: no such program", "check its name and PATH")
        words[0] = os.path.abspath(found)
    if options["client"] and not options["server"]:
        raise UsageError("--client asks a server, and no --server is given")
    if words and options["threads"]:
        raise UsageError(
            "--threads is for packaged workloads, and a program of yours is tuned",
            "give the number to the program itself",
        )
    if words:
        target.check(words[0])
        return work.of_command(words)
    if options["suite"]:
        return work.of_suite(options["suite"], options["threads"])
    return work.of_workload(options["workload"], options["threads"])


def _elsewhere(goal: Task, chosen: Work, options: Options) -> tuple[Task, ...]:
    """Return the other inputs on which a claim is tried: those of --also, else the workload's own.

    Raises:
        UsageError: An input cannot be run, or is named twice.
    """
    from hz3py.tuning import elsewhere

    works: Sequence[Work] = chosen.transfer
    if options["also"]:
        works = elsewhere.works_of(goal, options["also"], options["threads"])
    return elsewhere.tasks_of(goal, [_limited(work, options) for work in works])


def _limited(chosen: Work, options: Options) -> Work:
    """Return the work with the time limit of --timeout."""
    if not options["timeout"]:
        return chosen
    rows = tuple(replace(row, timeout_s=options["timeout"]) for row in chosen.rows)
    return replace(chosen, rows=rows)


def _server(options: Options) -> Server | None:
    from hz3py.tuning import task

    if not options["server"]:
        return None
    if not options["client"]:
        raise UsageError("--server needs a client that asks it", "give --client CMD")
    return task.Server(
        task.words_of(options["client"], "--client"),
        options["ready_port"],
        options["ready_regex"],
    )


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{option} {text!r} is not NAME=VALUE")
        found[name] = value
    return found
