"""Allocation at the edges of a process's life: first calls, constructors, exit, dlopen."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Programs

MOMENTS = ("preinit", "constructor", "main", "thread", "child")
CASES = (
    "dlsym",
    "atexit",
    "static_destructor",
    "quick_exit",
    "exit_from_thread",
    "errno",
    "signal_handler",
    "libc_state",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_each_function_as_the_first_call(programs: Programs, moment: str) -> None:
    operations = programs.run_plain("first_op", "--list").expect_success().out.split()
    assert len(operations) >= 20
    for operation in operations:
        outcome = programs.run("first_op", operation, moment)
        assert outcome.out == "done\n", outcome.report()
        outcome.expect_success()


def test_every_case_is_listed(programs: Programs) -> None:
    assert sorted(programs.run_plain("life_cycle", "--list").out.split()) == sorted(CASES)


@pytest.mark.parametrize("case", CASES)
def test_life_cycle(programs: Programs, case: str) -> None:
    for _ in range(5):
        outcome = programs.run("life_cycle", case).expect_success()
        assert outcome.out == "done\n"


def test_modules_are_opened_and_closed(programs: Programs) -> None:
    module = programs.path("module.so")
    programs.run("open_modules", "cycle", module, 500).expect_success()


@pytest.mark.usefixtures("hz3_only")
def test_the_library_can_be_opened_late(programs: Programs, tmp_path: Path) -> None:
    """As a Python extension does it: after many modules took their thread-local storage."""
    assert programs.preload.library is not None
    modules = [tmp_path / f"module{number}.so" for number in range(64)]
    for module in modules:
        shutil.copyfile(programs.path("module.so"), module)
    words = ("late", programs.preload.library, *modules)
    programs.run_plain("open_modules", *words).expect_success()


@pytest.mark.usefixtures("hz3_only")
def test_a_path_with_spaces_can_be_preloaded(programs: Programs, tmp_path: Path) -> None:
    assert programs.preload.library is not None
    folder = tmp_path / "a folder"
    folder.mkdir()
    shutil.copyfile(programs.preload.library, folder / "libhz3.so")
    env = {"LD_LIBRARY_PATH": str(folder), "LD_PRELOAD": "libhz3.so"}
    outcome = programs.run("symbols", env=env).expect_success()
    assert f"malloc {folder / 'libhz3.so'}\n" in outcome.out
