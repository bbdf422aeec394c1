"""TOML files that people write or pass on: read, and held to the schema that this hz3 knows.

`hz3 run` reads profiles through it, so this module imports little.
"""

from __future__ import annotations

import sys

from hz3py.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    # Absent where the checks run on a newer Python.
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]


def read(path: Path | str, what: str, hint: str = "") -> dict[str, Any]:
    """Return what a TOML file holds.

    Args:
        path: The file, in UTF-8.
        what: What it should be, for messages: "suite", "profile".
        hint: What to try where there is no such file.

    Raises:
        UsageError: The file cannot be read, or is not TOML; the message has its path.
    """
    try:
        with open(path, "rb") as file:
            content: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the {what} {path}: {error.strerror}", hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the {what} {path} is not valid TOML: {error}") from error
    return content


def check_schema(
    data: Mapping[str, Any],
    where: str,
    known: int,
    hint: str = "update hz3, or write the file for this version",
) -> None:
    """Refuse a file that was written for another version of hz3.

    Args:
        data: The file's content.
        where: What it is, for messages; its path at least.
        known: The schema that this hz3 reads.
        hint: What to try.

    Raises:
        UsageError: The file names another schema, or none.
    """
    found = data.get("schema")
    if isinstance(found, bool) or found != known:
        has = "no schema" if found is None else f"schema {found!r}"
        raise UsageError(f"{where} has {has}, this hz3 reads schema {known}", hint)
