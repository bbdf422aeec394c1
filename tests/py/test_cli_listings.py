"""Commands that only tell: their text, their JSON, and their refusals."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hz3py import resources
from hz3py.__main__ import main
from hz3py.cli.app import COMMANDS
from hz3py.cli.env import FORMATS
from hz3py.errors import UnfitMachineError
from hz3py.system import health
from hz3py.system.allocators import known_names
from hz3py.system.finding import Finding


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work outside of the source tree, whose hz3py has no native parts."""
    monkeypatch.chdir(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = main(list(words))
    said = capsys.readouterr()
    assert code == 0, said.err
    return said.out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(list(words))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("hz3: error: ")
    assert said.err.count("\n") == 1
    return code, said.err


@pytest.fixture
def hz3_library() -> Path:
    try:
        return resources.library_path()
    except UnfitMachineError:
        pytest.skip("libhz3.so is not built")


@pytest.fixture
def native_module() -> None:
    pytest.importorskip("hz3py._core", reason="the native module is not built")


def test_help_lists_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "--help")
    for name in COMMANDS:
        assert f"\n  {name} " in text
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert re.search(rf"^ +{code}  \w", text, re.MULTILINE)
    assert told(capsys) == text


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, name, "--help")
    assert text.startswith(f"Usage: hz3 {name}")
    assert "--help" in text
    assert "\\b" not in text
    assert "\b" not in text


def test_examples_in_a_help_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "path", "--help").splitlines()
    assert "  or           hz3 run -- PROGRAM" in lines


def test_listing_commands_imports_none_of_them() -> None:
    program = (
        "import sys; from hz3py.__main__ import main; main(['--help']); "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('pandas', 'numpy', 'rich')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--version").startswith("hz3 ")


def test_allocators_as_json_is_a_plain_list(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(told(capsys, "allocators", "--json"))
    assert [entry["name"] for entry in document] == known_names()
    for entry in document:
        assert {"name", "path", "version", "installed", "install_hint"} <= entry.keys()
    system = next(entry for entry in document if entry["name"] == "system")
    assert (system["path"], system["installed"]) == (None, True)


def test_allocators_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = told(capsys, "allocators")
    assert all(f"\n{name}" in text for name in known_names())


def test_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    if not resources.workload_names():
        pytest.skip("the workload programs are not built")
    assert "mt_remote" in told(capsys, "workloads")
    assert "remote-pct" in told(capsys, "workloads", "mt_remote")
    document = json.loads(told(capsys, "workloads", "--json"))
    assert document["schema"] == 1
    assert sorted(entry["name"] for entry in document["workloads"]) == resources.workload_names()


@pytest.mark.usefixtures("native_module")
def test_knobs_as_json_is_a_plain_list(capsys: pytest.CaptureFixture[str]) -> None:
    document: list[dict[str, Any]] = json.loads(told(capsys, "knobs", "--json"))
    keys = {"name", "env", "type", "min", "max", "choices", "default", "unit", "doc", "seed"}
    assert document
    for entry in document:
        assert keys <= entry.keys()
        assert entry["env"] == f"HZ3_{entry['name'].upper()}"
        assert entry["type"] in ("int", "bytes", "bool", "choice")
    assert json.loads(told(capsys, "knobs", "shards", "--json"))[0]["name"] == "shards"


@pytest.mark.usefixtures("native_module")
def test_knobs_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert "purge_delay_ms" in told(capsys, "knobs")
    text = told(capsys, "knobs", "HZ3_SHARDS")
    assert text.startswith("shards: ")
    assert "variable  HZ3_SHARDS" in text
    code, error = refused(capsys, "knobs", "shard")
    assert code == 2
    assert "did you mean shards?" in error


def test_doctor_ends_with_4_where_something_does_not_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    findings = [
        Finding("load", "warn", "8", "others take time", "stop them"),
        Finding("swap", "ok", "none", "no pages on disk"),
    ]
    monkeypatch.setattr(health, "CHECKS", tuple(lambda f=f: f for f in findings))
    text = told(capsys, "doctor")
    assert "load: others take time" in text
    assert "try: stop them" in text
    assert "no pages on disk" not in text
    broken = Finding("preload", "bad", "lost", "hz3 cannot be used", "install it")
    monkeypatch.setattr(health, "CHECKS", (lambda: broken,))
    assert main(["doctor", "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["fit"]) == (1, False)
    assert document["findings"][0]["hint"] == "install it"


def test_path_is_the_library(capsys: pytest.CaptureFixture[str], hz3_library: Path) -> None:
    assert told(capsys, "path") == f"{hz3_library}\n"
    assert json.loads(told(capsys, "path", "--json")) == {"schema": 1, "path": str(hz3_library)}


def test_path_warns_where_it_cannot_be_preloaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hz3py.cli.path.library_path", lambda: Path("/My Projects/libhz3.so"))
    assert main(["path"]) == 0
    said = capsys.readouterr()
    assert said.out == "/My Projects/libhz3.so\n"
    assert "use `hz3 run`" in said.err


def test_env_as_json_has_variables_and_lines(
    capsys: pytest.CaptureFixture[str], hz3_library: Path
) -> None:
    words = ["env", "--format", "docker", "--knob", "shards=4"]
    document = json.loads(told(capsys, *words, "--json"))
    assert (document["schema"], document["allocator"]) == (1, "hz3")
    assert document["env"] == {"LD_PRELOAD": str(hz3_library), "HZ3_SHARDS": "4"}
    assert document["lines"] == told(capsys, *words).splitlines()


@pytest.mark.parametrize("kind", list(FORMATS))
def test_env_names_the_library(kind: str, spaced_library: Path) -> None:
    lines = "\n".join(FORMATS[kind](spaced_library, {"HZ3_SHARDS": "4"}))
    assert "LD_PRELOAD" in lines
    assert spaced_library.name in lines
    assert "HZ3_SHARDS" in lines


def test_the_shell_lines_of_env_work(
    spaced_library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, "env", "--allocator", f"mine={spaced_library}")
    done = subprocess.run(
        ["bash", "-c", f"{lines}\ncat /proc/self/maps"],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("LD_")},
    )
    assert os.path.realpath(spaced_library) in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("frobnicate",), "unknown command 'frobnicate'"),
        (("benhc",), "did you mean `hz3 bench`?"),
        (("--nothing",), "no such option"),
        (("bench", "--blocks", "0"), "'--blocks'"),
        (("bench", "--blocks", "many"), "'--blocks'"),
        (("bench", "--threads", "none"), "neither a number above 0 nor `written`"),
        (("bench", "--touch", "some"), "'--touch'"),
        (("bench", "quik"), "unknown suite 'quik'"),
        (("bench", "quick", "--suite", "full"), "the suite is given twice"),
        (("bench", "--workloads", "larsen"), "no row with the workload 'larsen'"),
        (("bench", "--allocators", "jemaloc"), "did you mean 'jemalloc'"),
        (("bench", "--allocator", "mine"), "write name=path"),
        (("bench", "--"), "no program after `--`"),
        (("bench", "--", "no-such-program"), "no such program"),
        (("bench", "quick", "--", "true"), "--suite does not go with a program"),
        (("bench", "--threads", "2", "--", "true"), "--threads does not go with a program"),
        (("bench", "--resume", "x", "--blocks", "3"), "--blocks does not go with --resume"),
        (("rss",), "no program to watch"),
        (("workloads", "larsen"), "did you mean larson?"),
        (("env", "--allocator", "system"), "needs no lines"),
        (("env", "--format", "cobol"), "'--format'"),
    ],
)
def test_wrong_requests_are_one_line_and_exit_2(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = refused(capsys, *words)
    assert code == 2
    assert message in error


def test_a_missing_library_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, "bench", "--allocator", "mine=/no/such.so", "--", "true")
    assert code == 2
    assert "does not exist" in error


def test_no_results_to_resume_is_exit_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, error = refused(capsys, "bench", "--resume", str(tmp_path / "none"))
    assert code == 2
    assert "cannot go on with" in error


def test_without_peers_the_run_goes_on_and_names_what_brings_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hz3py.system.allocators.locate", lambda _peer: None)
    monkeypatch.chdir(tmp_path)
    words = ["bench", "--allocators", "system,tcmalloc,jemalloc", "--dry-run", "--", "true"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "allocators: system\n" in said.out
    assert "not installed and left out: tcmalloc, jemalloc; to add: " in said.err


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} -m hz3py allocators --json | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
