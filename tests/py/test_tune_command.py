"""`hz3 tune`, `hz3 verify` and profiles with real processes, each a few seconds."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hz3py.measure.server import measure_server
from hz3py.system import allocators
from hz3py.system.launch import Launch
from hz3py.tuning import profile
from hz3py.tuning.profile import Profile

BURST = "import sys; a = [bytearray(5000) for _ in range(2000)]; print('rps: 100.5')"
PROGRAM = [sys.executable, "-S", "-c", BURST]
SMALL = ["--blocks", "2", "--confirm-blocks", "4", "--seed", "1", "--knobs", "pack_bestfit_k"]


@pytest.fixture(autouse=True)
def _needs_hz3() -> None:
    found = allocators.find(["hz3"])[0]
    if not found.installed:
        pytest.skip("hz3 is not installed")


def hz3(*words: str, cwd: Path, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hz3py", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def test_a_small_session_ends_with_all_its_files(tmp_path: Path) -> None:
    done = hz3(
        *["tune", "--trials", "3", "--json", "--out", "out", "--metric-regex", r"rps: ([\d.]+)"],
        *SMALL,
        "--",
        *PROGRAM,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    contract = {"schema", "claim", "profile", "knobs", "throughput_ratio", "throughput_ci"}
    contract |= {"rss_ratio", "rss_ci", "trials", "confirm_blocks"}
    assert contract <= document.keys()
    assert document["schema"] == 1
    assert document["trials"] == 3
    assert isinstance(document["claim"], bool)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tune.json", "tune.md", "request.json", "records.jsonl", "study.db"} <= files
    lines = (tmp_path / "out" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines[1:]]
    assert {sample["allocator"] for sample in samples} >= {"default", "candidate 1"}
    assert all(sample["sample"]["interposed"] for sample in samples)
    changed = [s for s in samples if s["allocator"] == "candidate 1" and s["env"]]
    assert any("HZ3_PACK_BESTFIT_K" in sample["env"] for sample in changed)
    assert "trial 1: the defaults against themselves" in done.stderr


def test_a_killed_session_goes_on(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    words = ["tune", "--trials", "6", "--out", "out", *SMALL, "--", *PROGRAM]
    process = subprocess.Popen(
        [sys.executable, "-m", "hz3py", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    seen = ""
    while "trial 2" not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()

    done = hz3("tune", "--resume", "out", "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 6
    told = [int(number) for number in re.findall(r"trial (\d+):", done.stderr)]
    assert min(told) > 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--knobs", "pack_bestfit"], 2, "unknown knob 'pack_bestfit'"),
        (["--range", "drain_limit=90:10"], 2, "range 90:10 of drain_limit is empty"),
        (["--metric-regex", "rps"], 2, "has no group"),
        (["--metric-regex", "rps: (["], 2, "no regular expression"),
        (["--metric-regex", "nothing like ([0-9]+)", "--trials", "2"], 5, "matched nothing"),
        (["--storage", "sqlite:////nowhere/study.db"], 5, "cannot be used"),
        (["--storage", "what"], 2, "--storage what"),
        (["--storage", "redis://h"], 2, "there is no storage of this kind"),
        (["--storage", "grpc://127.0.0.1"], 2, "grpc://"),
        (["--also", "no-such-program 5"], 2, "no such program"),
        (["--also", "true 1", "--also", "true 1"], 2, "'true 1' is named twice"),
        (["--threads", "2"], 2, "--threads is for packaged workloads"),
        (["--client", "true"], 2, "no --server is given"),
        (["--suite", "quick"], 2, "both --suite and"),
        (["--worker"], 2, "--worker shares a study"),
        (["--check", "false", "--trials", "2"], 5, "the check ended with code 1"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, words: list[str], code: int, message: str) -> None:
    done = hz3("tune", *words, "--", *PROGRAM, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert done.returncode == code, done.stderr
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr


def test_a_program_that_fails_by_itself_is_named(tmp_path: Path) -> None:
    done = hz3("tune", "--trials", "2", "--", "/bin/false", cwd=tmp_path)
    assert done.returncode == 5
    assert "fails under the default configuration already" in done.stderr
    assert "Traceback" not in done.stderr


def written(folder: Path, knobs: dict[str, int | str]) -> Path:
    file = folder / "my profile.toml"
    file.write_text(profile.text(Profile("x", knobs)), encoding="utf-8")
    return file


def test_run_and_env_take_the_knobs_of_a_profile(tmp_path: Path) -> None:
    file = written(tmp_path, {"pack_bestfit_k": 9, "remote_route": "owner_stash"})
    ran = hz3("run", "--profile", str(file), "--", "env", cwd=tmp_path)
    assert "HZ3_PACK_BESTFIT_K=9" in ran.stdout.splitlines()
    assert "HZ3_REMOTE_ROUTE=owner_stash" in ran.stdout.splitlines()
    over = hz3("run", "--profile", str(file), "--knob", "pack_bestfit_k=2", "env", cwd=tmp_path)
    assert "HZ3_PACK_BESTFIT_K=2" in over.stdout.splitlines()
    for kind, line in (
        ("shell", "export HZ3_PACK_BESTFIT_K=9"),
        ("systemd", 'Environment="HZ3_PACK_BESTFIT_K=9"'),
        ("docker", 'ENV HZ3_PACK_BESTFIT_K="9"'),
    ):
        told = hz3("env", "--profile", str(file), "--format", kind, cwd=tmp_path)
        assert line in told.stdout.splitlines(), told.stderr


def test_a_profile_with_an_unknown_knob_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, {"pack_bestfit_kk": 9})
    for words in (["run", "--profile", str(file), "true"], ["verify", str(file), "--", "true"]):
        done = hz3(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert "did you mean pack_bestfit_k?" in done.stderr


def test_verify_says_by_its_exit_code_that_a_profile_is_worse(tmp_path: Path) -> None:
    hoard = "x = [bytearray(3000000) for _ in range(20)]; del x; import time; time.sleep(0.2)"
    worse = written(tmp_path, {"large_cache_soft": 1 << 40, "large_cache_hard": 1 << 40})
    better = tmp_path / "better.toml"
    better.write_text(profile.text(Profile("x", {"large_madvise": 1})), encoding="utf-8")
    words = ["--blocks", "6", "--json", "--seed", "1", "--", sys.executable, "-S", "-c", hoard]
    done = hz3("verify", str(worse), *words, cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["verdict"] in ("NO-GO", "UNDECIDED")
    assert done.returncode == {"NO-GO": 1, "UNDECIDED": 3}[document["verdict"]]
    lean = json.loads(hz3("verify", str(better), *words, cwd=tmp_path).stdout)
    assert lean["rss_ratio"] < 0.95


SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"x" * 1000)
    def log_message(self, *words): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
print("ready to serve", flush=True)
server.serve_forever()
"""
CLIENT = """
import sys, urllib.request
for _ in range(20): urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}").read()
print("rate 55.5")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("way", ["port", "regex"])
def test_a_server_is_measured_while_a_client_asks_it(tmp_path: Path, way: str) -> None:
    port = free_port()
    launch = Launch(
        (sys.executable, "-c", SERVER, str(port)), allocators.find(["hz3"])[0], timeout_s=60
    )
    sample = measure_server(
        launch,
        client=[sys.executable, "-c", CLIENT, str(port)],
        port=port if way == "port" else None,
        ready="ready to serve" if way == "regex" else None,
    )
    assert sample.ok, sample.detail
    assert sample.interposed
    assert sample.stdout_tail.strip() == "rate 55.5"
    assert sample.rss is not None
    assert sample.rss.mean_kb > 1000
    assert 0 < sample.exec["wall_s"] < 60


def test_a_server_that_never_answers_and_a_client_that_fails_are_told(tmp_path: Path) -> None:
    hz3_itself = allocators.find(["hz3"])[0]
    silent = Launch(("/bin/sleep", "60"), hz3_itself, timeout_s=30)
    start = time.monotonic()
    sample = measure_server(silent, client=["true"], port=free_port(), start_s=0.3)
    assert sample.status == "failed"
    assert "within 0.3 s" in sample.detail
    assert time.monotonic() - start < 20
    port = free_port()
    launch = Launch((sys.executable, "-c", SERVER, str(port)), hz3_itself, timeout_s=30)
    sample = measure_server(launch, client=["false"], port=port)
    assert "the client ended with code 1" in sample.detail
    gone = Launch(("/bin/true",), hz3_itself, timeout_s=30)
    assert not measure_server(gone, client=["true"], port=port).ok
