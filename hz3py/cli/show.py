"""Tables on the screen: bold and colour on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys

from hz3py.cli.console import out
from hz3py.report.text import Style, Table, layout

_STYLES: dict[Style, str] = {
    "": "",
    "heading": "bold",
    "titles": "dim",
    "best": "green",
    "failed": "red",
}


def show(table: Table) -> None:
    """Print a table to stdout."""
    if not sys.stdout.isatty():
        for line in layout(table):
            out(line.text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in layout(table, console.width):
        console.print(Text(line.text, style=_STYLES[line.style]))
