"""`hz3 knobs`: the knob table of the allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hz3py.cli.console import out, out_json
from hz3py.cli.knob_values import knob, knob_table
from hz3py.cli.options import json_option
from hz3py.cli.show import show
from hz3py.report.text import Column, Line, Section, Table

if TYPE_CHECKING:
    from hz3py.native import KnobInfo


@click.command()
@click.argument("name", required=False)
@json_option
def command(*, name: str | None, as_json: bool) -> None:
    r"""List the knobs of hz3, or explain the knob NAME.

    \b
    Set a knob for a program:   hz3 run --knob NAME=VALUE -- PROGRAM
    or by its variable:         HZ3_NAME=VALUE
    in Python:                  hz3py.knobs["name"] = value
    """
    infos = knob_table() if name is None else [knob(name)]
    if as_json:
        out_json([_document(info) for info in infos])
    elif name is None:
        columns = (
            Column("knob", number=False),
            Column("default"),
            Column("range", number=False),
            Column("what it trades", number=False),
        )
        lines = tuple(
            Line((info.name, _value(info, info.default), _range(info), info.doc)) for info in infos
        )
        show(Table(columns, (Section("", lines),)))
    else:
        _explain(infos[0])


def _explain(info: KnobInfo) -> None:
    out(f"{info.name}: {info.doc}")
    out(f"  default   {_value(info, info.default)}")
    out(f"  allowed   {_range(info)}")
    out(f"  variable  {info.env}")
    if info.at_start:
        out("  it can only be set at start, by its variable or `hz3 run --knob`")


def _document(info: KnobInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "env": info.env,
        "type": info.type,
        "min": info.min,
        "max": info.max,
        "choices": list(info.choices),
        "default": info.default,
        "unit": info.unit,
        "doc": info.doc,
        "seed": info.seed,
        "at_start": info.at_start,
    }


def _range(info: KnobInfo) -> str:
    if info.type == "bool":
        return "0 or 1"
    if info.type == "choice":
        return ", ".join(info.choices)
    low = _bytes(info.min) if info.type == "bytes" else str(info.min)
    return f"{low} to {_value(info, info.max)}"


def _value(info: KnobInfo, value: int | bool | str) -> str:
    """Write a value as it can be typed in."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return value
    if info.type == "bytes":
        return _bytes(value)
    unit = f" {info.unit}" if info.unit else ""
    return f"{value}{unit}"


def _bytes(value: int) -> str:
    for shift, suffix in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
        if value and value % (1 << shift) == 0:
            return f"{value >> shift}{suffix}"
    return str(value)
