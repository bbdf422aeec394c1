"""`hz3 path`: where libhz3.so lies."""

from __future__ import annotations

import click

from hz3py.cli.console import note, out, out_json
from hz3py.cli.options import json_option
from hz3py.resources import library_path


@click.command()
@json_option
def command(*, as_json: bool) -> None:
    r"""Print the path of libhz3.so.

    \b
    Use it as    LD_PRELOAD=$(hz3 path) PROGRAM
    or           hz3 run -- PROGRAM
    """
    path = str(library_path())
    if as_json:
        out_json({"schema": 1, "path": path})
    else:
        out(path)
    if any(separator in path for separator in " :\t"):
        # LD_PRELOAD has no way to quote them.
        note("LD_PRELOAD cannot hold this path; use `hz3 run`, or the lines of `hz3 env`")
