"""The errors a person can meet: one small tree, each class with its exit code.

Every error says in one line what happened and why; ``hint`` says what to try next. The command
line catches :class:`Hz3Error` in one place, prints both and leaves with ``exit_code``.

Exit codes: 0 fine or GO, 1 NO-GO or regression (a verdict, so not an error), 2 usage,
3 undecided, 4 unfit machine, 5 a workload, a preload or the result store failed.
"""

from __future__ import annotations

from typing import ClassVar


class Hz3Error(Exception):
    """Base of every error that hz3 raises on purpose.

    Args:
        message: What happened and why, one line without a final full stop.
        hint: What to try next, one line; empty when there is nothing to say.
    """

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(Hz3Error):
    """The request itself is wrong: an unknown name, a value out of range, a missing file."""

    exit_code = 2


class UndecidedError(Hz3Error):
    """The measurements cannot carry a verdict yet."""

    exit_code = 3


class UnfitMachineError(Hz3Error):
    """This machine cannot do what was asked: too noisy, or hz3 is not completely installed."""

    exit_code = 4


class WorkloadFailedError(Hz3Error):
    """A workload crashed, hung, printed garbage or ran out of memory."""

    exit_code = 5


class PreloadError(Hz3Error):
    """A library cannot be preloaded, or was preloaded and did not take."""

    exit_code = 5


class StoreError(Hz3Error):
    """Results cannot be written or read back."""

    exit_code = 5
