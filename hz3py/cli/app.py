"""The `hz3` command group: knows the name and the one-line help of each command, imports one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from hz3py.cli.console import guarded
from hz3py.errors import UsageError

COMMANDS = {
    "bench": "Compare allocators on a suite of workloads, or on any command.",
    "rss": "Show the resident memory of a program over time under each allocator.",
    "ab": "Decide between settings or allocators: GO, NO-GO, EQUIVALENT or UNDECIDED.",
    "report": "Make a report of a run: one HTML file, Markdown or text.",
    "compare": "Show how two runs, or two allocators of a run, differ.",
    "run": "Run a program under an allocator.",
    "top": "Watch the allocator of a running process.",
    "tune": "Search better knobs for a workload, a program or a server.",
    "verify": "Measure again whether a tuned profile still pays.",
    "knobs": "List the knobs of hz3.",
    "allocators": "List the allocators on this machine.",
    "workloads": "List the packaged workload programs.",
    "doctor": "Check whether this machine is fit for measuring, and what is missing.",
    "path": "Print the path of libhz3.so, for LD_PRELOAD=$(hz3 path).",
    "env": "Print the lines that deploy an allocator: shell, systemd or Docker.",
}

EPILOG = """
\b
Exit codes:
    0  done; GO
    1  NO-GO, or a regression
    2  usage: an unknown name, a wrong value, a missing file
    3  undecided: the measurements cannot carry a verdict yet
    4  the machine is not fit, or hz3 is not completely installed
    5  a workload failed, a preload did not take, or results could not be written
  130  interrupted; finished samples are kept

`hz3 run` ends with the code of the program it runs.
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return the command in it."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"hz3py.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"hz3py.cli.{cmd_name}.command is not a command")
        # Docstrings are raw; click looks for the character itself where lines must not be joined.
        command.help = (command.help or "").replace("\\b\n", "\b\n")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table above, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is named with its nearest neighbour."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UsageError(f"unknown command {args[0]!r}", f"{_nearest(args[0])}see `hz3 --help`")
        return super().resolve_command(ctx, args)


def _nearest(word: str) -> str:
    import difflib

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"did you mean `hz3 {near[0]}`? " if near else ""


def _show_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from hz3py.system.machine import hz3_version

        click.echo(f"hz3 {hz3_version() or '(not installed)'}")
        ctx.exit(0)


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Measure, compare and deploy the hz3 memory allocator.

    `hz3 bench` compares hz3 with the system malloc, tcmalloc, mimalloc and jemalloc on speed and
    resident memory. Every command has a --help of its own.
    """


def main(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: Words after `hz3`.
    """
    return guarded(lambda: _run(list(arguments)))


def _run(arguments: list[str]) -> int:
    if not arguments:
        arguments = ["--help"]
    stdout = sys.stdout
    try:
        result: Any = group.main(args=arguments, prog_name="hz3", standalone_mode=False)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "hz3"
        raise UsageError(_sentence(error.format_message()), f"see `{path} --help`") from error
    except click.ClickException as error:
        raise UsageError(_sentence(error.format_message())) from error
    except SystemExit as error:
        # click answers a reader that stopped early by another stdout and exit code 1.
        if sys.stdout is not stdout:
            raise BrokenPipeError from error
        raise
    return result if isinstance(result, int) else 0


def _sentence(text: str) -> str:
    """Put a message of click into the form of ours: no capital, no full stop."""
    return (text[:1].lower() + text[1:]).rstrip(".")
