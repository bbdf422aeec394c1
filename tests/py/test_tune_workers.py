"""A study shared through PostgreSQL: two workers at once, one of them killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hz3py.system import allocators
from hz3py.tuning import storage

pytest.importorskip("psycopg2")

WORK = [sys.executable, "-S", "-c", "x = [bytearray(3000) for _ in range(3000)]"]
TRIALS = 8


def binary(name: str) -> str:
    """Find a program of the PostgreSQL server; Debian keeps them out of PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    return path


def as_server(*words: str) -> None:
    """Run a command as a user that the server accepts: not root."""
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    full = [*prefix, *words] if os.geteuid() == 0 else list(words)
    subprocess.run(full, check=True, capture_output=True, timeout=120)


@pytest.fixture
def database() -> Iterator[str]:
    """Start a server of our own on a free port; yield its URL."""
    initdb, pg_ctl = binary("initdb"), binary("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="hz3-pg-"))
    if os.geteuid() == 0:
        try:
            shutil.chown(folder, "postgres", "postgres")
        except LookupError:
            pytest.skip("the server does not run as root, and there is no user postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(folder / "data")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        as_server(initdb, "-D", data, "-A", "trust", "-U", "tuner")
        as_server(pg_ctl, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql://tuner@127.0.0.1:{port}/postgres"
        finally:
            as_server(pg_ctl, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(url: str, folder: Path, *options: str) -> subprocess.Popen[str]:
    words = ["tune", "--storage", url, "--study", "shared", "--trials", str(TRIALS)]
    words += ["--blocks", "3", "--confirm-blocks", "4", "--knobs", "pack_bestfit_k,cache"]
    return subprocess.Popen(
        [sys.executable, "-m", "hz3py", *words, "--out", str(folder), *options, "--", *WORK],
        cwd=folder.parent,  # not a checkout, whose source tree would be imported
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def await_trial(worker: subprocess.Popen[str]) -> None:
    """Read what a worker tells until it has begun its first trial."""
    assert worker.stderr is not None
    told: list[str] = []
    while "trial " not in (line := worker.stderr.readline()):
        told.append(line)
        assert line, f"it ended before its first trial with {worker.wait()}: {''.join(told)}"


def test_a_study_ends_properly_when_one_of_two_workers_is_killed(
    database: str, tmp_path: Path
) -> None:
    optuna = pytest.importorskip("optuna")
    if not allocators.find(["hz3"])[0].installed:
        pytest.skip("hz3 is not installed")
    with start(database, tmp_path / "one", "--worker") as first:
        await_trial(first)
        with start(database, tmp_path / "two") as second:
            await_trial(second)
            os.killpg(first.pid, signal.SIGKILL)
            _, told = second.communicate(timeout=200)

    assert second.returncode == 0, told
    with storage.quiet():
        study = storage.open_study(database, "shared", "rss")
        states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
        workers = {
            str(trial.user_attrs[storage.WORKER_ATTRIBUTE])
            for trial in study.get_trials(deepcopy=False)
            if trial.state == optuna.trial.TrialState.COMPLETE
        }
    assert states.count("COMPLETE") == TRIALS
    assert "RUNNING" not in states
    assert len(workers) == 2
