"""`hz3 tune`: search better knobs for a workload, and claim only what fresh samples confirm."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from hz3py.cli.console import EXIT_INTERRUPTED, note, out_json
from hz3py.cli.options import (
    ProgramCommand,
    json_option,
    output_options,
    program,
    refuse_beside_resume,
)
from hz3py.cli.session import stoppable
from hz3py.errors import UsageError
from hz3py.tuning.ranges import DEFAULT_KNOBS

_WITH_RESUME = ("trials", "minutes", "markdown")
"""Parameters that change nothing of what a session is about."""


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
@click.option(
    "--max-slowdown",
    metavar="PERCENT",
    type=float,
    default=2.0,
    show_default=True,
    help="Throughput that memory may cost.",
)
@click.option(
    "--knobs",
    default=",".join(DEFAULT_KNOBS),
    show_default=True,
    metavar="all|GROUP|NAMES",
    help="Which knobs vary, by comma.",
)
@click.option("--set", "fixed", multiple=True, metavar="NAME=VALUE", help="Fix a knob.")
@click.option("--range", "ranges", multiple=True, metavar="NAME=LO:HI", help="Narrow a knob.")
@click.option("--trials", type=click.IntRange(min=1), help="Trials of the study [default: 40].")
@click.option("--minutes", type=click.FloatRange(min=0.05), help="Time for everything.")
@click.option("--blocks", type=click.IntRange(min=2), default=6, show_default=True)
@click.option(
    "--confirm-blocks",
    type=click.IntRange(min=4),
    help="Blocks behind the claim [default: what the time or the noise asks for].",
)
@click.option("--timeout", type=click.FloatRange(min=0.1), help="Seconds until a sample is hung.")
@click.option(
    "--also",
    multiple=True,
    metavar="CMD",
    help="Another input on which a claim is tried: a command, a client, or a packaged workload.",
)
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

    Every trial measures candidate and defaults side by side. A few finalists are measured again on
    fresh blocks before anything is claimed, and changes that do not matter are dropped. The result
    is profile.toml, for `hz3 run --profile` and `hz3 env --profile`.

    \b
    hz3 tune mt_remote --minutes 10
    hz3 tune --trials 30 --metric-regex 'rps: ([0-9.]+)' -- ./my-benchmark
    hz3 tune --server 'redis-server --port 7777 --save ""' --ready-port 7777 \
        --client 'redis-benchmark -p 7777 -t set,get -n 100000 -q' --minutes 10
    """
    from hz3py.cli import tune_show
    from hz3py.cli.knob_values import knob_table
    from hz3py.cli.tune_request import request_of
    from hz3py.tuning import requests, session

    words = program(ctx)
    resumed: Path | None = options.pop("resumed")
    folder: Path | None = options.pop("folder")
    if resumed is not None:
        refuse_beside_resume(ctx, _WITH_RESUME)
        request, folder = requests.load(resumed, knob_table()), resumed
        budget = {name: options[name] for name in ("trials", "minutes")}
        if any(budget.values()):
            request = requests.extend(request, folder, **budget)
    else:
        request = request_of(words, options)
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
