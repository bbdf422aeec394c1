"""How far the CPUs are from each other: the program that measures it and who asks it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from hz3py import resources
from hz3py.errors import UnfitMachineError
from hz3py.system import cores

CPUS = sorted(os.sched_getaffinity(0))


def run(*arguments: str, cpus: list[int] = CPUS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(resources.cores_path()), *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    program = folder / "hz3-cores"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(cores, "cores_path", lambda: program)


@pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
def test_a_line_takes_nanoseconds_to_another_cpu_and_back() -> None:
    for _ in range(5):  # another program may have the CPU once
        pairs = json.loads(run().stdout)["pairs"]
        assert [pair["from"] for pair in pairs] == [CPUS[0]] * len(pairs)
        others = [pair["to"] for pair in pairs]
        assert others == sorted({CPUS[1], CPUS[len(CPUS) // 2], CPUS[-1]})
        ways = [pair["trip_ns"] for pair in pairs]
        if None not in ways:
            break
    else:
        pytest.skip("another program keeps the CPUs busy")
    assert all(5 < way < 100_000 for way in ways)
    told = cores.core_to_core_ns()
    assert told is None or 5 < told < 100_000


def test_one_cpu_is_at_no_distance() -> None:
    process = run(cpus=CPUS[:1])
    assert process.returncode == 0
    assert json.loads(process.stdout)["pairs"] == []


def test_wrong_use_is_told() -> None:
    process = run("--now")
    assert process.returncode == 125
    assert process.stderr.startswith("usage: hz3-cores")
    assert run("--help").returncode == 0


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("""echo '{"pairs":[{"trip_ns":80},{"trip_ns":95.5},{"trip_ns":71}]}'""", 95.5),
        ("""echo '{"pairs":[{"trip_ns":80},{"trip_ns":95.5},{"trip_ns":null}]}'""", None),
        ("""echo '{"pairs":[{"trip_ns":null}]}'""", None),
        ("""echo '{"pairs":[]}'""", None),
        ("""echo '{"pairs":[7]}'""", None),
        ("""echo '["pairs"]'""", None),
        ("echo nonsense", None),
        ("exit 1", None),
        ("kill -9 $$", None),
    ],
)
def test_the_longest_way_counts_and_no_answer_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, found: float | None
) -> None:
    pretend(monkeypatch, tmp_path, script)
    assert cores.core_to_core_ns() == found


def test_a_program_that_hangs_or_is_missing_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, tmp_path, "exec sleep 30")
    monkeypatch.setattr(cores, "_TIMEOUT_S", 0.2)
    assert cores.core_to_core_ns() is None
    monkeypatch.setattr(cores, "cores_path", lambda: tmp_path / "absent")
    assert cores.core_to_core_ns() is None

    def uninstalled() -> Path:
        raise UnfitMachineError("hz3-cores is not installed", "install it")

    monkeypatch.setattr(cores, "cores_path", uninstalled)
    assert cores.core_to_core_ns() is None
    monkeypatch.undo()
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(tmp_path / "absent"))
    assert cores.core_to_core_ns() is None
