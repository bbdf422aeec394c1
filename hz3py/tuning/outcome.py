"""What a session leaves: profile.toml, and tune.json with everything that was learnt."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hz3py.analysis.intervals import Interval
from hz3py.analysis.verdict import Judgement
from hz3py.errors import UsageError
from hz3py.store.export import write_text
from hz3py.tuning import elsewhere, insight, profile
from hz3py.tuning.confirm import Confirmation
from hz3py.tuning.elsewhere import Transfer
from hz3py.tuning.goals import Goals, GuardState
from hz3py.tuning.search import Candidate
from hz3py.tuning.storage import quiet

if TYPE_CHECKING:
    import optuna

    from hz3py.store.records import RunRecord
    from hz3py.tuning.session import Request

DOCUMENT_NAME = "tune.json"
PROFILE_NAME = "profile.toml"


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


@dataclass(frozen=True)
class Outcome:
    """What a session brought, before anything is written.

    Attributes:
        run: How it began.
        study: The study.
        found: Every configuration that was measured.
        confirmation: What may be claimed; None for a mere worker.
        transfer: How the claim does on other inputs.
        ended: Why the search ended.
    """

    run: RunRecord
    study: optuna.Study
    found: Sequence[Candidate]
    confirmation: Confirmation | None
    transfer: tuple[Transfer, ...]
    ended: str


def publish(request: Request, folder: Path, outcome: Outcome, machine: Mapping[str, Any]) -> Result:
    """Write profile and document.

    Raises:
        StoreError: They cannot be written.
    """
    confirmation = outcome.confirmation
    goals = Goals(request.task)
    with quiet():
        learnt = insight.document(outcome.found, request.space, goals)
        trials = _finished(outcome.study)
    path = _write_profile(request, folder, outcome, machine, trials)
    noise = _noise(outcome.found, goals)
    document = {
        "schema": 1,
        **_contract(confirmation, path, trials),
        "workload": request.task.name,
        "objective": request.task.objective,
        "study": request.study,
        "storage": "folder" if not request.storage else "shared",
        "ended": outcome.ended,
        "noise": _known(noise),
        **_details(confirmation),
        "transfer": [_transfer_line(each) for each in outcome.transfer],
        "transfer_planned": [task.name for task in request.transfer],
        "carries_over": elsewhere.summary(outcome.transfer),
        "request": _asked(request, outcome.run),
        "machine": dict(machine),
        **learnt,
    }
    write_text(folder / DOCUMENT_NAME, json.dumps(document, indent=2) + "\n")
    return Result(
        confirmation, folder, path, trials, outcome.ended, noise, outcome.transfer, document
    )


def _asked(request: Request, run: RunRecord) -> dict[str, Any]:
    """Return what was asked for, as far as a report tells it."""
    return {
        "time": run.time,
        "version": run.version,
        "argv": list(run.argv),
        "task": request.task.to_json(),
        "knobs": [
            {"name": each.name, "default": each.default, "values": each.described()}
            for each in request.space.dimensions
        ],
        "fixed": dict(request.space.fixed),
        "trials": request.budget.trials,
        "minutes": request.minutes,
        "blocks": request.budget.blocks,
        "seed": request.seed,
    }


def _write_profile(
    request: Request,
    folder: Path,
    outcome: Outcome,
    machine: Mapping[str, Any],
    trials: int,
) -> Path | None:
    """Write the profile of a claim; without one, remove what an earlier search had claimed."""
    confirmation = outcome.confirmation
    path = folder / PROFILE_NAME
    if confirmation is None:
        return None
    if not confirmation.claim:
        path.unlink(missing_ok=True)
        return None
    summary = elsewhere.summary(outcome.transfer) or None
    written = profile.Profile(
        name=request.task.name,
        knobs=confirmation.knobs,
        evidence={**_evidence(confirmation), "trials": trials, "elsewhere": summary},
        machine=_brief(machine),
        workload=request.task.to_json(),
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        version=str(machine.get("hz3") or "unknown"),
    )
    try:
        earlier = replace(written, date=profile.read(path).date)
        if path.read_text(encoding="utf-8") == profile.text(earlier):
            return path  # a finished session was asked for its result again
    except (UsageError, OSError):
        pass
    write_text(path, profile.text(written))
    return path


def _noise(found: Sequence[Candidate], goals: Goals) -> float:
    """Return the standard deviation of the score of the default against itself."""
    blocks = next((each.blocks for each in found if not each.knobs), [])
    return float(np.std(goals.scores(blocks), ddof=1)) if len(blocks) > 1 else math.nan


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
        empty: tuple[str, ...] = ("reasons", "finalists", "changes", "criteria", "guards")
        return {"verdict": None, **{name: [] for name in empty}}
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
                "chosen": each.chosen,
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
        "criteria": [_criterion_line(each) for each in confirmation.judgements],
        "guards": [_guard_line(each) for each in confirmation.guards],
    }


def _criterion_line(each: Judgement) -> dict[str, Any]:
    return {
        "metric": each.criterion.metric,
        "kind": each.criterion.kind,
        "margin": each.criterion.margin,
        "claim": each.criterion.sentence(),
        "ratio": _known(each.ratio.estimate),
        "ci": _bounds(each.ratio),
        "confidence": each.confidence,
        "state": each.state,
        "met": each.met,
        "blocks_needed": each.needed,
    }


def _guard_line(each: GuardState) -> dict[str, Any]:
    return {
        "name": each.name,
        "limit": each.limit,
        "ratio": _known(each.ratio.estimate),
        "ci": _bounds(each.ratio),
        "state": each.state,
    }


def _transfer_line(each: Transfer) -> dict[str, Any]:
    return {
        "workload": each.label,
        "throughput_ratio": _known(each.throughput.estimate),
        "throughput_ci": _bounds(each.throughput),
        "rss_ratio": _known(each.rss.estimate),
        "rss_ci": _bounds(each.rss),
        "answer": each.answer,
        "reasons": list(each.reasons),
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
