"""`hz3 workloads`: the packaged workload programs and their arguments."""

from __future__ import annotations

from typing import Any

import click

from hz3py import resources
from hz3py.cli.console import out, out_json
from hz3py.cli.options import json_option
from hz3py.cli.show import show
from hz3py.report.text import Column, Line, Section, Table
from hz3py.workloads import catalogue, suites
from hz3py.workloads.catalogue import Workload


@click.command()
@click.argument("name", required=False)
@json_option
def command(*, name: str | None, as_json: bool) -> None:
    """List the packaged workload programs, or explain the workload NAME."""
    names = list(catalogue.STRAINS) if name is None else [name]
    found = [catalogue.describe(each) for each in names]
    if as_json:
        out_json({"schema": 1, "workloads": [_document(workload) for workload in found]})
    elif name is None:
        columns = (Column("workload", number=False), Column("what it strains", number=False))
        lines = tuple(Line((workload.name, workload.strains)) for workload in found)
        show(Table(columns, (Section("", lines),)))
        out()
        out("what one does, and its arguments: hz3 workloads NAME")
        out(f"suites that combine them: {', '.join(sorted(suites.packaged()))}")
        out("any other program as a workload: hz3 bench -- PROGRAM ARGS")
    else:
        _explain(found[0])


def _explain(workload: Workload) -> None:
    out(f"{workload.usage}")
    out(workload.summary)
    out(f"It strains {workload.strains}.")
    out()
    columns = (
        Column("argument", number=False),
        Column("default"),
        Column("allowed", number=False),
        Column("", number=False),
    )
    lines = tuple(
        Line((item.name, item.default, item.allowed, item.meaning)) for item in workload.arguments
    )
    show(Table(columns, (Section("", lines),)))


def _document(workload: Workload) -> dict[str, Any]:
    return {
        "name": workload.name,
        "summary": workload.summary,
        "strains": workload.strains,
        "path": str(resources.workload_path(workload.name)),
        "arguments": [
            {
                "name": item.name,
                "position": item.position,
                "default": item.default,
                "allowed": item.allowed,
                "meaning": item.meaning,
            }
            for item in workload.arguments
        ],
    }
