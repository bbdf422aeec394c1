"""The report as plain text and as Markdown."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Sequence

from hz3py.report.story import Part
from hz3py.report.text import Column, Table, layout

WIDTH = 100


def as_text(title: str, parts: Sequence[Part]) -> str:
    """Return the report for a terminal or an e-mail."""
    lines = [title, "=" * len(title), ""]
    for part in parts:
        if not (part.text or part.table):
            continue
        lines += [part.heading, "-" * len(part.heading)]
        for text in part.text:
            indent = "  " if part.key == "warnings" else ""
            bullet = "- " if part.key == "warnings" else ""
            lines += textwrap.wrap(bullet + text, WIDTH, subsequent_indent=indent)
        if part.table is not None:
            lines += ["", *(line.text for line in layout(part.table) if line.text or lines[-1])]
        lines.append("")
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def as_markdown(title: str, parts: Sequence[Part]) -> str:
    """Return the report as Markdown with tables; names of the run cannot break out of it."""
    lines = [f"# {_escaped(title)}", ""]
    for part in parts:
        if not (part.text or part.table):
            continue
        lines += [f"## {part.heading}", ""]
        bullet = "- " if part.key == "warnings" else ""
        for text in part.text:
            lines += [bullet + _escaped(text), *([] if bullet else [""])]
        if part.table is not None:
            lines += _tables(part.table)
        if lines[-1]:
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _tables(table: Table) -> list[str]:
    lines: list[str] = []
    for section in table.sections:
        if section.heading:
            lines += [f"**{_escaped(section.heading)}**", ""]
        lines += [_row(_title(column) for column in table.columns)]
        lines += [_row("---:" if column.number else "---" for column in table.columns)]
        for line in section.lines:
            cells = [*map(_escaped, line.cells)]
            if line.style == "best":
                cells = [f"**{cell}**" if cell else "" for cell in cells[:1]] + cells[1:]
            lines.append(_row([*cells, *[""] * (len(table.columns) - len(cells))]))
        lines.append("")
    return lines


def _title(column: Column) -> str:
    return _escaped(column.title)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no table cell, tag, link or emphasis of its own."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", plain)
