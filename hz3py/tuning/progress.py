"""How far a session has come, on disk: what neither the study nor the records of samples say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from hz3py.errors import StoreError
from hz3py.store.export import write_text

PROGRESS_NAME = "progress.json"
SCHEMA = 1


@dataclass(frozen=True)
class Progress:
    """The state of a session between its steps.

    Attributes:
        search_s: Seconds that the search has taken, those of killed processes included.
        ended: Why the search has ended; empty while it has not.
        confirm_blocks: Blocks behind the claim; None while they are not settled, and where the
            finalists decide on them.
        extensions: How often the session was given more time.
    """

    search_s: float = 0.0
    ended: str = ""
    confirm_blocks: int | None = None
    extensions: int = 0


def load(folder: Path) -> Progress:
    """Read how far a session has come; that of a new one is at its start.

    Raises:
        StoreError: The file is damaged.
    """
    path = folder / PROGRESS_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        blocks = data["confirm_blocks"]
        return Progress(
            float(data["search_s"]),
            str(data["ended"]),
            None if blocks is None else int(blocks),
            int(data.get("extensions", 0)),
        )
    except FileNotFoundError:
        return Progress()
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged: {error!r}", "delete it: only the time that was spent is lost"
        ) from error


def save(progress: Progress, folder: Path) -> None:
    """Write how far a session has come.

    Raises:
        StoreError: The file cannot be written.
    """
    write_text(folder / PROGRESS_NAME, json.dumps({"schema": SCHEMA, **asdict(progress)}) + "\n")
