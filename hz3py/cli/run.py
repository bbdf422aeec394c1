"""`hz3 run`: become a program that runs under an allocator.

It stands in front of every program that is started with it, so it imports next to nothing: no
click, no rich, no pathlib, no dataclasses, options parsed by hand. Unless something is wanted after
the program's end, it replaces itself by the program, which keeps the terminal, the signals and the
process id.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import hz3py
from hz3py.cli.console import guarded, out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

HELP = """\
Usage: hz3 run [OPTIONS] [--] PROGRAM [ARGS]...

  Run a program under an allocator, by preloading it. The program takes the
  place of this command; its exit code is the exit code.

  A program that cannot take a preload (static, setuid, another architecture)
  is refused before it starts.

Options:
  --allocator NAME|PATH  hz3 (default), hz3-checked (stops at bad frees), system,
                         tcmalloc, mimalloc, jemalloc, tbbmalloc, scudo, or the
                         path of a library.
  --knob NAME=VALUE      Set a knob of hz3 (see `hz3 knobs`); may be repeated.
  --profile FILE         Set the knobs of a profile that `hz3 tune` wrote.
  --observe FILE         At exit, write where resident memory sits, as JSON.
  --waterfall            At exit, show where resident memory sits, on stderr.
  --picture FILE         The same as a picture: .png, .svg or .pdf.
  --proof                At exit, say on stderr which library provided malloc.
  --json                 At exit, the same, the exit code, seconds, page faults
                         and the peak as JSON: the last line on stderr.
  -h, --help             Show this message and exit."""

_SWITCHES = {"--proof": "proof", "--waterfall": "waterfall", "--json": "as_json"}
_VALUED = ("--allocator", "--knob", "--profile", "--observe", "--picture")
_SEPARATORS = " \t\n:"


class Request:
    """What the command line asks for.

    Attributes:
        program: The program and its arguments.
        allocator: Name or path of an allocator.
        knobs: NAME=VALUE texts.
        profile: File with knobs that were tuned, or None.
        observe: File for the allocator's own account of its memory, or None.
        waterfall: Whether to show that account on stderr.
        picture: File for a picture of that account, or None.
        proof: Whether to say which library provided malloc.
        as_json: Whether to say that and how the program ended as JSON.
    """

    def __init__(self) -> None:
        """Start from the defaults."""
        self.program: list[str] = []
        self.allocator = "hz3"
        self.knobs: list[str] = []
        self.profile: str | None = None
        self.observe: str | None = None
        self.waterfall = False
        self.picture: str | None = None
        self.proof = False
        self.as_json = False

    def observes(self) -> bool:
        """Whether the allocator is to account for its memory."""
        return self.observe is not None or self.waterfall or self.picture is not None

    def waits(self) -> bool:
        """Whether something is wanted after the program's end."""
        return self.observes() or self.proof or self.as_json


def main(arguments: Sequence[str]) -> int:
    """Run the words after `hz3 run`; returns only if the program is not executed in place.

    Args:
        arguments: Options, then the program and its arguments.
    """
    return guarded(lambda: _main(arguments))


def _main(arguments: Sequence[str]) -> int:
    request = parse(arguments)
    if request is None:
        out(HELP)
        return 0
    from hz3py.system import target

    path = target.locate(request.program[0])
    library = _library(request)
    if library is not None:
        target.check(path)
    environment = dict(os.environ)
    if request.knobs or request.profile is not None:
        from hz3py.cli.knob_values import variables_with

        environment.update(variables_with(request.profile, request.knobs))
    if request.waits():
        from hz3py.cli.watched import Wanted, run_watched

        wanted = Wanted(
            request.observe, request.waterfall, request.picture, request.proof, request.as_json
        )
        return run_watched(request.program, environment, library, wanted)
    if library is not None:
        _preload(environment, library)
    _become(path, request.program, environment)


def parse(arguments: Sequence[str]) -> Request | None:
    """Read the command line.

    Returns:
        What it asks for; None for --help.

    Raises:
        UsageError: An option is unknown or lacks its value, or there is no program.
    """
    words = list(arguments)
    request = Request()
    while words and words[0].startswith("-"):
        option, equals, value = words.pop(0).partition("=")
        if option in ("-h", "--help"):
            return None
        if option == "--" and not equals:
            break
        if option in _SWITCHES and not equals:
            setattr(request, _SWITCHES[option], True)
            continue
        if option not in _VALUED:
            raise _usage_error(f"hz3 run has no option {option!r}", "see `hz3 run --help`")
        if not equals:
            if not words:
                raise _usage_error(f"{option} lacks its value", "see `hz3 run --help`")
            value = words.pop(0)
        if option == "--knob":
            request.knobs.append(value)
        else:
            setattr(request, option[2:], value)
    if not words:
        raise _usage_error("no program to run", "write `hz3 run -- PROGRAM ARGS`")
    request.program = words
    speaks = request.knobs or request.profile or request.observes()
    if request.allocator not in ("hz3", "hz3-checked") and speaks:
        raise _usage_error(
            "--knob, --profile, --observe, --waterfall and --picture speak to hz3, and another "
            "allocator is chosen",
            "leave out --allocator",
        )
    return request


def _library(request: Request) -> str | None:
    """Return the library to preload; None for the system malloc."""
    if request.allocator == "hz3":
        return _own_library()
    if request.allocator == "system":
        return None
    from pathlib import Path

    from hz3py.system import allocators

    if "/" in request.allocator or request.allocator.endswith(".so"):
        path = Path(request.allocator).absolute()
        allocators.check_library(path)
        return str(path)
    found = allocators.find([request.allocator])[0]
    if not found.installed:
        raise _usage_error(f"{found.name} is not installed", found.install_hint)
    return str(found.path)


def _own_library() -> str:
    """Return libhz3.so: from the package folder if it is there, else as `resources` finds it."""
    for folder in hz3py.__path__:
        path = os.path.join(folder, "lib", "libhz3.so")
        if "HZ3_DEV_BUILD" not in os.environ and os.path.isfile(path):
            return path
    from hz3py.resources import library_path

    return str(library_path())


def _preload(environment: dict[str, str], library: str) -> None:
    """Put the library before whatever is preloaded already."""
    variables = {"LD_PRELOAD": library}
    if any(separator in library for separator in _SEPARATORS):
        from pathlib import Path

        from hz3py.system.launch import preload_variables

        variables = preload_variables(Path(library))
    for name, value in variables.items():
        earlier = environment.get(name)
        environment[name] = f"{value}:{earlier}" if earlier else value


def _become(path: str, program: Sequence[str], environment: dict[str, str]) -> NoReturn:
    # Python ignores these two, and a program would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execve(path, list(program), environment)
    except OSError as error:
        raise _usage_error(f"cannot run {program[0]!r}: {error.strerror}") from error


def _usage_error(message: str, hint: str = "") -> Exception:
    from hz3py.errors import UsageError

    return UsageError(message, hint)


def __getattr__(name: str) -> object:
    """Give the click group a command that does the same, without importing click here."""
    if name != "command":
        raise AttributeError(name)
    import click

    @click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def command(words: tuple[str, ...]) -> int:
        return _main(words)

    return command
