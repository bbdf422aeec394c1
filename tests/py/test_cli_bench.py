"""`hz3 bench` and `hz3 rss` from the command line, with programs that end at once."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hz3py import resources
from hz3py.__main__ import main
from hz3py.store.results import RECORDS_NAME, read
from hz3py.system.allocators import Allocator

RESULT = {
    "schema": 1,
    "workload": "random_mixed",
    "args": {"iters": 1},
    "touch": "none",
    "threads": 1,
    "seed": 1,
    "ops": 1,
    "seconds": 0.1,
    "unit": "ops/s",
    "throughput": 10.0,
    "failed": 0,
    "malloc_object": "/lib/x86_64-linux-gnu/libc.so.6",
}
PROGRAMS = {
    # Long enough to be seen by the sampler on a busy machine.
    "random_mixed": f"sleep 0.1; echo '{json.dumps(RESULT)}'",
    "larson": "kill -SEGV $$",
    "mstress": "sleep 60",
    "xmalloc_test": "echo this is no result",
    "malloc_large": "echo 'terminate called: std::bad_alloc' >&2; kill -ABRT $$",
    "alloc_test": "echo 'alloc_test: cannot' >&2; exit 3",
}
SUITE = """
schema = 1
name = "mine"
blocks = 2
"""
ROW = """
[[rows]]
label = "{name}"
workload = "{name}"
touch = "none"
seconds = 0.1
"""


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes a suite; its programs are the shell scripts above.

    The working folder is a fresh one with a space in its name.
    """
    parts = tmp_path / "parts"
    (parts / "workloads").mkdir(parents=True)
    (parts / "hz3-exec").symlink_to(resources.launcher_path())
    (parts / "hz3-probe").symlink_to(resources.probe_path())
    for name, script in PROGRAMS.items():
        path = parts / "workloads" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(parts))
    folder = tmp_path / "My Results"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def write(*names: str) -> Path:
        suite = folder / "mine.toml"
        suite.write_text(SUITE + "".join(ROW.format(name=name) for name in names))
        return suite

    return write


def bench(*words: str | Path) -> int:
    return main(["bench", *(str(word) for word in words)])


def results_folder() -> Path:
    (folder,) = Path("hz3-results").iterdir()
    return folder


def test_a_run_writes_records_tables_and_pictures(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(pretended("random_mixed"), "--allocators", "system") == 0
    said = capsys.readouterr()
    assert "random_mixed (1 thread, blocks not written)" in said.out
    assert "10.0 ops/s" in said.out
    assert "block 2 of 2 done: 2 of 2 samples" in said.err
    folder = results_folder()
    assert folder.name.endswith("-mine")
    assert {path.name for path in folder.iterdir()} == {
        RECORDS_NAME,
        "summary.json",
        "samples.csv",
        "throughput.png",
        "throughput.svg",
        "rss.png",
        "rss.svg",
    }
    results = read(folder)
    assert len(results.samples) == 2
    assert [end.complete for end in results.ends] == [True]
    assert results.run.machine["cpus"] >= 1
    assert (folder / "samples.csv").read_text().count("\n") == 3


def test_json_is_the_summary_and_nothing_else(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(pretended("random_mixed"), "--allocators", "system", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((results_folder() / "summary.json").read_text())
    (row,) = document["rows"]
    assert (row["workload"], row["allocator"], row["status"]) == ("random_mixed", "system", "ok")
    assert row["throughput"] == pytest.approx(10.0)
    assert (row["unit"], row["ratio_to_best"]) == ("ops/s", 1.0)
    assert row["interposed"] is True
    assert row["rss_kb"]["peak"] > 0
    assert any("2 blocks" in warning for warning in document["warnings"])


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("larson", "crashed"),
        ("mstress", "timeout"),
        ("xmalloc_test", "garbage"),
        ("malloc_large", "oom"),
        ("alloc_test", "failed"),
    ],
)
def test_a_failing_workload_is_a_row_and_the_run_goes_on(
    pretended: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    program: str,
    status: str,
) -> None:
    suite = pretended(program, "random_mixed")
    timeout = "3" if status == "timeout" else "60"
    assert bench(suite, "--allocators", "system", "--timeout", timeout, "--json") == 5
    said = capsys.readouterr()
    failed, good = json.loads(said.out)["rows"]
    assert (failed["workload"], failed["status"], failed["blocks"]) == (program, status, 0)
    assert failed["detail"]
    assert (good["status"], good["blocks"]) == ("ok", 2)
    assert f"{program} under system: {status}" in said.err
    assert (results_folder() / "throughput.png").exists()


def test_a_run_in_which_everything_failed_still_says_so(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(pretended("larson"), "--allocators", "system") == 5
    assert "crashed: was killed by SIGSEGV" in capsys.readouterr().out


def test_a_dry_run_starts_and_writes_nothing(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    suite = pretended("random_mixed", "larson")
    assert bench(suite, "--allocators", "system", "--dry-run", "--blocks", "7") == 0
    assert "14 samples in 7 blocks" in capsys.readouterr().out
    assert bench(suite, "--allocators", "system", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["samples"], len(plan["rows"])) == (4, 2)
    assert plan["estimate_s"] > 0
    assert not Path("hz3-results").exists()


def test_resuming_a_complete_run_shows_it_again(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bench(pretended("random_mixed"), "--allocators", "system", "--out", "a b")
    capsys.readouterr()
    assert bench("--resume", "a b") == 0
    said = capsys.readouterr()
    assert "nothing is missing" in said.err
    assert "10.0 ops/s" in said.out
    assert len(read(Path("a b")).samples) == 2


def test_resuming_repeats_what_failed(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench(pretended("larson"), "--allocators", "system", "--out", "r") == 5
    (tmp_path / "parts/workloads/larson").write_text(f"#!/bin/sh\n{PROGRAMS['random_mixed']}\n")
    capsys.readouterr()
    assert bench("--resume", "r", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["status"], row["blocks"]) == ("ok", 2)


def test_a_folder_with_results_is_not_written_to_again(
    pretended: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    suite = pretended("random_mixed")
    assert bench(suite, "--allocators", "system", "--out", "r") == 0
    assert bench(suite, "--allocators", "system", "--out", "r") == 5
    assert "go on with it by --resume r" in capsys.readouterr().err


def test_a_command_is_measured_by_its_wall_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spaced_library: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    library = f"mine={spaced_library}"
    words = ["--allocators", "system", "--allocator", library, "--blocks", "3", "--json"]
    assert bench(*words, "--", "sh", "-c", "exit 0") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["allocator"] for row in rows] == ["system", "mine"]
    assert all(row["interposed"] and row["blocks"] == 3 for row in rows)
    assert {row["unit"] for row in rows} == {"1/s"}
    assert max(row["ratio_to_best"] for row in rows) == 1.0


def test_rss_shows_memory_over_time(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    malloc_library: Allocator,
) -> None:
    monkeypatch.chdir(tmp_path)
    program = "import time; x = bytearray(30_000_000); time.sleep(0.1)"
    words = ["--allocators", "system", "--allocator", f"mine={malloc_library.path}"]
    command = ["rss", *words, "--blocks", "1", "--out", "r", "--json"]
    assert main([*command, "--", sys.executable, "-c", program]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert all(row["rss_kb"]["peak"] > 30_000 for row in rows)
    series = (tmp_path / "r" / "series.csv").read_text().splitlines()
    assert series[0] == "label,allocator,block,time_s,rss_kb"
    assert len(series) > 20
    assert (tmp_path / "r" / "rss.png").exists()


class Process:
    """A bench in a process of its own, which can be interrupted and limited."""

    def __init__(self, *words: str | Path, limit_kb: int | None = None, **env: str) -> None:
        bench_words = ["-m", "hz3py", "bench", *(str(word) for word in words)]
        command = [sys.executable, *bench_words]
        if limit_kb is not None:
            command = ["bash", "-c", f'ulimit -f {limit_kb}; exec "$@"', "bash", *command]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def wait_for_samples(folder: Path, count: int, process: Process) -> None:
    deadline = time.monotonic() + 60
    path = folder / RECORDS_NAME
    while not path.exists() or path.read_bytes().count(b"\n") < count + 1:
        assert process.process.poll() is None, process.end()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_samples_and_the_run_can_be_resumed(
    pretended: Callable[..., Path], tmp_path: Path, number: signal.Signals
) -> None:
    script = tmp_path / "parts/workloads/random_mixed"
    script.write_text(f"#!/bin/sh\nsleep 1\n{PROGRAMS['random_mixed']}\n")
    suite = pretended("random_mixed")
    # Long enough that a slow machine starts a second process before the first is done.
    words = ["--allocators", "system", "--blocks", "12", "--out", "r"]
    process = Process(suite, *words)
    wait_for_samples(Path("r"), 1, process)

    second = Process("--resume", "r").end()
    assert second[0] == 5
    assert "another hz3 process is writing to r" in second[2]

    process.process.send_signal(number)
    code, _, err = process.end()
    assert code == 130, err
    assert "go on with: hz3 bench --resume r" in err
    assert "Traceback" not in err
    kept = read(Path("r"))
    assert 1 <= len(kept.samples) < 12
    assert [end.complete for end in kept.ends] == [False]
    assert Path("r/summary.json").exists()

    script.write_text(f"#!/bin/sh\n{PROGRAMS['random_mixed']}\n")
    code, out, err = Process("--resume", "r", "--json").end()
    assert code == 0, err
    assert json.loads(out)["rows"][0]["blocks"] == 12
    after = read(Path("r"))
    assert [r.key for r in after.samples[: len(kept.samples)]] == [r.key for r in kept.samples]


def test_a_terminal_gets_a_bar_with_the_time_left(pretended: Callable[..., Path]) -> None:
    suite = pretended("random_mixed", "larson")
    command = [sys.executable, "-m", "hz3py", "bench", str(suite), "--allocators", "system"]
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    process = subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env={**env, "TERM": "xterm", "COLUMNS": "100"}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(ours)
    assert process.wait(timeout=60) == 5
    text = shown.decode()
    assert "block 1/2" in text
    assert "left" in text
    assert "larson under system: crashed" in text
    assert "\x1b[31m" in text, "a failed row is not red"
    assert "Traceback" not in text


def test_a_full_disk_ends_in_one_line_and_loses_nothing(pretended: Callable[..., Path]) -> None:
    suite = pretended("random_mixed")
    words = ["--allocators", "system", "--blocks", "16", "--out", "r"]
    code, _, err = Process(suite, *words, limit_kb=12).end()
    assert code == 5, err
    (error,) = [line for line in err.splitlines() if "error" in line]
    assert "the disk is full; every earlier sample is kept" in error
    assert "Traceback" not in err
    kept = read(Path("r"))
    assert 0 < len(kept.samples) < 16
    assert not kept.torn
    code, _, err = Process("--resume", "r").end()
    assert code == 0, err
    assert len(read(Path("r")).samples) == 16


def test_one_cpu_and_no_home_are_enough(pretended: Callable[..., Path], tmp_path: Path) -> None:
    suite = pretended("random_mixed")
    words: list[Any] = ["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable]
    command = [*words, "-m", "hz3py", "bench", str(suite), "--allocators", "system", "--out", "r"]
    blocker = tmp_path / "no-home"
    blocker.write_text("")
    # A file where the home should be: nobody can write below it, not even root.
    env = {"HOME": str(blocker), "XDG_CONFIG_HOME": str(blocker), "XDG_CACHE_HOME": str(blocker)}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Matplotlib" not in done.stderr
    assert all(line.startswith("hz3: ") for line in done.stderr.splitlines())
    assert Path("r/rss.png").exists()
