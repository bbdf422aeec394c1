"""Entry of the `hz3` command.

`hz3 run` goes a way of its own that imports next to nothing, because it stands in front of every
program a person starts with it; everything else goes through click.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: Words after `hz3`; None takes those of the process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["run"]:
        from hz3py.cli.run import main as run_main

        return run_main(words[1:])
    from hz3py.cli.app import main as app_main

    return app_main(words)


if __name__ == "__main__":
    sys.exit(main())
