"""`hz3 report` for a tuning session: its tune.json, read and told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hz3py.errors import StoreError, UsageError
from hz3py.report import prose, tune_page, tune_story

DOCUMENT_NAME = "tune.json"
REQUEST_NAME = "request.json"
PICTURES = ("front.png", "response.png", "importance.png")
_NEEDED = ("request", "configurations", "curves", "criteria", "finalists", "transfer", "machine")


def is_session(folder: Path) -> bool:
    """Tell whether a folder holds a tuning session, finished or not."""
    return (folder / DOCUMENT_NAME).exists() or (folder / REQUEST_NAME).exists()


def read(folder: Path) -> dict[str, Any]:
    """Read what a session brought.

    Raises:
        StoreError: It has not ended, or its document cannot be read.
    """
    path = folder / DOCUMENT_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(
            f"the tuning session in {folder} has not ended",
            f"go on with it: hz3 tune --resume {folder}",
        ) from error
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}", _again(folder)) from error
    if not isinstance(document, dict) or any(key not in document for key in _NEEDED):
        raise StoreError(f"{path} is no result of a tuning session of this hz3", _again(folder))
    return document


def _again(folder: Path) -> str:
    return f"make it anew from what is recorded: hz3 tune --resume {folder}"


def formatted(document: dict[str, Any], folder: Path, form: str) -> str:
    """Return the report in a format: html, markdown or text."""
    deploy = _deploy(document)
    if form == "html":
        return tune_page.render(document, deploy, str(folder))
    title = f"hz3 report: {tune_story.title(document)}, {str(document['request']['time'])[:10]}"
    parts = tune_story.parts(document, deploy, str(folder))
    if form == "text":
        return prose.as_text(title, parts)
    return prose.as_markdown(title, parts) + _pictures(folder)


def _pictures(folder: Path) -> str:
    """Return the lines that show the pictures of a session."""
    found = [name for name in PICTURES if (folder / name).exists()]
    return "".join(f"\n![{Path(name).stem}]({name})\n" for name in found)


def _deploy(document: dict[str, Any]) -> dict[str, Sequence[str]]:
    """Return the lines of `hz3 env --profile`, by format; nothing without a claim or hz3."""
    from hz3py.cli.env import FORMATS
    from hz3py.cli.knob_values import variables
    from hz3py.system.allocators import find

    library = find(["hz3"])[0].path
    if not document["claim"] or library is None:
        return {}
    try:
        values = variables([f"{name}={value}" for name, value in document["knobs"].items()])
    except UsageError:
        return {}  # a knob that this hz3 does not have
    return {name: lines(library, values) for name, lines in FORMATS.items()}
