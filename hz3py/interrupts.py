"""Putting interrupts off while something must not be left half done."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

    Handler = Callable[[int, FrameType | None], object] | int | None

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PutOff:
    """Lets interrupts wait until `let_through` or the end of the ``with`` block.

    Blocking the signals would not do: another thread of the process could take them, and a program
    that is started meanwhile would inherit the block. In other threads than the main one, which get
    no signals in Python, this does nothing.
    """

    def __init__(self) -> None:
        self._came: list[int] = []
        self._earlier: dict[int, Handler] = {}

    def __enter__(self) -> PutOff:
        """Begin to wait."""
        if threading.current_thread() is threading.main_thread():
            for number in INTERRUPTS:
                self._earlier[number] = signal.signal(number, self._note)
        return self

    def let_through(self) -> None:
        """Let interrupts work again as before; the first that waited comes now."""
        for number, handler in self._earlier.items():
            signal.signal(number, handler or signal.SIG_DFL)
        self._earlier.clear()
        came, self._came = self._came[:1], []
        if came:
            signal.raise_signal(came[0])

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End the waiting, if `let_through` has not."""
        self.let_through()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)
