"""The table of systems in cpp/README.md is true: what it names exists, and nothing is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hz3py import native

REPO = Path(__file__).resolve().parents[2]
README = REPO / "cpp" / "README.md"
UNITS = REPO / "tests" / "native" / "units"
EFFECTS = REPO / "tests" / "native" / "test_knob_effects.py"
EFFECT = re.compile(r'Effect\(\s*"(\w+)",\s*"[^"]*",\s*"\w+",\s*"(\w+)"')
NAMES = re.compile(r"`([^`]+)`")
ROWS = [f"A{number}" for number in range(1, 21)]


@dataclass(frozen=True)
class System:
    """One row: a part of the allocator and what belongs to it."""

    row: str
    files: list[str]
    knobs: list[str]
    counters: list[str]
    tests: list[str]


def read_table(heading: str) -> list[list[str]]:
    """Return the cells of the table with this heading, without heading and rule."""
    lines = README.read_text(encoding="utf-8").splitlines()
    rows: list[list[str]] = []
    for line in lines[lines.index(heading) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def systems() -> list[System]:
    heading = "| row | system | files | knobs | counters | tests |"
    return [
        System(cells[0], *(NAMES.findall(cell) for cell in cells[2:]))
        for cells in read_table(heading)
    ]


def effects() -> set[tuple[str, str]]:
    """Return the pairs of knob and counter that the tests of effects look at."""
    return set(EFFECT.findall(EFFECTS.read_text(encoding="utf-8")))


def without_a_counter() -> dict[str, str]:
    """Return the tests of the knobs whose effect is no count."""
    return {
        NAMES.findall(knob)[0]: NAMES.findall(test)[0]
        for knob, test in read_table("| knob | shown by |")
    }


def missing(test: str) -> str | None:
    """Say what is wrong with the name of a test, if anything."""
    if test.startswith("unit_"):
        built = (UNITS.parent / "units.cmake").read_text(encoding="utf-8")
        known = (UNITS / f"{test}.cpp").is_file() and re.search(rf"\({test}\b", built)
        return None if known else f"no unit test {test}"
    path, _, function = test.partition("::")
    file = REPO / "tests" / path
    if not file.is_file():
        return f"no file tests/{path}"
    found = f"def {function}(" in file.read_text(encoding="utf-8")
    return None if function and found else f"no test {function} in tests/{path}"


def test_every_system_has_one_row() -> None:
    assert [system.row for system in systems()] == ROWS


@pytest.mark.parametrize("system", systems(), ids=lambda system: system.row)
def test_files_and_tests_exist(system: System) -> None:
    assert system.files
    assert system.tests
    assert [name for name in system.files if not (REPO / "cpp" / "src" / name).is_file()] == []
    assert [wrong for test in system.tests if (wrong := missing(test))] == []


def test_every_knob_is_in_the_row_that_it_names() -> None:
    expected = {row: set[str]() for row in ROWS}
    for info in native.knobs.table():
        expected[info.seed].add(info.name)
    assert {system.row: set(system.knobs) for system in systems()} == expected


def test_every_counter_is_in_a_row() -> None:
    named = {counter for system in systems() for counter in system.counters}
    assert named == {info.name for info in native.counter_table()}


def test_turning_a_knob_moves_a_counter_of_its_system() -> None:
    exceptions = without_a_counter()
    unshown = [
        knob
        for system in systems()
        for knob in system.knobs
        if knob not in exceptions
        and not any((knob, counter) in effects() for counter in system.counters)
    ]
    assert unshown == []
    assert [wrong for test in exceptions.values() if (wrong := missing(test))] == []
    assert set(exceptions) <= set(native.knobs)


def test_a_false_name_is_noticed() -> None:
    assert missing("unit_of_nothing") is not None
    assert missing("native/nowhere.py::test_x") is not None
    assert missing("native/test_units.py::test_of_nothing") is not None
    assert missing("native/test_units.py") is not None
    assert missing("native/test_units.py::test_unit") is None
