"""A tuning session from request to files: search, confirmation, profile, and what was learnt."""

from __future__ import annotations

import json
import math
import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hz3py.analysis.intervals import Interval
from hz3py.errors import StoreError, UsageError
from hz3py.store.export import write_text
from hz3py.store.records import RunRecord, SampleRecord
from hz3py.store.results import Writer
from hz3py.tuning import insight, profile
from hz3py.tuning.blocks import Blocks, Measured
from hz3py.tuning.confirm import Confirm, Confirmation, blocks_for, shortlist
from hz3py.tuning.goals import Goals
from hz3py.tuning.search import Budget, Candidate, Search, candidates, make_pruner, make_sampler
from hz3py.tuning.space import Space
from hz3py.tuning.storage import default_url, open_study, quiet
from hz3py.tuning.task import Task
from hz3py.tuning.watch import Silence, Watch

if TYPE_CHECKING:
    import optuna

    from hz3py.workloads.rows import Row

RESULTS_FOLDER = "hz3-results"
REQUEST_NAME = "request.json"
DOCUMENT_NAME = "tune.json"
PROFILE_NAME = "profile.toml"
SEARCH_SHARE = 0.55
"""Share of a budget of minutes that the search may take; the rest is for confirmation."""

TRANSFER_BLOCKS = 5
_TRANSFER_FIRST_BLOCK = 20_000_000


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
        final_blocks: Blocks behind the claim; None chooses by the time left.
        worker: Whether to search only, and to leave confirmation to another process.
        transfer: Further workloads on which a claim is tried.
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
    transfer: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Transfer:
    """How the profile does on another workload, not part of the claim."""

    label: str
    throughput: Interval
    rss: Interval
    failure: str = ""


@dataclass(frozen=True)
class Result:
    """The outcome of a session.

    Attributes:
        confirmation: What may be claimed; None for a mere worker.
        folder: Where the files are.
        profile: The profile; None without a claim.
        trials: Number of finished trials of the study.
        ended: Why the search ended.
        noise: Standard deviation of the score of the default against itself.
        transfer: How the profile does elsewhere.
        document: The content of tune.json.
    """

    confirmation: Confirmation | None
    folder: Path
    profile: Path | None
    trials: int
    ended: str
    noise: float
    transfer: tuple[Transfer, ...]
    document: Mapping[str, Any]


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
        folder: Where the files go; a study that is there already is gone on with.
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
    start = time.monotonic()
    goals = Goals(request.task)
    study = _study(request, folder)
    with _samples(request, folder, machine or {}) as writer:
        measure = blocks or _real(request, writer)
        budget = _budget(request)
        search = Search(study, request.space, goals, measure, budget=budget, watch=watch)
        try:
            ended = search.run()
            with quiet():
                found = candidates(study)
            confirmation: Confirmation | None = None
            transfer: tuple[Transfer, ...] = ()
            if not request.worker:
                left_s = (request.minutes or math.inf) * 60 - (time.monotonic() - start)
                count = request.final_blocks or blocks_for(
                    left_s,
                    search.block_s / 2,
                    len(shortlist(found, goals)),
                    len(request.space.dimensions),
                )
                confirm = Confirm(request.space, goals, measure, watch, final_blocks=count)
                confirmation = confirm.run(found)
                transfer = _transfer(request, goals, measure, confirmation, watch)
        finally:
            watch.ended()
    outcome = _Outcome(study, found, confirmation, transfer, ended, search.noise)
    return _publish(request, folder, outcome, machine or {})


@dataclass(frozen=True)
class _Outcome:
    """What a session brought, before anything is written."""

    study: optuna.Study
    found: Sequence[Candidate]
    confirmation: Confirmation | None
    transfer: tuple[Transfer, ...]
    ended: str
    noise: float


def _study(request: Request, folder: Path) -> optuna.Study:
    """Open the study and make sure that it is about the same thing."""
    url = request.storage or default_url(folder)
    budget = request.budget
    study = open_study(
        url,
        request.study,
        request.task.objective,
        sampler=make_sampler(None if "//" in request.storage else request.seed, budget.trials),
        pruner=make_pruner() if request.task.objective != "pareto" else None,
    )
    about = {
        "workload": [[row.label, list(row.args)] for row in request.task.rows],
        "knobs": [dimension.described() for dimension in request.space.dimensions],
        "fixed": dict(request.space.fixed),
    }
    with quiet():
        known = study.user_attrs.get("about")
        if known is None:
            study.set_user_attr("about", about)
        elif known != about:
            which = next(key for key in about if known.get(key) != about[key])
            raise UsageError(
                f"the study {request.study!r} is about another {which}",
                "give the same arguments as the first worker, or another --study",
            )
    return study


def _samples(request: Request, folder: Path, machine: Mapping[str, Any]) -> Writer:
    """Open the file that takes every sample of this session."""
    if (folder / "records.jsonl").exists():
        return Writer.resume(folder)[0]
    run = RunRecord(
        run_id=uuid.uuid4().hex,
        time=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        suite=request.task.name,
        plan={"tune": request.task.to_json(), "seed": request.seed},
        machine=machine,
        argv=tuple(sys.argv[1:]),
        version=str(machine.get("hz3") or "unknown"),
    )
    return Writer.create(folder, run)


def _real(request: Request, writer: Writer) -> Blocks:
    from hz3py.system.allocators import find

    def append(record: SampleRecord) -> None:
        writer.append(record)

    return Measured(request.task, find(["hz3"])[0], seed=request.seed, append=append)


def _budget(request: Request) -> Budget:
    if request.minutes is None:
        return request.budget
    share = 1.0 if request.worker else SEARCH_SHARE
    budget = request.budget
    return Budget(budget.trials, request.minutes * 60 * share, budget.patience, budget.blocks)


def _transfer(
    request: Request,
    goals: Goals,
    measure: Blocks,
    confirmation: Confirmation,
    watch: Watch,
) -> tuple[Transfer, ...]:
    """Try a claimed profile on other inputs and thread counts."""
    if not (confirmation.claim and request.transfer):
        return ()
    watch.phase("the same knobs on other inputs and thread counts")
    found = []
    metric = goals.task.rss_metric
    for place, row in enumerate(request.transfer):
        taken = []
        for block in range(TRANSFER_BLOCKS):
            watch.step(
                place * TRANSFER_BLOCKS + block, len(request.transfer) * TRANSFER_BLOCKS, math.nan
            )
            number = _TRANSFER_FIRST_BLOCK + place * TRANSFER_BLOCKS + block
            taken.append(measure([confirmation.knobs], number, rows=[row])[0])
        failure = next((block.failure for block in taken if block.failure), "")
        unknown = Interval(math.nan, math.nan, math.nan)
        found.append(
            Transfer(
                row.label,
                unknown if failure else goals.interval(taken, "throughput"),
                unknown if failure else goals.interval(taken, metric),
                failure,
            )
        )
    return tuple(found)


def _publish(
    request: Request, folder: Path, outcome: _Outcome, machine: Mapping[str, Any]
) -> Result:
    """Write profile and report."""
    confirmation, transfer = outcome.confirmation, outcome.transfer
    with quiet():
        learnt = insight.document(outcome.study, outcome.found, request.space, Goals(request.task))
        trials = _finished(outcome.study)
    path: Path | None = None
    if confirmation is not None and confirmation.claim:
        path = folder / PROFILE_NAME
        evidence = _evidence(confirmation)
        written = profile.Profile(
            name=request.task.name,
            knobs=confirmation.knobs,
            evidence={**evidence, "trials": trials},
            machine=_brief(machine),
            workload=request.task.to_json(),
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            version=str(machine.get("hz3") or "unknown"),
        )
        write_text(path, profile.text(written))
    document = {
        "schema": 1,
        **_contract(confirmation, path, trials),
        "workload": request.task.name,
        "objective": request.task.objective,
        "study": request.study,
        "storage": "folder" if not request.storage else "shared",
        "ended": outcome.ended,
        "noise": _known(outcome.noise),
        **_details(confirmation),
        "transfer": [_transfer_line(each) for each in transfer],
        "machine": dict(machine),
        **learnt,
    }
    write_text(folder / DOCUMENT_NAME, json.dumps(document, indent=2) + "\n")
    return Result(
        confirmation, folder, path, trials, outcome.ended, outcome.noise, transfer, document
    )


def _finished(study: optuna.Study) -> int:
    import optuna

    return len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))


def _contract(confirmation: Confirmation | None, path: Path | None, trials: int) -> dict[str, Any]:
    """Return the keys that other programs rely on."""
    throughput = None if confirmation is None else confirmation.throughput
    rss = None if confirmation is None else confirmation.rss
    claim = confirmation is not None and confirmation.claim
    return {
        "claim": claim,
        "profile": None if path is None else str(path),
        "knobs": dict(confirmation.knobs) if confirmation is not None and claim else {},
        "throughput_ratio": _known(throughput.estimate) if throughput else None,
        "throughput_ci": _bounds(throughput),
        "rss_ratio": _known(rss.estimate) if rss else None,
        "rss_ci": _bounds(rss),
        "trials": trials,
        "confirm_blocks": 0 if confirmation is None else confirmation.blocks,
    }


def _evidence(confirmation: Confirmation) -> dict[str, Any]:
    return {
        "claim": confirmation.claim,
        "throughput_ratio": confirmation.throughput.estimate,
        "throughput_ci": _bounds(confirmation.throughput),
        "rss_ratio": confirmation.rss.estimate,
        "rss_ci": _bounds(confirmation.rss),
        "confirm_blocks": confirmation.blocks,
        "searched_ratio": confirmation.searched,
        "confirmed_ratio": confirmation.confirmed,
    }


def _details(confirmation: Confirmation | None) -> dict[str, Any]:
    if confirmation is None:
        return {"verdict": None, "reasons": [], "finalists": [], "changes": []}
    return {
        "verdict": confirmation.verdict,
        "reasons": list(confirmation.reasons),
        "judged_knobs": dict(confirmation.knobs),
        "searched_ratio": _known(confirmation.searched),
        "confirmed_ratio": _known(confirmation.confirmed),
        "finalists": [
            {
                "knobs": dict(each.knobs),
                "searched_ratio": _known(each.searched),
                "measured_ratio": _known(each.measured.estimate),
                "measured_ci": _bounds(each.measured),
            }
            for each in confirmation.finalists
        ],
        "changes": [
            {
                "knob": each.name,
                "loss_ratio": _known(each.loss.estimate),
                "loss_ci": _bounds(each.loss),
                "kept": each.kept,
            }
            for each in confirmation.changes
        ],
    }


def _transfer_line(each: Transfer) -> dict[str, Any]:
    return {
        "workload": each.label,
        "throughput_ratio": _known(each.throughput.estimate),
        "throughput_ci": _bounds(each.throughput),
        "rss_ratio": _known(each.rss.estimate),
        "rss_ci": _bounds(each.rss),
        "failure": each.failure,
    }


def _brief(machine: Mapping[str, Any]) -> dict[str, Any]:
    names = ("host", "cpu", "cpus", "memory_kb", "kernel", "libc", "thp")
    return {name: machine[name] for name in names if machine.get(name) is not None}


def _known(value: float) -> float | None:
    return float(np.round(value, 6)) if math.isfinite(value) else None


def _bounds(interval: Interval | None) -> list[float] | None:
    if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return None
    return [round(interval.low, 6), round(interval.high, 6)]
