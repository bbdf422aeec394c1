"""A session that is killed goes on: nothing that was recorded is measured again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hz3py.system import allocators

HOARD = "import sys, time; x = [bytearray(3000000) for _ in range({})]; del x; time.sleep(0.1)"
PROGRAM = [sys.executable, "-S", "-c", HOARD.format(20)]
OTHER = f"{sys.executable} -S -c '{HOARD.format(10)}'"
OPTIONS = [
    *["--trials", "3", "--blocks", "2", "--confirm-blocks", "6", "--seed", "1"],
    *["--knobs", "pack_bestfit_k", "--set", "large_madvise=1", "--max-slowdown", "90"],
    *["--also", OTHER],
]
CONFIRMATION = 1_000_000_000
OTHER_INPUTS = 9_000_000_000

Key = tuple[str, str, int]
Wait = Callable[..., None]


@pytest.fixture(autouse=True)
def _needs_hz3() -> None:
    if not allocators.find(["hz3"])[0].installed:
        pytest.skip("hz3 is not installed")


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "hz3py", "tune", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def resume(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hz3py", "tune", "--resume", "out", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def samples(folder: Path) -> list[Key]:
    """Return row, arm and block of every whole line, repeated ones included."""
    try:
        text = (folder / "out" / "records.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")
    ]
    return [(x["label"], x["allocator"], x["block"]) for x in lines if x["kind"] == "sample"]


def whole_blocks(keys: list[Key], least: int) -> set[int]:
    """Return the blocks from a number on that have the default and every candidate."""
    count = Counter(block for _, _, block in keys if block >= least)
    return {block for block, arms in count.items() if arms >= 2}


def kill_once(process: subprocess.Popen[bytes], wait: Wait, condition: Callable[[], bool]) -> None:
    wait(lambda: condition() or process.poll() is not None, 200)
    assert process.poll() is None, f"it ended with {process.returncode} before it was to be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_session_killed_in_confirmation_and_later_goes_on(
    tmp_path: Path, wait_until: Wait
) -> None:
    final = 2 * CONFIRMATION
    process = start(tmp_path, *OPTIONS, "--out", "out", "--", *PROGRAM)
    kill_once(process, wait_until, lambda: len(whole_blocks(samples(tmp_path), final)) >= 3)
    at_first = samples(tmp_path)
    assert not (tmp_path / "out" / "tune.json").exists()

    process = start(tmp_path, "--resume", "out")
    kill_once(process, wait_until, lambda: len(whole_blocks(samples(tmp_path), OTHER_INPUTS)) >= 2)
    at_second = samples(tmp_path)

    done = resume(tmp_path, "--json")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["trials"] == 3
    assert document["claim"] is True
    assert document["confirm_blocks"] == 6
    assert [each["workload"] for each in document["transfer"]] == document["transfer_planned"]
    assert document["carries_over"].startswith("the claim carries over to")
    times = Counter(samples(tmp_path))
    for earlier in (at_first, at_second):
        kept = whole_blocks(earlier, CONFIRMATION)
        assert kept
        again = {key for key in earlier if key[2] in kept and times[key] > 1}
        # The block that the kill cut short is taken anew, as a whole; no other one is.
        assert len({block for _, _, block in again}) <= 1
    searched = {key for key in at_first if key[2] < CONFIRMATION}
    assert {key for key in times if key[2] < CONFIRMATION} == searched

    files = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.[tj]*")}
    assert {"records.jsonl", "tune.json", "profile.toml"} <= files.keys()
    again_done = resume(tmp_path)
    assert again_done.returncode == 0, again_done.stderr
    assert "better knobs found" in again_done.stdout
    assert "the claim carries over" in again_done.stdout
    for name in ("records.jsonl", "profile.toml"):
        assert (tmp_path / "out" / name).read_bytes() == files[name], name


def test_a_session_that_goes_on_takes_no_other_question(tmp_path: Path) -> None:
    for words in (["--knobs", "all"], ["--", *PROGRAM], ["--objective", "rss"]):
        done = resume(tmp_path, *words)
        assert done.returncode == 2
        assert "does not go with --resume" in done.stderr
    done = resume(tmp_path)
    assert done.returncode == 5
    assert "cannot read out/request.json" in done.stderr
