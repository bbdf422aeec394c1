"""Live pages: what processes that run under hz3 publish of themselves in /dev/shm.

A process that was started with HZ3_LIVE_PAGE=1 keeps a small file up to date; the layout is that of
cpp/src/observe/live_page.h. Readers never disturb the process. A file that its process does not map
any more stayed behind when that was killed or became another program.
"""

from __future__ import annotations

import contextlib
import mmap
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from hz3py.errors import PreloadError, UsageError

FOLDER: Final = Path("/dev/shm")
VERSION: Final = 1

_NAME: Final = re.compile(r"hz3-(\d+)-(\d+)")
_MAGIC: Final = b"hz3live\0"
# magic, version, process, offset of the entries, bytes of one, gauges, counters, start, sequence,
# time of the last update
_HEAD: Final = struct.Struct("=8s6I3Q")
_SEQUENCE: Final = struct.Struct("=Q")
_SEQUENCE_OFFSET: Final = 40
_ENTRY: Final = struct.Struct("=32sQ")
_TRIES: Final = 200
_TRY_S: Final = 0.0005

_TURN_ON: Final = "start it with HZ3_LIVE_PAGE=1, or by `hz3 run --knob live_page=1 -- PROG`"


class ProcessEndedError(UsageError):
    """The process that was being watched is gone."""


@dataclass(frozen=True)
class Reading:
    """What a page said at one moment.

    Attributes:
        pid: The process.
        uptime_s: Seconds since it began to publish.
        age_s: Seconds since its last update; large where nothing happens.
        gauges: Name to present value, as in `hz3py.stats()`.
        counters: Name to value since the start.
    """

    pid: int
    uptime_s: float
    age_s: float
    gauges: dict[str, int]
    counters: dict[str, int]


class LivePage:
    """The page of one process, open for reading until `close`.

    Args:
        pid: The process.

    Raises:
        UsageError: There is no such process, it publishes nothing, or it is somebody else's.
        PreloadError: The page is of another version.
    """

    def __init__(self, pid: int) -> None:
        """Find and open the page."""
        self.pid = pid
        try:
            self._process = psutil.Process(pid)
        except (psutil.NoSuchProcess, ValueError, OverflowError) as error:
            raise UsageError(
                f"there is no process {pid}", "`hz3 top` lists those that publish"
            ) from error
        file = _file_of(pid)
        try:
            with file.open("rb") as opened:
                self._memory = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
        except PermissionError as error:
            raise UsageError(
                f"the live page of process {pid} belongs to user {file.stat().st_uid}",
                "run `hz3 top` as that user or as root",
            ) from error
        except (OSError, ValueError) as error:
            raise _silent(pid) from error
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the page."""
        self._memory.close()

    def read(self) -> Reading:
        """Return what the page says now.

        Raises:
            ProcessEndedError: The process is gone.
            PreloadError: The page is always being written, so its writer must have died in it.
        """
        if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessEndedError(f"process {self.pid} has ended")
        for _ in range(_TRIES):
            before = self._sequence()
            content = self._memory[:]
            if before % 2 == 0 and self._sequence() == before:
                return self._parsed(content)
            time.sleep(_TRY_S)
        raise PreloadError(f"the live page of process {self.pid} is never finished", "try again")

    def rss_bytes(self) -> int:
        """Return the resident memory of the process; 0 if it is gone or somebody else's."""
        try:
            return int(self._process.memory_info().rss)
        except psutil.Error:
            return 0

    def command(self) -> str:
        """Return the command line of the process, as far as it can be seen."""
        return _command(self._process)

    def _check(self) -> None:
        if len(self._memory) < _HEAD.size or self._memory[: len(_MAGIC)] != _MAGIC:
            raise _silent(self.pid)
        version = _HEAD.unpack_from(self._memory)[1]
        if version != VERSION:
            raise PreloadError(
                f"process {self.pid} publishes version {version} of the live page, and this hz3 "
                f"reads version {VERSION}",
                "use the hz3 that the process was started with",
            )

    def _sequence(self) -> int:
        value: int = _SEQUENCE.unpack_from(self._memory, _SEQUENCE_OFFSET)[0]
        return value

    def _parsed(self, content: bytes) -> Reading:
        head = _HEAD.unpack_from(content)
        offset, entry_bytes, gauges, counters, started_ns = head[3:8]
        updated_ns = head[9]
        values: list[tuple[str, int]] = []
        for index in range(gauges + counters):
            name, value = _ENTRY.unpack_from(content, offset + index * entry_bytes)
            values.append((name.split(b"\0")[0].decode("ascii"), value))
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return Reading(
            pid=self.pid,
            uptime_s=max(now_ns - started_ns, 0) / 1e9,
            age_s=max(now_ns - updated_ns, 0) / 1e9,
            gauges=dict(values[:gauges]),
            counters=dict(values[gauges:]),
        )


def publishing() -> list[int]:
    """Return the processes whose pages this user can read, in rising order.

    Pages of dead processes are removed where this user may do so.
    """
    found = []
    for file, pid in _files():
        if not psutil.pid_exists(pid):
            with contextlib.suppress(OSError):
                file.unlink()
        elif _is_mapped(file, pid):
            with contextlib.suppress(UsageError, PreloadError):
                LivePage(pid).close()
                found.append(pid)
    return sorted(found)


def _files() -> Iterator[tuple[Path, int]]:
    if not FOLDER.is_dir():
        return
    for file in FOLDER.iterdir():
        name = _NAME.fullmatch(file.name)
        if name is not None:
            yield file, int(name.group(2))


def _file_of(pid: int) -> Path:
    """Return the file that the process publishes.

    Raises:
        UsageError: There is none.
    """
    for file, owner in _files():
        if owner == pid and _is_mapped(file, pid):
            return file
    raise _silent(pid)


def _is_mapped(file: Path, pid: int) -> bool:
    """Whether the process has the file mapped; a process that cannot be looked into is believed."""
    try:
        inode = str(file.stat().st_ino)
        lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except PermissionError:
        return True
    except OSError:
        return False
    rows = (line.split(maxsplit=5) for line in lines.splitlines())
    return any(len(row) == 6 and row[4] == inode and row[5] == str(file) for row in rows)


def _silent(pid: int) -> UsageError:
    return UsageError(f"process {pid} publishes no live page", _TURN_ON)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(" ".join(process.cmdline()).split()) or process.name()
    except psutil.Error:
        return "?"
