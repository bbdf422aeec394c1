"""Reading the kernel's small text files, which may be missing, hidden or refused."""

from __future__ import annotations

import re
from pathlib import Path


def read_text(path: str) -> str | None:
    """Return the stripped content of `path`; ``None`` if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_number(path: str) -> int | None:
    """Return the one number in `path`; ``None`` if there is none."""
    text = read_text(path)
    return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None


def read_table(path: str) -> dict[str, int]:
    """Return the lines "name number ..." of `path`; colons after names and units are dropped."""
    pairs = re.findall(r"^(\S+?):?\s+(\d+)", read_text(path) or "", re.MULTILINE)
    return {name: int(number) for name, number in pairs}


def selected_word(path: str) -> str | None:
    """Return the word that a menu like ``always [madvise] never`` has in brackets."""
    found = re.search(r"\[(\S+)\]", read_text(path) or "")
    return found.group(1) if found else None
