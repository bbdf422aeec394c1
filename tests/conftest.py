"""Fixtures for the tests that run native programs: build them once, run them under an allocator.

The programs of `tests/native/programs.cmake` know nothing of hz3; they get it by ``LD_PRELOAD``.
``HZ3_TEST_LIBRARY=PATH`` puts another malloc library in its place and ``HZ3_TEST_LIBRARY=none``
the system's own: a right test of standard behaviour passes there, too. ``HZ3_TEST_BUILD=DIR``
keeps the programs in a folder of your choice.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from exclusive import exclusive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A shell starts background jobs with SIGINT ignored, and programs inherit that: tests that
# interrupt one would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

SOURCE = Path(__file__).resolve().parent / "native"
# Variables that would steer an allocator behind the test's back.
STEERING_PREFIXES = ("HZ3_", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


@dataclass(frozen=True)
class Outcome:
    """How a program ended and what it printed."""

    argv: tuple[str, ...]
    status: int  # exit status; minus the signal number if a signal ended it
    out: str
    err: str
    seconds: float
    timed_out: bool

    def report(self) -> str:
        """Describe the run for an assertion message."""
        end = "ran out of time" if self.timed_out else f"ended with {self.status}"
        tail = f"stdout: {self.out[-1500:]}\nstderr: {self.err[-1500:]}"
        return f"{' '.join(self.argv)}: {end} after {self.seconds:.1f} s\n{tail}"

    def expect_success(self) -> Outcome:
        """Fail the test unless the program ended with exit status 0."""
        if self.status != 0 or self.timed_out:
            pytest.fail(self.report(), pytrace=False)
        return self


def execute(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    timeout_s: float = 60,
    stdin: bytes = b"",
    cwd: Path | None = None,
) -> Outcome:
    """Run `argv` with exactly the environment `env`; on time-out the whole session is killed."""
    words = tuple(str(word) for word in argv)
    started = time.monotonic()
    with subprocess.Popen(
        words,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        timed_out = False
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    text = [stream.decode("utf-8", "backslashreplace") for stream in (out, err)]
    seconds = time.monotonic() - started
    return Outcome(words, process.returncode, text[0], text[1], seconds, timed_out)


def base_environment() -> dict[str, str]:
    """Return the environment without anything that steers an allocator."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(STEERING_PREFIXES)}
    if "HZ3_TEST_SEED" in os.environ:
        env["HZ3_TEST_SEED"] = os.environ["HZ3_TEST_SEED"]
    return env


@dataclass(frozen=True)
class Preload:
    """The library under test, or None for the system malloc."""

    library: Path | None

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return an environment in which programs start with the library."""
        env = base_environment()
        if self.library is not None:
            # LD_PRELOAD splits at spaces and colons; a folder of LD_LIBRARY_PATH only at colons.
            if " " in str(self.library):
                env["LD_LIBRARY_PATH"] = str(self.library.parent)
                env["LD_PRELOAD"] = self.library.name
            else:
                env["LD_PRELOAD"] = str(self.library)
        env.update(extra or {})
        return env

    def run(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
        stdin: bytes = b"",
        cwd: Path | None = None,
    ) -> Outcome:
        """Run any command under the library."""
        environment = self.environment(env)
        return execute(argv, env=environment, timeout_s=timeout_s, stdin=stdin, cwd=cwd)


@dataclass(frozen=True)
class Programs:
    """The native test programs and the library they are run under."""

    folder: Path
    preload: Preload

    def path(self, name: str) -> Path:
        """Return the path of program or module `name`."""
        return self.folder / name

    def run(
        self,
        name: str,
        *arguments: str | int | Path,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Outcome:
        """Run program `name` under the library under test."""
        words = [str(argument) for argument in arguments]
        return self.preload.run(self.path(name), *words, env=env, timeout_s=timeout_s)

    def run_plain(self, name: str, *arguments: str | int | Path, timeout_s: float = 60) -> Outcome:
        """Run program `name` under the system malloc."""
        words = [str(argument) for argument in arguments]
        return Preload(None).run(self.path(name), *words, timeout_s=timeout_s)


@pytest.fixture(scope="session")
def preload() -> Preload:
    """Return the library under test: the installed libhz3.so unless HZ3_TEST_LIBRARY says so."""
    chosen = os.environ.get("HZ3_TEST_LIBRARY", "")
    if chosen == "none":
        return Preload(None)
    if chosen:
        return Preload(Path(chosen))
    from hz3py import resources  # noqa: PLC0415 - only here the installed package is needed

    return Preload(resources.library_path())


@pytest.fixture(scope="session")
def plain() -> Preload:
    """Return the system malloc, to compare with."""
    return Preload(None)


@pytest.fixture(scope="session")
def programs(preload: Preload, request: pytest.FixtureRequest) -> Programs:
    """Build the native test programs through CMake and return them."""
    return Programs(build(request.config, "programs"), preload)


@pytest.fixture(scope="session")
def checked_programs(programs: Programs) -> Programs:
    """Return the same programs under the checked build, which lies beside the library under test.

    Skips when another library stands in for hz3.
    """
    library = programs.preload.library
    if library is None or library.name != "libhz3.so":
        pytest.skip("a test of the checked build, and HZ3_TEST_LIBRARY chose a library")
    return Programs(programs.folder, Preload(library.with_name("libhz3-checked.so")))


@pytest.fixture(scope="session")
def units(request: pytest.FixtureRequest) -> Programs:
    """Build the unit tests together with the allocator's sources; they need no preloading."""
    return Programs(build(request.config, "units", "-DHZ3_TEST_UNITS=ON"), Preload(None))


@pytest.fixture(scope="session")
def is_hz3(preload: Preload) -> bool:
    """Tell whether the library under test is hz3: its own promises can only be tested there."""
    return preload.library is not None and preload.library.name.startswith("libhz3")


@pytest.fixture
def hz3_only(is_hz3: bool) -> None:
    """Skip a test of hz3's own promises when another library stands in for it."""
    if not is_hz3:
        pytest.skip("a promise of hz3 alone, and HZ3_TEST_LIBRARY put another library in its place")


def build_folder(config: pytest.Config, what: str) -> Path:
    """Choose where to build: a given folder, else one that pytest keeps, else a new one."""
    base = os.environ.get("HZ3_TEST_BUILD")
    if base:
        return Path(base) / what
    cache = getattr(config, "cache", None)  # absent under -p no:cacheprovider
    if cache is None or not os.access(config.rootpath, os.W_OK):
        return Path(tempfile.mkdtemp(prefix=f"hz3-native-{what}-"))
    # CMake remembers absolute paths: a source tree that was moved gets a folder of its own.
    folder: Path = cache.mkdir(f"native-{what}-{zlib.crc32(str(SOURCE).encode()):08x}")
    return folder


def build(config: pytest.Config, what: str, *options: str) -> Path:
    """Configure and build, in a folder that later runs find again; return that of the programs.

    A failure shows the compiler's last lines.
    """
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.fail("cmake is missing; it comes with: pip install 'hz3[test]'", pytrace=False)
    folder = build_folder(config, what)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    target = ["--target", "units"] if what == "units" else []
    steps: tuple[list[str | Path], ...] = (
        [cmake, "-S", SOURCE, "-B", folder, *generator, *options],
        [cmake, "--build", folder, "--parallel", str(os.cpu_count() or 1), *target],
    )
    with exclusive(folder):
        for step in steps:
            outcome = execute(step, env=base_environment(), timeout_s=280)
            if outcome.status != 0:
                pytest.fail(outcome.report(), pytrace=False)
    return folder / "programs"
