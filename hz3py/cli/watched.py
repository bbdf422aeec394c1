"""`hz3 run --observe` and `--proof`: the program as a child, and what it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from hz3py.cli.console import note
from hz3py.errors import PreloadError, UnfitMachineError, UsageError
from hz3py.report.numbers import mib, significant
from hz3py.resources import launcher_path

OBSERVE_KNOB = "observe"
OBSERVE_VARIABLES = {"HZ3_OBSERVE": "exit"}
OBSERVE_FILE_VARIABLE = "HZ3_OBSERVE_FILE"
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run_watched(
    program: Sequence[str],
    environment: Mapping[str, str],
    library: str | None,
    *,
    observe: str | None,
    proof: bool,
) -> int:
    """Run a program as a child, wait for it, and show what was asked for.

    Args:
        program: The program and its arguments.
        environment: Its variables, without the preload.
        library: What to preload; None for the system malloc.
        observe: File for the allocator's own account of its memory.
        proof: Whether to say on stderr which library provided malloc.

    Returns:
        The program's exit code, or 128 and the number of the signal that killed it.

    Raises:
        UsageError: The file cannot be written.
        UnfitMachineError: This libhz3.so does not observe, or the launcher is not installed.
        PreloadError: The library was not loaded, or it left no account.
    """
    variables = dict(environment)
    account = None if observe is None else _prepared(Path(observe))
    if account is not None:
        variables |= {**OBSERVE_VARIABLES, OBSERVE_FILE_VARIABLE: str(account)}
    code, report = _run(program, variables, library)
    if proof:
        _show_proof(report, library)
    if account is not None:
        _check_observation(account)
    return code


def _prepared(file: Path) -> Path:
    """Make sure that an account can be written there, and that no older one is in the way."""
    from hz3py.cli.knob_values import knob_table

    if OBSERVE_KNOB not in {info.name for info in knob_table()}:
        raise UnfitMachineError(
            "this libhz3.so does not observe its memory",
            f"install a version that has the knob {OBSERVE_KNOB!r} (see `hz3 knobs`)",
        )
    file = file.absolute()
    try:
        file.unlink(missing_ok=True)
        file.touch()
        file.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    return file


def _run(
    program: Sequence[str], environment: Mapping[str, str], library: str | None
) -> tuple[int, dict[str, Any]]:
    preload = [] if library is None else ["--preload", library]
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, encoding="utf-8") as reports:
        try:
            launcher = [str(launcher_path()), *preload, "--report-fd", str(write_end)]
            process = subprocess.Popen(
                [*launcher, "--", *program], env=dict(environment), pass_fds=(write_end,)
            )
        finally:
            os.close(write_end)
        with _signals_to(process):
            text = reports.read()
            code = process.wait()
    return code, json.loads(text) if text else {}


@contextlib.contextmanager
def _signals_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand signals on to the program; the terminal's own interrupt reaches it by itself."""

    def forward(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    earlier = {number: signal.signal(number, forward) for number in _FORWARDED}
    earlier[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _show_proof(report: Mapping[str, Any], library: str | None) -> None:
    if not report or report.get("error"):
        return
    figures = (
        f"{significant(report['wall_s'])} s, "
        f"{significant(report['user_s'] + report['sys_s'])} s CPU, "
        f"peak {mib(report['vm_hwm_kb'])} MiB"
    )
    if library is None:
        note(f"proof: the system malloc served the program ({figures})")
    elif report.get("preload_mapped"):
        note(f"proof: {library} was loaded ({figures})")
    elif report.get("preload_mapped") is None:
        note(f"no proof: tracing is not permitted here ({figures})")
    else:
        raise PreloadError(
            f"{library} was not loaded", "the program, or one that starts it, clears LD_PRELOAD"
        )


def _check_observation(file: Path) -> None:
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PreloadError(
            "the program left no account of its memory",
            "it has to end by exit() or by returning from main",
        ) from error
    except ValueError as error:
        raise PreloadError(f"the account in {file} is cut short: {error}") from error
