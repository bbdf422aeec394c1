"""Measuring a server: start it, wait until it is ready, let a client ask it, stop it.

The sample is the server's: its memory from the first request to the last one. The speed is the
client's: what it prints, or one over the time it took.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hz3py.measure.run import measure
from hz3py.measure.series import WORK_BEGIN, WORK_END
from hz3py.system.launch import clean_environment

if TYPE_CHECKING:
    from hz3py.measure.sample import Sample
    from hz3py.system.launch import Launch

_POLL_S = 0.01
_CLIENT_S = 600.0
_KEPT_BYTES = 64 * 1024


def measure_server(
    launch: Launch,
    *,
    client: Sequence[str],
    port: int | None = None,
    ready: str | None = None,
    start_s: float = 30.0,
    interval_s: float = 0.002,
) -> Sample:
    """Run a server once, with one run of a client, and return what both told.

    Args:
        launch: The server, and under which allocator.
        client: Command line of the client; it runs under the system malloc.
        port: TCP port on this machine that the server opens when it is ready.
        ready: Regular expression in the server's output that says that it is ready.
        start_s: Seconds within which it has to be ready.
        interval_s: Seconds between memory samples to begin with.

    Returns:
        The server's sample; its output is the client's, and its `wall_s` the time that the client
        took. If the client failed the sample is "failed".
    """
    visit = _Visit(client, port, re.compile(ready.encode()) if ready else None, start_s)
    if port is not None and _answers(port):
        return replace(
            _nothing(), detail=f"port {port} is in use before the server has started; stop that one"
        )
    sample = measure(launch, expect_json=False, interval_s=interval_s, visitor=visit)
    if sample.ok and visit.complaint:
        sample = replace(sample, status="failed", detail=visit.complaint)
    if not sample.ok:
        return sample
    return replace(
        sample,
        exec={**sample.exec, "wall_s": visit.client_s},
        stdout_tail=visit.output,
        stderr_tail="",
    )


def _nothing() -> Sample:
    from hz3py.measure.sample import Sample

    return Sample(status="failed")


class _Visit:
    """One run of the client; `run` is called in a thread of its own once the server is started."""

    def __init__(
        self,
        client: Sequence[str],
        port: int | None,
        ready: re.Pattern[bytes] | None,
        start_s: float,
    ) -> None:
        self.complaint = "the server ended before the client was started"
        self.output = ""
        self.client_s = 0.0
        self._client = list(client)
        self._port = port
        self._ready = ready
        self._start_s = start_s
        self._over = threading.Event()
        self._is_ready = threading.Event()
        self._heard = b""
        self._process: subprocess.Popen[str] | None = None

    def hear(self, data: bytes) -> None:
        """Take in what the server prints; called by the thread that measures."""
        if self._ready is not None and not self._is_ready.is_set():
            self._heard = (self._heard + data)[-_KEPT_BYTES:]
            if self._ready.search(self._heard):
                self._is_ready.set()

    def ended(self) -> None:
        """The server is gone; called by the thread that measures."""
        self._over.set()
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def run(self, mark: Callable[[str], None], stop: Callable[[int], None]) -> None:
        """Wait, run the client, stop the server."""
        try:
            if not self._wait():
                return
            mark(WORK_BEGIN)
            self._ask()
            mark(WORK_END)
        finally:
            if not self._over.is_set():
                stop(signal.SIGTERM)

    def _wait(self) -> bool:
        deadline = time.monotonic() + self._start_s
        while not self._over.is_set():
            if self._is_ready.is_set() or (self._port is not None and _answers(self._port)):
                return True
            if time.monotonic() > deadline:
                what = f"port {self._port}" if self._port is not None else "its ready line"
                self.complaint = f"the server did not show {what} within {self._start_s:g} s"
                return False
            time.sleep(_POLL_S)
        return False

    def _ask(self) -> None:
        start = time.monotonic()
        try:
            self._process = subprocess.Popen(
                self._client,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            self.complaint = f"the client {self._client[0]} does not run: {error.strerror}"
            return
        try:
            output, _ = self._process.communicate(timeout=_CLIENT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
            self.complaint = f"the client did not end within {_CLIENT_S:g} s"
            return
        self.client_s = time.monotonic() - start
        self.output = output[-_KEPT_BYTES:]
        if self._over.is_set():
            self.complaint = "the server ended while the client was running"
        elif self._process.returncode != 0:
            last = output.strip().splitlines()[-1:] or ["it said nothing"]
            self.complaint = (
                f"the client ended with code {self._process.returncode}: {last[0][:200]}"
            )
        else:
            self.complaint = ""


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False
