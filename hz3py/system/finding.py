"""One answer of a health check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what that means.

    Attributes:
        check: Name of the check, one or two words.
        state: "ok"; "warn": results are less certain; "bad": something does not work.
        value: What was found.
        meaning: What it does to a measurement or to a program, one sentence.
        hint: What to do about it; empty when all is well.
    """

    check: str
    state: State
    value: str
    meaning: str
    hint: str = ""
