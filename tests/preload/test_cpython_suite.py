"""Python's own tests under the preloaded library: none may fail that passes without it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Outcome, Preload

QUICK = ("test_threading", "test_subprocess", "test_io", "test_json", "test_gc")
SLOW = (
    *QUICK,
    "test_bytes",
    "test_capi",
    "test_ctypes",
    "test_fork1",
    "test_mmap",
    "test_os",
    "test_pickle",
    "test_posix",
    "test_queue",
    "test_re",
    "test_signal",
    "test_sqlite3",
    "test_thread",
    "test_unicode",
    "test_zlib",
)


@pytest.fixture(scope="session")
def interpreter(plain: Preload) -> str:
    """Find a Python that has its test package; distributions often split it off."""
    candidates = (sys.executable, shutil.which("python3"), "/usr/bin/python3")
    for candidate in candidates:
        if candidate and plain.run(candidate, "-c", "import test.test_gc").status == 0:
            return candidate
    pytest.skip("no Python with its test package (Debian: apt-get install libpython3.11-testsuite)")


def run_suite(preload: Preload, folder: Path, words: tuple[str, ...], **env: str) -> Outcome:
    folder.mkdir()
    options = ("-m", "test", "-j2", "--timeout=240", "--junit-xml", "result.xml")
    return preload.run(
        words[0],
        *options,
        *words[1:],
        env={"TMPDIR": str(folder), **env},
        timeout_s=1500,
        cwd=folder,
    )


def failing(folder: Path) -> set[str]:
    """Read the names of the tests that failed from the JUnit file of a run."""
    assert (folder / "result.xml").is_file(), "the run wrote no results"
    root = ElementTree.parse(folder / "result.xml").getroot()
    cases = [case for case in root.iter("testcase") if case.get("result") == "completed"]
    assert len(cases) > 100
    return {
        case.get("name", "?")
        for case in root.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    }


def compare(
    preload: Preload, plain: Preload, tmp_path: Path, words: tuple[str, ...], **env: str
) -> None:
    ours = run_suite(preload, tmp_path / "hz3", words, **env)
    assert "hz3:" not in ours.err, ours.report()
    assert "== Tests result: " in ours.out, ours.report()
    if ours.status == 0:
        return  # nothing failed: nothing to compare with
    run_suite(plain, tmp_path / "plain", words, **env)
    new = failing(tmp_path / "hz3") - failing(tmp_path / "plain")
    assert not new, f"fail only under hz3: {sorted(new)}\n{ours.report()}"


def test_a_handful_of_modules(
    preload: Preload, plain: Preload, tmp_path: Path, interpreter: str
) -> None:
    compare(preload, plain, tmp_path, (interpreter, *QUICK))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("allocator", ["pymalloc", "malloc"])
def test_many_modules(
    preload: Preload, plain: Preload, tmp_path: Path, interpreter: str, allocator: str
) -> None:
    compare(preload, plain, tmp_path, (interpreter, *SLOW), PYTHONMALLOC=allocator)
