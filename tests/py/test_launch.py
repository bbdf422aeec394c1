"""The environment and the command line that start a program under an allocator."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hz3py.errors import PreloadError
from hz3py.system.allocators import Allocator
from hz3py.system.launch import Launch, environment, is_leaking, launcher_argv, preload_variables

Function = Callable[..., Any]
MINE = Allocator("mine", Path("/opt/lib/libmine.so"), "1", True, "", "user")
STEERING = [
    "LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_CONF", "MIMALLOC_VERBOSE",
    "TCMALLOC_RELEASE_RATE", "HZ3_SHARDS", "SCUDO_OPTIONS",
]  # fmt: skip


def test_variables_that_steer_an_allocator_are_left_out(
    system_malloc: Allocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in STEERING:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PLAIN", "stays")
    env = environment(Launch(("true",), system_malloc))
    assert not [name for name in env if is_leaking(name)]
    assert env["PLAIN"] == "stays"


def test_variables_given_on_purpose_get_through(
    system_malloc: Allocator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HZ3_SHARDS", "leaked")
    monkeypatch.setenv("PLAIN", "old")
    env = environment(Launch(("true",), system_malloc, env={"HZ3_SHARDS": "4", "PLAIN": "new"}))
    assert (env["HZ3_SHARDS"], env["PLAIN"]) == ("4", "new")


@pytest.mark.parametrize("name", ["PATH", "MALLOCATE", "HZ", "LD_LIBRARY_PATH", "PYTHONMALLOC"])
def test_other_variables_do_not_count_as_leaks(name: str) -> None:
    assert not is_leaking(name)


def test_command_line_of_a_full_launch(launcher: Path, tmp_path: Path) -> None:
    launch = Launch(("prog", "--flag"), MINE, affinity=(0, 2), timeout_s=1.5, cwd=tmp_path)
    argv = launcher_argv(launch, report_fd=7, pid_fd=8, trace=False)
    assert argv[0] == str(launcher)
    end = argv.index("--")
    assert argv[end + 1 :] == ["prog", "--flag"]
    assert argv[1:end] == [
        "--preload", "/opt/lib/libmine.so", "--affinity", "0,2", "--cwd", str(tmp_path),
        "--timeout", "1.5", "--report-fd", "7", "--pid-fd", "8", "--no-trace",
    ]  # fmt: skip


def test_command_line_of_a_plain_launch(system_malloc: Allocator, launcher: Path) -> None:
    assert launcher_argv(Launch(("true",), system_malloc)) == [str(launcher), "--", "true"]


def test_plain_path_goes_into_one_variable() -> None:
    assert preload_variables(Path("/opt/lib/libmine.so")) == {"LD_PRELOAD": "/opt/lib/libmine.so"}


def test_relative_path_becomes_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert preload_variables(Path("libmine.so")) == {"LD_PRELOAD": str(tmp_path / "libmine.so")}


def test_path_with_a_space_goes_into_two_variables() -> None:
    assert preload_variables(Path("/My Projects/libmine.so")) == {
        "LD_PRELOAD": "libmine.so",
        "LD_LIBRARY_PATH": "/My Projects",
    }


@pytest.mark.parametrize(
    "path", ["/a:b/libmine.so", "/a b;c/lib.so", "/a/lib mine.so", "/a/l:b.so"]
)
def test_path_that_no_variable_can_carry(path: str) -> None:
    with pytest.raises(PreloadError, match="cannot be preloaded") as caught:
        preload_variables(Path(path))
    assert "ln -s" in caught.value.hint


@given(
    st.lists(
        st.text(string.ascii_letters + string.digits + "._- ~%+=", min_size=1, max_size=12).filter(
            lambda name: name not in (".", "..") and name.strip()
        ),
        min_size=1,
        max_size=4,
    )
)
def test_variables_lead_back_to_the_path(parts: list[str]) -> None:
    """What the dynamic loader makes of the variables is the library that was meant."""
    path = Path("/", *parts)
    try:
        variables = preload_variables(path)
    except PreloadError:
        assert " " in path.name
        return
    assert " " not in variables["LD_PRELOAD"]
    folder = variables.get("LD_LIBRARY_PATH", "/")
    assert Path(folder, variables["LD_PRELOAD"]) == path


def test_variables_work_in_a_shell(
    system_malloc: Allocator, execute: Function, probe: Path, spaced_library: Path
) -> None:
    env = environment(Launch(("true",), system_malloc, env=preload_variables(spaced_library)))
    run = execute(program=(str(probe),), env=env)
    assert str(spaced_library) in run.out
    assert run.err == ""
