"""hz3-exec: what it starts, what it reports, and how it behaves when things go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hz3py.system.allocators import Allocator
from hz3py.system.elf import read_elf

PYTHON = (sys.executable, "-I", "-S", "-c")
Function = Callable[..., Any]
KEYS = {
    "schema", "pid", "exit_code", "signal", "timed_out", "wall_s", "user_s", "sys_s",
    "minor_faults", "major_faults", "voluntary_switches", "involuntary_switches", "vm_hwm_kb",
    "hwm_source", "preload", "preload_mapped", "error",
}  # fmt: skip


def start(
    launcher: Path, *options: str, program: tuple[str, ...], report: Path
) -> tuple[subprocess.Popen[bytes], int]:
    """Start hz3-exec and wait for the program's process id."""
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [str(launcher), "--report", str(report), "--pid-fd", str(writer), *options, "--", *program],
        pass_fds=(writer,),
        stdin=subprocess.DEVNULL,
    )
    os.close(writer)
    with open(reader, "rb") as pids:
        return process, int(pids.readline())


@pytest.mark.parametrize("trace", [(), ("--no-trace",)])
def test_report_of_a_program_that_ends_well(execute: Function, trace: tuple[str, ...]) -> None:
    run = execute(*trace, program=(*PYTHON, "print('hello')"))
    assert (run.status, run.out, run.err) == (0, "hello\n", "")
    report = run.report
    assert report.keys() == KEYS
    assert report["schema"] == 1
    assert (report["exit_code"], report["signal"], report["error"]) == (0, None, None)
    assert report["hwm_source"] == ("rusage" if trace else "exit-stop")
    assert (report["preload"], report["preload_mapped"]) == (None, None)
    assert 0 < report["user_s"] + report["sys_s"] < report["wall_s"] + 1
    assert report["minor_faults"] > 100


def test_exit_code_is_handed_on(execute: Function) -> None:
    run = execute(program=("sh", "-c", "exit 42"))
    assert (run.status, run.report["exit_code"]) == (42, 42)


def test_death_by_signal(execute: Function) -> None:
    run = execute(program=("sh", "-c", "kill -SEGV $$"))
    assert (run.status, run.report["signal"], run.report["exit_code"]) == (139, 11, None)


@pytest.mark.parametrize("trace", [(), ("--no-trace",)])
def test_program_that_is_not_there(execute: Function, trace: tuple[str, ...]) -> None:
    run = execute(*trace, program=("no-such-program-here",))
    assert run.status == 127
    assert run.report["error"] == "cannot run 'no-such-program-here': No such file or directory"
    assert run.err == f"hz3-exec: {run.report['error']}\n"


def test_program_that_is_not_executable(execute: Function, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("x")
    run = execute(program=(str(file),))
    assert run.status == 126
    assert "Permission denied" in run.report["error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no program given"),
        (("--",), "no program given"),
        (("ls", "-l"), "'ls' is not an option"),
        (("--bogus", "1", "--", "true"), "'--bogus' is not an option"),
        (("--preload",), "lacks its value"),
        (("--timeout", "soon", "--", "true"), "'soon'"),
        (("--timeout", "-1", "--", "true"), "'-1'"),
        (("--timeout", "nan", "--", "true"), "'nan'"),
        (("--affinity", "0,", "--", "true"), "'0,'"),
        (("--affinity", "2-1", "--", "true"), "'2-1'"),
        (("--env", "NAME", "--", "true"), "NAME=VALUE"),
        (("--report-fd", "987", "--", "true"), "'987'"),
        (("--report", "/no/such/folder/report", "--", "true"), "No such file or directory"),
        (("--preload", "/no/such.so", "--", "true"), "cannot preload '/no/such.so'"),
        (("--cwd", "/no/such/folder", "--", "true"), "cannot enter '/no/such/folder'"),
    ],
)
def test_wrong_use_ends_in_one_line(launcher: Path, options: tuple[str, ...], message: str) -> None:
    process = subprocess.run(
        [str(launcher), *options], capture_output=True, text=True, check=False, timeout=30
    )
    assert process.returncode == 125
    assert process.stdout == ""
    assert process.stderr.startswith("hz3-exec: ")
    assert process.stderr.count("\n") == 1
    assert message in process.stderr


def test_help(launcher: Path) -> None:
    process = subprocess.run(
        [str(launcher), "--help"], capture_output=True, text=True, check=False, timeout=30
    )
    assert process.returncode == 0
    for option in ("--preload", "--timeout", "--pid-fd", "--no-trace", "exit status"):
        assert option in process.stdout


def test_peak_is_that_of_the_program(execute: Function) -> None:
    """Neither the size of the caller nor that of the program's own children counts."""
    ballast = b"x" * (200 << 20)
    small = execute(program=("true",))
    assert small.report["vm_hwm_kb"] < 8 << 10
    large = execute(program=(*PYTHON, "x = bytearray(b'x') * (64 << 20); del x"))
    assert 64 << 10 <= large.report["vm_hwm_kb"] < 90 << 10
    child = f"{PYTHON[0]} -I -S -c 'x = bytearray(b\"x\") * (64 << 20)'"
    parent = execute(program=("sh", "-c", f"{child}; true"))
    assert parent.report["vm_hwm_kb"] < 8 << 10
    assert len(ballast) == 200 << 20


def test_untraced_peak_is_free_of_the_callers_size(execute: Function) -> None:
    ballast = b"x" * (200 << 20)
    run = execute("--no-trace", program=("true",))
    assert run.report["vm_hwm_kb"] < 8 << 10
    assert len(ballast) == 200 << 20


def test_peak_of_a_program_with_busy_threads(execute: Function) -> None:
    code = """
import os, threading, time
for _ in range(4): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
x = bytearray(b"x") * (64 << 20)
os._exit(0)
"""
    run = execute(program=(*PYTHON, code))
    assert run.report["hwm_source"] == "exit-stop"
    assert 64 << 10 <= run.report["vm_hwm_kb"] < 100 << 10


def test_peak_that_comes_after_the_main_thread_has_ended(execute: Function) -> None:
    code = """
import ctypes, os, threading, time
def work():
    time.sleep(0.2)
    x = bytearray(b"x") * (64 << 20)
    os._exit(7)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(0)
"""
    run = execute(program=(sys.executable, "-c", code))
    assert run.status == 7
    assert run.report["hwm_source"] == "rusage"
    assert run.report["vm_hwm_kb"] >= 64 << 10


def test_program_leads_its_own_group(execute: Function) -> None:
    run = execute("--timeout", "60", program=(*PYTHON, "import os; print(os.getpgrp())"))
    assert int(run.out) == run.report["pid"]


def test_timeout_ends_the_whole_group(
    wait_until: Function, is_running: Function, execute: Function
) -> None:
    began = time.monotonic()
    run = execute("--timeout", "0.3", program=("sh", "-c", "sleep 60 & echo $!; exec sleep 60"))
    assert run.status == 124
    assert run.report["timed_out"]
    assert run.report["signal"] == signal.SIGTERM
    assert time.monotonic() - began < 1.8
    wait_until(lambda: not is_running(int(run.out)))


def test_timeout_of_a_program_that_ignores_it(execute: Function) -> None:
    run = execute(
        "--timeout",
        "0.2",
        program=("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"),
    )
    assert (run.status, run.report["signal"]) == (124, signal.SIGKILL)
    assert 2 < run.report["wall_s"] < 10


def test_timeout_of_a_stopped_program(execute: Function) -> None:
    run = execute("--timeout", "0.3", program=("sh", "-c", "kill -STOP $$"))
    assert run.status == 124
    assert run.report["wall_s"] < 1.8


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_handed_on_and_reported(
    launcher: Path, tmp_path: Path, number: signal.Signals
) -> None:
    report = tmp_path / "report"
    process, _ = start(launcher, "--timeout", "60", program=("sleep", "60"), report=report)
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    assert json.loads(report.read_text())["signal"] == number


def test_program_may_handle_a_signal(wait_until: Function, launcher: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    ready = tmp_path / "ready"
    code = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
pathlib.Path({str(ready)!r}).touch()
time.sleep(60)
"""
    process, _ = start(launcher, program=(sys.executable, "-c", code), report=report)
    wait_until(ready.exists)
    process.terminate()
    assert process.wait(10) == 5


def test_stop_and_continue(wait_until: Function, launcher: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    process, pid = start(launcher, program=("sleep", "0.5"), report=report)

    def state() -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state() in "Tt")
    time.sleep(0.7)
    assert process.poll() is None
    os.kill(pid, signal.SIGCONT)
    assert process.wait(10) == 0


@pytest.mark.parametrize("trace", [(), ("--no-trace",)])
def test_program_dies_with_its_launcher(
    wait_until: Function,
    is_running: Function,
    launcher: Path,
    tmp_path: Path,
    trace: tuple[str, ...],
) -> None:
    process, pid = start(launcher, *trace, program=("sleep", "60"), report=tmp_path / "report")
    process.kill()
    process.wait(10)
    wait_until(lambda: not is_running(pid))


@pytest.mark.parametrize("trace", [(), ("--no-trace",)])
def test_process_id_is_told_once_the_program_runs(
    launcher: Path, tmp_path: Path, trace: tuple[str, ...]
) -> None:
    for _ in range(20):
        process, pid = start(launcher, *trace, program=("sleep", "0.02"), report=tmp_path / "r")
        image = os.readlink(f"/proc/{pid}/exe")
        assert "sleep" in image or "coreutils" in image or "busybox" in image
        assert process.wait(10) == 0


def test_no_process_id_of_a_program_that_does_not_start(launcher: Path) -> None:
    reader, writer = os.pipe()
    run = execute_with(launcher, writer, "no-such-program-here")
    os.close(writer)
    with open(reader, "rb") as pids:
        assert pids.read() == b""
    assert run.returncode == 127


def execute_with(launcher: Path, writer: int, program: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(launcher), "--pid-fd", str(writer), "--", program],
        pass_fds=(writer,),
        capture_output=True,
        check=False,
        timeout=30,
    )


def test_environment_folder_and_cpu(execute: Function, tmp_path: Path) -> None:
    code = (
        "import os, json; print(json.dumps([os.environ.get('A'), os.environ.get('B'), os.getcwd(),"
        " sorted(os.sched_getaffinity(0))]))"
    )
    cpu = max(os.sched_getaffinity(0))
    run = execute("--env", "A=1=2", "--unset", "B", "--cwd", str(tmp_path), "--affinity", str(cpu),
        program=(*PYTHON, code), env={**os.environ, "B": "there"},
    )  # fmt: skip
    assert json.loads(run.out) == ["1=2", None, str(tmp_path.resolve()), [cpu]]


def test_preload_comes_before_what_is_set(execute: Function, malloc_library: Allocator) -> None:
    run = execute("--preload", str(malloc_library.path), "--env", "LD_PRELOAD=libm.so.6",
        program=("sh", "-c", "echo $LD_PRELOAD"),
    )  # fmt: skip
    assert run.out == f"{malloc_library.path}:libm.so.6\n"
    assert run.report["preload"] == os.path.realpath(str(malloc_library.path))
    assert run.report["preload_mapped"] is True


def test_preload_from_a_path_with_a_space(
    execute: Function, probe: Path, spaced_library: Path
) -> None:
    run = execute("--preload", str(spaced_library), program=(str(probe),))
    assert run.err == ""
    assert run.report["preload_mapped"] is True
    assert os.path.realpath(json.loads(run.out)["malloc_object"]) == run.report["preload"]


def test_preload_by_a_relative_path(
    execute: Function, probe: Path, spaced_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spaced_library.parent)
    run = execute("--preload", spaced_library.name, "--cwd", "/", program=(str(probe),))
    assert run.report["preload_mapped"] is True


def test_preload_path_that_no_variable_can_carry(
    execute: Function, malloc_library: Allocator, tmp_path: Path
) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "libmine.so").symlink_to(str(malloc_library.path))
    run = execute("--preload", str(folder / "libmine.so"), program=("true",))
    assert run.status == 125
    assert "make a link with a plain name" in run.err


def test_preload_that_a_static_program_ignores(
    launcher: Path, execute: Function, malloc_library: Allocator
) -> None:
    """The launcher itself is the static program at hand."""
    run = execute("--preload", str(malloc_library.path), program=(str(launcher), "--help"))
    assert run.report["preload_mapped"] is False


def test_untraced_preload_is_proven_while_the_program_runs(
    execute: Function, malloc_library: Allocator
) -> None:
    run = execute("--no-trace", "--preload", str(malloc_library.path), program=("sleep", "0.5"))
    assert run.report["preload_mapped"] is True


def test_report_survives_odd_characters(execute: Function) -> None:
    run = execute(program=('no "such" \\ program\n',))
    assert 'no "such" \\ program\n' in run.report["error"]


def test_reader_of_the_report_may_be_gone(launcher: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [str(launcher), "--report-fd", str(writer), "--", "sh", "-c", "exit 3"],
        pass_fds=(writer,), capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    os.close(writer)
    assert process.returncode == 3
    assert "cannot write the report" in process.stderr


def test_many_at_once(execute: Function) -> None:
    runs: list[Any] = []
    threads = [
        threading.Thread(target=lambda: runs.append(execute(program=("sh", "-c", "exit 9"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.status for run in runs] == [9] * 8
    assert len({run.report["pid"] for run in runs}) == 8


def test_launcher_is_small_and_static(launcher: Path) -> None:
    assert b"/ld-linux" not in launcher.read_bytes()
    assert launcher.stat().st_size < 2 << 20
    assert read_elf(launcher).defines is None
