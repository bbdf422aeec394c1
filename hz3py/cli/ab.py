"""`hz3 ab`: put one question to two or more arms, and answer it in one word."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import click

from hz3py.cli import judging
from hz3py.cli import session as sessions
from hz3py.cli.console import EXIT_INTERRUPTED, note, out, out_json
from hz3py.cli.experiment import Setup, prepare
from hz3py.cli.live import progress
from hz3py.cli.options import json_option, output_options
from hz3py.cli.planned import show_plan
from hz3py.cli.session import Session, new_seed
from hz3py.cli.show import show
from hz3py.errors import UndecidedError, UsageError
from hz3py.measure.arms import run_blocks
from hz3py.measure.progress import Silence
from hz3py.report import verdict as pages
from hz3py.store import ledger
from hz3py.store.records import SampleRecord, VerdictRecord
from hz3py.store.results import Results, Writer, read
from hz3py.system import machine
from hz3py.workloads import experiments

LEDGER = Path("benchmarks") / "ledger"
EXIT_NO_GO = 1
EXIT_CODES = {
    "GO": 0,
    "EQUIVALENT": 0,
    "NO-GO": EXIT_NO_GO,
    "UNDECIDED": UndecidedError.exit_code,
}


def _block_count(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> int | Literal["auto"] | None:
    """Read --blocks: a number, or the word `auto`."""
    if value is None:
        return None
    if value == "auto":
        return "auto"
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise click.BadParameter(f"{value!r} is neither a number above 0 nor `auto`")


@click.command()
@click.argument("experiment", required=False)
@click.option("--blocks", metavar="N|auto", callback=_block_count, help="How many blocks to take.")
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), help="Most minutes to take.")
@click.option("--aa", "self_check", is_flag=True, help="Measure the baseline against itself.")
@click.option("--seed", type=int, help="Seed of the order of samples [default: the time].")
@click.option("--exclude-unfit", is_flag=True, help="Leave out samples of a disturbed machine.")
@output_options
@click.option(
    "--ledger",
    "ledger_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder of verdicts [default: {LEDGER} in a checkout, else the results].",
)
@click.option(
    "--index", "only_index", is_flag=True, help="Write the ledger's list of verdicts and stop."
)
@click.option("--dry-run", is_flag=True, help="Show what would run and how long it would take.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def command(
    *,
    experiment: str | None,
    blocks: int | Literal["auto"] | None,
    budget: float | None,
    self_check: bool,
    seed: int | None,
    exclude_unfit: bool,
    folder: Path | None,
    resumed: Path | None,
    ledger_folder: Path | None,
    only_index: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Decide between allocators or settings by paired blocks: GO, NO-GO, EQUIVALENT or UNDECIDED.

    EXPERIMENT is a TOML file, or the name of a packaged one. It names a baseline, candidates,
    workloads, and the criteria that a candidate must meet. Each block runs every arm once on every
    workload. With `--blocks auto` the run ends at the first planned look that decides.

    Ends with 0 for GO and EQUIVALENT, 1 for NO-GO, 3 for UNDECIDED, 5 if a workload failed.
    """
    if only_index:
        return _write_index(ledger_folder or LEDGER, as_json=as_json)
    if experiment is None:
        known = ", ".join(sorted(experiments.packaged()))
        raise UsageError("no experiment is named", f"give a .toml file, or one of {known}")
    if resumed is not None and (folder is not None or seed is not None):
        raise UsageError(
            f"{'--out' if folder is not None else '--seed'} does not go with --resume",
            "a resumed run keeps its folder and its seed",
        )
    loaded = experiments.find(experiment)

    def ready(seed: int) -> Setup:
        return prepare(
            loaded, blocks=blocks, budget_minutes=budget, self_check=self_check, seed=seed
        )

    if dry_run:
        show_plan(ready(new_seed() if seed is None else seed).plan, as_json=as_json)
        return 0
    if resumed is not None:
        setup, session, earlier = _resume(resumed, ready)
    else:
        setup = ready(new_seed() if seed is None else seed)
        session, earlier = sessions.start(setup.plan, folder, [], setup.identity()), ()
    done = _measure(setup, session, earlier, exclude_unfit=exclude_unfit, quiet=quiet)
    if done is None:
        return EXIT_INTERRUPTED
    found = _conclude(
        setup,
        session,
        done,
        ledger_folder,
        exclude_unfit=exclude_unfit,
        is_longer=len(done.samples) > len(earlier),
    )
    if as_json:
        out_json(found)
    else:
        _print(found)
    return EXIT_CODES[found["verdict"]]


def _resume(folder: Path, ready: Any) -> tuple[Setup, Session, tuple[SampleRecord, ...]]:
    """Open an earlier run of the same experiment; its seed is kept.

    Raises:
        UsageError: It was another experiment, or an allocator has changed since.
    """
    writer, results = Writer.resume(folder)
    try:
        setup: Setup = ready(int(results.run.plan["seed"]))
        if setup.identity() != dict(results.run.plan):
            raise UsageError(
                f"{folder} holds a run of another experiment, or an allocator has changed since",
                "resume with the same file and options, or start a new run",
            )
    except KeyError as error:
        writer.close()
        raise UsageError(f"{folder} holds no run of `hz3 ab`", "start a new run") from error
    except BaseException:
        writer.close()
        raise
    good = tuple(record for record in results.samples if record.status == "ok")
    done = frozenset(record.key for record in good)
    return setup, Session(setup.plan, results.run, writer, done), good


def _measure(
    setup: Setup,
    session: Session,
    earlier: tuple[SampleRecord, ...],
    *,
    exclude_unfit: bool,
    quiet: bool,
) -> Results | None:
    """Take blocks until a look decides; None if the user interrupted."""
    samples = list(earlier)
    rule = judging.StopRule(
        setup, samples, exclude_unfit=exclude_unfit, tell=(lambda _: None) if quiet else note
    )

    def keep(record: SampleRecord) -> None:
        session.writer.append(record)
        samples.append(record)

    folder = session.writer.directory
    with session.writer as writer, sessions.stoppable():
        before = machine.snapshot()
        taken = run_blocks(
            setup.arms,
            setup.rows,
            blocks=setup.looks[-1].blocks,
            seed=setup.seed,
            append=keep,
            suite=setup.name,
            run_id=session.run.run_id,
            done=session.done,
            enough=rule,
            progress=Silence() if quiet else progress(),
        )
        extra = ["the time of the budget was over before all blocks were taken"]
        writer.append(
            sessions.end_record(
                session.run, taken.outcome, before, extra if rule.out_of_time else []
            )
        )
    if taken.outcome.interrupted:
        note(f"interrupted; {len(samples)} samples are kept in {folder}")
        note(f"go on with: hz3 ab EXPERIMENT --resume {shlex.quote(str(folder))}")
        return None
    return read(folder)


def _conclude(
    setup: Setup,
    session: Session,
    results: Results,
    ledger_folder: Path | None,
    *,
    exclude_unfit: bool,
    is_longer: bool,
) -> dict[str, Any]:
    """Judge the run, and write the verdict into its folder and into the ledger.

    A run that was judged before and is not longer since keeps its verdict and its page.
    """
    folder = session.writer.directory
    samples = judging.kept(results.samples, exclude_unfit=exclude_unfit)
    left_out = len(results.samples) - len(samples)
    warnings = [*results.run.warnings, *(text for end in results.ends for text in end.warnings)]
    if left_out:
        warnings.append(f"{left_out} of {len(results.samples)} samples left out as unfit")
    run = judging.Run(results.run, sum(end.seconds for end in results.ends), warnings, str(folder))
    found = judging.document(setup, samples, run)
    book = ledger_folder or _default_ledger(folder)
    if results.verdict is not None and not is_longer:
        standing = dict(results.verdict.document)
        if _says_the_same(standing, found) and _has_page(standing, book):
            return standing
    page = ledger.entry_path(book, found["time"], setup.name)
    found["ledger"] = str(page)
    found["records"] = ledger.records_path(page).name
    verdict = VerdictRecord(
        results.run.run_id, datetime.now(timezone.utc).isoformat(timespec="milliseconds"), found
    )
    writer, _ = Writer.resume(folder)
    with writer:
        writer.append(verdict)
    ledger.write_entry(page, pages.page(found), results, verdict)
    return found


def _says_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents of a run were judged alike; samples left out may make a difference."""
    return all(one[key] == other[key] for key in ("verdict", "blocks", "criteria"))


def _has_page(document: Mapping[str, Any], book: Path) -> bool:
    page = Path(document["ledger"])
    return page.is_file() and page.parent.resolve() == book.resolve()


def _default_ledger(results: Path) -> Path:
    """The ledger of the checkout that one stands in, else the folder of the run."""
    return LEDGER if LEDGER.parent.is_dir() and Path("pyproject.toml").is_file() else results


def _write_index(folder: Path, *, as_json: bool) -> int:
    path = ledger.write_index(folder, pages.index)
    count = len(ledger.documents(folder))
    if as_json:
        out_json({"schema": 1, "index": str(path), "verdicts": count})
    else:
        out(f"{count} verdicts listed in {path}")
    return 0


def _print(found: dict[str, Any]) -> None:
    if found["question"]:
        out(found["question"])
        out()
    show(pages.verdict_table(found))
    out()
    out(f"{found['verdict']} after {found['blocks']} blocks")
    for candidate in found["candidates"]:
        for reason in candidate["reasons"]:
            out(f"  {candidate['name']}: {reason}")
    for text in found["warnings"]:
        note(f"warning: {text}")
    out(f"verdict in {found['ledger']}, records in {found['directory']}")
