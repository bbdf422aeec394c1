"""`hz3 env`: the lines that put a program under an allocator for good."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from hz3py.cli.console import out, out_json
from hz3py.cli.options import json_option
from hz3py.errors import UsageError
from hz3py.system.allocators import BUNDLED, find, parse_extra
from hz3py.system.launch import preload_variables

DOCKER_FOLDER = "/usr/local/lib"


def shell(library: Path, knobs: Mapping[str, str]) -> list[str]:
    """Return lines for a shell profile or a start script."""
    variables = {**preload_variables(library), **knobs}
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def systemd(library: Path, knobs: Mapping[str, str]) -> list[str]:
    """Return a drop-in for a systemd service."""
    variables = {**preload_variables(library), **knobs}
    lines = [f'Environment="{_systemd_quoted(f"{k}={v}")}"' for k, v in variables.items()]
    return ["# systemctl edit SERVICE", "[Service]", *lines]


def docker(library: Path, knobs: Mapping[str, str]) -> list[str]:
    """Return lines for a Dockerfile; the library has to be copied into the build folder first."""
    inside = f"{DOCKER_FOLDER}/{library.name}"
    variables = {**preload_variables(Path(inside)), **knobs}
    return [
        f"# cp {shlex.quote(str(library))} .",
        f"COPY {library.name} {inside}",
        *(f"ENV {name}={_docker_quoted(value)}" for name, value in variables.items()),
    ]


FORMATS: dict[str, Callable[[Path, Mapping[str, str]], list[str]]] = {
    "shell": shell,
    "systemd": systemd,
    "docker": docker,
}


@click.command()
@click.option(
    "--allocator",
    "name",
    default="hz3",
    show_default=True,
    metavar="NAME|NAME=PATH",
    help="Which allocator.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(tuple(FORMATS)),
    default="shell",
    show_default=True,
    help="Where the lines go.",
)
@click.option("--knob", "knobs", multiple=True, metavar="NAME=VALUE", help="Also set this knob.")
@click.option("--profile", metavar="FILE", help="Also set the knobs that `hz3 tune` found.")
@json_option
def command(
    *, name: str, kind: str, knobs: tuple[str, ...], profile: str | None, as_json: bool
) -> None:
    r"""Print the lines that deploy an allocator.

    \b
    In a shell:  eval "$(hz3 env)"

    --json prints the lines, and as `env` the variables for programs on this machine.
    """
    own = parse_extra([name]) if "=" in name else {}
    allocator = find([*own] or [name], own)[0]
    if (knobs or profile) and allocator.name not in BUNDLED:
        option = "--knob" if knobs else "--profile"
        raise UsageError(f"{option} speaks to hz3, and another allocator is chosen")
    if not allocator.installed:
        raise UsageError(f"{allocator.name} is not installed", allocator.install_hint)
    if allocator.path is None:
        raise UsageError("the system malloc needs no lines: it is what programs use by themselves")
    values: dict[str, str] = {}
    if knobs or profile:
        from hz3py.cli.knob_values import variables_with

        values = variables_with(profile, knobs)
    lines = FORMATS[kind](allocator.path, values)
    if as_json:
        variables = {**preload_variables(allocator.path), **values}
        out_json({"schema": 1, "allocator": allocator.name, "env": variables, "lines": lines})
        return
    for line in lines:
        out(line)


def _systemd_quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _docker_quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
