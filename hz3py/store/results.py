"""The folder of a run: written by one process at a time, readable at any time.

Every record is on the disk before the next sample starts (flush and fsync). A process that is
killed in the middle of a write leaves a torn last line, which readers skip and the next writer
cuts off; nothing else is ever changed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from hz3py.errors import Hz3Error, StoreError, UsageError
from hz3py.interrupts import PutOff
from hz3py.store.records import (
    EndRecord,
    Record,
    RunRecord,
    SampleRecord,
    VerdictRecord,
    decode,
    encode,
)

RECORDS_NAME = "records.jsonl"
RESULTS_FOLDER = "hz3-results"
"""Where runs go that name no folder, below the working folder."""


@dataclass(frozen=True)
class Results:
    """Everything that a results file holds.

    Attributes:
        run: What was planned.
        samples: One record per row, allocator and block: the latest, if one was repeated.
        ends: One record per time that the run was left.
        whole_bytes: Length of the file up to its last complete line.
        torn: Whether the last line was cut short and is not part of this.
        verdict: The last verdict, if the run is an experiment.
    """

    run: RunRecord
    samples: tuple[SampleRecord, ...]
    ends: tuple[EndRecord, ...]
    whole_bytes: int
    torn: bool
    verdict: VerdictRecord | None = None


def read(directory: Path) -> Results:
    """Read the results of a run, from its folder or from a file of records.

    Raises:
        UsageError: There are none.
        StoreError: They cannot be read, are damaged, or a newer hz3 wrote them.
    """
    path = directory if directory.is_file() else directory / RECORDS_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable("read", path, error) from error
    run: RunRecord | None = None
    samples: dict[tuple[str, str, int], SampleRecord] = {}
    ends: list[EndRecord] = []
    verdict: VerdictRecord | None = None
    whole = 0
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        record = _decode_line(line, path, number, last=whole + len(line) == len(data))
        if record is _TORN:
            break
        whole += len(line)
        if isinstance(record, RunRecord):
            run = run or record
        elif isinstance(record, SampleRecord):
            samples[record.key] = record
        elif isinstance(record, EndRecord):
            ends.append(record)
        elif isinstance(record, VerdictRecord):
            verdict = record
    if run is None:
        raise StoreError(
            f"{path} does not begin with the record of a run",
            hint="the run ended before it began; delete the folder and start again",
        )
    return Results(run, tuple(samples.values()), tuple(ends), whole, whole < len(data), verdict)


def _unreadable(what: str, path: Path, error: OSError) -> Hz3Error:
    """A file that is not there was named wrongly; another one is in trouble."""
    kind = UsageError if isinstance(error, (FileNotFoundError, NotADirectoryError)) else StoreError
    return kind(
        f"cannot {what} {path}: {error.strerror}",
        "give the folder of a run, for example hz3-results/<time>-quick",
    )


class _Torn:
    """The last line of a file, cut short."""


_TORN = _Torn()


def _decode_line(line: bytes, path: Path, number: int, *, last: bool) -> Record | _Torn | None:
    where = f"{path}, line {number}"
    if last and not line.endswith(b"\n"):
        return _TORN
    try:
        return decode(line.decode("utf-8"), where)
    except ValueError as error:
        raise StoreError(
            f"{where}: the line is damaged: {error}",
            hint="the file was changed after it was written; restore it from a copy",
        ) from error


class Writer:
    """Appends records to the results of one run; holds the folder's lock until it is closed."""

    def __init__(self, descriptor: int, path: Path, size_bytes: int) -> None:
        """Take over an open, locked file. Use `create` or `resume` instead.

        Args:
            descriptor: File descriptor, opened for writing, owned by this object from now on.
            path: Its path, for messages.
            size_bytes: Length of the complete records in it.
        """
        self._descriptor = descriptor
        self._path = path
        self._size_bytes = size_bytes

    @classmethod
    def create(cls, directory: Path, run: RunRecord) -> Writer:
        """Start the results of a new run in a folder, which is made if it is missing.

        Raises:
            StoreError: The folder holds results already, or cannot be written.
        """
        path = directory / RECORDS_NAME
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, flags, 0o644)
        except FileExistsError as error:
            raise StoreError(
                f"{directory} holds the results of a run already",
                hint=f"go on with it by --resume {directory}, or choose another --out",
            ) from error
        except OSError as error:
            raise StoreError(
                f"cannot write results to {directory}: {error.strerror}",
                hint="choose a folder that can be written with --out DIR",
            ) from error
        writer = cls._locked(descriptor, path, 0)
        with writer._closed_on_error():
            writer.append(run)
        return writer

    @classmethod
    def resume(cls, directory: Path) -> tuple[Writer, Results]:
        """Open the results of an earlier run to append to them, and read what is there.

        A torn last line is cut off.

        Raises:
            UsageError: There are no results.
            StoreError: Another process writes to them, or they are damaged.
        """
        path = directory / RECORDS_NAME
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable("go on with", path, error) from error
        writer = cls._locked(descriptor, path, 0)
        with writer._closed_on_error():
            results = read(directory)
            writer._size_bytes = results.whole_bytes
            os.ftruncate(descriptor, results.whole_bytes)
        return writer, results

    @classmethod
    def _locked(cls, descriptor: int, path: Path, size_bytes: int) -> Writer:
        writer = cls(descriptor, path, size_bytes)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            writer.close()
            raise StoreError(
                f"another hz3 process is writing to {path.parent}",
                hint="wait until it has ended, or choose another --out",
            ) from error
        return writer

    @property
    def directory(self) -> Path:
        """The folder of the run."""
        return self._path.parent

    def append(self, record: Record) -> None:
        """Write one record and wait until it is on the disk.

        If that fails, what was written of it is removed, so that the file stays whole.

        Raises:
            StoreError: The disk is full, or the file cannot be written.
        """
        line = encode(record).encode("utf-8") + b"\n"
        with PutOff():
            self._append_line(line)

    def _append_line(self, line: bytes) -> None:
        try:
            self._write(line)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            what = "the disk is full" if full else f"cannot write: {error.strerror}"
            raise StoreError(
                f"{self._path}: {what}; every earlier sample is kept",
                hint=f"make room, then go on with --resume {self._path.parent}",
            ) from error
        self._size_bytes += len(line)

    def _write(self, line: bytes) -> None:
        done = 0
        while done < len(line):
            done += os.pwrite(self._descriptor, line[done:], self._size_bytes + done)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Release the folder. Closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Writer:
        """Return the writer itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Release the folder."""
        self.close()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise
