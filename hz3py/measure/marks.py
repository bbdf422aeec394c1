"""Phase marks made from what a program prints, for programs that cannot write marks themselves."""

from __future__ import annotations

import os
import re

MOST_CHARACTERS = 40
_LONGEST_LINE = 64 * 1024


class LineMarks:
    """Turns lines of output that match a pattern into marks, on the pipe that programs use.

    The sampler stamps a mark when it arrives. A program that writes to a pipe often keeps its
    lines back until a buffer is full; `stdbuf -oL` and `python -u` let them go at once.
    """

    def __init__(self, pattern: re.Pattern[str], descriptor: int) -> None:
        """Start.

        Args:
            pattern: Searched for in each line.
            descriptor: Writing end of the pipe of marks; owned by this object from now on.
        """
        self._pattern = pattern
        self._descriptor = descriptor
        self._partial: dict[int, bytes] = {}

    def feed(self, stream: int, data: bytes) -> None:
        """Take what came from one stream; complete lines are looked at."""
        *lines, rest = (self._partial.get(stream, b"") + data).split(b"\n")
        self._partial[stream] = rest[-_LONGEST_LINE:]
        for line in lines:
            found = self._pattern.search(line.decode("utf-8", "replace"))
            if found is not None:
                os.write(self._descriptor, mark_name(found).encode("ascii") + b"\n")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._descriptor)


def mark_name(found: re.Match[str]) -> str:
    """Return the name of a mark: the first group, or the whole match; plain characters only."""
    text = found.group(1) if found.re.groups and found.group(1) else found.group(0)
    plain = re.sub(r"[^A-Za-z0-9._:+-]+", "-", text).strip("-")
    return plain[:MOST_CHARACTERS] or "mark"
