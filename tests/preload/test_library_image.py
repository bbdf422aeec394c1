"""What of the library's own file stays in a process's memory."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Preload

KIB = 1024
GIVEN_BACK = 40 * KIB  # of about 150
# What the kernel maps around a page depends on the address, which is another at each start.
STARTS = 24


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
def sleepers(preload: Preload, hz3_only: None) -> Iterator[list[int]]:
    """Start programs that sleep, preloaded, and return their process ids."""
    with ExitStack() as stack:
        pids = []
        for _ in range(STARTS):
            process = stack.enter_context(
                subprocess.Popen(["/bin/sleep", "60"], env=preload.environment())
            )
            stack.callback(process.kill)
            pids.append(process.pid)
        yield pids


def given_back(pid: int, library: Path) -> int:
    mapped, resident = own_pages(pid, library)
    return mapped - resident if resident else 0


def test_cold_parts_leave_memory_after_the_start(preload: Preload, sleepers: list[int]) -> None:
    assert preload.library is not None
    library = preload.library.resolve()
    deadline = time.monotonic() + 10
    least = 0
    while least < GIVEN_BACK and time.monotonic() < deadline:
        time.sleep(0.05)
        least = min(given_back(pid, library) for pid in sleepers)
    assert least >= GIVEN_BACK
