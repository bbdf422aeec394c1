"""Measuring one process: every way a run can end, and the proof of who provided malloc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hz3py import resources
from hz3py.measure import run as run_module
from hz3py.measure.run import TAIL_BYTES, measure
from hz3py.measure.sample import Sample
from hz3py.measure.verdict import Seen, judge_end, parse_result, prove
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch

Function = Callable[..., Any]
PYTHON = (sys.executable, "-I", "-S", "-c")
REPORT = {
    "pid": 1, "exit_code": 0, "signal": None, "timed_out": False, "error": None, "vm_hwm_kb": 1000,
    "preload_mapped": None,
}  # fmt: skip
# A workload in few words: asks the probe who provides malloc in its own environment.
WORKLOAD = """
import json, subprocess, sys
told = json.loads(subprocess.run([sys.argv[1]], capture_output=True, check=True).stdout)
print(json.dumps({"schema": 1, "throughput": 2.5, "malloc_object": told["malloc_object"]}))
"""


@pytest.fixture
def shell(system_malloc: Allocator) -> Function:
    """Return a function that measures a shell script under the system malloc."""

    def run(script: str, timeout_s: float | None = 60, *, expect_json: bool = False) -> Sample:
        launch = Launch(("sh", "-c", script), system_malloc, timeout_s=timeout_s)
        return measure(launch, expect_json=expect_json)

    return run


def seen(*, stderr: str = "", oom_killed: bool = False, **report: Any) -> Seen:
    return Seen({**REPORT, **report}, "", stderr, oom_killed, 3.0)


def test_program_that_ends_well(shell: Function) -> None:
    sample = shell("echo out; echo err >&2; sleep 0.1")
    assert (sample.status, sample.detail) == ("ok", "")
    assert (sample.stdout_tail, sample.stderr_tail) == ("out\n", "err\n")
    assert sample.result is None
    assert sample.interposed
    assert sample.exec["exit_code"] == 0
    assert sample.rss.samples > 5
    assert 100 < sample.rss.mean_kb <= sample.rss.peak_kb
    assert sample.rss.peak_kb >= sample.exec["vm_hwm_kb"]
    assert json.loads(json.dumps(sample.to_json())) == sample.to_json() | {
        "rss": sample.rss.to_json() | {"series": [list(row) for row in sample.rss.series]}
    }


def test_workload_names_its_malloc(malloc_library: Allocator, probe: Path) -> None:
    launch = Launch((*PYTHON, WORKLOAD, str(probe)), malloc_library, timeout_s=60)
    sample = measure(launch, expect_json=True)
    assert (sample.status, sample.detail) == ("ok", "")
    assert sample.interposed
    assert sample.result == {
        "schema": 1, "throughput": 2.5, "malloc_object": sample.malloc_object,
    }  # fmt: skip
    assert os.path.realpath(sample.malloc_object) == os.path.realpath(str(malloc_library.path))


def test_workload_under_the_system_malloc(system_malloc: Allocator, probe: Path) -> None:
    launch = Launch((*PYTHON, WORKLOAD, str(probe)), system_malloc, timeout_s=60)
    sample = measure(launch, expect_json=True)
    assert sample.status == "ok"
    assert "libc" in sample.malloc_object


def test_real_workload(malloc_library: Allocator) -> None:
    if "random_mixed" not in resources.workload_names():
        pytest.skip("the workload programs are not built")
    program = str(resources.workload_path("random_mixed"))
    launch = Launch((program, "--idle", "0.2"), malloc_library, timeout_s=120)
    sample = measure(launch, expect_json=True)
    assert (sample.status, sample.detail) == ("ok", "")
    assert sample.rss is not None
    assert sample.rss.idle_kb is not None
    assert sample.result is not None
    assert sample.result["workload"] == "random_mixed"


def test_workload_that_lost_the_preload(malloc_library: Allocator, probe: Path) -> None:
    launch = Launch(("env", "-u", "LD_PRELOAD", *PYTHON, WORKLOAD, str(probe)), malloc_library)
    sample = measure(launch, expect_json=True)
    assert sample.status == "preload-failed"
    assert not sample.interposed
    assert "malloc came from" in sample.detail


def test_static_program_ignores_a_preload(malloc_library: Allocator, launcher: Path) -> None:
    """The launcher itself is the static program at hand."""
    sample = measure(Launch((str(launcher), "--help"), malloc_library), expect_json=False)
    assert sample.status == "preload-failed"
    assert "static" in sample.detail


def test_any_program_proves_the_preload_by_what_it_mapped(spaced_library: Path) -> None:
    mine = Allocator("mine", spaced_library, "", True, "", "user")
    sample = measure(Launch(("sleep", "0.05"), mine), expect_json=False)
    assert (sample.status, sample.interposed) == ("ok", True)
    assert sample.malloc_object == str(spaced_library)


@pytest.mark.parametrize("output", ["", "no json", "[1]", '{"schema": 1}', '{"schema": 2}'])
def test_workload_that_prints_garbage(shell: Function, output: str) -> None:
    sample = shell(f"echo '{output}'", expect_json=True)
    assert (sample.status, sample.result) == ("garbage", None)
    assert sample.stdout_tail == output + "\n"


def test_workload_that_prints_more_than_its_line() -> None:
    line = '{"schema": 1, "throughput": 1, "malloc_object": "/lib/libc.so.6"}'
    assert parse_result(line + "\n") is not None
    assert parse_result(line + "\n" + line) is None


def test_program_that_fails(shell: Function) -> None:
    sample = shell("echo first >&2; echo broken >&2; exit 3")
    assert (sample.status, sample.detail) == ("failed", "ended with code 3: broken")


def test_program_that_complains_on_stdout(shell: Function) -> None:
    assert shell("echo no port; exit 1").detail == "ended with code 1: no port"


def test_program_that_crashes(shell: Function) -> None:
    sample = shell("kill -SEGV $$")
    assert sample.status == "crashed"
    assert sample.detail.startswith("was killed by SIGSEGV")


def test_program_that_hangs(shell: Function, is_running: Function, wait_until: Function) -> None:
    began = time.monotonic()
    sample = shell("sleep 60 & echo $!; wait", timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert sample.status == "timeout"
    assert "0.3 s" in sample.detail
    wait_until(lambda: not is_running(int(sample.stdout_tail)))


def test_program_that_is_not_there(system_malloc: Allocator) -> None:
    sample = measure(Launch(("no-such-program-here",), system_malloc), expect_json=False)
    assert sample.status == "failed"
    assert "No such file or directory" in sample.detail
    assert sample.rss is None


def test_program_that_runs_out_of_memory(system_malloc: Allocator) -> None:
    launch = Launch((*PYTHON, "bytearray(1 << 60)"), system_malloc)
    sample = measure(launch, expect_json=False)
    assert sample.status == "oom"
    assert "MemoryError" in sample.detail


def test_program_killed_for_lack_of_memory() -> None:
    killed: Any = {"exit_code": None, "signal": int(signal.SIGKILL)}
    assert judge_end(seen(oom_killed=True, **killed))[0] == "oom"
    assert judge_end(seen(oom_killed=False, **killed))[0] == "crashed"


def test_program_that_aborts_for_lack_of_memory() -> None:
    aborted: Any = {"exit_code": None, "signal": int(signal.SIGABRT)}
    bad_alloc = "terminate called after throwing an instance of 'std::bad_alloc'"
    assert judge_end(seen(stderr=bad_alloc, **aborted))[0] == "oom"
    assert judge_end(seen(stderr="assertion failed", **aborted))[0] == "crashed"


def test_words_about_memory_do_not_matter_in_a_run_that_ends_well() -> None:
    assert judge_end(seen(stderr="warning: out of memory once")) == ("ok", "")


def test_launcher_without_a_report() -> None:
    status, detail = judge_end(Seen({}, "", "hz3-exec: bad luck\n", False, None))
    assert (status, detail) == ("failed", "hz3-exec gave no report: hz3-exec: bad luck")


def test_refused_tracing_leaves_a_preload_unproven(malloc_library: Allocator) -> None:
    proof = prove(malloc_library, seen(preload_mapped=None), None)
    assert not proof.interposed
    assert "tracing" in proof.complaint


def test_loaders_refusal_is_passed_on(malloc_library: Allocator) -> None:
    stderr = "ERROR: ld.so: '/x.so' from LD_PRELOAD cannot be preloaded (wrong ELF class): ignored."
    proof = prove(malloc_library, seen(stderr=stderr, preload_mapped=False), None)
    assert "wrong ELF class" in proof.complaint


def test_much_output_is_taken_in_and_cut(shell: Function) -> None:
    sample = shell("head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert sample.status == "ok"
    assert len(sample.stdout_tail) == TAIL_BYTES
    assert sample.stdout_tail.endswith("x\nlast\n")


def test_output_need_not_be_text(shell: Function) -> None:
    sample = shell("printf '\\377\\376'")
    assert sample.stdout_tail == "\ufffd\ufffd"
    json.dumps(sample.to_json())


def test_grandchild_that_keeps_stdout_open_does_not_hold_up(shell: Function) -> None:
    began = time.monotonic()
    sample = shell("sleep 5 & echo $!")
    os.kill(int(sample.stdout_tail), signal.SIGKILL)
    assert sample.status == "ok"
    assert time.monotonic() - began < 4


def test_samples_show_the_program_from_its_first_moment(
    system_malloc: Allocator, launcher: Path
) -> None:
    """Neither launcher nor this process is in the series, however large we are."""
    ballast = b"x" * (200 << 20)
    for _ in range(5):
        sample = measure(Launch(("sleep", "0.05"), system_malloc), expect_json=False)
        assert sample.rss is not None
        assert max(kb for _, kb in sample.rss.series) <= sample.exec["vm_hwm_kb"]
        assert sample.rss.peak_kb < 8 << 10
    assert len(ballast) == 200 << 20


def test_peak_covers_all_processes_of_a_tree(shell: Function) -> None:
    code = "import time; x = bytearray(b'x') * (40 << 20); time.sleep(1)"
    child = f'{sys.executable} -I -S -c "{code}"'
    sample = shell(f"{child} & {child} & wait")
    assert sample.exec["vm_hwm_kb"] < 8 << 10
    assert 80 << 10 < sample.rss.peak_kb < 140 << 10


def test_affinity_reaches_program_but_not_sampler(
    system_malloc: Allocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpus = os.sched_getaffinity(0)
    told: list[object] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, where: told.append(where))
    code = "import os; print(sorted(os.sched_getaffinity(0)))"
    launch = Launch((*PYTHON, code), system_malloc, affinity=(min(cpus),))
    sample = measure(launch, expect_json=False)
    assert json.loads(sample.stdout_tail) == [min(cpus)]
    assert told == ([cpus - {min(cpus)}] if len(cpus) > 1 else [])


def test_folder_and_environment_reach_the_program(system_malloc: Allocator, tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    launch = Launch(("sh", "-c", "pwd; echo $A"), system_malloc, env={"A": "b c"}, cwd=folder)
    assert measure(launch, expect_json=False).stdout_tail == f"{folder.resolve()}\nb c\n"


def test_broken_sampler_costs_only_the_series(
    shell: Function, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "sampler"
    broken.mkdir()
    (broken / "main.py").write_text("import sys; sys.exit('broken')")
    monkeypatch.setattr(run_module, "SAMPLER", broken)
    sample = shell("exit 0")
    assert sample.status == "ok"
    assert sample.rss.series == []
    assert sample.rss.mean_kb == sample.exec["vm_hwm_kb"]


def test_no_descriptor_and_no_process_is_left_behind(shell: Function) -> None:
    def descriptors() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    shell("exit 0")
    before = descriptors()
    for _ in range(5):
        shell("exit 1")
    assert descriptors() == before
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if children.exists():
        assert children.read_text().split() == []


INTERRUPTED = """
import sys
from hz3py.measure.run import measure
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch
system = Allocator("system", None, "", True, "", "system")
try:
    measure(Launch(("sh", "-c", sys.argv[1]), system), expect_json=False)
except KeyboardInterrupt:
    sys.exit(9)
"""


@pytest.mark.parametrize("ignored", ["HUP", "TERM"])
def test_interrupt_ends_the_program_first(
    tmp_path: Path, is_running: Function, wait_until: Function, ignored: str
) -> None:
    pid_file = tmp_path / "pid"
    script = (
        f"trap '' {ignored}; echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file};"
        " while :; do sleep 0.1; done"
    )
    # In a folder of its own: `-c` would import a source tree from the working directory.
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, script], cwd=tmp_path)
    wait_until(pid_file.exists, 20)
    pid = int(pid_file.read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 9
    wait_until(lambda: not is_running(pid))


STARTING = """
import os, signal, subprocess

class Interrupted(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if "hz3-exec" in arguments[0][0]:
            os.kill(os.getpid(), signal.SIGINT)

subprocess.Popen = Interrupted
"""


def test_an_interrupt_while_the_program_starts_ends_it_too(
    tmp_path: Path, is_running: Function, wait_until: Function
) -> None:
    pid_file = tmp_path / "pid"
    script = f"trap '' TERM; echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60"
    script += " & wait; wait"
    words = [sys.executable, "-c", STARTING + INTERRUPTED, script]
    done = subprocess.run(words, cwd=tmp_path, check=False, timeout=20)
    assert done.returncode == 9
    if pid_file.exists():  # it may have been ended before it came that far
        wait_until(lambda: not is_running(int(pid_file.read_text())))


def test_the_account_of_the_largest_process_is_kept(malloc_library: Allocator) -> None:
    if malloc_library.path is None or not malloc_library.path.name.startswith("libhz3"):
        pytest.skip("hz3 is not built")
    script = """
    folder=${HZ3_OBSERVE_FILE%/*}
    test "$HZ3_OBSERVE" = exit && test "${HZ3_OBSERVE_FILE##*/}" = %p || exit 3
    echo '{"resident_bytes": 2, "parts": {"live": 1}}' > "$folder/1"
    echo '{"resident_bytes": 999999999999, "parts": {"live": 7}}' > "$folder/2"
    echo '{"resident_bytes": "many"}' > "$folder/3"
    echo '{"resident_' > "$folder/4"
    """
    launch = Launch(("sh", "-c", script), malloc_library, timeout_s=60)
    sample = measure(launch, expect_json=False, observe=True)
    assert (sample.status, sample.detail) == ("ok", "")
    assert sample.observation == {"resident_bytes": 999999999999, "parts": {"live": 7}}
    assert Sample.from_json(sample.to_json()) == sample
    assert measure(launch, expect_json=False).status == "failed", "nobody asked for an account"


def test_no_account_is_asked_of_other_allocators(shell: Function, system_malloc: Allocator) -> None:
    launch = Launch(("sh", "-c", 'test -z "$HZ3_OBSERVE"'), system_malloc, timeout_s=60)
    sample = measure(launch, expect_json=False, observe=True)
    assert (sample.status, sample.observation) == ("ok", None)


def test_a_program_that_is_ended_after_its_rest_is_no_failure(system_malloc: Allocator) -> None:
    launch = Launch(("sleep", "60"), system_malloc, timeout_s=50)
    sample = measure(launch, expect_json=False, idle_s=0.4)
    assert (sample.status, sample.exec["signal"]) == ("ok", signal.SIGTERM)
    assert sample.rss is not None
    assert [name for name, _ in sample.rss.marks] == ["work-end", "idle-end"]
    assert sample.rss.idle_kb is not None
