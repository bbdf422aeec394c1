"""Options that several commands share, and how their values become allocators and programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from hz3py.cli.console import note
from hz3py.errors import UnfitMachineError, UsageError
from hz3py.system import target
from hz3py.system.allocators import (
    DEFAULT_BENCH_SET,
    Allocator,
    find,
    install_line,
    known_names,
    parse_extra,
)

Function = TypeVar("Function", bound=Callable[..., Any])

PROGRAM_KEY = "hz3py.program"


class ProgramCommand(click.Command):
    """A command that takes a program and its arguments after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the program aside, so that its options are not taken for ours."""
        if "--" in args:
            place = args.index("--")
            ctx.meta[PROGRAM_KEY] = tuple(args[place + 1 :])
            args = args[:place]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the usage line with the program at its end."""
        pieces = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, f"{pieces} [-- PROGRAM [ARGS]...]")


def program(ctx: click.Context) -> tuple[str, ...] | None:
    """Return the words after `--`, the program as an absolute path; None if there is no `--`.

    Raises:
        UsageError: There is a `--` and no program after it, or the program does not exist.
    """
    words: tuple[str, ...] | None = ctx.meta.get(PROGRAM_KEY)
    if words is None:
        return None
    if not words:
        raise UsageError("no program after `--`", f"write `{ctx.command_path} -- PROGRAM ARGS`")
    found = shutil.which(words[0])
    if found is None:
        raise UsageError(f"cannot run {words[0]!r}: no such program", "check its name and PATH")
    return (os.path.abspath(found), *words[1:])


def refuse_unpreloadable(words: Sequence[str], allocators: Sequence[Allocator]) -> None:
    """Refuse a program that would run with its own malloc whatever is preloaded.

    Args:
        words: The program and its arguments.
        allocators: The allocators it shall run under.

    Raises:
        PreloadError: The program cannot take a preload, and one is asked for.
    """
    if any(allocator.path is not None for allocator in allocators):
        target.check(words[0])


def allocator_options(function: Function) -> Function:
    """Add --allocators and --allocator to a command."""
    own = click.option(
        "--allocator",
        "extra",
        multiple=True,
        metavar="NAME=PATH",
        help="Measure this library as well; may be repeated.",
    )
    names = click.option(
        "--allocators",
        "names",
        metavar="NAMES",
        help=f"Which allocators, by comma [default: {','.join(DEFAULT_BENCH_SET)}].",
    )
    return names(own(function))


def json_option(function: Function) -> Function:
    """Add --json to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")(function)


def split(text: str | None) -> list[str]:
    """Return the words of a comma-separated option."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def chosen_allocators(names: str | None, extra: Sequence[str]) -> list[Allocator]:
    """Return the installed allocators among those asked for; name the missing ones on stderr.

    Args:
        names: Comma-separated names; None or empty is the default set.
        extra: `name=path` of the user's own, measured beside the others.

    Raises:
        UsageError: A name is unknown, or none is left.
        PreloadError: A library of the user cannot be preloaded.
        UnfitMachineError: hz3 itself is not installed.
    """
    own = parse_extra(extra)
    wanted = split(names) or list(DEFAULT_BENCH_SET)
    found = find([*wanted, *own], own)
    missing = [allocator for allocator in found if not allocator.installed]
    for allocator in missing:
        if allocator.name == "hz3":
            raise UnfitMachineError("libhz3.so is not installed", allocator.install_hint)
    if missing:
        listed = ", ".join(allocator.name for allocator in missing)
        line = install_line(allocator.name for allocator in missing)
        note(f"not installed and left out: {listed}" + (f"; to add: {line}" if line else ""))
    present = [allocator for allocator in found if allocator.installed]
    if not present:
        raise UsageError(
            "none of these allocators is installed", f"choose from {', '.join(known_names())}"
        )
    return present


def output_options(function: Function) -> Function:
    """Add --out and --resume to a command."""
    folder = click.Path(path_type=Path, file_okay=False)
    out = click.option(
        "--out",
        "folder",
        type=folder,
        help="Folder of the results [default: ./hz3-results/<time>-<name>].",
    )
    resume = click.option(
        "--resume",
        "resumed",
        type=folder,
        help="Go on with the run in this folder: take what it lacks.",
    )
    return out(resume(function))


def refuse_beside_resume(ctx: click.Context, allowed: Collection[str] = ()) -> None:
    """Refuse options that would change a run that is only to be gone on with.

    Args:
        ctx: Of the command.
        allowed: Names of parameters that may be given beside --resume and --json.

    Raises:
        UsageError: Something else is given.
    """
    allowed = {"resumed", "as_json", *allowed}
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        given = source not in (None, ParameterSource.DEFAULT)
        if (given and name not in allowed) or ctx.meta.get(PROGRAM_KEY):
            word = parameter.opts[0] if given else "a program"
            raise UsageError(
                f"{word} does not go with --resume",
                "a resumed run keeps its plan; start a new run to change it",
            )
