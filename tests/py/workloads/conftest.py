"""Fixtures for the tests of the workload programs.

The programs run under the system malloc with tiny arguments. ``HZ3_WORKLOADS_DIR=DIR`` tests those
of a build folder instead of the installed ones. A test with an argument ``program`` runs once for
each program.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# Arguments that take a fraction of a second.
TINY: dict[str, str] = {
    "ageing": "2 5 500 200",
    "alloc_test": "2 2000 2048",
    "burst_idle": "300 0.01 2 20 2",
    "cache_scratch": "2 20 8 50",
    "cache_thrash": "2 20 8 50",
    "churn": "2 10 40",
    "glibc_simple": "1600",
    "glibc_thread": "2 0.05",
    "larson": "0.05 8 1000 50 5 4141 2",
    "malloc_large": "6 3 100000 300000",
    "mleak": "1",
    "mstress": "2 1 2",
    "mt_remote": "2 2000 40 16 2048 50 64",
    "random_mixed": "3000 40 16 2048",
    "realloc_growth": "3 16 200000 50 2",
    "rptest": "2 0 1 2 20 100 100 8 16000",
    "xmalloc_test": "2 0.05 64",
}
TIMEOUT_S = 60


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``program`` once for each of them."""
    if "program" in metafunc.fixturenames:
        metafunc.parametrize("program", TINY)


@dataclass(frozen=True)
class Workloads:
    """Finds and runs the programs."""

    find: Callable[[str], Path]

    @property
    def names(self) -> set[str]:
        """The names of all programs."""
        return set(TINY)

    def tiny_words(self, name: str) -> list[str]:
        """Return the tiny arguments of program `name`."""
        return TINY[name].split()

    def start(
        self, name: str, *words: str | float, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run program `name` to its end, whatever that is."""
        return subprocess.run(
            [str(self.find(name)), *map(str, words)],
            env={"PATH": os.environ["PATH"], **(env or {})},
            capture_output="stdout" not in options,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            **options,
        )

    def result(
        self, name: str, *words: str | float, env: dict[str, str] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Run program `name`, expect success and exactly one JSON line, and return that."""
        run = self.start(name, *words, env=env, **options)
        assert run.returncode == 0, run.stderr
        assert run.stderr == ""
        assert run.stdout.count("\n") == 1
        assert run.stdout.endswith("\n")
        document = json.loads(run.stdout)
        assert isinstance(document, dict)
        return document

    def tiny(self, name: str, *words: str | float, **options: Any) -> dict[str, Any]:
        """Run program `name` with its tiny arguments and further words."""
        return self.result(name, *self.tiny_words(name), *words, **options)


@pytest.fixture(scope="session")
def workloads() -> Workloads:
    """Return the programs of HZ3_WORKLOADS_DIR, or else the installed ones."""
    folder = os.environ.get("HZ3_WORKLOADS_DIR")
    if folder:
        return Workloads(lambda name: Path(folder) / name)
    from hz3py import resources  # noqa: PLC0415 - only here the installed package is needed

    return Workloads(resources.workload_path)


@pytest.fixture
def compile_shim(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Return a function that compiles C text and returns the variable that preloads it."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler to build a preloaded library")

    def compile_text(text: str) -> dict[str, str]:
        source = tmp_path / "shim.c"
        library = tmp_path / "shim.so"
        source.write_text(text)
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", library, source],
            check=True,
        )
        return {"LD_PRELOAD": str(library)}

    return compile_text
