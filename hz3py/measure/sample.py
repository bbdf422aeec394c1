"""One measured process: what it did, what it cost, and what memory it held.

A sample is a value: it is made by :mod:`hz3py.measure.run`, kept as JSON by the store, and never
changed. Times are seconds, memory is KiB as the kernel counts it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Status = Literal["ok", "failed", "timeout", "crashed", "garbage", "oom", "preload-failed"]


@dataclass(frozen=True)
class Rss:
    """Resident memory of a process tree over its life.

    Attributes:
        mean_kb: Time-weighted mean over the work phase; over the whole life without phase marks.
        p95_kb: The level the memory stays below during 95 % of that time.
        peak_kb: The kernel's high-water mark, or the largest sample of a tree if that is more.
        idle_kb: Median after the work while the program idles; ``None`` without such a phase.
        series: Pairs (seconds since the program started, KiB), thinned to a bounded length.
        sampler_cpu_s: CPU seconds the sampler itself used.
        samples: How often memory was read, before thinning.
        anon_kb: Anonymous KiB (no page of a file) at each point of the series; empty if unknown.
        marks: Pairs (name, seconds) by which the program marked its phases, in order.
        quiet: Exact accounts at moments of rest: at_s, and pss, anon, huge, lazy_free, swap in KiB.
        interval_s: Distance of the readings at the end; 0 if unknown.
    """

    mean_kb: float
    p95_kb: float
    peak_kb: float
    idle_kb: float | None
    series: list[tuple[float, float]]
    sampler_cpu_s: float
    samples: int
    anon_kb: list[float] = field(default_factory=list)
    marks: list[tuple[str, float]] = field(default_factory=list)
    quiet: list[dict[str, float]] = field(default_factory=list)
    interval_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rss:
        """Rebuild from :meth:`to_json`; keys of later versions are ignored.

        Raises:
            ValueError: A key is missing or has the wrong type.
        """
        try:
            return cls(
                mean_kb=float(data["mean_kb"]),
                p95_kb=float(data["p95_kb"]),
                peak_kb=float(data["peak_kb"]),
                idle_kb=None if data["idle_kb"] is None else float(data["idle_kb"]),
                series=[(float(at), float(kb)) for at, kb in data["series"]],
                sampler_cpu_s=float(data["sampler_cpu_s"]),
                samples=int(data["samples"]),
                anon_kb=[float(kb) for kb in data.get("anon_kb", ())],
                marks=[(str(name), float(at)) for name, at in data.get("marks", ())],
                quiet=[dict(account) for account in data.get("quiet", ())],
                interval_s=float(data.get("interval_s", 0.0)),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a resident-memory record: {error!r}") from error


@dataclass(frozen=True)
class Sample:
    """Everything one process told.

    Attributes:
        status: "ok", or the way in which it went wrong.
        detail: One line for a person; empty when there is nothing to add.
        exec: The report line of ``hz3-exec``; empty if it could not even start.
        result: The workload's own JSON line; ``None`` for other programs and failures.
        rss: Resident memory; ``None`` if the program never ran.
        interposed: Whether the asked-for allocator provably provided malloc.
        malloc_object: The object that provided malloc, as far as known.
        stdout_tail: The end of what it printed.
        stderr_tail: The end of what it complained about.
        observation: The allocator's own account of its memory at exit; ``None`` without one.
    """

    status: Status
    detail: str = ""
    exec: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    rss: Rss | None = None
    interposed: bool = False
    malloc_object: str = ""
    stdout_tail: str = ""
    stderr_tail: str = ""
    observation: dict[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether the sample may enter a result."""
        return self.status == "ok"

    def to_json(self) -> dict[str, Any]:
        """Return plain data for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        """Rebuild from :meth:`to_json`; keys of later versions are ignored.

        Raises:
            ValueError: A key is missing or the status is not one of ours.
        """
        status = data.get("status")
        if status not in get_args(Status):
            raise ValueError(f"unknown sample status {status!r}")
        try:
            return cls(
                status=cast("Status", status),
                detail=str(data["detail"]),
                exec=dict(data["exec"]),
                result=None if data["result"] is None else dict(data["result"]),
                rss=None if data["rss"] is None else Rss.from_json(data["rss"]),
                interposed=bool(data["interposed"]),
                malloc_object=str(data["malloc_object"]),
                stdout_tail=str(data["stdout_tail"]),
                stderr_tail=str(data["stderr_tail"]),
                observation=data.get("observation"),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a sample record: {error!r}") from error
