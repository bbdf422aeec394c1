"""`hz3 doctor`: whether this machine is fit for measuring, and what each finding means."""

from __future__ import annotations

import click

from hz3py.cli import doctor_measure
from hz3py.cli.console import out, out_json
from hz3py.cli.options import json_option
from hz3py.cli.show import show
from hz3py.errors import UnfitMachineError
from hz3py.report.text import Column, Line, Section, Style, Table
from hz3py.system.health import Finding, check_all

DEFAULT_SECONDS = 20.0
_STYLES: dict[str, Style] = {"ok": "", "warn": "heading", "bad": "failed"}


@click.command()
@click.option(
    "--measure",
    "measured",
    is_flag=True,
    help="Also measure an allocator against itself: which differences can be told apart here?",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    default=DEFAULT_SECONDS,
    show_default=True,
    help="About how long --measure takes.",
)
@json_option
def command(*, measured: bool, seconds: float, as_json: bool) -> int:
    """Check peers, preload, and everything on this machine that disturbs measurements.

    Ends with 4 if something makes measuring here pointless.
    """
    findings = check_all()
    fit = all(finding.state != "bad" for finding in findings)
    if not as_json:
        _print(findings)
    resolution = doctor_measure.measure_resolution(seconds) if measured else None
    if as_json:
        document = {
            "schema": 1,
            "fit": fit,
            "findings": [_document(finding) for finding in findings],
            **({} if resolution is None else {"resolution": resolution}),
        }
        out_json(document)
    elif resolution is not None:
        doctor_measure.show_resolution(resolution)
    return 0 if fit else UnfitMachineError.exit_code


def _print(findings: list[Finding]) -> None:
    columns = (
        Column("check", number=False),
        Column("state", number=False),
        Column("found", number=False),
    )
    lines = tuple(
        Line((finding.check, finding.state, finding.value), _STYLES[finding.state])
        for finding in findings
    )
    show(Table(columns, (Section("", lines),)))
    for finding in findings:
        if finding.state != "ok":
            out()
            out(f"{finding.check}: {finding.meaning}")
            if finding.hint:
                out(f"  try: {finding.hint}")


def _document(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "state": finding.state,
        "value": finding.value,
        "meaning": finding.meaning,
        "hint": finding.hint,
    }
