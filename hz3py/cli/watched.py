"""`hz3 run --observe`, `--proof` and `--json`: the program as a child, and what it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
_PICTURE_FORMATS = (".png", ".svg", ".pdf")
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Wanted:
    """What to do when the program has ended.

    Attributes:
        observe: File for the allocator's own account of its memory, or None.
        waterfall: Whether to show the account on stderr.
        picture: File for a picture of it, or None.
        proof: Whether to say on stderr which library provided malloc.
        as_json: Whether to say that, how the program ended and what it cost as JSON, in one line
            on stderr: stdout is the program's.
    """

    observe: str | None = None
    waterfall: bool = False
    picture: str | None = None
    proof: bool = False
    as_json: bool = False

    def observes(self) -> bool:
        """Whether the allocator is to account for its memory."""
        return self.observe is not None or self.waterfall or self.picture is not None


def run_watched(
    program: Sequence[str], environment: Mapping[str, str], library: str | None, wanted: Wanted
) -> int:
    """Run a program as a child, wait for it, and show what was asked for.

    Every process that the program starts accounts for itself as well; the account of the program
    is the one that is kept.

    Args:
        program: The program and its arguments.
        environment: Its variables, without the preload.
        library: What to preload; None for the system malloc.
        wanted: What to show.

    Returns:
        The program's exit code, or 128 and the number of the signal that killed it.

    Raises:
        UsageError: A file cannot be written.
        UnfitMachineError: This libhz3.so does not observe, or the launcher is not installed.
        PreloadError: The library was not loaded, or it left no account.
    """
    if not wanted.observes():
        code, report = _run(program, environment, library)
    else:
        _check(wanted)
        with tempfile.TemporaryDirectory(prefix="hz3-observe-") as folder:
            # The program may give up its rights before it ends.
            os.chmod(folder, 0o1733)
            files = {OBSERVE_FILE_VARIABLE: f"{folder}/%p"}
            variables = {**environment, **OBSERVE_VARIABLES, **files}
            code, report = _run(program, variables, library)
            account = _account(Path(folder, str(report.get("pid", ""))), started=bool(report))
    if wanted.proof and not wanted.as_json:
        _show_proof(report, library)
    if wanted.observes() and account is not None:
        _show_account(account, program[0], wanted)
    if wanted.as_json and report:
        _print_json(report, program, library)
    if (wanted.proof or wanted.as_json) and library is not None:
        _refuse_lost_preload(report, library)
    return code


def _check(wanted: Wanted) -> None:
    """Make sure that an account can be had and written, and that no older one is in the way."""
    from hz3py.cli.knob_values import knob_table

    if OBSERVE_KNOB not in {info.name for info in knob_table()}:
        raise UnfitMachineError(
            "this libhz3.so does not observe its memory",
            f"install a version that has the knob {OBSERVE_KNOB!r} (see `hz3 knobs`)",
        )
    if wanted.picture is not None and Path(wanted.picture).suffix not in _PICTURE_FORMATS:
        raise UsageError(
            f"{wanted.picture} has no ending of a picture", f"use {', '.join(_PICTURE_FORMATS)}"
        )
    for name in (wanted.observe, wanted.picture):
        if name is None:
            continue
        file = Path(name)
        try:
            if not file.exists() or file.is_file():
                file.unlink(missing_ok=True)
                file.touch()
                file.unlink()
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}") from error


def _account(file: Path, *, started: bool) -> str | None:
    """Return the program's account of its memory; None for a program that did not start."""
    if not started:
        return None
    try:
        text = file.read_text(encoding="utf-8")
        json.loads(text)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PreloadError(
            "the program left no account of its memory",
            "it has to end by exit() or by returning from main",
        ) from error
    except ValueError as error:
        raise PreloadError(f"the program's account of its memory is cut short: {error}") from error
    return text


def _show_account(text: str, program: str, wanted: Wanted) -> None:
    document = json.loads(text)
    try:
        if wanted.observe is not None:
            Path(wanted.observe).write_text(text, encoding="utf-8")
        if wanted.picture is not None:
            from hz3py.report import style, waterfall

            figure = waterfall.waterfall_figure(document, Path(program).name)
            figure.savefig(wanted.picture, dpi=style.RASTER_DPI)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error
    if wanted.waterfall:
        from hz3py.report import waterfall
        from hz3py.report.text import layout

        for line in layout(waterfall.waterfall_table(document)):
            note(line.text)
        for remark in waterfall.remarks(document):
            note(remark)


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


def _refuse_lost_preload(report: Mapping[str, Any], library: str) -> None:
    if report and not report.get("error") and report.get("preload_mapped") is False:
        raise PreloadError(
            f"{library} was not loaded", "the program, or one that starts it, clears LD_PRELOAD"
        )


def _print_json(report: Mapping[str, Any], program: Sequence[str], library: str | None) -> None:
    """Write one line on stderr; its `interposed` is null where nobody could look."""
    document = {
        "schema": 1,
        "program": list(program),
        "library": library,
        "interposed": True if library is None else report["preload_mapped"],
        "exit_code": report["exit_code"],
        "signal": report["signal"],
        "wall_s": report["wall_s"],
        "cpu_s": round(report["user_s"] + report["sys_s"], 6),
        "faults": report["minor_faults"] + report["major_faults"],
        "peak_kb": report["vm_hwm_kb"],
        "error": report["error"],
    }
    print(json.dumps(document, ensure_ascii=False), file=sys.stderr, flush=True)
