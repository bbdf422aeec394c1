"""Programs that cannot take a preload are told from their files."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import sys
from pathlib import Path

import pytest

from hz3py import resources
from hz3py.errors import PreloadError, UsageError
from hz3py.system import target
from hz3py.system.elf import host_machine

DYNAMIC = shutil.which("true") or "/bin/true"


def copy(tmp_path: Path, source: str | Path = DYNAMIC) -> Path:
    path = tmp_path / "program"
    shutil.copy(source, path)
    return path


def patched(tmp_path: Path, offset: int, data: bytes) -> Path:
    """A copy of a program with some bytes of its header changed."""
    path = copy(tmp_path)
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    return path


def script(tmp_path: Path, first_line: str) -> Path:
    path = tmp_path / "script"
    path.write_text(first_line + "\n")
    path.chmod(0o755)
    return path


def test_an_ordinary_program_can() -> None:
    target.check(DYNAMIC)
    target.check(os.path.realpath(sys.executable))


def test_a_static_program_cannot() -> None:
    with pytest.raises(PreloadError, match="statically linked"):
        target.check(str(resources.launcher_path()))


def test_a_program_of_another_architecture_cannot(tmp_path: Path) -> None:
    other = {"x86_64": 183}.get(host_machine(), 62)
    path = patched(tmp_path, 18, struct.pack("<H", other))
    with pytest.raises(PreloadError, match=r"is a program for (aarch64|x86_64), which cannot"):
        target.check(str(path))


def test_a_program_of_32_bits_cannot(tmp_path: Path) -> None:
    with pytest.raises(PreloadError, match=r"\(32 bit\)"):
        target.check(str(patched(tmp_path, 4, b"\x01")))


def test_a_program_for_another_libc_cannot(tmp_path: Path) -> None:
    path = copy(tmp_path)
    content = path.read_bytes()
    start = content.index(b"/lib64/ld-linux") if b"/lib64/ld-linux" in content else -1
    if start < 0:
        pytest.skip("the loader has another name here")
    path.write_bytes(content[:start] + b"/lib/ld-musl.so".ljust(15) + content[start + 15 :])
    with pytest.raises(PreloadError, match="musl"):
        target.check(str(path))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_program_that_becomes_another_user_cannot(tmp_path: Path) -> None:
    path = copy(tmp_path)
    os.chown(path, 65534, 65534)
    path.chmod(0o755 | stat.S_ISUID)
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        pytest.skip("this file system ignores setuid")
    with pytest.raises(PreloadError, match="gains rights"):
        target.check(str(path))


def test_setuid_to_the_same_user_changes_nothing(tmp_path: Path) -> None:
    path = copy(tmp_path)
    path.chmod(0o755 | stat.S_ISUID)
    target.check(str(path))


@pytest.mark.parametrize(
    "first_line", ["#!/bin/sh", "#! /bin/sh -e", "#!/usr/bin/env sh", "#!/usr/bin/env -S sh -e"]
)
def test_a_script_is_judged_by_its_interpreter(tmp_path: Path, first_line: str) -> None:
    target.check(str(script(tmp_path, first_line)))
    static = script(tmp_path, f"#!{resources.launcher_path()}")
    with pytest.raises(PreloadError, match="statically linked"):
        target.check(str(static))


def test_a_script_without_an_interpreter_is_the_shells_business(tmp_path: Path) -> None:
    target.check(str(script(tmp_path, "echo hello")))


def test_an_interpreter_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="/no/such"):
        target.check(str(script(tmp_path, "#!/no/such")))
    with pytest.raises(UsageError, match="names no interpreter"):
        target.check(str(script(tmp_path, "#!")))


def test_programs_are_found_as_the_shell_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy(tmp_path)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"/no/such:{tmp_path}")
    assert target.locate("program") == str(path)
    monkeypatch.chdir(tmp_path)
    assert target.locate("./program") == "./program"
    with pytest.raises(UsageError, match="'other': no such program"):
        target.locate("other")
    path.chmod(0o644)
    if not os.access(path, os.X_OK):
        with pytest.raises(UsageError, match="not executable"):
            target.locate("program")
