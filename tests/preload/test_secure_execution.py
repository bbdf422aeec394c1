"""A program with more rights than who starts it does not listen to that person's variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Preload

SOURCE = Path(__file__).with_name("secure_execution.cpp")
NOBODY = 65534
DEFAULT_BYTES = 1 << 18
TURNED = {
    "HZ3_TRANSFER_BYTES": "4096",
    "HZ3_ATEXIT_REPORT": "1",
    "HZ3_OBSERVE": "exit",
    "HZ3_NONSENSE": "1",
}

pytestmark = [
    pytest.mark.usefixtures("hz3_only"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program rights"),
]


class Told(NamedTuple):
    """What the program said of itself."""

    secure: int
    error: int
    transfer_bytes: int
    is_served: int


@pytest.fixture
def program(preload: Preload) -> Iterator[Path]:
    """Return a program linked with hz3, in a folder that everybody can read."""
    assert preload.library is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(preload.library, folder / "libhz3.so")
        include = preload.library.parents[1] / "include"
        made = folder / "program"
        words = ["c++", "-std=c++20", "-fno-builtin", f"-I{include}", str(SOURCE), "-o", str(made)]
        subprocess.run([*words, f"-L{folder}", "-lhz3", f"-Wl,-rpath,{folder}"], check=True)
        yield made


def run_as_nobody(program: Path, **variables: str) -> tuple[Told, str]:
    process = subprocess.run(
        [str(program)],
        env={**TURNED, **variables},
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Told(*map(int, process.stdout.split())), process.stderr


def test_an_ordinary_program_listens(program: Path) -> None:
    told, complaints = run_as_nobody(program)
    assert told == Told(secure=0, error=0, transfer_bytes=4096, is_served=1)
    assert "HZ3_NONSENSE" in complaints
    assert "exit of process" in complaints


def test_one_with_more_rights_does_not(program: Path) -> None:
    program.chmod(0o4755)
    target = program.parent / "told"
    target.mkdir()
    target.chmod(0o777)
    told, complaints = run_as_nobody(program, HZ3_OBSERVE_FILE=str(target / "observation"))
    if not told.secure:
        pytest.skip(f"{program.parent} lies on a file system that gives no rights (nosuid)")
    assert told == Told(secure=1, error=0, transfer_bytes=DEFAULT_BYTES, is_served=1)
    assert complaints == ""
    assert list(target.iterdir()) == []
