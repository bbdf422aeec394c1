"""The ledger: a folder with one page per verdict, its raw records beside it, and an index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hz3py.errors import StoreError, UsageError
from hz3py.store.export import write_text
from hz3py.store.records import Record, SampleRecord, VerdictRecord, encode
from hz3py.store.results import Results, read

INDEX_NAME = "README.md"


def entry_path(folder: Path, time: str, name: str) -> Path:
    """Return a free path for a page: date and name, numbered if there is one already.

    Args:
        folder: The ledger.
        time: ISO 8601.
        name: Name of the experiment.
    """
    stem = f"{time[:10]}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"
    path = folder / f"{stem}.md"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.md"
        number += 1
    return path


def records_path(page: Path) -> Path:
    """Return where the raw records of a page lie."""
    return page.with_suffix(".jsonl")


def write_entry(page: Path, text: str, results: Results, verdict: VerdictRecord) -> None:
    """Write a page and its records; the records first, so that no page lacks them.

    The records lack the curves of resident memory and what programs printed; the folder of the
    run has them.

    Raises:
        StoreError: A file cannot be written.
    """
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot write the ledger {page.parent}: {error.strerror}",
            "the records are kept; choose another folder with --ledger",
        ) from error
    records: list[Record] = [
        results.run,
        *(_thinned(sample) for sample in results.samples),
        *results.ends,
        verdict,
    ]
    write_text(records_path(page), "".join(f"{encode(record)}\n" for record in records))
    write_text(page, text)


def documents(folder: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the file name of every page and its verdict.

    Raises:
        UsageError: There is no such folder.
        StoreError: One of its files cannot be read.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no ledger {folder}", "name its folder with --ledger")
    found: list[tuple[str, Mapping[str, Any]]] = []
    for path in sorted(folder.glob("*.jsonl")):
        verdict = read(path).verdict
        if verdict is not None:
            found.append((path.with_suffix(".md").name, verdict.document))
    return found


def write_index(
    folder: Path, render: Callable[[Sequence[tuple[str, Mapping[str, Any]]]], str]
) -> Path:
    """Write the index of a ledger from its records.

    Args:
        folder: The ledger.
        render: Makes the text from file names and documents.

    Raises:
        UsageError: The folder holds no verdicts; a file of that name may be somebody else's.
        StoreError: The folder cannot be read or written.
    """
    path = folder / INDEX_NAME
    found = documents(folder)
    if not found:
        raise UsageError(f"{folder} holds no verdicts", "name the folder of a ledger with --ledger")
    write_text(path, render(found))
    return path


def _thinned(record: SampleRecord) -> SampleRecord:
    sample = dict(record.sample)
    rss = sample.get("rss")
    if rss:
        sample["rss"] = {**rss, "series": [], "anon_kb": []}
    sample["stdout_tail"] = sample["stderr_tail"] = ""
    return replace(record, sample=sample)
