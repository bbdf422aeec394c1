"""Facts about the machine, and the health checks that read them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hz3py.errors import UnfitMachineError
from hz3py.system import health, kernel_files, machine, machine_checks, oom, probe, setup_checks
from hz3py.system.allocators import Allocator
from hz3py.system.elf import ElfFile
from hz3py.system.launch import is_leaking
from hz3py.system.probe import Probe

QUIET = {
    "time": 100.0, "load": 0.1, "steal_ticks": 10, "swap_in_pages": 5, "swap_out_pages": 5,
    "throttled": 0, "oom_kills": 0, "busy_ticks": 50, "own_cpu_s": 1.0,
}  # fmt: skip


def test_description_is_plain_data() -> None:
    facts = machine.describe()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["cpus"] == len(os.sched_getaffinity(0))
    assert facts["memory_kb"] > 1 << 15
    assert facts["page_bytes"] == os.sysconf("SC_PAGE_SIZE")
    assert facts["kernel"] == platform.release()
    assert facts["libc"].startswith("glibc 2.")
    assert len(facts["load"]) == 3


def test_description_does_not_name_the_host() -> None:
    facts = machine.describe()
    assert platform.node() not in json.dumps(facts)
    assert len(facts["host"]) == 12
    assert facts["host"] == machine.describe()["host"]


def test_snapshot_counters_only_grow() -> None:
    before, after = machine.snapshot(), machine.snapshot()
    assert before.keys() == QUIET.keys()
    for key in before.keys() - {"load"}:
        assert before[key] is None or after[key] >= before[key]


def test_an_undisturbed_run_has_no_findings() -> None:
    assert health.check_run(QUIET, {**QUIET, "time": 160.0, "load": 3.0}) == []


@pytest.mark.parametrize(
    ("key", "growth", "check", "words"),
    [
        ("swap_in_pages", 7, "swap", "7 pages"),
        ("swap_out_pages", 8, "swap", "8 pages"),
        ("throttled", 2, "throttling", "2 times"),
        ("steal_ticks", 10**6, "steal", "%"),
        ("oom_kills", 1, "memory", "1 processes"),
    ],
)
def test_what_disturbed_a_run_is_found(key: str, growth: int, check: str, words: str) -> None:
    after = {**QUIET, "time": 160.0, key: int(QUIET[key]) + growth}
    findings = health.check_run(QUIET, after)
    assert [finding.check for finding in findings] == [check]
    assert words in findings[0].value
    assert findings[0].state == "warn"
    assert findings[0].hint


def test_a_little_steal_is_no_finding() -> None:
    after = {**QUIET, "time": 160.0, "steal_ticks": 11}
    assert health.check_run(QUIET, after) == []


def test_hidden_counters_are_passed_over() -> None:
    hidden = dict.fromkeys(QUIET) | {"time": 1.0}
    assert health.check_run(hidden, {**QUIET, "time": 2.0}) == []


def test_every_check_answers_here() -> None:
    findings = health.check_all()
    assert len(findings) == len(health.CHECKS) == len({finding.check for finding in findings})
    for finding in findings:
        assert finding.state in ("ok", "warn", "bad")
        assert finding.value
        assert finding.meaning
        assert finding.state == "ok" or finding.hint
        assert "\n" not in finding.value + finding.meaning + finding.hint


def returning(value: object) -> Callable[..., Any]:
    return lambda *_arguments: value


@pytest.mark.parametrize(
    ("check", "patched", "reading", "state", "value"),
    [
        (machine_checks.check_cpus, "machine.usable_cpus", 1, "warn", "1"),
        (machine_checks.check_cpus, "machine.usable_cpus", 4, "ok", "4"),
        (machine_checks.check_core_distance, "core_to_core_ns", 81.6, "ok", "82 ns"),
        (machine_checks.check_governor, "machine.governor", "powersave", "warn", "powersave"),
        (machine_checks.check_governor, "machine.governor", "performance", "ok", "performance"),
        (machine_checks.check_governor, "machine.governor", None, "ok", "not visible"),
        (machine_checks.check_huge_pages, "selected_word", "always", "warn", "always"),
        (machine_checks.check_huge_pages, "selected_word", "madvise", "ok", "madvise"),
        (machine_checks.check_huge_pages, "selected_word", None, "ok", "not visible"),
        (machine_checks.check_swap, "machine.swap_used_kb", 2048, "warn", "2 MiB in use"),
        (machine_checks.check_swap, "machine.swap_used_kb", 0, "ok", "none in use"),
        (machine_checks.check_overcommit, "read_number", 2, "warn", "strict"),
        (machine_checks.check_overcommit, "read_number", 0, "ok", "heuristic"),
        (machine_checks.check_address_layout, "read_number", 0, "warn", "fixed"),
        (machine_checks.check_address_layout, "read_number", 1, "warn", "partly random"),
        (machine_checks.check_address_layout, "read_number", 2, "ok", "random"),
        (machine_checks.check_memory_limit, "memory_limit_bytes", 2**29, "warn", "512 MiB"),
        (machine_checks.check_memory_limit, "memory_limit_bytes", 2**31, "ok", "2048 MiB"),
        (machine_checks.check_memory_limit, "memory_limit_bytes", None, "ok", "none"),
        (machine_checks.check_load, "read_table", {"procs_running": 3}, "warn", "2.0 other"),
        (machine_checks.check_load, "read_table", {"procs_running": 1}, "ok", "0.0 other"),
        (
            machine_checks.check_disk,
            "shutil.disk_usage",
            SimpleNamespace(free=2**20),
            "warn",
            "1 M",
        ),
        (machine_checks.check_disk, "shutil.disk_usage", SimpleNamespace(free=2**40), "ok", "MiB"),
        (machine_checks.check_steal, "machine.steal_ticks", 10**12, "warn", "%"),
        (machine_checks.check_steal, "machine.steal_ticks", 0, "ok", "0.0%"),
        (machine_checks.check_perf, "shutil.which", None, "ok", "not installed"),
    ],
)
def test_machine_check(  # noqa: PLR0917 - one argument for each column
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[], health.Finding],
    patched: str,
    reading: object,
    state: str,
    value: str,
) -> None:
    monkeypatch.setattr(f"hz3py.system.machine_checks.{patched}", returning(reading))
    finding = check()
    assert finding.state == state
    assert value in finding.value
    assert (finding.hint == "") == (state == "ok")


@pytest.mark.parametrize(("cpus", "state"), [(1, "ok"), (2, "warn")])
def test_a_distance_that_is_not_known_is_doubtful_only_with_several_cpus(
    monkeypatch: pytest.MonkeyPatch, cpus: int, state: str
) -> None:
    monkeypatch.setattr(machine_checks, "core_to_core_ns", lambda: None)
    monkeypatch.setattr(machine_checks.machine, "usable_cpus", lambda: cpus)
    assert machine_checks.check_core_distance().state == state


def test_load_is_seen_while_something_runs() -> None:
    spinners = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) for _ in range(2)
    ]
    try:
        assert machine_checks.check_load().state == "warn"
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def test_leaked_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if is_leaking(name):
            monkeypatch.delenv(name)
    assert setup_checks.check_variables().state == "ok"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("LD_PRELOAD", "")
    finding = setup_checks.check_variables()
    assert (finding.state, finding.value) == ("warn", "LD_PRELOAD, MALLOC_ARENA_MAX")
    assert finding.hint == "unset LD_PRELOAD MALLOC_ARENA_MAX"
    assert "hz3 knobs" not in finding.meaning


def test_what_hz3_does_not_take_is_told(
    malloc_library: Allocator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if malloc_library.name != "hz3":
        pytest.skip("hz3 is not installed")
    account = tmp_path / "account"
    for name, text in {
        "HZ3_SHARD": "4", "HZ3_EPOCH_MS": "never", "HZ3_OBSERVE": "exit", "HZ3_ATEXIT_REPORT": "1",
        "HZ3_OBSERVE_FILE": str(account),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, text)
    finding = setup_checks.check_variables()
    assert finding.state == "warn"
    assert "HZ3_SHARD is no knob and has no effect; did you mean HZ3_SHARDS?" in finding.meaning
    assert "HZ3_EPOCH_MS='never' is refused" in finding.meaning
    assert finding.meaning.count("HZ3_") == 3
    assert not account.exists()


def test_variables_are_told_also_where_hz3_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Path:
        raise UnfitMachineError("libhz3.so is not installed", "install the package")

    monkeypatch.setattr(probe, "library_path", missing)
    monkeypatch.setenv("HZ3_SHARD", "4")
    assert "HZ3_SHARD" in setup_checks.check_variables().value


def test_preload_is_proven(monkeypatch: pytest.MonkeyPatch, malloc_library: Allocator) -> None:
    monkeypatch.setattr(setup_checks, "library_path", returning(malloc_library.path))
    assert setup_checks.check_preload().state == "ok"


def test_preload_that_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_checks, "library_path", returning(Path("/opt/libhz3.so")))
    monkeypatch.setattr(setup_checks, "run_probe", returning(Probe("/lib/libc.so.6", "", "", "")))
    finding = setup_checks.check_preload()
    assert (finding.state, finding.value) == ("bad", "malloc comes from /lib/libc.so.6")


def test_missing_library_is_bad_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise UnfitMachineError("libhz3.so is not installed", "install the package")

    monkeypatch.setattr(setup_checks, "library_path", missing)
    for check in (setup_checks.check_preload, setup_checks.check_static_tls):
        finding = check()
        assert (finding.state, finding.hint) == ("bad", "install the package")


@pytest.mark.parametrize(("size_bytes", "state"), [(0, "ok"), (16, "ok"), (17, "warn")])
def test_static_tls(monkeypatch: pytest.MonkeyPatch, size_bytes: int, state: str) -> None:
    elf = ElfFile("x86_64", True, size_bytes, frozenset())
    monkeypatch.setattr(setup_checks, "library_path", returning(Path("/opt/libhz3.so")))
    monkeypatch.setattr(setup_checks, "read_elf", returning(elf))
    assert setup_checks.check_static_tls().state == state


def test_missing_peers_come_with_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Allocator("tcmalloc", Path("/x"), "1", True, "", "package"),
        Allocator("jemalloc", None, "", False, "apt-get install libjemalloc2", ""),
    ]
    monkeypatch.setattr(setup_checks, "find", returning(found))
    finding = setup_checks.check_peers()
    assert (finding.state, finding.value) == ("warn", "jemalloc not installed")
    assert "jemalloc" in finding.hint


def test_refused_tracing_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup_checks.check_launcher().state in ("ok", "warn")
    monkeypatch.setattr(setup_checks, "_peak_source", returning("rusage"))
    assert setup_checks.check_launcher().state == "warn"


def test_kernel_files_that_are_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    assert kernel_files.read_text(missing) is None
    assert kernel_files.read_number(missing) is None
    assert kernel_files.read_table(missing) == {}
    assert kernel_files.selected_word(missing) is None


def test_kernel_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("always [madvise] never\n")
    assert kernel_files.selected_word(str(file)) == "madvise"
    assert kernel_files.read_number(str(file)) is None
    file.write_text("MemTotal:   100 kB\noom_kill 3\n")
    assert kernel_files.read_table(str(file)) == {"MemTotal": 100, "oom_kill": 3}


def test_oom_counter_falls_back_to_the_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(oom, "_VMSTAT", tmp_path / "none")
    monkeypatch.setattr(oom, "_CGROUP_ROOT", tmp_path)
    assert oom.oom_kills() is None
    (tmp_path / "memory.events").write_text("low 0\noom 2\noom_kill 5\n")
    assert oom.oom_kills() == 5
    monkeypatch.setattr(oom, "_VMSTAT", tmp_path / "vmstat")
    (tmp_path / "vmstat").write_text("nr_free 1\noom_kill 7\n")
    assert oom.oom_kills() == 7


@pytest.mark.parametrize(("text", "limit"), [("max", None), ("1048576", 2**20), (str(2**63), None)])
def test_memory_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, limit: int | None
) -> None:
    monkeypatch.setattr(oom, "_CGROUP_ROOT", tmp_path)
    (tmp_path / "memory.max").write_text(text + "\n")
    assert oom.memory_limit_bytes() == limit
