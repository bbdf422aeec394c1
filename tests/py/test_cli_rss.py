"""`hz3 rss`: phases, rests, process trees, and honesty about programs that are too short."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hz3py.__main__ import main
from hz3py.cli.knob_values import knob_table
from hz3py.cli.watched import OBSERVE_KNOB
from hz3py.store.results import read
from hz3py.system.allocators import Allocator

STAYS = """
import os, time
print("phase fill", flush=True)
x = bytearray(b"x") * (24 << 20)
time.sleep(0.4)
print("phase drop", flush=True)
del x
time.sleep(60)
"""
MARKS = """
import os, time
def mark(name): os.write(int(os.environ["HZ3_PHASE_FD"]), name.encode() + b"\\n")
mark("work-begin")
x = bytearray(b"x") * (24 << 20)
time.sleep(0.2)
mark("second half")
time.sleep(0.2)
mark("work-end")
"""
TREE = """
import subprocess, sys
code = "x = bytearray(b'x') * (24 << 20); import time; time.sleep(0.8)"
children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
[child.wait() for child in children]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rss(capsys: pytest.CaptureFixture[str], *words: str, program: str) -> dict[str, Any]:
    command = ["rss", "--allocators", "system", "--runs", "1", "--out", "r", "--json", *words]
    assert main([*command, "--", sys.executable, "-I", "-S", "-c", program]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_program_that_stays_alive_is_watched_until_it_has_rested(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = rss(capsys, "--idle", "0.6", "--mark", r"phase (\w+)", program=STAYS)
    (row,) = document["rows"]
    assert (row["status"], row["rss_kb"]["idle"] is None) == ("ok", False)
    assert row["rss_kb"]["idle"] < 16 << 10 < row["rss_kb"]["peak"]
    (arm,) = document["memory"]["arms"]
    by_name = {phase["name"]: phase for phase in arm["phases"]}
    assert {"fill", "drop", "idle"} <= by_name.keys()
    assert by_name["fill"]["peak_kb"] > 24 << 10 > by_name["idle"]["peak_kb"]
    assert arm["at_rest"]["pss"] > 0
    assert 0 < arm["anon_kb"] < row["rss_kb"]["peak"]
    assert 500 < arm["fixed_kb"] < 16 << 10
    sampler = document["memory"]["sampler"]
    assert sampler["readings"] > 10
    assert sampler["us_per_reading"] > 0


def test_a_program_marks_its_own_phases(capsys: pytest.CaptureFixture[str]) -> None:
    (arm,) = rss(capsys, program=MARKS)["memory"]["arms"]
    names = [phase["name"] for phase in arm["phases"]]
    assert [name for name in names if name not in ("start", "idle")] == ["work", "second-half"]


def test_children_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = rss(capsys, program=TREE)["rows"]
    assert row["rss_kb"]["peak"] > 2 * (24 << 10)


def test_a_short_program_is_told_to_be_short(capsys: pytest.CaptureFixture[str]) -> None:
    document = rss(capsys, "--interval", "100", program="pass")
    (row,) = document["rows"]
    assert row["rss_kb"]["peak"] > 1000
    assert any("ends too soon for a series" in text for text in document["warnings"])


@pytest.mark.parametrize("idle", [(), ("--idle", "0.5")])
def test_hz3_accounts_for_its_memory(
    capsys: pytest.CaptureFixture[str], malloc_library: Allocator, idle: tuple[str, ...]
) -> None:
    if malloc_library.name != "hz3" or OBSERVE_KNOB not in {info.name for info in knob_table()}:
        pytest.skip("hz3 is not built, or does not observe")
    end = "time.sleep(60)" if idle else ""
    program = f"import time; x = [bytes(100_000) for _ in range(100)]; time.sleep(0.1); {end}"
    command = ["rss", "--allocators", "hz3,system", "--runs", "1", "--out", "r", "--json", *idle]
    assert main([*command, "--", sys.executable, "-I", "-S", "-c", program]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {row["status"] for row in document["rows"]} == {"ok"}
    (account,) = document["memory"]["observations"]
    assert account["allocator"] == "hz3"
    assert sum(account["parts"].values()) == pytest.approx(account["resident_bytes"], rel=0.05)
    assert account["resident_bytes"] > 3 << 20
    assert Path("r/parts.png").exists()
    assert Path("r/throughput.png").exists() == (not idle)
    assert main(["report", "r"]) == 0
    assert "Where memory sits" in Path("r/report.html").read_text()


def test_tables_and_the_cost_of_sampling_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["rss", "--allocators", "system", "--runs", "2", "--out", "r"]
    program = "import time; time.sleep(0.7)"
    assert main([*words, "--", sys.executable, "-I", "-S", "-c", program]) == 0
    said = capsys.readouterr()
    assert "What backs the memory" in said.out
    assert "At rest" in said.out
    assert "for a report: hz3 report r" in said.out
    assert "sampling took" in said.err
    assert "% of one CPU" in said.err
    assert main(["report", "r", "--format", "text"]) == 0
    assert f"Memory of {Path(sys.executable).name}" in capsys.readouterr().out


def test_what_is_watched_for_is_kept_for_a_resumed_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rss(capsys, "--idle", "0.5", "--mark", "phase", program="import time; time.sleep(60)")
    before = read(Path("r"))
    assert before.run.watch["idle_s"] == 0.5
    assert before.run.watch["mark"] == "phase"
    lines = Path("r/records.jsonl").read_text().splitlines(keepends=True)
    Path("r/records.jsonl").write_text("".join(line for line in lines if '"sample"' not in line))
    assert main(["rss", "--resume", "r", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["status"], row["blocks"]) == ("ok", 1)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--mark", "(", "--", "true"], "no regular expression"),
        (["--idle", "0", "--", "true"], "--idle"),
        ([], "no program to watch"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], words: list[str], error: str) -> None:
    assert main(["rss", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert error in line
