"""What of the library's own file stays in a process's memory."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Preload

KIB = 1024
GIVEN_BACK = 40 * KIB  # of about 150


def own_pages(pid: int, library: Path) -> tuple[int, int]:
    """Return the (mapped, resident) bytes of the parts of the file that nobody writes to."""
    mapped = resident = 0
    own = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if span := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ", line):
            own = line.endswith(str(library)) and "w" not in span[3]
            if own:
                mapped += int(span[2], 16) - int(span[1], 16)
        elif own and line.startswith("Rss:"):
            resident += int(line.split()[1]) * KIB
    return mapped, resident


@pytest.fixture
def sleeper(preload: Preload, hz3_only: None) -> Iterator[int]:
    """Start a program that sleeps, preloaded, and return its process id."""
    with subprocess.Popen(["/bin/sleep", "60"], env=preload.environment()) as process:
        yield process.pid
        process.kill()


def test_cold_parts_leave_memory_after_the_start(preload: Preload, sleeper: int) -> None:
    assert preload.library is not None
    deadline = time.monotonic() + 10
    mapped = resident = 0
    while mapped - resident < GIVEN_BACK and time.monotonic() < deadline:
        time.sleep(0.05)
        mapped, resident = own_pages(sleeper, preload.library.resolve())
    assert resident > 0
    assert mapped - resident >= GIVEN_BACK
