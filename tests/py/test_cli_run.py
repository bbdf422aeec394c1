"""`hz3 run`: the program takes its place, and what cannot work is refused before it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hz3py import resources
from hz3py.cli.run import parse
from hz3py.errors import UnfitMachineError, UsageError
from hz3py.system.allocators import Allocator
from hz3py.system.elf import host_machine

MAPS = "print(open('/proc/self/maps').read())"
# Each of these costs milliseconds, before every program that is ever started with `hz3 run`.
HEAVY = (
    "click",
    "rich",
    "numpy",
    "pandas",
    "argparse",
    "dataclasses",
    "importlib.resources",
    "inspect",
    "json",
    "pathlib",
    "subprocess",
    "typing",
)


def run(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hz3py", "run", *(str(word) for word in words)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=60,
        check=False,
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work outside of the source tree, whose hz3py has no native parts."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hz3_library() -> Path:
    try:
        return resources.library_path()
    except UnfitMachineError:
        pytest.skip("libhz3.so is not built")


def test_the_program_runs_under_hz3(hz3_library: Path) -> None:
    done = run("--", sys.executable, "-c", MAPS)
    assert done.returncode == 0, done.stderr
    assert os.path.realpath(hz3_library) in done.stdout
    assert done.stderr == ""


def test_the_program_runs_under_another_library(malloc_library: Allocator) -> None:
    path = str(malloc_library.path)
    for words in (("--allocator", path), (f"--allocator={path}",)):
        done = run(*words, "--", sys.executable, "-c", MAPS)
        assert done.returncode == 0, done.stderr
        assert os.path.realpath(path) in done.stdout


def test_a_library_in_a_folder_with_a_space(spaced_library: Path) -> None:
    done = run("--allocator", spaced_library, "--", sys.executable, "-c", MAPS)
    assert done.returncode == 0, done.stderr
    assert os.path.realpath(spaced_library) in done.stdout


def test_an_earlier_preload_is_kept_behind_ours(malloc_library: Allocator) -> None:
    earlier = "libm.so.6"
    show = "import os; print(os.environ['LD_PRELOAD'])"
    done = run(
        "--allocator",
        str(malloc_library.path),
        "--",
        sys.executable,
        "-c",
        show,
        LD_PRELOAD=earlier,
    )
    assert done.stdout.strip() == f"{malloc_library.path}:{earlier}", done.stderr


def test_the_system_malloc_takes_any_program() -> None:
    done = run("--allocator", "system", "--", resources.launcher_path(), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: hz3-exec")


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM)])
def test_it_ends_as_the_program_ends(script: str, code: int) -> None:
    assert run("--allocator", "system", "--", "sh", "-c", script).returncode == code


def test_a_program_whose_reader_stops_early_ends_quietly() -> None:
    command = f"{sys.executable} -m hz3py run --allocator system -- yes | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["y", str(128 + signal.SIGPIPE)]
    assert done.stderr == ""


def test_words_after_the_program_belong_to_the_program() -> None:
    for separator in (["--"], []):
        done = run("--allocator", "system", *separator, "echo", "--knob", "--help", "-x")
        assert done.stdout == "--knob --help -x\n"


def test_proof_names_the_library(malloc_library: Allocator) -> None:
    done = run("--proof", "--allocator", str(malloc_library.path), "--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert f"hz3: proof: {malloc_library.path} was loaded" in done.stderr


def test_json_is_the_last_line_on_stderr(malloc_library: Allocator) -> None:
    path = str(malloc_library.path)
    done = run("--json", "--allocator", path, "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout) == (3, "out\n")
    first, last = done.stderr.splitlines()
    assert first == "err"
    found = json.loads(last)
    assert found["schema"] == 1
    assert found["program"][0] == "sh"
    assert (found["library"], found["interposed"]) == (path, True)
    assert (found["exit_code"], found["signal"], found["error"]) == (3, None, None)
    assert found["wall_s"] > 0
    assert found["peak_kb"] > 500


def test_json_of_a_program_that_a_signal_ends_and_of_one_that_cannot_start(tmp_path: Path) -> None:
    done = run("--json", "--allocator", "system", "--", "sh", "-c", "kill -TERM $$")
    found = json.loads(done.stderr.splitlines()[-1])
    assert done.returncode == 128 + signal.SIGTERM
    assert (found["library"], found["interposed"]) == (None, True)
    assert found["signal"] == signal.SIGTERM
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n", encoding="utf-8")
    script.chmod(0o755)
    done = run("--json", "--allocator", "system", "--", script)
    found = json.loads(done.stderr.splitlines()[-1])
    assert done.returncode == found["exit_code"] != 0
    assert "cannot run" in found["error"]


def test_a_static_program_is_refused(malloc_library: Allocator) -> None:
    done = run("--allocator", str(malloc_library.path), "--", resources.launcher_path(), "--help")
    assert done.returncode == 5
    assert "statically linked" in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "libtext.so"
    path.write_text("hello")
    done = run("--allocator", path, "--", "true")
    assert done.returncode == 5
    assert "not a shared library" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_library_of_another_architecture_is_refused(
    tmp_path: Path, malloc_library: Allocator
) -> None:
    assert malloc_library.path is not None
    content = bytearray(malloc_library.path.read_bytes())
    content[18] = 183 if host_machine() == "x86_64" else 62
    path = tmp_path / "libother.so"
    path.write_bytes(content)
    done = run("--allocator", path, "--", "true")
    assert done.returncode == 5
    assert "is built for" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no program to run"),
        (["--"], "no program to run"),
        (["--knobs", "a=1", "--", "true"], "no option '--knobs'"),
        (["--proof=1", "--", "true"], "no option '--proof'"),
        (["--knob"], "--knob lacks its value"),
        (["--allocator", "jemaloc", "--", "true"], "unknown allocator 'jemaloc'"),
        (["--allocator", "/no/such.so", "--", "true"], "does not exist"),
        (["--allocator", "system", "--knob", "shards=1", "--", "true"], "speak to hz3"),
        (["--allocator", "system", "--", "no-such-program"], "no such program"),
        (["--allocator", "system", "--", "/etc/passwd"], "it is not executable"),
    ],
)
def test_wrong_requests_are_one_line(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_help_is_shown() -> None:
    for words in (["--help"], ["-h"]):
        done = run(*words)
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: hz3 run [OPTIONS]")


def test_parse_reads_every_option() -> None:
    request = parse(
        ["--allocator=a", "--proof", "--", "prog", "--knob", "x"],
    )
    assert request is not None
    assert (request.allocator, request.proof, request.program) == (
        "a",
        True,
        ["prog", "--knob", "x"],
    )
    request = parse(["--knob", "a=1", "--knob=b=2", "--observe", "f", "prog"])
    assert request is not None
    assert (request.knobs, request.observe, request.program) == (["a=1", "b=2"], "f", ["prog"])
    with pytest.raises(UsageError):
        parse(["--observe"])


@pytest.fixture
def knob_table(hz3_library: Path) -> None:
    pytest.importorskip("hz3py._core", reason="the native module is not built")


@pytest.mark.usefixtures("knob_table")
def test_knobs_become_variables() -> None:
    show = "import os; print({k: v for k, v in os.environ.items() if k.startswith('HZ3_P')})"
    done = run("--knob", "purge_delay_ms=5", "--", sys.executable, "-c", show)
    assert done.returncode == 0, done.stderr
    assert "'HZ3_PURGE_DELAY_MS': '5'" in done.stdout
    assert done.stderr == ""


@pytest.mark.usefixtures("knob_table")
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("purge_delay_ms", "sets no knob"),
        ("purge_delay=5", "unknown knob 'purge_delay'; did you mean purge_delay_ms?"),
        ("purge_delay_ms=never", "allowed: "),
        ("shards=99999", "allowed: "),
    ],
)
def test_wrong_knobs_are_refused_before_the_program_starts(option: str, message: str) -> None:
    done = run("--knob", option, "--", "echo", "started")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.usefixtures("knob_table")
def test_a_misspelt_variable_makes_no_knob_wrong() -> None:
    done = run("--knob", "shards=8", "--", "echo", "started", HZ3_SHARD="4")
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "HZ3_SHARD is no knob" in done.stderr


def test_it_imports_next_to_nothing(malloc_library: Allocator, tmp_path: Path) -> None:
    """What `hz3 run` imports is what every program waits for."""
    program = (
        "import os, sys, json\n"
        f"heavy = {HEAVY!r}\n"
        "before = set(sys.modules)\n"
        "def stop(*words):\n"
        "    print([name for name in heavy if name in set(sys.modules) - before])\n"
        "    sys.exit(0)\n"
        "del sys.modules['json']; before.discard('json')\n"
        "os.execve = stop\n"
        "from hz3py.__main__ import main\n"
        "main(['run', '--', 'true'])\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "HZ3_DEV_BUILD"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    if "is not installed" in done.stderr:
        pytest.skip("the package is not installed")
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.usefixtures("knob_table")
def test_an_observation_is_kept_shown_and_drawn(tmp_path: Path) -> None:
    account, picture = tmp_path / "account.json", tmp_path / "picture.svg"
    # Its child accounts for itself, too, and later.
    program = "import subprocess; held = [bytes(1000) for _ in range(9999)]; subprocess.Popen('ls')"
    done = run(
        *("--observe", account, "--waterfall", "--picture", picture),
        *("--", sys.executable, "-c", program),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(account.read_text())
    assert document["parts"]["live"] > 0
    assert document["parts"]["non_heap"] > 5 << 20
    assert "hz3: live blocks" in done.stderr
    assert "hz3: process" in done.stderr
    assert "the kernel counts" in done.stderr
    assert "<svg" in picture.read_text()


@pytest.mark.usefixtures("knob_table")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--picture", "a.txt", "--", "true"], 2, "no ending of a picture"),
        (["--observe", "/no/such/file", "--", "true"], 2, "cannot write /no/such/file"),
        (["--waterfall", "--", "sh", "-c", "kill -9 $$"], 5, "left no account"),
        (["--waterfall", "--allocator", "system", "--", "true"], 2, "speak to hz3"),
    ],
)
def test_observations_that_cannot_be_had(words: list[str], code: int, message: str) -> None:
    done = run(*words)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
