"""`hz3 ab` as a process: killed, started twice, and fed with records of other versions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hz3py.cli.app import main
from hz3py.store.results import RECORDS_NAME, read

TEXT = """
schema = 1
name = "sleepers"
blocks = 8
[baseline]
allocator = "system"
[[candidates]]
allocator = "system"
[[workloads]]
label = "sleep"
command = ["sleep", "0.05"]
seconds = 0.05
[[criteria]]
metric = "throughput"
kind = "equivalence"
margin = 0.9
"""
COMMAND = (sys.executable, "-m", "hz3py", "ab", "e.toml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "e.toml").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(folder: Path) -> int:
    path = folder / "r" / RECORDS_NAME
    return path.read_bytes().count(b"\n") if path.exists() else 0


@contextmanager
def long_run(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run into the folder `r` that goes on until somebody ends it."""
    with subprocess.Popen(
        [*COMMAND, "--out", "r", "--blocks", "400"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def killed(folder: Path, wait_until: Callable[..., None]) -> Path:
    """A run that was ended by kill -9 after a few samples."""
    with long_run(folder) as process:
        wait_until(lambda: lines(folder) >= 5, timeout_s=60)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return folder


def test_kill_loses_no_finished_sample(killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = read(killed / "r").samples
    assert len(kept) >= 4
    # The end of the line that was being written is missing: it is cut off, the others stay.
    with (killed / "r" / RECORDS_NAME).open("ab") as file:
        file.write(b'{"schema":1,"kind":"sample","run_id":"')
    before = (killed / "r" / RECORDS_NAME).read_bytes()
    assert main(["ab", "e.toml", "--resume", "r"]) == 2  # 8 blocks are another experiment than 400
    assert "another experiment" in capsys.readouterr().err
    assert (killed / "r" / RECORDS_NAME).read_bytes() == before.rpartition(b"\n")[0] + b"\n"
    budget = ["--blocks", "400", "--budget", "0.01"]
    assert main(["ab", "e.toml", "--resume", "r", *budget, "--quiet"]) in (0, 3)
    results = read(killed / "r")
    assert {record.key for record in kept} < {record.key for record in results.samples}
    assert results.verdict is not None


def test_two_runs_cannot_share_a_folder(folder: Path, wait_until: Callable[..., None]) -> None:
    with long_run(folder) as process:
        wait_until(lambda: lines(folder) >= 2, timeout_s=60)
        for option in ("--out", "--resume"):
            second = subprocess.run(
                [*COMMAND, option, "r", "--blocks", "400"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert second.returncode == 5
            expected = "holds the results" if option == "--out" else "another hz3 process"
            assert expected in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert read(folder / "r").ends[-1].complete is False


def test_records_of_a_newer_hz3_are_refused_and_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ab", "e.toml", "--out", "r", "--blocks", "3", "--quiet"]) in (0, 3)
    path = folder / "r" / RECORDS_NAME
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    records[2]["schema"] = 99
    path.write_text("".join(f"{json.dumps(item)}\n" for item in records), encoding="utf-8")
    before = path.read_bytes()
    capsys.readouterr()
    assert main(["ab", "e.toml", "--resume", "r", "--blocks", "3"]) == 5
    err = capsys.readouterr().err
    assert "the record has schema 99, this hz3 reads up to 1" in err
    assert "newer hz3" in err
    assert main(["compare", "r:baseline", "r:candidate"]) == 5
    assert path.read_bytes() == before
