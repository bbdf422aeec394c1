"""What every command needs to talk: one-line refusals, notes, JSON.

Imports next to nothing, for the sake of `hz3 run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hz3py.errors import Hz3Error

EXIT_INTERRUPTED = 130


def out(text: str = "") -> None:
    """Print a line of the result."""
    print(text)


def note(text: str) -> None:
    """Print a line about the result, beside it."""
    print(f"hz3: {text}", file=sys.stderr, flush=True)


def out_json(document: object) -> None:
    """Print a document of `--json`."""
    import json

    print(json.dumps(document, indent=2, ensure_ascii=False))


def refuse(error: Hz3Error) -> int:
    """Say in one line what is wrong, why, and what to try; return the exit code."""
    hint = f"; {error.hint}" if error.hint else ""
    note(" ".join(f"error: {error}{hint}".split()))
    return error.exit_code


def guarded(command: Callable[[], int]) -> int:
    """Run a command; turn what it raises on purpose into a line on stderr and an exit code."""
    try:
        code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough (`hz3 knobs | head`). Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        from hz3py.errors import Hz3Error

        if isinstance(error, Hz3Error):
            return refuse(error)
        raise
    return code
