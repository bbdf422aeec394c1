"""`hz3 tune`: search better knobs for a workload, and claim only what fresh samples confirm."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hz3py.cli.console import EXIT_INTERRUPTED, note, out_json
from hz3py.cli.knob_values import knob_table
from hz3py.cli.options import ProgramCommand, json_option, output_options, program, split
from hz3py.cli.session import new_seed, stoppable
from hz3py.errors import UsageError

DEFAULT_TRIALS = 40


@click.command(cls=ProgramCommand)
@click.argument("workload", required=False)
@click.option("--suite", metavar="NAME|FILE", help="Tune for all rows of a suite at once.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of packaged workloads.")
@click.option("--metric-regex", metavar="REGEX", help="Speed in the output: 'rps: ([0-9.]+)'.")
@click.option("--lower", is_flag=True, help="A small figure of --metric-regex is good.")
@click.option(
    "--guard",
    "guards",
    nargs=2,
    multiple=True,
    metavar="REGEX LIMIT",
    help="A figure in the output that may change by LIMIT at most, for example +5% or -2%.",
)
@click.option(
    "--check", metavar="CMD", help="Gets the output of each sample; its exit code is a guard."
)
@click.option("--server", metavar="CMD", help="Tune this server while --client asks it.")
@click.option("--client", metavar="CMD", help="The client; --metric-regex reads its output.")
@click.option("--ready-port", type=click.IntRange(1, 65535), help="Port of a server that is ready.")
@click.option("--ready-regex", metavar="REGEX", help="What a server prints when it is ready.")
@click.option(
    "--objective",
    type=click.Choice(("rss", "throughput", "pareto")),
    default="rss",
    show_default=True,
    help="What to improve; the other one is guarded.",
)
@click.option(
    "--rss",
    type=click.Choice(("mean", "p95", "peak", "idle")),
    default="mean",
    show_default=True,
    help="Which figure of resident memory counts.",
)
@click.option("--max-slowdown", metavar="PERCENT", type=float, default=2.0, show_default=True)
@click.option(
    "--knobs",
    default="pack_bestfit_k,drain_limit,stash_max_objs",
    show_default=True,
    metavar="all|GROUP|NAMES",
    help="Which knobs vary, by comma.",
)
@click.option("--set", "fixed", multiple=True, metavar="NAME=VALUE", help="Fix a knob.")
@click.option("--range", "ranges", multiple=True, metavar="NAME=LO:HI", help="Narrow a knob.")
@click.option("--trials", type=click.IntRange(min=1), help="Trials of the study [default: 40].")
@click.option("--minutes", type=click.FloatRange(min=0.05), help="Time for everything.")
@click.option("--blocks", type=click.IntRange(min=2), default=6, show_default=True)
@click.option("--confirm-blocks", type=click.IntRange(min=4), help="Blocks behind the claim.")
@click.option("--timeout", type=click.FloatRange(min=0.1), help="Seconds until a sample is hung.")
@click.option("--storage", default="", metavar="URL", help="Share a study: postgresql://... etc.")
@click.option("--study", metavar="NAME", help="Name of a shared study.")
@click.option("--worker", is_flag=True, help="Search for a shared study; leave the rest to others.")
@click.option("--seed", type=int, help="Seed of proposals and order [default: the time].")
@output_options
@click.option("--markdown", is_flag=True, help="Print the result as a Markdown table.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, *, as_json: bool, markdown: bool, **options: Any) -> int:
    r"""Search better knobs for a workload.

    WORKLOAD is a packaged one (see `hz3 workloads`); --suite takes all rows of a suite;
    `-- PROGRAM ARGS` any command; --server with --client a server.

    Every trial measures candidate and defaults side by side. The best few are measured again on
    fresh blocks before anything is claimed, and changes that do not matter are dropped. The result
    is profile.toml, for `hz3 run --profile` and `hz3 env --profile`.

    \b
    hz3 tune mt_remote --minutes 10
    hz3 tune --trials 30 --metric-regex 'rps: ([0-9.]+)' -- ./my-benchmark
    hz3 tune --server 'redis-server --port 7777 --save ""' --ready-port 7777 \
        --client 'redis-benchmark -p 7777 -t set,get -n 100000 -q' --minutes 10
    """
    from hz3py.cli import tune_show
    from hz3py.tuning import requests, session

    words = program(ctx)
    resumed: Path | None = options.pop("resumed")
    folder: Path | None = options.pop("folder")
    if resumed is not None:
        request, folder = requests.load(resumed, knob_table()), resumed
        if options["trials"] or options["minutes"]:
            request = requests.with_budget(request, options["trials"], options["minutes"])
    else:
        request = _request(words, options)
        folder = _made(folder) if folder is not None else session.new_folder(request.task.name)
        requests.save(request, folder)
    watch = tune_show.watch(request)
    from hz3py.system import machine

    try:
        with stoppable():
            result = session.tune(request, folder, machine=machine.describe(), watch=watch)
    except KeyboardInterrupt:
        note(f"interrupted; finished trials are kept in {folder}")
        note(f"go on with: hz3 tune --resume {shlex.quote(str(folder))}")
        return EXIT_INTERRUPTED
    pictures = tune_show.draw(result)
    if as_json:
        out_json(dict(result.document))
    elif markdown:
        tune_show.markdown(result)
    else:
        tune_show.show_result(result, pictures)
    return 0


def _request(words: Sequence[str] | None, options: dict[str, Any]) -> Any:
    """Turn options into a request.

    Raises:
        UsageError: They contradict each other, or name something unknown.
    """
    from hz3py.tuning import space, task, work
    from hz3py.tuning.search import Budget
    from hz3py.tuning.session import Request

    chosen = _work(words, options)
    rows = chosen.rows
    if options["timeout"]:
        rows = tuple(replace(row, timeout_s=options["timeout"]) for row in rows)
    goal = task.check(
        task.Task(
            name=chosen.name,
            rows=rows,
            objective=options["objective"],
            rss=options["rss"],
            metric_regex=options["metric_regex"],
            lower_is_better=options["lower"],
            guards=tuple(task.parse_guard(*pair) for pair in options["guards"]),
            check=task.words_of(options["check"], "--check") if options["check"] else (),
            server=_server(options),
            throughput_margin=_fraction(options["max_slowdown"]),
        )
    )
    if options["worker"] and not (options["storage"] and options["study"]):
        raise UsageError("--worker shares a study", "give --storage URL and --study NAME")
    trials = options["trials"]
    if trials is None and options["minutes"] is None:
        trials = DEFAULT_TRIALS
    return Request(
        task=goal,
        space=space.build(
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
        transfer=work.of_workload(options["workload"], options["threads"]).transfer
        if options["workload"]
        else (),
    )


def _work(words: Sequence[str] | None, options: dict[str, Any]) -> Any:
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
    if words:
        target.check(words[0])
        return work.of_command(words)
    if options["suite"]:
        return work.of_suite(options["suite"], options["threads"])
    return work.of_workload(options["workload"], options["threads"])


def _server(options: dict[str, Any]) -> Any:
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


def _fraction(percent: float) -> float:
    if not 0 < percent < 100:
        raise UsageError(
            f"--max-slowdown {percent:g} is not a percentage above 0 and below 100",
            "write 2 for two percent",
        )
    return percent / 100


def _made(folder: Path) -> Path:
    from hz3py.errors import StoreError

    if (folder / "request.json").exists():
        raise UsageError(
            f"{folder} holds a tuning session already",
            f"go on with it by --resume {folder}, or choose another --out",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make {folder}: {error.strerror}", "choose another --out"
        ) from error
    return folder
