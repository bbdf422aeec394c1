"""Numbers, tables and documents: what a person reads, and what a program reads."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hz3py.analysis.intervals import Interval
from hz3py.analysis.summary import Arm, RssFigures, overall
from hz3py.report import numbers
from hz3py.report.document import bench_document
from hz3py.report.table import bench_table, overall_table, rss_table
from hz3py.report.text import Column, Line, Section, Table, layout

NAN = math.nan
GOOD = Arm(
    label="random_mixed small",
    workload="random_mixed",
    args=("20000000", "400"),
    touch="none",
    threads=1,
    allocator="hz3",
    version="0.1.0",
    path="/lib/libhz3.so",
    interposed=True,
    blocks=5,
    failed=0,
    status="ok",
    detail="",
    unit="ops/s",
    throughput=118.2e6,
    to_best=Interval(1.0, 1.0, 1.0),
    to_best_other=Interval(1.25, 1.2, 1.3),
    cpu_s=0.42,
    faults=312.0,
    rss=RssFigures(1600.0, 1650.0, 1700.0, NAN),
    works=("w",),
)
SLOW = replace(
    GOOD,
    allocator="system",
    path=None,
    throughput=40e6,
    to_best=Interval(0.34, 0.30, 0.38),
    rss=RssFigures(1500.0, 1550.0, 1600.0, NAN),
)
FAILED = replace(
    GOOD,
    allocator="mine",
    interposed=False,
    blocks=0,
    failed=5,
    status="crashed",
    detail="was killed by SIGSEGV",
    throughput=NAN,
    to_best=Interval(NAN, NAN, NAN),
    to_best_other=Interval(NAN, NAN, NAN),
    cpu_s=NAN,
    faults=NAN,
    rss=RssFigures(NAN, NAN, NAN, NAN),
)


@given(st.floats(1e-6, 1e12))
def test_three_significant_digits_are_close_and_plain(value: float) -> None:
    text = numbers.significant(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.9996, "1.00"), (99.96, "100"), (123.4, "123"), (1234.5, "1234"), (NAN, "-")],
)
def test_significant(value: float, text: str) -> None:
    assert numbers.significant(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (118.2e6, "ops/s", "118 M ops/s"),
        (1.5e9, "ops/s", "1.50 G ops/s"),
        (950.0, "ops/s", "950 ops/s"),
        (0.8, "1/s", "1.25 s"),
        (NAN, "ops/s", "-"),
    ],
)
def test_speed(value: float, unit: str, text: str) -> None:
    assert numbers.speed(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


def test_bounds_are_shown_where_they_say_something() -> None:
    assert numbers.bounds(Interval(0.9, 0.85, 0.97)) == "0.85 to 0.97"
    assert numbers.bounds(Interval(1.0, 1.0, 1.0)) == ""
    assert numbers.bounds(Interval(0.9, NAN, NAN)) == ""


def test_columns_are_aligned_and_free_text_runs_over() -> None:
    table = Table(
        (Column("name", number=False), Column("n"), Column("m")),
        (
            Section(
                "one", (Line(("a", "1", "22")), Line(("bb", "broken: a long story"), "failed"))
            ),
            Section("two", (Line(("c", "333", "4")),)),
        ),
    )
    assert [line.text for line in layout(table)] == [
        "  name    n   m",
        "one",
        "  a       1  22",
        "  bb    broken: a long story",
        "",
        "two",
        "  c     333   4",
    ]
    assert [line.style for line in layout(table)][3] == "failed"


def test_a_narrow_screen_loses_optional_columns_only() -> None:
    table = bench_table([GOOD, SLOW, FAILED])
    wide = [line.text for line in layout(table)]
    narrow = [line.text for line in layout(table, 80)]
    assert "CPU s" in wide[0]
    assert "CPU s" not in narrow[0]
    assert "vs best" in narrow[0]
    assert all(len(text) <= 80 for text in narrow)
    assert [line.text for line in layout(table, 500)] == wide
    needed = [line.text for line in layout(table, 1)]
    assert needed[0].split()[-1] == "idle"


def test_the_bench_table_marks_the_fastest_and_tells_why_one_failed() -> None:
    lines = layout(bench_table([GOOD, SLOW, FAILED]))
    assert "blocks not written" in lines[1].text
    best, slow, failed = lines[2:]
    assert best.style == "best"
    assert "118 M ops/s" in best.text
    assert "1.00" in best.text
    assert "0.30 to 0.38" in slow.text
    assert slow.style == ""
    assert failed.text.split(maxsplit=1)[1] == "crashed: was killed by SIGSEGV"


def test_the_rss_table_marks_the_leanest() -> None:
    styles = {line.text.split()[0]: line.style for line in layout(rss_table([GOOD, SLOW]))[2:]}
    assert styles == {"hz3": "", "system": "best"}


def test_an_arm_that_failed_in_part_says_so() -> None:
    partial = replace(GOOD, status="partial", failed=2, blocks=3)
    assert "2 of 5 failed" in layout(bench_table([partial]))[2].text


def test_the_overall_table_counts_wins_and_failures() -> None:
    text = [line.text for line in layout(overall_table(overall([GOOD, SLOW, FAILED])))]
    assert text[1].split()[:2] == ["hz3", "1.00"]
    assert "1 of 1" in text[1]
    assert text[3].startswith("mine")
    assert text[3].endswith("1")


def test_the_document_has_the_documented_keys() -> None:
    arms = [GOOD, FAILED]
    document = bench_document(
        suite="quick",
        machine={"cpus": 2},
        seconds=1.23456,
        warnings=["w"],
        arms=arms,
        totals=overall(arms),
        directory="d",
    )
    assert {"schema", "suite", "machine", "seconds", "warnings", "rows"} <= document.keys()
    assert document["schema"] == 1
    row, failed = document["rows"]
    assert {
        "workload",
        "args",
        "touch",
        "threads",
        "allocator",
        "version",
        "path",
        "interposed",
        "blocks",
        "unit",
        "throughput",
        "ratio_to_best",
        "ci",
        "cpu_s",
        "faults",
        "rss_kb",
        "status",
    } <= row.keys()
    assert row["rss_kb"] == {"mean": 1600.0, "p95": 1650.0, "peak": 1700.0, "idle": None}
    assert row["ci"] == [1.0, 1.0]
    assert (failed["status"], failed["throughput"], failed["ci"]) == ("crashed", None, [None, None])
    json.dumps(document, allow_nan=False)
