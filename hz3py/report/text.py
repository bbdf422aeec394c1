"""Tables as text: columns of equal width, sections with a heading, styles named, not applied.

The command line prints the lines, in colour on a terminal and as they are elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Style = Literal["", "heading", "titles", "best", "failed"]

GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        number: Whether its cells are numbers, which stand to the right.
        optional: Whether it may be left out where there is no room.
    """

    title: str
    number: bool = True
    optional: bool = False


@dataclass(frozen=True)
class Line:
    """One line of cells, or of free text if it has a single cell and is marked so."""

    cells: tuple[str, ...]
    style: Style = ""


@dataclass(frozen=True)
class Section:
    """Lines under one heading; an empty heading is not shown."""

    heading: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Columns and sections; every line has one cell per column, or fewer."""

    columns: tuple[Column, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class StyledLine:
    """One finished line of text and how it is to be shown."""

    text: str
    style: Style = ""


def layout(table: Table, most_columns: int | None = None) -> list[StyledLine]:
    """Return the table as lines of text; a blank line stands before every further section.

    Args:
        table: The table.
        most_columns: Characters per line; optional columns are left out, the last one first, until
            the table fits or none is left. None keeps all.
    """
    if most_columns is not None:
        table = _narrowed(table, most_columns)
    widths = _widths(table)
    titles = _join([column.title for column in table.columns], table.columns, widths)
    result = [StyledLine(titles, "titles")]
    indented = any(section.heading for section in table.sections)
    for number, section in enumerate(table.sections):
        if section.heading:
            if number:
                result.append(StyledLine(""))
            result.append(StyledLine(section.heading, "heading"))
        for line in section.lines:
            text = _join(line.cells, table.columns, widths)
            result.append(StyledLine(text, line.style))
    indent = GAP if indented else ""
    return [
        line if line.style == "heading" or not line.text else _indented(line, indent)
        for line in result
    ]


def _narrowed(table: Table, most_columns: int) -> Table:
    while sum(_widths(table)) + len(GAP) * len(table.columns) > most_columns:
        optional = [place for place, column in enumerate(table.columns) if column.optional]
        if not optional:
            break
        table = _without(table, optional[-1])
    return table


def _without(table: Table, place: int) -> Table:
    def cut(line: Line) -> Line:
        if len(line.cells) < len(table.columns):
            return line
        return replace(line, cells=line.cells[:place] + line.cells[place + 1 :])

    sections = tuple(
        replace(section, lines=tuple(map(cut, section.lines))) for section in table.sections
    )
    return Table(table.columns[:place] + table.columns[place + 1 :], sections)


def _indented(line: StyledLine, indent: str) -> StyledLine:
    return StyledLine(indent + line.text, line.style)


def _widths(table: Table) -> list[int]:
    """The widest cell of each column; a last cell that is text may run over."""
    widths = [len(column.title) for column in table.columns]
    for section in table.sections:
        for line in section.lines:
            for place, cell in enumerate(line.cells):
                if place + 1 < len(line.cells) or len(line.cells) == len(widths):
                    widths[place] = max(widths[place], len(cell))
    return widths


def _join(cells: Sequence[str], columns: Iterable[Column], widths: Sequence[int]) -> str:
    parts: list[str] = []
    for cell, column, width in zip(cells, columns, widths, strict=False):
        short = len(cells) < len(widths) and len(parts) + 1 == len(cells)
        parts.append(cell if short else cell.rjust(width) if column.number else cell.ljust(width))
    return GAP.join(parts).rstrip()
