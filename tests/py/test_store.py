"""The results folder: what is written comes back, and nothing is lost when writing fails."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hz3py.errors import StoreError, UsageError
from hz3py.store import records
from hz3py.store.export import COLUMNS, frame, write_csv, write_series_csv, write_text
from hz3py.store.records import EndRecord, RunRecord, SampleRecord, decode, encode
from hz3py.store.results import RECORDS_NAME, Writer, read

RUN = RunRecord(
    run_id="r1",
    time="2030-01-01T00:00:00.000+00:00",
    suite="quick",
    plan={"rows": [], "allocators": [], "blocks": 2, "seed": 1},
    machine={"cpus": 2},
    argv=("bench",),
    version="0.1.0",
)


def sample(block: int = 0, **changes: Any) -> SampleRecord:
    fields: dict[str, Any] = {
        "run_id": "r1",
        "time": "2030-01-01T00:00:01.000+00:00",
        "suite": "quick",
        "label": "row",
        "workload": "random_mixed",
        "args": ("1", "2"),
        "touch": "none",
        "threads": 1,
        "allocator": "system",
        "version": "2.36",
        "path": None,
        "block": block,
        "position": 0,
        "seed": 7,
        "sample": {"status": "ok"},
    }
    return SampleRecord(**{**fields, **changes})


texts = st.text()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def without_nan(value: Any) -> Any:
    """What JSON can hold of a value: numbers without a JSON form become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return value


@given(
    label=texts,
    args=st.lists(texts, max_size=4).map(tuple),
    path=st.none() | texts,
    block=st.integers(0, 10**6),
    content=st.dictionaries(texts, json_values, max_size=5),
)
def test_a_record_comes_back_as_it_was_written(
    label: str, args: tuple[str, ...], path: str | None, block: int, content: dict[str, Any]
) -> None:
    record = sample(block, label=label, args=args, path=path, sample=content)
    line = encode(record)
    assert "\n" not in line
    line.encode("utf-8")
    assert decode(line, "here") == sample(
        block, label=label, args=args, path=path, sample=without_nan(content)
    )


def test_output_that_is_not_text_can_be_stored() -> None:
    broken = b"\xff\xfe".decode("utf-8", "surrogateescape")
    back = decode(encode(sample(sample={"status": "garbage", "stdout_tail": broken})), "here")
    assert isinstance(back, SampleRecord)
    assert back.sample["stdout_tail"] == broken


@pytest.mark.parametrize("record", [RUN, sample(), EndRecord("r1", "t", 1.5, True)])
def test_every_kind_of_record_comes_back(record: records.Record) -> None:
    assert decode(encode(record), "here") == record


def test_unknown_keys_and_kinds_of_the_same_schema_are_passed_over() -> None:
    document = json.loads(encode(sample()))
    assert decode(json.dumps({**document, "new_key": 1}), "here") == sample()
    assert decode(json.dumps({"schema": 1, "kind": "comment"}), "here") is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"schema": 2, "kind": "sample"}', "schema 2"),
        ('{"kind": "sample"}', "not an hz3 results file"),
        ("[1, 2]", "not an hz3 results file"),
        ('{"schema": 1, "kind": "sample", "block": 1}', "not complete"),
    ],
)
def test_lines_that_are_no_record_are_refused(line: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        decode(line, "here")


def fill(folder: Path, count: int) -> None:
    with Writer.create(folder, RUN) as writer:
        for block in range(count):
            writer.append(sample(block))


@settings(deadline=None)
@given(cut=st.integers(0, 4000), count=st.integers(0, 5))
def test_a_torn_tail_costs_the_last_line_only(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    fill(folder, count)
    path = folder / RECORDS_NAME
    whole = path.read_bytes()
    kept = whole[: max(len(encode(RUN)) + 1, len(whole) - cut)]
    path.write_bytes(kept)
    complete = kept.count(b"\n") - 1

    results = read(folder)
    assert [record.block for record in results.samples] == list(range(complete))
    assert results.torn == (not kept.endswith(b"\n"))

    writer, _ = Writer.resume(folder)
    with writer:
        writer.append(sample(99))
    again = read(folder)
    assert [record.block for record in again.samples] == [*range(complete), 99]
    assert not again.torn


def test_a_repeated_sample_replaces_the_earlier_one(tmp_path: Path) -> None:
    with Writer.create(tmp_path, RUN) as writer:
        writer.append(sample(0, sample={"status": "crashed"}))
        writer.append(sample(0, sample={"status": "ok"}))
    assert [record.status for record in read(tmp_path).samples] == ["ok"]


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    path = tmp_path / RECORDS_NAME
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "{broken\n" + lines[2])
    with pytest.raises(StoreError, match=r"line 2: the line is damaged"):
        read(tmp_path)


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read(tmp_path)
    with pytest.raises(UsageError, match="cannot go on"):
        Writer.resume(tmp_path)
    (tmp_path / "folder" / RECORDS_NAME).mkdir(parents=True)
    with pytest.raises(StoreError, match="Is a directory"):
        read(tmp_path / "folder")
    (tmp_path / RECORDS_NAME).write_text("")
    with pytest.raises(StoreError, match="does not begin"):
        read(tmp_path)


def test_two_writers_are_refused_while_the_first_is_open(tmp_path: Path) -> None:
    with Writer.create(tmp_path, RUN):
        with pytest.raises(StoreError, match="another hz3 process"):
            Writer.resume(tmp_path)
        with pytest.raises(StoreError, match="holds the results of a run already"):
            Writer.create(tmp_path, RUN)
    Writer.resume(tmp_path)[0].close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(StoreError, match="cannot write results") as caught:
        Writer.create(blocker / "results", RUN)
    assert "--out" in caught.value.hint


@contextmanager
def files_limited_to(size_bytes: int) -> Iterator[None]:
    """Writing beyond this size fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_every_earlier_sample(tmp_path: Path) -> None:
    with Writer.create(tmp_path, RUN) as writer:
        writer.append(sample(0))
        size = (tmp_path / RECORDS_NAME).stat().st_size
        with files_limited_to(size + 20):
            with pytest.raises(StoreError, match="the disk is full") as caught:
                writer.append(sample(1))
            assert "--resume" in caught.value.hint
        assert (tmp_path / RECORDS_NAME).stat().st_size == size
        writer.append(sample(2))
    results = read(tmp_path)
    assert [record.block for record in results.samples] == [0, 2]
    assert not results.torn


def test_an_interrupt_while_writing_waits_until_the_line_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite

    def interrupted(descriptor: int, data: bytes, offset: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return pwrite(descriptor, data[:100], offset)

    with Writer.create(tmp_path, RUN) as writer:
        monkeypatch.setattr(os, "pwrite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append(sample(0))
        monkeypatch.undo()
        writer.append(sample(1))
    assert [record.block for record in read(tmp_path).samples] == [0, 1]


def test_a_full_disk_leaves_an_exported_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    write_text(path, "old")
    with files_limited_to(10), pytest.raises(StoreError, match="cannot write"):
        write_text(path, "x" * 100)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


MEASURED = {
    "status": "ok",
    "detail": "",
    "exec": {
        "wall_s": 2.0,
        "user_s": 1.5,
        "sys_s": 0.25,
        "minor_faults": 100,
        "major_faults": 1,
    },
    "result": {"unit": "ops/s", "throughput": 5e6, "args": {"iters": 3}, "seed": 1},
    "rss": {
        "mean_kb": 100.0,
        "p95_kb": 110.0,
        "peak_kb": 120.0,
        "idle_kb": None,
        "series": [[0.0, 90.0], [1.0, 110.0]],
    },
    "interposed": True,
}


def test_the_frame_has_the_figures_of_a_sample() -> None:
    table = frame([sample(sample=MEASURED)])
    assert tuple(table.columns) == COLUMNS
    line = table.iloc[0]
    assert line["throughput"] == 5e6
    assert line["cpu_s"] == 1.75
    assert line["faults"] == 101
    assert line["rss_p95_kb"] == 110
    assert math.isnan(line["rss_idle_kb"])
    assert json.loads(line["work"])["args"] == {"iters": 3}


def test_a_command_is_judged_by_its_wall_time() -> None:
    line = frame([sample(sample={**MEASURED, "result": None})]).iloc[0]
    assert line["throughput"] == 0.5
    assert line["unit"] == "1/s"


def test_a_failed_sample_has_no_throughput() -> None:
    failed = {**MEASURED, "status": "crashed", "detail": "signal 11", "rss": None}
    line = frame([sample(sample=failed)]).iloc[0]
    assert math.isnan(line["throughput"])
    assert math.isnan(line["rss_mean_kb"])
    assert line["detail"] == "signal 11"


def test_csv_files_hold_every_sample_and_reading(tmp_path: Path) -> None:
    made = [sample(block, sample=MEASURED) for block in range(3)]
    write_csv(frame(made), tmp_path / "samples.csv")
    lines = (tmp_path / "samples.csv").read_text().splitlines()
    assert lines[0].split(",") == [column for column in COLUMNS if column != "work"]
    assert len(lines) == 4
    assert "1 2" in lines[1]
    write_series_csv(made, tmp_path / "series.csv")
    series = (tmp_path / "series.csv").read_text().splitlines()
    assert series[0] == "label,allocator,block,time_s,rss_kb"
    assert series[1] == "row,system,0,0.0,90.0"
    assert len(series) == 1 + 3 * 2
