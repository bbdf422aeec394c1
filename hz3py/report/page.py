"""What every HTML page of a report shares: its templates, and colours for both grounds."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from hz3py.report import style


def template(name: str) -> Template:
    """Return a template; names and texts that go into it are escaped."""
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["place"] = lambda value: f"{value:g}"
    return environment.get_template(name)


def grounds(colours: Iterable[str]) -> list[tuple[str, str]]:
    """Return each colour as it is shown on a light and on a dark ground."""
    return [(colour, style.on_dark(colour)) for colour in colours]


def _source(name: str) -> str:
    return files("hz3py.report").joinpath("templates").joinpath(name).read_text(encoding="utf-8")
