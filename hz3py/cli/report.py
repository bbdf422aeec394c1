"""`hz3 report`: a run as one HTML file, as Markdown, or on the terminal."""

from __future__ import annotations

import json
import webbrowser
from functools import partial
from pathlib import Path
from typing import Any

import click

from hz3py.cli import report_tune
from hz3py.cli.console import out, out_json
from hz3py.cli.options import json_option
from hz3py.cli.publish import idle_times, summarise
from hz3py.errors import StoreError, UsageError
from hz3py.report import html, prose
from hz3py.report.curves import traces, typical_curves
from hz3py.report.story import Story, parts
from hz3py.store.export import write_text
from hz3py.store.results import RECORDS_NAME, RESULTS_FOLDER, read

VERDICT_NAME = "verdict.json"
FORMATS = ("html", "markdown", "text")
_FILES = {"html": "report.html", "markdown": "report.md"}


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="html",
    show_default=True,
    help="html and markdown are written to a file, text is printed.",
)
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File to write, - for stdout [default: report.html or report.md in the run's folder].",
)
@json_option
@click.option("--open", "shown", is_flag=True, help="Open the file in a browser.")
def command(*, run: Path | None, form: str, file: Path | None, as_json: bool, shown: bool) -> int:
    """Make a report of a run or of a tuning session.

    RUN is a results folder, its records.jsonl or its tune.json; without it, the newest one in
    ./hz3-results is taken. The HTML report is one file that needs no network: summary, charts,
    tables, machine and the data itself. Markdown and text carry the same content; --json prints
    the data alone.
    """
    if shown and (form == "text" or file == Path("-")):
        raise UsageError("--open needs a file to open", "leave out --format text and --out -")
    folder = _folder(run)
    if report_tune.is_session(folder):
        document = report_tune.read(folder)
        data, write = document, partial(report_tune.formatted, document, folder)
    else:
        story = tell(folder)
        data, write = html.data(story), partial(_formatted, story)
    if as_json:
        out_json(data)
        return 0
    text = write(form)
    target = Path("-") if file is None and form == "text" else file or folder / _FILES[form]
    if target == Path("-"):
        out(text.rstrip("\n"))
        return 0
    write_text(target, text)
    out(str(target))
    if shown:
        webbrowser.open(target.absolute().as_uri())
    return 0


def tell(folder: Path) -> Story:
    """Read a run and everything that a report says of it.

    Raises:
        StoreError: There is no run, it holds no samples, or its verdict is damaged.
    """
    results = read(folder)
    if not results.samples:
        raise StoreError(
            f"{folder} holds no finished sample", f"go on with: hz3 bench --resume {folder}"
        )
    told = summarise(results, folder)
    idle = idle_times(results.run)
    keys = zip(told.samples["label"], told.samples["allocator"], told.samples["block"], strict=True)
    return Story(
        run=results.run,
        records=told.records,
        arms=told.arms,
        totals=told.totals,
        warnings=told.warnings,
        document=told.document,
        curves=typical_curves(told.records, idle),
        traces=traces(told.records, idle),
        speeds=dict(zip(keys, told.samples["throughput"].astype(float), strict=True)),
        verdict=_verdict(folder / VERDICT_NAME)
        or (None if results.verdict is None else dict(results.verdict.document)),
    )


def _formatted(story: Story, form: str) -> str:
    if form == "html":
        return html.render(story)
    title = f"hz3 report: {story.title}, {story.run.time[:10]}"
    write = prose.as_text if form == "text" else prose.as_markdown
    return write(title, parts(story))


def _folder(run: Path | None) -> Path:
    """Return the folder of a run; the newest one if none is named."""
    if run is not None:
        return run.parent if run.name in (RECORDS_NAME, report_tune.DOCUMENT_NAME) else run
    found = sorted(
        Path(RESULTS_FOLDER).glob(f"*/{RECORDS_NAME}"), key=lambda path: path.stat().st_mtime_ns
    )
    if not found:
        raise UsageError(
            f"there is no run in ./{RESULTS_FOLDER}",
            "name the folder of one: hz3 report FOLDER, or make one by hz3 bench",
        )
    return found[-1].parent


def _verdict(path: Path) -> dict[str, Any] | None:
    """Read the verdict beside the records; None if the run gave none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}", "delete it, or make it anew") from error
    if not isinstance(document, dict) or not isinstance(document.get("verdict"), str):
        raise StoreError(f"{path} is no verdict of hz3", "delete it, or make it anew")
    return document
