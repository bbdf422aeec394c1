"""A tuning session from request to files: search, confirmation, other inputs, profile.

A session can be killed at any time. Trials are kept by the study, samples by the records, and
`progress.json` holds the rest; whoever goes on measures only what is not there.
"""

from __future__ import annotations

import math
import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hz3py.errors import StoreError, UsageError
from hz3py.store.records import RunRecord
from hz3py.store.results import RECORDS_NAME, RESULTS_FOLDER, Writer
from hz3py.tuning import progress
from hz3py.tuning.blocks import Blocks, Measured
from hz3py.tuning.confirm import Confirm, Confirmation, blocks_for
from hz3py.tuning.elsewhere import TRANSFER_BLOCKS, Transfer, carry_over
from hz3py.tuning.finalists import shortlist
from hz3py.tuning.goals import Goals
from hz3py.tuning.outcome import Outcome, Result, publish
from hz3py.tuning.recorded import Recorded
from hz3py.tuning.search import (
    Budget,
    Candidate,
    Search,
    candidates,
    hunches,
    make_pruner,
    make_sampler,
)
from hz3py.tuning.space import Space
from hz3py.tuning.storage import default_url, kept_alive, open_study, quiet
from hz3py.tuning.task import Task
from hz3py.tuning.watch import Silence, Watch

if TYPE_CHECKING:
    import optuna

    from hz3py.store.records import SampleRecord

REQUEST_NAME = "request.json"
SEARCH_SHARE = 0.4
"""Share of a budget of minutes that the search may take; the rest is for confirmation."""


@dataclass(frozen=True)
class Request:
    """Everything that decides what a session does.

    Attributes:
        task: What is tuned.
        space: Which knobs vary.
        budget: When the search stops; its `seconds` are filled in from `minutes`.
        minutes: Time for everything; None does not limit it.
        storage: Storage URL; empty keeps the study in the session's folder.
        study: Name of the study.
        seed: Seed of proposals and of the order of samples.
        final_blocks: Blocks behind the claim; None takes what the time allows or, without
            `minutes`, what the noise demands.
        worker: Whether to search only, and to leave confirmation to another process.
        transfer: Other inputs on which a claim is tried.
    """

    task: Task
    space: Space
    budget: Budget = field(default_factory=Budget)
    minutes: float | None = None
    storage: str = ""
    study: str = "tune"
    seed: int = 0
    final_blocks: int | None = None
    worker: bool = False
    transfer: tuple[Task, ...] = ()


def new_folder(name: str, parent: Path | None = None) -> Path:
    """Make a folder for results; no two processes get the same one.

    Raises:
        StoreError: It cannot be made.
    """
    parent = parent or Path(RESULTS_FOLDER)
    stem = f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-tune-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}"
    for number in range(1, 1000):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(
                f"cannot make {folder}: {error.strerror}", "choose a folder with --out"
            ) from error
    raise StoreError(f"no free folder beside {parent / stem}", "choose a folder with --out")


def tune(
    request: Request,
    folder: Path,
    *,
    machine: Mapping[str, Any] | None = None,
    blocks: Blocks | None = None,
    watch: Watch | None = None,
) -> Result:
    """Search, confirm, and write profile and report.

    Args:
        request: What to do.
        folder: Where the files go; a session that is there already is gone on with.
        machine: Description of the machine, for the records.
        blocks: Measures; None takes real samples.
        watch: Is told what happens.

    Raises:
        UsageError: The study does not fit the request.
        StoreError: The storage or the folder cannot be used.
        WorkloadFailedError: The workload fails under the default configuration.
        KeyboardInterrupt: The user stopped it; the study can be resumed.
    """
    watch = watch or Silence()
    study = _study(request, folder)
    opened = _open(request, folder, machine or {})
    with opened.writer:
        session = _Session(request, folder, study, blocks or _real(request, opened), watch)
        with kept_alive(request.storage):
            try:
                outcome = session.run(opened.run)
            finally:
                watch.ended()
            return publish(request, folder, outcome, machine or {})


class _Session:
    """The steps of a session, each of which looks first for what is there already."""

    def __init__(
        self, request: Request, folder: Path, study: optuna.Study, blocks: Blocks, watch: Watch
    ) -> None:
        self._request = request
        self._folder = folder
        self._study = study
        self._blocks = blocks
        self._watch = watch
        self._goals = Goals(request.task)
        self._progress = progress.load(folder)
        self._start = time.monotonic()
        self._earlier_s = self._progress.search_s

    def run(self, run: RunRecord) -> Outcome:
        block_s = math.nan if self._progress.ended else self._search()
        with quiet():
            found = candidates(self._study)
        confirmation: Confirmation | None = None
        transfer: tuple[Transfer, ...] = ()
        if not self._request.worker:
            confirmation = self._confirm(found, block_s)
            if confirmation.claim:
                tasks = self._request.transfer
                transfer = carry_over(confirmation.knobs, tasks, self._blocks, self._watch)
        ended = self._progress.ended
        return Outcome(run, self._study, found, confirmation, transfer, ended)

    def _search(self) -> float:
        """Search to the end; return the seconds of one block of two sides."""
        search = Search(
            self._study,
            self._request.space,
            self._goals,
            self._blocks,
            budget=self._budget(),
            watch=self._watch,
            after=lambda seconds: self._keep(search_s=self._earlier_s + seconds),
        )
        self._keep(ended=search.run())
        return search.block_s

    def _confirm(self, found: Sequence[Candidate], block_s: float) -> Confirmation:
        """Confirm the best, on as many blocks as were planned when that began, if any were."""
        request = self._request
        count = request.final_blocks or self._progress.confirm_blocks
        if count is None and request.minutes is not None:
            elsewhere_s = len(request.transfer) * TRANSFER_BLOCKS * block_s
            count = blocks_for(
                self._left_s() - elsewhere_s,
                block_s / 2,
                len(shortlist(found, self._goals)),
                len(request.space.dimensions),
            )
        self._keep(confirm_blocks=count)
        return Confirm(
            request.space,
            self._goals,
            self._blocks,
            self._watch,
            final_blocks=count,
            extensions=self._progress.extensions,
        ).run(found)

    def _budget(self) -> Budget:
        """Return what is left of the budget of the search."""
        minutes, budget = self._request.minutes, self._request.budget
        if minutes is None:
            return budget
        share = 1.0 if self._request.worker else SEARCH_SHARE
        return replace(budget, seconds=max(0.0, minutes * 60 * share - self._earlier_s))

    def _left_s(self) -> float:
        spent_s = self._earlier_s + time.monotonic() - self._start
        return (self._request.minutes or math.inf) * 60 - spent_s

    def _keep(self, **changes: Any) -> None:
        self._progress = replace(self._progress, **changes)
        progress.save(self._progress, self._folder)


def _study(request: Request, folder: Path) -> optuna.Study:
    """Open the study and make sure that it is about the same thing."""
    url = request.storage or default_url(folder)
    budget = request.budget
    study = open_study(
        url,
        request.study,
        request.task.objective,
        sampler=make_sampler(
            None if "//" in request.storage else request.seed,
            budget.trials,
            given=len(hunches(request.space, request.task)),
        ),
        pruner=make_pruner() if request.task.objective != "pareto" else None,
    )
    about = {
        "another workload": [[row.label, list(row.args)] for row in request.task.rows],
        "other knobs": [dimension.described() for dimension in request.space.dimensions],
        "other fixed knobs": dict(request.space.fixed),
    }
    with quiet():
        known = study.user_attrs.get("about")
        if known is None:
            study.set_user_attr("about", about)
        elif known != about:
            which = next(key for key in about if known.get(key) != about[key])
            raise UsageError(
                f"the study {request.study!r} has {which}",
                "give the same arguments as the first worker, or another --study",
            )
    return study


@dataclass(frozen=True)
class _Opened:
    """The records of a session, open for writing."""

    writer: Writer
    run: RunRecord
    samples: tuple[SampleRecord, ...] = ()


def _open(request: Request, folder: Path, machine: Mapping[str, Any]) -> _Opened:
    """Open the file that takes every sample of this session, and read what is in it."""
    if (folder / RECORDS_NAME).exists():
        writer, results = Writer.resume(folder)
        return _Opened(writer, results.run, results.samples)
    run = RunRecord(
        run_id=uuid.uuid4().hex,
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        suite=request.task.name,
        plan={"tune": request.task.to_json(), "seed": request.seed},
        machine=machine,
        argv=tuple(sys.argv[1:]),
        version=str(machine.get("hz3") or "unknown"),
    )
    return _Opened(Writer.create(folder, run), run)


def _real(request: Request, opened: _Opened) -> Blocks:
    from hz3py.system.allocators import find

    own = find(["hz3"])[0]
    measured = Measured(request.task, own, seed=request.seed, append=opened.writer.append)
    return Recorded(measured, request.task, own, opened.samples)
