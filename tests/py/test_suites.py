"""Suites: the packaged ones are sound, and mistakes in a file are named."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from hz3py import resources
from hz3py.errors import Hz3Error, UsageError
from hz3py.workloads import catalogue, suites
from hz3py.workloads.rows import OWN_TOUCH, Row, command_row
from hz3py.workloads.suites import Suite, resolve

NAMES = ("quick", "seeds", "full")


@pytest.fixture
def workload_programs() -> list[str]:
    """Return the names of the installed workload programs."""
    names = resources.workload_names()
    if not names:
        pytest.skip("the workload programs are not built")
    return names


def present(program: str) -> str:
    return f"/usr/bin/{program}"


def absent(program: str) -> None:
    return None


@pytest.fixture(params=NAMES)
def suite(request: pytest.FixtureRequest) -> Suite:
    source = Path(__file__).resolve().parents[2] / "benchmarks" / "suites"
    return suites.load(source / f"{request.param}.toml")


@pytest.mark.parametrize("cpus", [1, 2, 64])
def test_packaged_suites_resolve_on_any_machine(suite: Suite, cpus: int) -> None:
    rows = resolve(suite, cpus=cpus, which=present).rows
    assert len(rows) == len(suite.templates)
    assert len({row.label for row in rows}) == len(rows)
    open_rows = [
        row for row, template in zip(rows, suite.templates, strict=True) if template.scales
    ]
    assert all(row.threads <= suites.THREADS_PER_CPU * cpus for row in open_rows)
    assert not any("{" in word for row in rows if row.expects_json for word in row.args)
    assert suite.summary
    assert suite.blocks >= 5


def test_threads_are_limited_unless_asked_for(suite: Suite) -> None:
    most = max(template.threads for template in suite.templates)
    limited = resolve(suite, cpus=1, which=present)
    assert max(row.threads for row in limited.rows) < most or most <= suites.THREADS_PER_CPU
    assert bool(limited.notes) == (most > suites.THREADS_PER_CPU)
    written = resolve(suite, cpus=1, threads="written", which=present)
    assert max(row.threads for row in written.rows) == most
    assert not written.notes
    chosen = resolve(suite, cpus=1, threads=2, which=present)
    for row, template in zip(chosen.rows, suite.templates, strict=True):
        assert row.threads == (2 if template.scales else template.threads)


@pytest.mark.usefixtures("workload_programs")
def test_rows_fit_what_the_programs_say(suite: Suite) -> None:
    for row in resolve(suite, cpus=2, threads="written", which=present).rows:
        if row.expects_json:
            check_arguments(row)


def check_arguments(row: Row) -> None:
    workload = catalogue.describe(row.workload)
    positional = [item for item in workload.arguments if item.position is not None]
    words = [word for word in row.args if not word.startswith("--")]
    switches = {word.removeprefix("--") for word in row.args if word.startswith("--")}
    assert switches <= {item.name for item in workload.arguments}, row.label
    assert len(words) <= len(positional), row.label
    for word, item in zip(words, positional, strict=False):
        if "|" in item.allowed:
            assert word in item.allowed.split("|"), (row.label, item.name)
        else:
            low, high = map(float, item.allowed.split(" to "))
            assert low <= float(word) <= high, (row.label, item.name)
        if item.name == "threads":
            assert int(word) == row.threads, row.label


def test_the_catalogue_has_every_program(workload_programs: list[str]) -> None:
    assert sorted(catalogue.STRAINS) == workload_programs


@pytest.mark.usefixtures("workload_programs")
@pytest.mark.parametrize("name", sorted(catalogue.STRAINS))
def test_a_program_describes_itself(name: str) -> None:
    workload = catalogue.describe(name)
    assert workload.summary.endswith(".")
    names = [item.name for item in workload.arguments]
    assert {"touch", "seed", "idle"} <= set(names)
    touch = next(item for item in workload.arguments if item.name == "touch")
    assert tuple(touch.allowed.split("|")) == catalogue.TOUCHES
    places = [item.position for item in workload.arguments if item.position is not None]
    assert places == list(range(len(places)))


def test_touch_can_be_overridden_but_not_for_commands() -> None:
    parsed = suites.parse(
        {
            "schema": 1,
            "rows": [
                {"label": "a", "workload": "random_mixed", "touch": "none"},
                {"label": "b", "workload": "random_mixed", "touch": "ends"},
                {"label": "c", "command": ["true", "1"], "args": [2]},
            ],
        },
        "file",
        "mine",
    )
    rows = resolve(parsed, cpus=1, touch="ends", which=present).rows
    assert [row.touch for row in rows] == ["ends", "ends", OWN_TOUCH]
    assert [row.label for row in rows] == ["a (touch ends)", "b", "c"]
    assert rows[2].argv() == ("true", "1", "2")


def test_programs_that_only_write_always_write(suite: Suite) -> None:
    for touch in (None, "none"):
        rows = resolve(suite, cpus=2, touch=touch, which=present).rows
        writers = [row for row in rows if row.workload in catalogue.WRITES_ARE_THE_WORK]
        assert all(row.touch == "full" for row in writers)


def test_rows_are_chosen_by_workload_or_label(suite: Suite) -> None:
    chosen = resolve(suite, cpus=2, only=["larson", "random_mixed"], which=present).rows
    assert {row.workload for row in chosen} == {"larson", "random_mixed"}
    with pytest.raises(UsageError, match="no row with the workload 'nothing'"):
        resolve(suite, cpus=2, only=["larson", "nothing"], which=present)


def test_rows_of_missing_programs_are_left_out_and_named() -> None:
    parsed = suites.parse(
        {
            "schema": 1,
            "rows": [
                {"label": "a", "workload": "larson", "touch": "none"},
                {"label": "b", "command": ["not-there"]},
            ],
        },
        "file",
        "mine",
    )
    selection = resolve(parsed, cpus=1, which=absent)
    assert [row.label for row in selection.rows] == ["a"]
    assert "b needs not-there" in selection.notes[0]
    with pytest.raises(UsageError, match="nothing can run here"):
        resolve(parsed, cpus=1, only=["b"], which=absent)


ROW = {"label": "a", "workload": "larson", "touch": "none"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"rows": [ROW]}, "my.toml has no schema"),
        ({"schema": 2, "rows": [ROW]}, "my.toml has schema 2"),
        ({"schema": 1}, "lists no rows"),
        ({"schema": 1, "rows": ["x"]}, "row 1 is not a table"),
        ({"schema": 1, "rows": [{**ROW, "speed": 1}]}, "row 1: unknown key 'speed'"),
        ({"schema": 1, "rows": [{**ROW, "workload": "larsen"}]}, "unknown workload 'larsen'"),
        ({"schema": 1, "rows": [{**ROW, "touch": "all"}]}, "row 1: touch is 'all'"),
        ({"schema": 1, "rows": [{**ROW, "threads": 0}]}, "threads is 0"),
        ({"schema": 1, "rows": [{**ROW, "threads": True}]}, "threads is True"),
        ({"schema": 1, "rows": [{**ROW, "seconds": -1}]}, "seconds is -1"),
        ({"schema": 1, "rows": [{**ROW, "args": "1 2"}]}, "args is '1 2', not a list"),
        ({"schema": 1, "rows": [{**ROW, "command": ["x"]}]}, "without `workload`"),
        ({"schema": 1, "blocks": 0, "rows": [ROW]}, "blocks is 0"),
        ({"schema": 1, "rows": [{"command": []}]}, "`command` is a list"),
    ],
)
def test_mistakes_in_a_suite_are_named(document: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        suites.parse(document, "my.toml", "mine")


def test_two_rows_with_one_label_are_refused() -> None:
    parsed = suites.parse({"schema": 1, "rows": [ROW, ROW]}, "my.toml", "mine")
    with pytest.raises(UsageError, match="two rows named 'a'"):
        resolve(parsed, cpus=1, which=present)


def test_files_that_are_no_suite_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the suite .*No such file"):
        suites.find(str(tmp_path / "none.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("rows = [")
    with pytest.raises(UsageError, match="not valid TOML"):
        suites.find(str(broken))
    with pytest.raises(UsageError, match="unknown suite 'quik'"):
        suites.find("quik")


def test_a_workload_is_no_suite_and_the_hint_says_so(workload_programs: list[str]) -> None:
    with pytest.raises(UsageError, match="unknown suite") as caught:
        suites.find(workload_programs[0])
    assert f"--workloads {workload_programs[0]};" in caught.value.hint


def test_a_row_comes_back_from_its_json(suite: Suite) -> None:
    for row in resolve(suite, cpus=2, which=present).rows:
        assert Row.from_json(row.to_json()) == row


def test_a_command_of_the_user_is_a_row() -> None:
    row = command_row(("/usr/bin/env", "-i", "true"), timeout_s=5)
    assert (row.label, row.args, row.touch) == ("env", ("-i", "true"), OWN_TOUCH)
    assert not row.expects_json
    assert row.argv() == ("/usr/bin/env", "-i", "true")


def test_a_packaged_program_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(resources.DEV_BUILD_VARIABLE, str(tmp_path))
    with pytest.raises(Hz3Error, match="no workload programs"):
        Row(label="a", workload="larson").argv()


def test_seconds_that_are_expected_are_plausible(suite: Suite) -> None:
    assert all(0 < template.expected_s < 60 for template in suite.templates)
    assert all(math.isfinite(template.timeout_s) for template in suite.templates)
