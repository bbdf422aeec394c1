"""hz3py.native, in a process that preloads hz3 and in one that does not.

Each test runs a short program in a process of its own, in both ways, and looks at what it prints:
knobs and the choice of the library are state of a whole process.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from hz3py import native, resources
from hz3py.system.launch import clean_environment, preload_variables

if TYPE_CHECKING:
    from pathlib import Path

MODES = ["private", "preloaded"]
PRELUDE = "import json\nimport hz3py\nfrom hz3py import native\n"


class Process:
    """Runs programs that print one JSON value, with or without hz3 preloaded."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode = mode
        self._folder = folder  # not the source tree, whose hz3py has no native parts

    def run(self, program: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = clean_environment()
        if self.mode == "preloaded":
            environment |= preload_variables(resources.library_path())
        return subprocess.run(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(program)],
            env=environment | variables,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    def value(self, program: str, **variables: str) -> Any:
        return json.loads(self.run(program, **variables).stdout)


@pytest.fixture(params=MODES)
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Process:
    return Process(request.param, tmp_path)


@pytest.fixture
def private(tmp_path: Path) -> Process:
    return Process("private", tmp_path)


def knob(kind: str, *, at_start: bool = False) -> native.KnobInfo:
    """Return a knob of this type that can be set to more than one value."""
    return next(
        info
        for info in native.knobs.table()
        if info.type == kind and info.at_start == at_start and info.min < info.max
    )


def test_the_live_library_answers(process: Process) -> None:
    program = """
    mode = native.attach()
    print(json.dumps([mode, str(native.library_path()), native.serves_malloc(), hz3py.version()]))
    """
    expected = [process.mode, str(resources.library_path()), process.mode == "preloaded"]
    assert process.value(program) == [*expected, native.version()]


def test_a_fresh_process_has_the_defaults(process: Process) -> None:
    program = """
    print(json.dumps({i.name: [i.default, hz3py.knobs[i.name]] for i in hz3py.knobs.table()}))
    """
    values = process.value(program)
    assert values
    assert {name: pair for name, pair in values.items() if pair[0] != pair[1]} == {}


def test_the_knob_table_is_complete(private: Process) -> None:
    table = native.knobs.table()
    assert len({info.name for info in table}) == len(table) == len(native.knobs)
    for info in table:
        assert info.env == f"HZ3_{info.name.upper()}"
        assert info.doc
        assert info.seed
        assert bool(info.choices) == (info.type == "choice")
        if info.type == "choice":
            assert info.default in info.choices
        else:
            assert info.min <= info.default <= info.max  # type: ignore[operator]


def test_every_knob_takes_both_ends_of_its_range(process: Process) -> None:
    program = """
    wrong = []
    for info in hz3py.knobs.table():
        if info.at_start:
            continue
        ends = info.choices or [info.min, info.max]
        for value in (bool(e) for e in ends) if info.type == "bool" else ends:
            hz3py.knobs[info.name] = value
            if hz3py.knobs[info.name] != value:
                wrong.append(info.name)
    print(json.dumps(wrong))
    """
    assert process.value(program) == []


def test_text_is_read_as_in_the_variables(process: Process) -> None:
    size, switch = knob("bytes").name, knob("bool").name
    program = f"""
    values = []
    for name, text in [({size!r}, "64K"), ({switch!r}, "off"), ({switch!r}, "yes")]:
        hz3py.knobs[name] = text
        values.append(hz3py.knobs[name])
    print(json.dumps(values))
    """
    assert process.value(program) == [65536, False, True]


REFUSED = """
try:
    hz3py.knobs[{name!r}] = {value!r}
except (KeyError, ValueError) as error:
    print(json.dumps([type(error).__name__, error.args[0]]))
"""


def test_a_number_out_of_range_is_refused(process: Process) -> None:
    info = knob("int")
    kind, message = process.value(REFUSED.format(name=info.name, value=info.max + 1))
    assert kind == "ValueError"
    assert info.name in message
    assert str(info.min) in message
    assert str(info.max) in message


@pytest.mark.parametrize("text", ["", "many", "12 apples", "1e3", "99999999999999999999999"])
def test_what_is_not_a_number_is_refused(private: Process, text: str) -> None:
    kind, message = private.value(REFUSED.format(name=knob("int").name, value=text))
    assert kind == "ValueError"
    assert knob("int").name in message


def test_an_unknown_choice_names_the_known_ones(process: Process) -> None:
    info = knob("choice")
    kind, message = process.value(REFUSED.format(name=info.name, value="sideways"))
    assert kind == "ValueError"
    assert [choice for choice in info.choices if choice not in message] == []


def test_a_start_up_knob_names_its_variable(process: Process) -> None:
    info = knob("int", at_start=True)
    kind, message = process.value(REFUSED.format(name=info.name, value=info.max))
    assert kind == "ValueError"
    assert info.env in message


def test_an_unknown_knob_names_the_nearest(process: Process) -> None:
    name = knob("bytes").name
    kind, message = process.value(REFUSED.format(name=name[:-1], value=1))
    assert kind == "KeyError"
    assert f"did you mean {name}" in message


def test_a_variable_sets_a_knob_at_start(process: Process) -> None:
    info = knob("int")
    value = info.max if info.default != info.max else info.min
    program = f"print(json.dumps(hz3py.knobs[{info.name!r}]))"
    assert process.value(program, **{info.env: str(value)}) == value


def test_a_bad_variable_costs_one_line_and_leaves_the_default(process: Process) -> None:
    info = knob("int")
    result = process.run(
        f"print(json.dumps(hz3py.knobs[{info.name!r}]))", **{info.env: str(info.max + 1)}
    )
    assert json.loads(result.stdout) == info.default
    (line,) = result.stderr.splitlines()
    assert info.env in line
    assert str(info.max) in line


def test_stats_follow_a_large_block(process: Process) -> None:
    program = """
    size = 8 << 20
    before = hz3py.stats()
    block = native.allocate(size)
    memoryview(block)[::4096] = bytes(size // 4096)
    held = hz3py.stats()
    del block
    native.trim()
    after = hz3py.stats()
    print(json.dumps([s.as_dict() for s in (before, held, after)]))
    """
    before, held, after = process.value(program)
    gained = held["live_bytes"] + held["large_bytes"] - before["live_bytes"] - before["large_bytes"]
    assert gained >= 8 << 20
    assert held["committed_bytes"] - after["committed_bytes"] >= 8 << 20
    assert after["peak_committed_bytes"] >= held["committed_bytes"]
    assert held["committed_bytes"] <= held["mapped_bytes"]
    assert held["threads"] >= 1
    assert held["shards"] >= 1


def test_counters_only_grow(process: Process) -> None:
    program = """
    first = hz3py.counters()
    blocks = [native.allocate(1000) for _ in range(20000)]
    del blocks
    second = hz3py.counters()
    table = [i.name for i in native.counter_table()]
    print(json.dumps([table, first, second]))
    """
    table, first, second = process.value(program)
    assert list(first) == list(second) == table
    assert {name for name in table if second[name] < first[name]} == set()
    assert first != second


def test_counters_have_unit_and_meaning() -> None:
    for info in native.counter_table():
        assert re.fullmatch("[a-z]+s", info.unit), f"{info.name} counts no plural: {info.unit!r}"
        assert info.doc


def test_classes_grow_and_are_their_own_good_size() -> None:
    sizes = [row.block_bytes for row in native.class_stats()]
    assert sizes == sorted(set(sizes))
    assert [native.good_size(size) for size in sizes] == sizes
    assert native.good_size(2**63) == 0


def test_class_stats_count_blocks(private: Process) -> None:
    program = """
    blocks = [native.allocate(1000) for _ in range(5000)]
    size = native.good_size(1000)
    (row,) = [r for r in native.class_stats() if r.block_bytes == size]
    print(json.dumps(row.as_dict()))
    """
    row = private.value(program)
    assert row["blocks_out"] >= 5000
    assert row["spans"] * row["span_bytes"] >= 5000 * row["block_bytes"]


def test_a_block_is_a_buffer(process: Process) -> None:
    program = """
    block = native.allocate(1000, alignment_bytes=4096, zeroed=True)
    view = memoryview(block)
    view[10:13] = b"hz3"
    facts = [len(block), block.usable_bytes >= 1000, block.address % 4096, bytes(view[:20]).hex()]
    facts.append(native.owns(block.address))
    del block
    facts.append(bytes(view[10:13]).decode())
    print(json.dumps(facts))
    """
    content = (bytes(10) + b"hz3" + bytes(7)).hex()
    assert process.value(program) == [1000, True, 0, content, True, "hz3"]


def test_foreign_addresses_are_not_owned(process: Process) -> None:
    program = """
    import ctypes
    on_stack_or_data = ctypes.addressof(ctypes.c_int.in_dll(ctypes.pythonapi, "Py_VerboseFlag"))
    print(json.dumps([native.owns(a) for a in (0, 8, 2**64 - 16, on_stack_or_data)]))
    """
    assert process.value(program) == [False] * 4


def test_an_observation_adds_up(process: Process) -> None:
    program = """
    blocks = [native.allocate(10_000, zeroed=True) for _ in range(100)]
    print(json.dumps(hz3py.observe()))
    """
    document = process.value(program)
    assert sum(document["parts"].values()) == document["resident_bytes"]
    assert document["parts"]["live"] >= 100 * 10_000
    assert document["knobs"] == process.value("print(json.dumps(dict(native.knobs)))")
    assert list(document["counters"]) == [row.name for row in native.counter_table()]
    assert set(document) == set(native.Observation.__annotations__)
    assert set(document["classes"][0]) == set(native.ObservedClass.__annotations__)
    assert set(document["segments"]) == set(native.ObservedSegments.__annotations__)


def test_impossible_blocks_are_refused() -> None:
    with pytest.raises(MemoryError, match="cannot provide 4611686018427387904 bytes"):
        native.allocate(2**62)
    with pytest.raises(ValueError, match="power of two"):
        native.allocate(10, alignment_bytes=3)


def test_the_package_shows_the_same_names(private: Process) -> None:
    program = """
    try:
        hz3py.no_such_name
    except AttributeError as error:
        print(json.dumps([str(error), hz3py.knobs is native.knobs, "stats" in dir(hz3py)]))
    """
    assert private.value(program) == ["module 'hz3py' has no attribute 'no_such_name'", True, True]


def test_importing_the_package_loads_no_library(private: Process) -> None:
    program = """
    import subprocess, sys
    code = "import sys, hz3py; print('hz3py._core' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    print(json.dumps(result.stdout.strip()))
    """
    assert private.value(program) == "False"
