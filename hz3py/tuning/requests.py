"""A session's request on disk, so that the session can be gone on with after it was killed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hz3py.errors import StoreError, UsageError
from hz3py.store.export import write_text
from hz3py.tuning import progress
from hz3py.tuning.progress import Progress
from hz3py.tuning.ranges import KnobInfo
from hz3py.tuning.search import Budget
from hz3py.tuning.session import REQUEST_NAME, Request
from hz3py.tuning.space import Dimension, Space
from hz3py.tuning.task import Task

SCHEMA = 1


def save(request: Request, folder: Path) -> None:
    """Write a request into the folder of its session.

    Raises:
        StoreError: The file cannot be written.
    """
    document = {
        "schema": SCHEMA,
        "task": request.task.to_json(),
        "dimensions": [asdict(dimension) for dimension in request.space.dimensions],
        "fixed": dict(request.space.fixed),
        "defaults": dict(request.space.defaults),
        "budget": asdict(request.budget),
        "minutes": request.minutes,
        "storage": request.storage,
        "study": request.study,
        "seed": request.seed,
        "final_blocks": request.final_blocks,
        "worker": request.worker,
        "transfer": [task.to_json() for task in request.transfer],
    }
    write_text(folder / REQUEST_NAME, json.dumps(document, indent=2) + "\n")


def load(folder: Path, table: Sequence[KnobInfo]) -> Request:
    """Read the request of an earlier session.

    Args:
        folder: Its folder.
        table: The knob table of the allocator as it is now.

    Raises:
        StoreError: There is none, or it is damaged.
        UsageError: The defaults of the allocator have changed since.
    """
    path = folder / REQUEST_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        request = _request(data)
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror}",
            "give the folder of a tuning session, for example hz3-results/<time>-tune-<name>",
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is damaged: {error!r}", "start a new session") from error
    now = {info.name: info.default for info in table}
    for name, default in request.space.defaults.items():
        if name not in now or now[name] != default:
            raise UsageError(
                f"the default of knob {name} is not what it was when the session began",
                "ratios to two different defaults must not be mixed; start a new session",
            )
    return request


def extend(request: Request, folder: Path, *, trials: int | None, minutes: float | None) -> Request:
    """Give a session another budget, also for later times, and return its request.

    Args:
        request: Of the session.
        folder: Its folder.
        trials: Trials of the whole study; None leaves them.
        minutes: Time from now; None leaves what is left of the earlier time.

    Raises:
        StoreError: A file cannot be written.
    """
    budget = replace(request.budget, trials=trials or request.budget.trials)
    changed = replace(request, budget=budget, minutes=minutes or request.minutes)
    save(changed, folder)
    before = progress.load(folder)
    search_s = 0.0 if minutes else before.search_s
    progress.save(Progress(search_s=search_s, extensions=before.extensions + 1), folder)
    return changed


def _request(data: dict[str, Any]) -> Request:
    dimensions = tuple(
        Dimension(**{**entry, "choices": tuple(entry["choices"])}) for entry in data["dimensions"]
    )
    return Request(
        task=Task.from_json(data["task"]),
        space=Space(dimensions, data["fixed"], data["defaults"]),
        budget=Budget(**data["budget"]),
        minutes=data["minutes"],
        storage=data["storage"],
        study=data["study"],
        seed=data["seed"],
        final_blocks=data["final_blocks"],
        worker=data["worker"],
        transfer=tuple(Task.from_json(task) for task in data["transfer"]),
    )
