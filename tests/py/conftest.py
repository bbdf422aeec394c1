"""Fixtures for the tests of the Python toolkit: the native parts, found or built once.

The installed package is used where there is one. ``HZ3_BIN_DIR`` (launcher, probe and hz3-cores),
``HZ3_LIBRARY`` (libhz3.so) and ``HZ3_WORKLOADS_DIR`` put freshly built parts in its place. In a
source tree without either, launcher and probe are built; tests that need the library then skip.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from exclusive import exclusive

from hz3py import resources
from hz3py.errors import UnfitMachineError
from hz3py.measure import steady
from hz3py.system import allocators
from hz3py.system.allocators import Allocator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LAUNCHER_SOURCE = Path(__file__).resolve().parents[2] / "cpp" / "launcher"


@dataclass(frozen=True)
class Run:
    """One run of hz3-exec: its exit status, its report line, and the program's output."""

    status: int
    report: dict[str, Any]
    out: str
    err: str


@pytest.fixture(scope="session", autouse=True)
def native_parts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Make `hz3py.resources` find launcher and probe, and the library where there is one."""
    given = {
        "hz3-exec": _below("HZ3_BIN_DIR", "hz3-exec"),
        "hz3-probe": _below("HZ3_BIN_DIR", "hz3-probe"),
        "hz3-cores": _below("HZ3_BIN_DIR", "hz3-cores"),
        "libhz3.so": _below("HZ3_LIBRARY"),
        "workloads": _below("HZ3_WORKLOADS_DIR"),
    }
    with pytest.MonkeyPatch.context() as patch:
        if any(given.values()):
            folder = tmp_path_factory.mktemp("parts")
            for name, path in given.items():
                if path is not None:
                    (folder / name).symlink_to(path)
            patch.setenv(resources.DEV_BUILD_VARIABLE, str(folder))
        elif not _is_installed():
            patch.setenv(resources.DEV_BUILD_VARIABLE, str(_build_launcher(request)))
        yield


@pytest.fixture(autouse=True)
def still_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPUs be at one distance within this process: no test depends on what a host does."""
    monkeypatch.setattr(steady.THIS_MACHINE, "distance_ns", lambda: 80.0)


@pytest.fixture
def launcher() -> Path:
    """Return hz3-exec."""
    return resources.launcher_path()


@pytest.fixture
def probe() -> Path:
    """Return hz3-probe."""
    return resources.probe_path()


@pytest.fixture(scope="session")
def malloc_library(native_parts: None) -> Allocator:
    """Return an allocator that can be preloaded: hz3, else a peer."""
    for allocator in allocators.discover():
        if allocator.installed and allocator.path is not None:
            return allocator
    pytest.skip("neither hz3 nor a peer is installed")


@pytest.fixture
def spaced_library(malloc_library: Allocator, tmp_path: Path) -> Path:
    """Return a link to a preloadable library in a folder with a space in its name."""
    assert malloc_library.path is not None
    folder = tmp_path / "My Projects"
    folder.mkdir()
    link = folder / "libmine.so"
    link.symlink_to(malloc_library.path)
    return link


@pytest.fixture
def execute(launcher: Path) -> Callable[..., Run]:
    """Return a function that runs hz3-exec with a report and takes everything in."""

    def run(
        *options: str,
        program: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Run:
        reader, writer = os.pipe()
        with open(reader, "rb") as report:
            try:
                process = subprocess.run(
                    [str(launcher), "--report-fd", str(writer), *options, "--", *program],
                    capture_output=True,
                    stdin=subprocess.DEVNULL,
                    text=True,
                    pass_fds=(writer,),
                    env=None if env is None else dict(env),
                    timeout=timeout_s,
                    check=False,
                )
            finally:
                os.close(writer)
            line = report.read()
        told = json.loads(line) if line else {}
        return Run(process.returncode, told, process.stdout, process.stderr)

    return run


@pytest.fixture
def is_running() -> Callable[[int], bool]:
    """Return a function that tells whether a process lives (not merely waits to be reaped)."""

    def check(pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return False
        return state.rpartition(")")[2].split()[0] not in ("Z", "X")

    return check


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Return a function that waits for a condition and fails the test if it does not come."""

    def wait(condition: Callable[[], bool], timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail("what was waited for did not happen in time")
            time.sleep(0.01)

    return wait


@pytest.fixture
def system_malloc() -> Allocator:
    """Return the system malloc."""
    return Allocator("system", None, "", True, "", "system")


def _below(variable: str, *parts: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value, *parts).absolute() if value else None


def _is_installed() -> bool:
    try:
        resources.launcher_path()
    except UnfitMachineError:
        return False
    return True


def _build_launcher(request: pytest.FixtureRequest) -> Path:
    """Build launcher and probe into pytest's cache."""
    key = zlib.crc32(str(LAUNCHER_SOURCE).encode())
    folder = Path(request.config.cache.mkdir(f"launcher-{key:08x}"))
    steps = (
        ["cmake", "-S", str(LAUNCHER_SOURCE), "-B", str(folder)],
        ["cmake", "--build", str(folder)],
    )
    with exclusive(folder):
        for step in steps:
            subprocess.run(step, check=True, capture_output=True, timeout=280)
    return folder
