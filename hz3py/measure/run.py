"""Measuring one process: start it under an allocator, watch its memory, judge what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hz3py.interrupts import PutOff
from hz3py.measure.marks import LineMarks
from hz3py.measure.sample import Rss, Sample
from hz3py.measure.sampler import kernel
from hz3py.measure.series import Recording, parse_recording, summarise
from hz3py.measure.verdict import Seen, judge_end, parse_result, prove
from hz3py.measure.visit import Visit, Visitor
from hz3py.system.launch import environment, launcher_argv
from hz3py.system.oom import oom_kills

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator

    from hz3py.system.launch import Launch

PHASE_VARIABLE = "HZ3_PHASE_FD"
OBSERVE_VARIABLE = "HZ3_OBSERVE"
OBSERVE_FILE_VARIABLE = "HZ3_OBSERVE_FILE"
TAIL_BYTES = 64 * 1024
SAMPLER = Path(__file__).with_name("sampler")
_START_SAMPLER = (
    "import sys; sys.path.append(sys.argv[1]); "
    f"from {SAMPLER.name}.main import main; main(sys.argv[2:])"
)
_STOP_S = 3.0  # a program that is told to end gets this long
_SAMPLER_S = 10.0  # the sampler needs milliseconds; this guards against a hang


def measure(
    launch: Launch,
    *,
    expect_json: bool,
    interval_s: float = 0.002,
    idle_s: float = 0.0,
    mark: re.Pattern[str] | None = None,
    observe: bool = False,
    visitor: Visitor | None = None,
) -> Sample:
    """Run `launch` once and return everything it told.

    A failure of the program is no exception: `Sample.status` and `Sample.detail` say it. If the
    measuring process itself is interrupted, the program and its process group are ended first.

    Args:
        launch: What to start, and under which allocator.
        expect_json: Whether it is a workload, which prints one JSON line and names the object
            that provides malloc. Other programs prove the preload by their mapped objects.
        interval_s: Seconds between memory samples to begin with (0.0005 to 1); it grows for long
            runs, so that the series stays bounded.
        idle_s: End a program that stays alive after so many seconds of rest; 0 waits for its end.
        mark: Lines of output that match it mark a phase, named by the first group or the match.
        observe: Ask hz3 for its own account of its memory at exit; other allocators have none.
        visitor: Deals with the program while it runs, and ends it; None leaves it alone.

    Raises:
        UnfitMachineError: ``hz3-exec`` is not installed.
    """
    kills_before = oom_kills()
    with contextlib.ExitStack() as resources:
        accounts = _account_folder(resources) if observe and _is_ours(launch) else None
        if accounts is not None:
            # A program that we end does not exit; it is asked by a signal before.
            when = "signal" if idle_s > 0 else "exit"
            asked = {OBSERVE_VARIABLE: when, OBSERVE_FILE_VARIABLE: f"{accounts}/%p"}
            launch = replace(launch, env={**launch.env, **asked})
        phase_in, phase_out = _pipe(resources)
        pid_in, pid_out = _pipe(resources)
        times = (interval_s, idle_s, accounts is not None)
        sampler = resources.enter_context(_sampler(pid_in, phase_in, times))
        _avoid(sampler.pid, launch.affinity)
        lines = None if mark is None else LineMarks(mark, os.dup(phase_out.fileno()))
        with contextlib.nullcontext() if lines is None else contextlib.closing(lines):
            output = _run(launch, pid_out, phase_out, lines, visitor)
        recording = _stop_sampler(sampler)
        observation = None if accounts is None else _observation(accounts)
    seen = Seen(
        report=output.report,
        stdout=output.stdout,
        stderr=output.stderr,
        oom_killed=kills_before is not None and (oom_kills() or 0) > kills_before,
        timeout_s=launch.timeout_s,
        ended_by_us=recording.stopped is not None,
    )
    sample = _sample(launch, seen, recording, expect_json=expect_json)
    return replace(sample, observation=observation)


def _is_ours(launch: Launch) -> bool:
    path = launch.allocator.path
    return path is not None and path.name.startswith("libhz3")


def _account_folder(resources: contextlib.ExitStack) -> Path:
    return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="hz3-")))


def _observation(folder: Path) -> dict[str, Any] | None:
    """Read the last account of each process; return that of the largest."""
    found: list[dict[str, Any]] = []
    for file in folder.iterdir():
        with contextlib.suppress(OSError, ValueError):
            lines = file.read_text(encoding="utf-8").splitlines()
            document = json.loads(lines[-1]) if lines else None
            if isinstance(document, dict) and isinstance(document.get("resident_bytes"), int):
                found.append(document)
    return max(found, key=lambda document: int(document["resident_bytes"]), default=None)


@dataclass(frozen=True)
class _Output:
    """What came out of the launcher and the program."""

    report: dict[str, Any]
    stdout: str
    stderr: str


def _sample(launch: Launch, seen: Seen, recording: Recording, *, expect_json: bool) -> Sample:
    """Put together what was seen."""
    status, detail = judge_end(seen)
    result = parse_result(seen.stdout) if expect_json and status == "ok" else None
    proof = prove(launch.allocator, seen, result)
    if status == "ok" and expect_json and result is None:
        status, detail = "garbage", "did not print its one JSON line"
    elif status == "ok" and not proof.interposed:
        status, detail = "preload-failed", f"{launch.allocator.name}: {proof.complaint}"
    return Sample(
        status=status,
        detail=detail,
        exec=dict(seen.report),
        result=result,
        rss=_rss(recording, seen),
        interposed=proof.interposed,
        malloc_object=proof.malloc_object,
        stdout_tail=seen.stdout,
        stderr_tail=seen.stderr,
    )


def _rss(recording: Recording, seen: Seen) -> Rss | None:
    if not seen.report or seen.report["error"] is not None:
        return None
    return summarise(recording, float(seen.report["vm_hwm_kb"]))


def _run(
    launch: Launch,
    pid_out: FileIO,
    phase_out: FileIO,
    lines: LineMarks | None,
    visitor: Visitor | None,
) -> _Output:
    """Start the launcher, take in all output, and wait for its end.

    The launcher alone holds the report pipe, so the end of that pipe is the end of the run, even
    if a grandchild keeps stdout open. Closes `pid_out` and `phase_out`.
    """
    with contextlib.ExitStack() as resources:
        report_in, report_out = _pipe(resources)
        inherited = (report_out, pid_out, phase_out)
        # An interrupt between the start and the `try` would leave the program running.
        interrupts = resources.enter_context(PutOff())
        process = subprocess.Popen(
            launcher_argv(launch, report_fd=report_out.fileno(), pid_fd=pid_out.fileno()),
            env={**environment(launch), PHASE_VARIABLE: str(phase_out.fileno())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[end.fileno() for end in inherited],
            start_new_session=True,  # no terminal: its keys are for us, and we end the run in order
        )
        resources.enter_context(process)
        assert process.stdout is not None
        assert process.stderr is not None
        visit = None if visitor is None else Visit(visitor, process, phase_out.fileno())

        def seen(descriptor: int, data: bytes) -> None:
            if lines is not None:
                lines.feed(descriptor, data)
            if visitor is not None:
                visitor.hear(data)

        try:
            interrupts.let_through()
            for end in inherited:
                end.close()
            streams = (process.stdout.fileno(), process.stderr.fileno())
            tails = _collect(report_in.fileno(), *streams, seen=seen)
        except BaseException:
            _end(process)
            raise
        finally:
            if visit is not None:
                visit.end()
    report, stdout, stderr = (tail.decode("utf-8", "replace") for tail in tails)
    try:
        told = json.loads(report) if report else {}
    except ValueError:
        told = {}
    return _Output(told if visit is None else visit.forgiven(told), stdout, stderr)


def _collect(
    until: int, *others: int, seen: Callable[[int, bytes], None] | None = None
) -> list[bytes]:
    """Read all descriptors until `until` ends; return the tail of each, at most TAIL_BYTES.

    `seen` is told of everything that comes from the others, with the descriptor.
    """
    tails = {descriptor: b"" for descriptor in (until, *others)}

    def take(descriptor: int) -> bool:
        data = os.read(descriptor, TAIL_BYTES)
        tails[descriptor] = (tails[descriptor] + data)[-TAIL_BYTES:]
        if seen is not None and descriptor != until:
            seen(descriptor, data)
        return bool(data)

    with selectors.DefaultSelector() as selector:
        for descriptor in tails:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        running = True
        while running:
            for key, _ in selector.select():
                if not take(key.fd):
                    selector.unregister(key.fd)
                    running = running and key.fd != until
        # Whatever the program wrote before its end is in the pipes by now.
        for descriptor in others:
            with contextlib.suppress(BlockingIOError):
                while take(descriptor):
                    pass
    return list(tails.values())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the launcher, the program and its process group, also for who cannot wait."""
    with PutOff():
        process.send_signal(signal.SIGTERM)  # the launcher hands it on to the group
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            for child in kernel.children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child, signal.SIGKILL)
            process.kill()


def sampler_command() -> list[str]:
    """Return the words that start the sampler; its arguments follow them."""
    # Isolated and without site: nothing of the person's Python set-up is imported.
    return [sys.executable, "-I", "-S", "-c", _START_SAMPLER, str(SAMPLER.parent)]


@contextlib.contextmanager
def _sampler(
    pid_in: FileIO, phase_in: FileIO, times: tuple[float, float, bool]
) -> Iterator[subprocess.Popen[str]]:
    """Start the sampler and wait until it is ready to watch.

    `times` are the interval and the rest in seconds, and whether an account is asked for after it.
    """
    inherited = [pid_in.fileno(), phase_in.fileno()]
    interval_us, idle_us = (round(seconds * 1e6) for seconds in times[:2])
    numbers = [str(number) for number in (*inherited, interval_us, idle_us, int(times[2]))]
    with subprocess.Popen(
        [*sampler_command(), *numbers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=inherited,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def _stop_sampler(process: subprocess.Popen[str]) -> Recording:
    """Tell the sampler that the run is over and take its recording; empty if it failed."""
    try:
        text, _ = process.communicate(timeout=_SAMPLER_S)
        return parse_recording(text)
    except (subprocess.TimeoutExpired, ValueError):
        return Recording()


def _avoid(pid: int, affinity: tuple[int, ...] | None) -> None:
    """Keep the process `pid` off the CPUs of the program, where there are others."""
    others = os.sched_getaffinity(0) - set(affinity or ())
    if affinity and others:
        os.sched_setaffinity(pid, others)


def _pipe(resources: contextlib.ExitStack) -> tuple[FileIO, FileIO]:
    """Make a pipe: reading and writing end, both closed with `resources` at the latest."""
    reader, writer = os.pipe()
    return (
        resources.enter_context(FileIO(reader, "rb")),
        resources.enter_context(FileIO(writer, "wb")),
    )
