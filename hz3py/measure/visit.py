"""Visits: somebody deals with a program while it is measured, and ends it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Visitor(Protocol):
    """Somebody who deals with a program while it runs, and ends it."""

    def hear(self, data: bytes) -> None:
        """Take in what the program prints, as it comes; in the thread that measures."""

    def run(self, mark: Callable[[str], None], stop: Callable[[int], None]) -> None:
        """Deal with the program, in a thread of its own.

        Args:
            mark: Writes a phase mark, as the program itself could.
            stop: Sends a signal to the program. If it dies of it, that is a good end.
        """

    def ended(self) -> None:
        """The program has ended: `run` has to return soon; in the thread that measures."""


class Visit:
    """A visitor at work in its thread."""

    def __init__(
        self, visitor: Visitor, process: subprocess.Popen[bytes], phase_descriptor: int
    ) -> None:
        """Begin the visit.

        Args:
            visitor: Who it is.
            process: The launcher, which hands signals on to the program.
            phase_descriptor: Where phase marks go; a copy of it is kept until the end.
        """
        self._visitor = visitor
        self._process = process
        self._sent: set[int] = set()
        self._phases = os.dup(phase_descriptor)
        self._thread = threading.Thread(target=visitor.run, args=(self._mark, self._stop))
        self._thread.start()

    def end(self) -> None:
        """Wait until the visitor has left."""
        self._visitor.ended()
        self._thread.join()
        os.close(self._phases)

    def forgiven(self, report: Mapping[str, Any]) -> dict[str, Any]:
        """Return the launcher's report; a death by a signal of the visitor is a good end."""
        if report.get("signal") in self._sent:
            return {**report, "signal": None, "exit_code": 0}
        return dict(report)

    def _mark(self, name: str) -> None:
        # The reader is gone if the program has just ended.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._phases, f"{name}\n".encode())

    def _stop(self, number: int) -> None:
        self._sent.add(number)
        self._process.send_signal(number)
