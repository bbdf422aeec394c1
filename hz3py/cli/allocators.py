"""`hz3 allocators`: what can be measured on this machine, and how to get the rest."""

from __future__ import annotations

import click

from hz3py.cli.console import out, out_json
from hz3py.cli.options import json_option
from hz3py.cli.show import show
from hz3py.report.text import Column, Line, Section, Table
from hz3py.system.allocators import Allocator, discover, install_line, parse_extra


@click.command()
@click.option(
    "--allocator", "extra", multiple=True, metavar="NAME=PATH", help="Check this library as well."
)
@json_option
def command(*, extra: tuple[str, ...], as_json: bool) -> None:
    """List the allocators on this machine, with the line that installs the missing ones."""
    found = discover(parse_extra(extra))
    if as_json:
        out_json([_document(allocator) for allocator in found])
        return
    columns = (
        Column("allocator", number=False),
        Column("version", number=False),
        Column("found by", number=False),
        Column("library", number=False),
    )
    show(Table(columns, (Section("", tuple(_line(allocator) for allocator in found)),)))
    line = install_line(allocator.name for allocator in found if not allocator.installed)
    if line:
        out()
        out(f"to add what is missing: {line}")


def _line(allocator: Allocator) -> Line:
    if not allocator.installed:
        return Line((allocator.name, "-", "-", f"missing: {allocator.install_hint}"), "failed")
    library = "the C library of the system" if allocator.path is None else str(allocator.path)
    return Line((allocator.name, allocator.version or "-", allocator.origin, library))


def _document(allocator: Allocator) -> dict[str, object]:
    return {
        "name": allocator.name,
        "path": None if allocator.path is None else str(allocator.path),
        "version": allocator.version,
        "installed": allocator.installed,
        "install_hint": allocator.install_hint,
        "origin": allocator.origin,
    }
