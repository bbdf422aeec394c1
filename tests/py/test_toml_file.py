"""TOML files: what is wrong with one is said with its path, what it should be, and what to try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hz3py.errors import UsageError
from hz3py.tuning import profile
from hz3py.workloads import experiments, suites, toml_file


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "möbel.toml"
    path.write_text('schema = 1\nname = "möbel"\n', encoding="utf-8")
    assert toml_file.read(path, "suite") == {"schema": 1, "name": "möbel"}
    assert toml_file.read(str(path), "suite") == toml_file.read(path, "suite")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the suite .*a.toml: No such file"),
        (b"rows = [", "the suite .*a.toml is not valid TOML: "),
        (b'name = "\xff"', "the suite .*a.toml is not valid TOML: .*utf-8"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        toml_file.read(path, "suite", "what to try")


def test_a_missing_file_comes_with_a_hint_and_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory") as caught:
        toml_file.read(tmp_path, "profile", "what to try")
    assert caught.value.hint == "what to try"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "a.toml has no schema, this hz3 reads schema 1"),
        ({"schema": 2}, "a.toml has schema 2,"),
        ({"schema": "1"}, "a.toml has schema '1',"),
        ({"schema": True}, "a.toml has schema True,"),
    ],
)
def test_another_schema_is_refused(data: dict[str, Any], message: str) -> None:
    toml_file.check_schema({"schema": 1}, "a.toml", 1)
    with pytest.raises(UsageError, match=message) as caught:
        toml_file.check_schema(data, "a.toml", 1)
    assert "update hz3" in caught.value.hint


@pytest.mark.parametrize("read", [suites.load, experiments.find, profile.read])
def test_every_kind_of_file_names_its_path(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    with pytest.raises(UsageError, match=f"cannot read .*{path}"):
        read(path)
    path.write_text('schema = 7\nkind = "hz3-profile"\n[knobs]\n', encoding="utf-8")
    with pytest.raises(UsageError, match=f"{path} has schema 7"):
        read(path)
