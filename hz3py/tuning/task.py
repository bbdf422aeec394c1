"""What is tuned: the workload, how its speed is read, and what must not get worse."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hz3py.errors import UsageError
from hz3py.workloads.rows import Row

Objective = Literal["rss", "throughput", "pareto"]
OBJECTIVES: tuple[Objective, ...] = ("rss", "throughput", "pareto")
RSS_FIGURES = ("mean", "p95", "peak", "idle")

THROUGHPUT_MARGIN = 0.02
RSS_MARGIN = 0.10


@dataclass(frozen=True)
class Guard:
    """A figure in the program's output that must not get worse than a limit.

    Attributes:
        pattern: Regular expression with one group, the figure.
        limit: Fraction of the default's figure; 0.05 lets it rise by 5 %, -0.02 fall by 2 %.
    """

    pattern: str
    limit: float

    @property
    def name(self) -> str:
        """A word for tables."""
        return f"guard {self.pattern!r}"


@dataclass(frozen=True)
class Server:
    """How a server is measured: started, asked by a client, stopped.

    Attributes:
        client: Command line of the client.
        port: TCP port on this machine that accepts a connection when the server is ready.
        ready: Regular expression in the server's output that says so, instead of a port.
        start_s: Seconds within which it has to be ready.
    """

    client: tuple[str, ...]
    port: int | None = None
    ready: str | None = None
    start_s: float = 30.0


@dataclass(frozen=True)
class Task:
    """One thing to tune.

    Attributes:
        name: For people and folders.
        rows: The workloads; of a server, its command line.
        objective: What to improve.
        rss: Which figure of resident memory counts: mean, p95, peak or idle.
        metric_regex: Regular expression with one group, the speed, in the program's (or the
            client's) output; None takes what a packaged workload reports, else the wall time.
        lower_is_better: Whether a small figure of `metric_regex` is good.
        guards: Further figures to guard.
        check: Command that gets the output on stdin after each sample; its exit code is a guard.
        server: How a server is asked; None for programs that end by themselves.
        throughput_margin: Largest loss of throughput, a fraction.
        rss_margin: Largest gain of resident memory when throughput is the objective, a fraction.
    """

    name: str
    rows: tuple[Row, ...]
    objective: Objective = "rss"
    rss: str = "mean"
    metric_regex: str | None = None
    lower_is_better: bool = False
    guards: tuple[Guard, ...] = ()
    check: tuple[str, ...] = ()
    server: Server | None = None
    throughput_margin: float = THROUGHPUT_MARGIN
    rss_margin: float = RSS_MARGIN

    @property
    def rss_metric(self) -> str:
        """Name of the memory figure in `hz3py.analysis.criteria.METRICS`."""
        return f"rss_{self.rss}"

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON-ready data."""
        return {**asdict(self), "rows": [row.to_json() for row in self.rows]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """Rebuild a task from what `to_json` returned.

        Raises:
            UsageError: The data does not describe a task.
        """
        try:
            server = data["server"]
            return check(
                cls(
                    name=str(data["name"]),
                    rows=tuple(Row.from_json(row) for row in data["rows"]),
                    objective=data["objective"],
                    rss=str(data["rss"]),
                    metric_regex=data["metric_regex"],
                    lower_is_better=bool(data["lower_is_better"]),
                    guards=tuple(
                        Guard(str(g["pattern"]), float(g["limit"])) for g in data["guards"]
                    ),
                    check=tuple(str(word) for word in data["check"]),
                    server=None
                    if server is None
                    else Server(
                        tuple(str(word) for word in server["client"]),
                        server["port"],
                        server["ready"],
                        float(server["start_s"]),
                    ),
                    throughput_margin=float(data["throughput_margin"]),
                    rss_margin=float(data["rss_margin"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"this is not a description of a workload: {error!r}") from error


def check(task: Task) -> Task:
    """Return the task if its words have a meaning.

    Raises:
        UsageError: An expression is wrong, or options contradict each other.
    """
    expressions = [("--metric-regex", task.metric_regex)]
    expressions += [("--guard", guard.pattern) for guard in task.guards]
    for option, pattern in expressions:
        if pattern is not None and _expression(option, pattern).groups < 1:
            raise UsageError(
                f"{option} {pattern!r} has no group for the figure", r"write 'rps: ([0-9.]+)'"
            )
    if task.server is not None:
        if task.server.ready is not None:
            _expression("--ready-regex", task.server.ready)
        if (task.server.port is None) == (task.server.ready is None):
            raise UsageError(
                "how to know that the server is ready is not given, or given twice",
                "give --ready-port PORT or --ready-regex TEXT",
            )
    if task.objective not in OBJECTIVES:
        raise UsageError(f"unknown objective {task.objective!r}", f"use {', '.join(OBJECTIVES)}")
    if task.rss not in RSS_FIGURES:
        raise UsageError(f"unknown memory figure {task.rss!r}", f"use {', '.join(RSS_FIGURES)}")
    if task.lower_is_better and task.metric_regex is None:
        raise UsageError("--lower says how to read --metric-regex, which is not given")
    return task


def slowdown(percent: float, name: str) -> float:
    """Return the largest loss of throughput as a fraction.

    Args:
        percent: Above 0 and below 100.
        name: What the user calls it.

    Raises:
        UsageError: It is no share of something.
    """
    if not 0 < percent < 100:
        raise UsageError(
            f"{name} {percent:g} is not a percentage above 0 and below 100",
            "write 2 for two percent",
        )
    return percent / 100


def parse_guard(pattern: str, limit: str) -> Guard:
    """Read a guard from two words: an expression, and a limit such as +5% or -2%.

    Raises:
        UsageError: The limit has another form.
    """
    found = re.fullmatch(r"([+-][0-9]*\.?[0-9]+)\s*%", limit.strip())
    if not found or float(found[1]) <= -100:
        raise UsageError(
            f"limit {limit!r} of the guard {pattern!r} is not a signed percentage",
            "write +5% for a figure that may rise by 5 %, -2% for one that may fall by 2 %",
        )
    return Guard(pattern, float(found[1]) / 100)


def words_of(text: str, option: str) -> tuple[str, ...]:
    """Split a command line given as one word.

    Raises:
        UsageError: It is empty, or a quote is not closed.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not a command line: {error}") from error
    if not words:
        raise UsageError(f"{option} is empty", "give a command line")
    return words


@dataclass(frozen=True)
class Reading:
    """What was read out of the output of one sample.

    Attributes:
        figures: Name of a metric or guard to its figure.
        complaint: What could not be read; empty if all is there.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    complaint: str = ""


def read_figures(task: Task, output: str) -> Reading:
    """Read metric and guards from what a program printed."""
    figures: dict[str, float] = {}
    wanted: Sequence[tuple[str, str]] = [(guard.name, guard.pattern) for guard in task.guards]
    if task.metric_regex is not None:
        wanted = [("throughput", task.metric_regex), *wanted]
    for name, pattern in wanted:
        matches = re.findall(pattern, output, re.MULTILINE)
        if not matches:
            return Reading({}, f"the expression {pattern!r} matched nothing in its output")
        last = matches[-1]
        text = last if isinstance(last, str) else last[0]
        try:
            value = float(text.replace(",", ""))
        except ValueError:
            return Reading({}, f"the expression {pattern!r} found {text!r}, which is no number")
        if not 0 < value < float("inf"):
            return Reading({}, f"the expression {pattern!r} found {text}, which has no ratio")
        figures[name] = value
    if task.lower_is_better and "throughput" in figures:
        figures["throughput"] = 1 / figures["throughput"]
    return Reading(figures)


def _expression(option: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{option} {pattern!r} is no regular expression: {error}") from error
