"""Which program file a sample ran, so that samples of two builds are never taken for one."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path

DIGEST_CHARACTERS = 16


def program_identity(program: str) -> str:
    """Return the path of a program and a digest of its content; the path alone if unreadable.

    Args:
        program: Absolute path.
    """
    try:
        state = os.stat(program)
        return _digest(program, state.st_mtime_ns, state.st_size)
    except OSError:
        return program


@cache
def _digest(program: str, _mtime_ns: int, _size_bytes: int) -> str:
    """Read each build of a program once."""
    digest = hashlib.sha256(Path(program).read_bytes()).hexdigest()
    return f"{program} {digest[:DIGEST_CHARACTERS]}"
