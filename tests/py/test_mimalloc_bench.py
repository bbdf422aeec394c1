"""Programs and results of mimalloc-bench: fake folders and files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hz3py.cli.app import main
from hz3py.errors import StoreError, UsageError
from hz3py.store.mimalloc_bench import parse, records
from hz3py.store.results import read
from hz3py.workloads.mimalloc_bench import PROGRAMS, find_rows

RESULTS = """# benchmark allocator elapsed rss user sys page-faults page-reclaims

cfrac       sys   00:03.83 4592 3.82 0.00 0 450
cfrac       tc    00:03.43 8320 3.43 0.00 1 1500
cfrac       sys   3.80 4600 3.80 0.01 0 451
larsonN     sys   1:02:03.5 99 1 2 3 4
"""


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A checkout in which three programs were built; the input of one is missing."""
    folder = tmp_path / "mimalloc-bench"
    programs = folder / "out" / "bench"
    programs.mkdir(parents=True)
    (folder / "bench" / "barnes").mkdir(parents=True)
    (folder / "bench" / "barnes" / "input").write_text("stars", encoding="ascii")
    scripts = {
        "cfrac": '[ "$1" -gt 0 ] 2>/dev/null; sleep 0.02',
        "barnes": '[ "$(cat)" = stars ]',
        "espresso": "exit 0",
        "larson": "exit 0",
    }
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
        (programs / name).chmod(0o755)
    return folder


def test_programs_that_are_there_become_rows(build: Path) -> None:
    found = find_rows(build, cpus=4)
    assert [row.label for row in found.rows] == ["cfrac", "barnes"]
    assert found.rows[0].argv()[0] == str(build / "out" / "bench" / "cfrac")
    assert "espresso" in found.notes[0]
    assert "larson" in found.notes[1]


def test_threads_are_filled_in(build: Path) -> None:
    for program in PROGRAMS:
        path = build / "out" / "bench" / program.name
        path.write_text("#!/bin/sh\n", encoding="ascii")
        path.chmod(0o755)
    rows = {row.label: row for row in find_rows(build, cpus=24).rows}
    assert rows["alloc-testN"].args == ("16",)
    assert rows["sh6benchN"].args == ("48",)
    assert rows["mstressN"].args[0] == "24"
    assert not any("{" in word for row in rows.values() for word in row.args)
    assert "alloc-testN" not in {row.label for row in find_rows(build, cpus=1).rows}


def test_a_folder_without_a_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no build of mimalloc-bench"):
        find_rows(tmp_path, cpus=2)
    (tmp_path / "out" / "bench").mkdir(parents=True)
    with pytest.raises(UsageError, match="none of the programs"):
        find_rows(tmp_path, cpus=2)


def test_the_programs_are_measured(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["bench", "--mimalloc-bench", str(build), "--allocators", "system", "--blocks", "1"]
    assert main([*words, "--json", "--out", "r"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["label"]: row["status"] for row in rows} == {"cfrac": "ok", "barnes": "ok"}
    assert main([*words, "--touch", "full"]) == 2
    assert "--touch does not go with --mimalloc-bench" in capsys.readouterr().err


def test_results_are_read_with_their_clock_and_names() -> None:
    lines = parse(RESULTS, "benchres.csv")
    assert [line.elapsed_s for line in lines] == [3.83, 3.43, 3.8, 3723.5]
    assert [line.allocator for line in lines] == ["system", "tcmalloc", "system", "system"]
    assert (lines[1].major_faults, lines[1].minor_faults) == (1, 1500)


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "cfrac sys 3.8 1 2 3 4\n", "cfrac sys fast 1 2 3 4 5\n"]
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(StoreError, match=r"x\.csv"):
        parse(text, "x.csv")


def test_repeated_results_become_blocks() -> None:
    made = records(parse(RESULTS, "b.csv"), "b.csv", "1")
    keys = [record.key for record in made if record.kind == "sample"]
    assert keys == [
        ("cfrac", "system", 0),
        ("cfrac", "tcmalloc", 0),
        ("cfrac", "system", 1),
        ("larsonN", "system", 0),
    ]


def test_an_import_is_a_run_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("benchres.csv").write_text(RESULTS, encoding="utf-8")
    assert main(["bench", "--import-mimalloc-bench", "benchres.csv", "--out", "r", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = {(row["label"], row["allocator"]): row for row in document["rows"]}
    assert rows["cfrac", "tcmalloc"]["throughput"] == pytest.approx(1 / 3.43)
    assert rows["cfrac", "tcmalloc"]["rss_kb"]["peak"] == 8320
    assert rows["cfrac", "system"]["blocks"] == 2
    assert any("not interleaved" in text for text in document["warnings"])
    assert len(read(tmp_path / "r").samples) == 4
    assert main(["compare", "r:system", "r:tcmalloc"]) == 0
    assert main(["bench", "--import-mimalloc-bench", "absent.csv"]) == 2
    assert "cannot read absent.csv" in capsys.readouterr().err
